#include "cli/help.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace holdfast {
namespace {

constexpr size_t kHelpColumns = 96;
constexpr size_t kNameColumns = 34;

// `text` in lines of at most `columns`, later ones indented.
std::string wrapped(const std::string& text, size_t indent, size_t columns) {
  std::string result, line;
  for (const std::string& word : split(text, ' ')) {
    if (!line.empty() && indent + line.size() + 1 + word.size() > columns) {
      result += line + "\n" + std::string(indent, ' ');
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  return result + line;
}

// Lines break between codes only.
std::string exit_codes() {
  std::string text = "Exit codes:", line = text;
  for (const ExitCodeMeaning& exit : exit_code_meanings()) {
    bool last = exit.code == exit_code_meanings().back().code;
    std::string item = fmt::format(" {} {}{}", exit.code, exit.meaning, last ? "" : " ·");
    if (line.size() + item.size() > kHelpColumns) {
      line = std::string(11, ' ');
      text += "\n" + line;
    }
    line += item;
    text += item;
  }
  return text + "\n";
}

std::string option_lines(const Option& option) {
  std::string name = option.name == "help" ? "-h, --help" : option.flag;
  if (!option.value_name.empty()) name += " " + option.value_name;
  std::string head = "  " + name;
  head += head.size() + 2 > kNameColumns ? "\n" + std::string(kNameColumns, ' ')
                                         : std::string(kNameColumns - head.size(), ' ');
  return head + wrapped(option.help + facts_of(option), kNameColumns, kHelpColumns) + "\n";
}

std::string options_of(unsigned command, bool for_every_command, const std::string& heading,
                       const std::string& group = {}) {
  std::string lines;
  for (const Option& option : option_table()) {
    bool global = option.commands == kEveryCommand;
    if (option.flag.empty() || global != for_every_command || (option.commands & command) == 0 ||
        (!group.empty() && option.group != group))
      continue;
    lines += option_lines(option);
  }
  return lines.empty() ? "" : fmt::format("\n{}:\n{}", heading, lines);
}

std::string global_options() {
  return options_of(kEveryCommand, true, "Source and store", "Source and store") +
         options_of(kEveryCommand, true, "Output", "Everywhere");
}

// A cell of a Markdown table.
std::string cell(const std::string& text) {
  std::string result;
  for (char c : text) {
    if (c == '|')
      result += "\\|";
    else if (c == '<')  // else a browser takes it for a tag
      result += "&lt;";
    else
      result += c;
  }
  return result;
}

std::string code(const std::string& text) {
  return text.empty() ? "" : "`" + text + "`";
}

std::string kind_text(const Option& option) {
  switch (option.kind) {
    case OptionKind::number:
      return fmt::format("{} to {}", option.least, option.most);
    case OptionKind::choice:
      return fmt::format("{}", fmt::join(option.choices, ", "));
    case OptionKind::list:
      return "list of texts";
    case OptionKind::flag:
      return "yes or no";
    case OptionKind::secret:
      return "secret";
    case OptionKind::url:
      return "URL, secret";
    default:
      return "text";
  }
}

std::string reference_table(const std::string& group) {
  std::string rows = fmt::format(
      "\n## {}\n\n| flag | environment | holdfast.toml | value | default | meaning |\n"
      "|---|---|---|---|---|---|\n",
      group);
  for (const Option& option : option_table()) {
    if (option.group != group) continue;
    std::string meaning = option.help;
    if (option.commands != 0 && option.commands != kEveryCommand) {
      std::vector<std::string> names;
      for (const CommandInfo& command : command_table())
        if ((option.commands & command.bit) != 0) names.push_back(code(command.name));
      meaning += fmt::format(" ({})", fmt::join(names, ", "));
    }
    rows += fmt::format("| {} | {} | {} | {} | {} | {} |\n", code(option.flag),
                        code(option.variable), code(option.key), cell(kind_text(option)),
                        code(option.default_text), cell(meaning));
  }
  return rows;
}

}  // namespace

const std::vector<ExitCodeMeaning>& exit_code_meanings() {
  static const std::vector<ExitCodeMeaning> meanings = {
      {kExitDone, "done"},
      {kExitFailed, "failed"},
      {kExitUsage, "usage or configuration"},
      {kExitPartial, "partly done, the rest is safe"},
      {kExitDamage, "damage found"},
      {kExitViolation, "a policy is violated"},
      {kExitLocked, "another run holds the lock"},
      {kExitInterrupted, "interrupted"},
  };
  return meanings;
}

std::string facts_of(const Option& option) {
  std::vector<std::string> facts;
  if (option.kind == OptionKind::choice)
    facts.push_back(fmt::format("{}", fmt::join(option.choices, "|")));
  if (!option.default_text.empty()) facts.push_back("default " + option.default_text);
  if (!option.variable.empty()) facts.push_back(option.variable);
  return facts.empty() ? "" : fmt::format(" [{}]", fmt::join(facts, "; "));
}

std::vector<std::string> option_groups() {
  std::vector<std::string> groups;
  for (const Option& option : option_table())
    if (std::find(groups.begin(), groups.end(), option.group) == groups.end())
      groups.push_back(option.group);
  return groups;
}

std::string short_usage() {
  std::string names;
  for (const CommandInfo& command : command_table())
    names += (names.empty() ? "" : ", ") + command.name;
  return fmt::format(
      "usage: holdfast COMMAND [options]\ncommands: {}\nmore: holdfast help, holdfast help "
      "COMMAND\n",
      names);
}

std::string main_help() {
  std::string text =
      "Holdfast keeps a PostgreSQL database recoverable: it dumps it fast, proves the dump, "
      "restores it.\n"
      "\nExamples:\n"
      "  export DATABASE_URL=postgresql://user@host/database BACKUP_DIR=/var/backups/care-commons\n"
      "  holdfast doctor                   what is missing before a backup can be made\n"
      "  holdfast backup                   make a backup and prove it\n"
      "  holdfast list\n"
      "  holdfast verify latest --level restore\n"
      "  holdfast restore latest           into a new database, compared with the backup\n"
      "\nUsage: holdfast COMMAND [options]\n\nCommands:\n";
  for (const CommandInfo& command : command_table())
    text += fmt::format("  {:<34}{}\n",
                        command.name + (command.arguments.empty() ? "" : " ") + command.arguments,
                        command.summary);
  return text + global_options() + "\n" + exit_codes() +
         "Documentation: docs/ (docs/configuration.md has every setting, also as `holdfast help "
         "configuration`)\n";
}

std::string command_help(const CommandInfo& command) {
  std::string text = "Examples:\n";
  for (const std::string& example : command.examples) text += "  holdfast " + example + "\n";
  text += fmt::format("\nUsage: holdfast {}{}{} [options]\n\n{}\n", command.name,
                      command.arguments.empty() ? "" : " ", command.arguments,
                      wrapped(command.text, 0, kHelpColumns));
  return text + options_of(command.bit, false, "Options") + global_options() + "\n" + exit_codes();
}

std::string configuration_reference() {
  std::string text =
      "# Configuration\n\n"
      "<!-- Written by `holdfast help configuration` from the option table; a unit test compares "
      "them. -->\n"
      "\n"
      "Flags beat the environment, the environment beats `holdfast.toml`, the file beats the "
      "defaults.\n"
      "`holdfast config show` prints every setting with its value and where that comes from, "
      "without\n"
      "secrets. An empty environment variable counts as not set.\n"
      "\n"
      "`holdfast.toml` is the file named by `--config` or `HOLDFAST_CONFIG`, else the first of\n"
      "`./holdfast.toml`, `$XDG_CONFIG_HOME/holdfast/holdfast.toml` (`~/.config` if that is not "
      "set) and\n"
      "`/etc/holdfast/holdfast.toml`. Keys at the top level hold for every source; keys in\n"
      "`[source.NAME]` for that one. With one source it is the default, with several `--source "
      "NAME`\n"
      "chooses; without any, the top level and the environment describe a source called "
      "`default`.\n"
      "Tables `[store.NAME]` are further stores: docs/stores.md. Tables `[drill.query.NAME]` are "
      "the\n"
      "questions of a drill: docs/drills.md.\n"
      "Unknown keys, wrong types and values out of range are errors that name the line (exit code "
      "2).\n"
      "\n"
      "```toml\n"
      "dir = \"/var/backups/care-commons\"\n"
      "jobs = 4\n"
      "\n"
      "[source.care]\n"
      "database_url = \"postgresql://holdfast@db.example.org/care_commons\"\n"
      "password_file = \"/etc/holdfast/care.password\"\n"
      "exclude_table_data = [\"audit_*\"]\n"
      "\n"
      "[source.billing]\n"
      "database_url_file = \"/etc/holdfast/billing.url\"\n"
      "dir = \"/var/backups/billing\"\n"
      "```\n"
      "\n"
      "A password never goes onto the command line, where every user of the machine can read it: "
      "put it\n"
      "into `DATABASE_URL`, a file (`chmod 600`), `PGPASSWORD` or `~/.pgpass`. libpq's own "
      "variables\n"
      "(`PGSSLMODE`, `PGSSLROOTCERT`, …) hold for everything that the URL does not say.\n";
  for (const std::string& group : option_groups()) text += reference_table(group);
  return text;
}

}  // namespace holdfast
