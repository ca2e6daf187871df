#include "cli/arguments.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/text.h"

namespace holdfast {
namespace {

constexpr int kPositionalsMax = 100;  // those too many are refused by refuse_extra

// What CLI11 fills in; must outlive the parse.
struct Slots {
  std::map<const Option*, std::vector<std::string>> values;
  std::map<const Option*, bool> flags;
  std::vector<std::string> positionals;
  bool version = false;
};

void add_option(CLI::App& app, const Option& option, Slots& slots) {
  std::string names = option.name == "help" ? "-h,--help" : option.flag;
  if (option.kind == OptionKind::flag) {
    app.add_flag(names, slots.flags[&option])->disable_flag_override();
    return;
  }
  app.add_option(names, slots.values[&option])
      ->allow_extra_args(false)
      ->type_size(1)
      ->expected(1)
      ->take_all();
}

std::vector<std::string> flags_of(const CommandInfo* command) {
  std::vector<std::string> flags;
  for (const Option& option : option_table())
    if (!option.flag.empty() && (command == nullptr || (option.commands & command->bit) != 0))
      flags.push_back(option.flag);
  return flags;
}

std::vector<std::string> command_names() {
  std::vector<std::string> names;
  for (const CommandInfo& command : command_table()) names.push_back(command.name);
  return names;
}

std::string help_hint(const CommandInfo* command) {
  return command == nullptr ? "see: holdfast help" : "see: holdfast help " + command->name;
}

// The names of the commands that know `flag`.
std::string owners_of(const std::string& flag) {
  std::string owners;
  for (const CommandInfo& command : command_table())
    for (const Option& option : option_table())
      if (option.flag == flag && (option.commands & command.bit) != 0)
        owners += (owners.empty() ? "" : ", ") + command.name;
  return owners;
}

[[noreturn]] void refuse_extra(const std::string& extra, const CommandInfo* command) {
  std::string word = extra.substr(0, extra.find('='));
  if (word.size() > 1 && word[0] == '-') {
    if (word == "--database-url" || word == "--url")
      throw Error(
          ErrorCode::invalid, fmt::format("there is no {}", word),
          "put the URL into DATABASE_URL, DATABASE_URL_FILE or holdfast.toml: the command line "
          "can be read by every user of this machine");
    std::string owners = owners_of(word);
    if (!owners.empty() && command != nullptr)
      throw Error(ErrorCode::invalid, fmt::format("{} is not an option of {}", word, command->name),
                  fmt::format("it is one of: {}", owners));
    throw Error(
        ErrorCode::invalid,
        fmt::format("unknown option {}{}", shown(word), did_you_mean(word, flags_of(command))),
        help_hint(command));
  }
  if (command == nullptr)
    throw Error(
        ErrorCode::invalid,
        fmt::format("unknown command {}{}", shown(extra), did_you_mean(extra, command_names())),
        help_hint(nullptr));
  throw Error(ErrorCode::invalid,
              fmt::format("{}: unexpected argument {}", command->name, shown(extra)),
              help_hint(command));
}

Arguments collect(const CommandInfo* command, Slots& slots) {
  Arguments arguments;
  arguments.command = command;
  arguments.positionals = slots.positionals;
  arguments.version = slots.version;
  for (auto& [option, values] : slots.values) {
    if (values.empty()) continue;
    if (values.size() > 1 && option->kind != OptionKind::list)
      throw Error(ErrorCode::invalid,
                  fmt::format("{} is given {} times", option->flag, values.size()), "give it once");
    arguments.values[option->name] = values;
  }
  for (auto& [option, set] : slots.flags)
    if (set) arguments.values[option->name] = {"true"};
  arguments.help = arguments.values.erase("help") > 0;
  return arguments;
}

}  // namespace

std::string shown(const std::string& word) {
  bool may_hold_secret =
      word.find("://") != std::string::npos || word.find("password") != std::string::npos;
  return may_hold_secret ? "(not repeated here: it may hold a password)"
                         : fmt::format("'{}'", printable(word, 100));
}

Arguments parse_arguments(const std::vector<std::string>& words) {
  Slots slots;
  CLI::App app;
  app.set_help_flag();
  app.require_subcommand(0, 1);
  app.allow_extras();
  app.fallthrough();
  app.add_flag("--version", slots.version)->disable_flag_override();
  for (const Option& option : option_table())
    if (option.commands == kEveryCommand) add_option(app, option, slots);

  std::map<const CLI::App*, const CommandInfo*> commands;
  for (const CommandInfo& info : command_table()) {
    CLI::App* command = app.add_subcommand(info.name);
    command->set_help_flag();
    commands[command] = &info;
    if (info.arguments_max > 0)
      command->add_option("arguments", slots.positionals)->expected(0, kPositionalsMax);
    for (const Option& option : option_table())
      if (!option.flag.empty() && option.commands != kEveryCommand &&
          (option.commands & info.bit) != 0)
        add_option(*command, option, slots);
  }

  auto chosen = [&]() -> const CommandInfo* {
    auto parsed = app.get_subcommands();
    return parsed.empty() ? nullptr : commands.at(parsed.front());
  };
  // What stands behind `--` is an argument whatever it looks like.
  auto ours_end = std::find(words.begin(), words.end(), "--");
  std::vector<std::string> given(words.begin(), ours_end);
  try {
    app.parse(std::vector<std::string>(given.rbegin(), given.rend()));
  } catch (const CLI::ParseError& error) {
    // CLI11 names the option and what it lacks ("--jobs: 1 required TEXT missing").
    std::string what = error.what();
    for (const std::string& flag : flags_of(nullptr))
      if (what.starts_with(flag + ":") && what.find("required") != std::string::npos)
        what = flag + " needs a value";
    if (what.find("disallowed flag override") != std::string::npos)
      what = "--" + what.substr(0, what.find(' ')) + " takes no value";
    throw Error(ErrorCode::invalid, printable(what, 200), help_hint(chosen()));
  }
  const CommandInfo* command = chosen();
  if (auto extras = app.remaining(true); !extras.empty()) refuse_extra(extras.front(), command);
  if (ours_end != words.end())
    slots.positionals.insert(slots.positionals.end(), ours_end + 1, words.end());
  if (command != nullptr && slots.positionals.size() > command->arguments_max)
    refuse_extra(slots.positionals[command->arguments_max], command);
  return collect(command, slots);
}

}  // namespace holdfast
