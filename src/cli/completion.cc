#include "cli/completion.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "cli/arguments.h"
#include "cli/option_table.h"

namespace holdfast {
namespace {

bool takes_value(const Option& option) {
  return option.kind != OptionKind::flag;
}

bool is_of(const Option& option, const CommandInfo& command) {
  return !option.flag.empty() && option.commands != kEveryCommand &&
         (option.commands & command.bit) != 0;
}

bool takes_files(const CommandInfo& command) {
  return command.arguments.find("FILE") != std::string::npos;
}

// Every flag that a value follows, whatever the command: a word behind it is no command.
std::vector<std::string> flags_with_value() {
  std::vector<std::string> flags;
  for (const Option& option : option_table())
    if (!option.flag.empty() && takes_value(option) &&
        std::find(flags.begin(), flags.end(), option.flag) == flags.end())
      flags.push_back(option.flag);
  return flags;
}

std::string joined(const std::vector<std::string>& words, const char* between = " ") {
  return fmt::format("{}", fmt::join(words, between));
}

std::string command_words() {
  std::vector<std::string> names;
  for (const CommandInfo& command : command_table()) names.push_back(command.name);
  return joined(names);
}

// ---- bash

// What completes the option's value; "" where no shell can know.
std::string bash_value(const Option& option) {
  if (option.kind == OptionKind::choice) return "_holdfast_words '" + joined(option.choices) + "'";
  if (option.value_name == "FILE") return "_holdfast_files -f";
  if (option.value_name == "FOLDER") return "_holdfast_files -d";
  return "";
}

std::string bash_values() {
  std::string cases;
  auto add = [&](const std::string& command, const Option& option) {
    if (std::string value = bash_value(option); !value.empty())
      cases += fmt::format("    {}:{}) {} ;;\n", command, option.flag, value);
  };
  for (const CommandInfo& command : command_table())
    for (const Option& option : option_table())
      if (is_of(option, command)) add(command.name, option);
  for (const Option& option : option_table())
    if (option.commands == kEveryCommand) add("*", option);
  return cases;
}

std::string bash_flags() {
  std::string everywhere = "--help", cases;
  for (const Option& option : option_table())
    if (option.commands == kEveryCommand && option.name != "help") everywhere += " " + option.flag;
  for (const CommandInfo& command : command_table()) {
    std::string flags;
    for (const Option& option : option_table())
      if (is_of(option, command)) flags += " " + option.flag;
    if (!flags.empty()) cases += fmt::format("      {}) flags+='{}' ;;\n", command.name, flags);
  }
  return "    flags='" + everywhere + "'\n    case $command in\n" + cases + "    esac\n";
}

std::string bash_arguments() {
  std::string cases;
  for (const CommandInfo& command : command_table()) {
    std::vector<std::string> calls;
    if (!command.words.empty()) calls.push_back("_holdfast_words '" + joined(command.words) + "'");
    if (takes_files(command)) calls.push_back("_holdfast_files -f");
    if (!calls.empty())
      cases += fmt::format("    {}:0) {} ;;\n", command.name, joined(calls, "; "));
  }
  return cases;
}

std::string bash_script() {
  return R"(# Completes holdfast in bash. Written by `holdfast completion bash`.
# The helpers see the variables of _holdfast, which calls them.

_holdfast_words() {
  mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$1" -- "$current")
}

_holdfast_files() {
  compopt -o filenames 2>/dev/null
  mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen "$1" -- "$current")
}

_holdfast() {
  local current=${COMP_WORDS[COMP_CWORD]} option='' command='' arguments=0 index word flags
  COMPREPLY=()
  for ((index = 1; index < COMP_CWORD; index++)); do
    word=${COMP_WORDS[index]}
    case $word in
      --) return ;;
      )" +
         joined(flags_with_value(), " | ") + R"()
        # bash takes the = of --option=value for a word.
        [[ $((index + 1)) -ge $COMP_CWORD || ${COMP_WORDS[index + 1]} != = ]] || ((++index))
        ((++index < COMP_CWORD)) || option=$word
        ;;
      -*) ;;
      *) if [[ -z $command ]]; then command=$word; else ((++arguments)); fi ;;
    esac
  done
  [[ $current != = ]] || current=
  if [[ -n $option ]]; then
    case $command:$option in
)" + bash_values() +
         R"(    esac
  elif [[ $current == -* ]]; then
)" + bash_flags() +
         R"(    _holdfast_words "$flags"
  elif [[ -z $command ]]; then
    _holdfast_words ')" +
         command_words() + R"('
  else
    case $command:$arguments in
)" + bash_arguments() +
         R"(    esac
  fi
}

complete -F _holdfast holdfast
)";
}

// ---- zsh

// For between single quotes; a `[`, `]` or `:` would end the text.
std::string zsh_text(const std::string& text) {
  std::string result;
  for (char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') result += '\\';
    if (c == '\'')
      result += "'\\''";
    else
      result += c;
  }
  return result;
}

std::string zsh_option(const Option& option) {
  std::string help = "[" + zsh_text(option.help) + "]";
  if (option.name == "help") return "'(- *)'{-h,--help}'" + help + "'";
  if (!takes_value(option)) return "'" + option.flag + help + "'";
  std::string action = " ";  // a value that no shell can know
  if (option.kind == OptionKind::choice) action = "(" + joined(option.choices) + ")";
  if (option.value_name == "FILE") action = "_files";
  if (option.value_name == "FOLDER") action = "_files -/";
  const char* repeated = option.kind == OptionKind::list ? "*" : "";
  return fmt::format("'{}{}={}:{}:{}'", repeated, option.flag, help, zsh_text(option.value_name),
                     action);
}

std::string zsh_argument(const CommandInfo& command) {
  std::string words = "(" + joined(command.words) + ")", what = zsh_text(command.arguments);
  if (command.words.empty()) return takes_files(command) ? fmt::format("'1:{}:_files'", what) : "";
  if (!takes_files(command)) return fmt::format("'1:{}:{}'", what, words);
  return fmt::format("'1:{}: _alternative \"words:word:{}\" \"files:file:_files\"'", what, words);
}

std::string zsh_commands() {
  std::string cases;
  for (const CommandInfo& command : command_table()) {
    std::string specs;
    for (const Option& option : option_table())
      if (is_of(option, command)) specs += " \\\n          " + zsh_option(option);
    if (std::string argument = zsh_argument(command); !argument.empty())
      specs += " \\\n          " + argument;
    cases +=
        fmt::format("        ({})\n          _arguments $everywhere{} && ret=0\n          ;;\n",
                    command.name, specs);
  }
  return cases;
}

std::string zsh_script() {
  std::string everywhere, commands;
  for (const Option& option : option_table())
    if (option.commands == kEveryCommand) everywhere += "    " + zsh_option(option) + "\n";
  for (const CommandInfo& command : command_table())
    commands += fmt::format("    '{}:{}'\n", command.name, zsh_text(command.summary));
  return R"(#compdef holdfast
# Completes holdfast in zsh. Written by `holdfast completion zsh`.

_holdfast() {
  local curcontext=$curcontext state ret=1
  local -a line everywhere commands
  local -A opt_args
  everywhere=(
)" + everywhere +
         R"(  )
  commands=(
)" + commands +
         R"(  )
  _arguments -C $everywhere ':command:->command' '*:: :->arguments' && ret=0
  case $state in
    (command)
      _describe -t commands command commands && ret=0
      ;;
    (arguments)
      curcontext=${curcontext%:*}-$words[1]:
      case $words[1] in
)" + zsh_commands() +
         R"(      esac
      ;;
  esac
  return ret
}

# Loaded by its name it is the function's first call; sourced, it has to say what it is for.
if [[ ${funcstack[1]} == _holdfast ]]; then
  _holdfast "$@"
else
  compdef _holdfast holdfast
fi
)";
}

// ---- fish

std::string fish_text(const std::string& text) {
  std::string result;
  for (char c : text) {
    if (c == '\'' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

std::string fish_option(const Option& option, const std::string& condition) {
  std::string line = "complete -c holdfast" + condition + (option.name == "help" ? " -s h" : "") +
                     " -l " + option.flag.substr(2);
  if (option.kind == OptionKind::choice)
    line += " -x -a '" + joined(option.choices) + "'";
  else if (option.value_name == "FILE")
    line += " -r -F";
  else if (option.value_name == "FOLDER")
    line += " -x -a '(__fish_complete_directories)'";
  else if (takes_value(option))
    line += " -x";
  return line + " -d '" + fish_text(option.help) + "'\n";
}

std::string fish_commands() {
  std::string lines;
  for (const CommandInfo& command : command_table())
    lines += fmt::format("complete -c holdfast -n '__holdfast_at 0' -a {} -d '{}'\n", command.name,
                         fish_text(command.summary));
  for (const CommandInfo& command : command_table()) {
    std::string first = fmt::format(" -n '__holdfast_at 1 {}'", command.name);
    if (!command.words.empty())
      lines += "complete -c holdfast" + first + " -a '" + joined(command.words) + "'\n";
    if (takes_files(command)) lines += "complete -c holdfast" + first + " -F\n";
    for (const Option& option : option_table())
      if (is_of(option, command))
        lines += fish_option(option, fmt::format(" -n '__holdfast_is {}'", command.name));
  }
  return lines;
}

std::string fish_script() {
  std::string everywhere;
  for (const Option& option : option_table())
    if (option.commands == kEveryCommand) everywhere += fish_option(option, "");
  return R"(# Completes holdfast in fish. Written by `holdfast completion fish`.

# The command and its arguments before the cursor, without options and their values.
function __holdfast_words
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
            continue
        end
        switch $word
            case )" +
         joined(flags_with_value()) + R"(
                set skip 1
            case '-*'
            case '*'
                echo $word
        end
    end
end

# __holdfast_at NUMBER [COMMAND]: whether so many words stand there, the first of them COMMAND.
function __holdfast_at
    set -l words (__holdfast_words)
    test (count $words) = $argv[1]; or return 1
    test (count $argv) = 1; or test "$words[1]" = $argv[2]
end

function __holdfast_is
    set -l words (__holdfast_words)
    test "$words[1]" = $argv[1]
end

complete -c holdfast -f
)" + everywhere +
         fish_commands();
}

}  // namespace

std::string completion_script(const std::string& shell) {
  if (shell == "bash") return bash_script();
  if (shell == "zsh") return zsh_script();
  if (shell == "fish") return fish_script();
  throw Error(ErrorCode::invalid,
              fmt::format("completion: there is none for {}{}", shown(shell),
                          did_you_mean(shell, {"bash", "zsh", "fish"})),
              "holdfast completion bash, zsh or fish");
}

}  // namespace holdfast
