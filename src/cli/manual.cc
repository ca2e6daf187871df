#include "cli/manual.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.h"
#include "cli/help.h"
#include "cli/option_table.h"

namespace holdfast {
namespace {

std::string bold(const std::string& text) {
  return "\\fB" + troff_text(text) + "\\fR";
}

std::string italic(const std::string& text) {
  return "\\fI" + troff_text(text) + "\\fR";
}

std::string section(const std::string& heading) {
  return ".SH " + heading + "\n";
}

// A term and, indented below it, what is said of it.
std::string entry(const std::string& term, const std::string& text) {
  return ".TP\n" + term + "\n" + troff_text(text) + "\n";
}

std::string example_lines(const std::vector<std::string>& examples) {
  std::string lines = ".PP\n.nf\n.RS 4\n";
  for (const std::string& example : examples) lines += troff_text("holdfast " + example) + "\n";
  return lines + ".RE\n.fi\n";
}

// "--jobs N"
std::string flag_term(const Option& option) {
  std::string flag = option.name == "help" ? bold("-h") + ", " : "";
  flag += bold(option.flag);
  return option.value_name.empty() ? flag : flag + " " + italic(option.value_name);
}

std::string flags_of_command(const CommandInfo& command) {
  std::string text;
  for (const Option& option : option_table())
    if (!option.flag.empty() && option.commands != kEveryCommand &&
        (option.commands & command.bit) != 0)
      text += entry(flag_term(option), option.help + facts_of(option));
  return text.empty() ? "" : ".RS 4\n" + text + ".RE\n";
}

std::string commands_section() {
  std::string text = section("COMMANDS");
  for (const CommandInfo& command : command_table()) {
    std::string name = "holdfast " + command.name;
    text += ".SS \"" + troff_text(name + (command.arguments.empty() ? "" : " ")) +
            troff_text(command.arguments) + "\"\n";
    text += troff_text(command.text) + "\n";
    text += flags_of_command(command);
    text += example_lines(command.examples);
  }
  return text;
}

std::string everywhere_section() {
  std::string text = section("OPTIONS OF EVERY COMMAND");
  for (const Option& option : option_table())
    if (option.commands == kEveryCommand)
      text += entry(flag_term(option), option.help + facts_of(option));
  return text + entry(bold("--version"), "the same as holdfast version");
}

// What can be set otherwise than by a flag: by a variable, by a key of the file.
std::string settings_section() {
  std::string text = section("ENVIRONMENT AND CONFIGURATION FILE") +
                     "Flags beat the environment, the environment beats the file, the file beats "
                     "the defaults. Each\n"
                     "setting is given with its variable and its key in holdfast.toml; an empty "
                     "variable counts as not set.\n"
                     "Keys with a dot stand in the table that is named before it.\n";
  for (const std::string& group : option_groups()) {
    std::string entries;
    for (const Option& option : option_table()) {
      if (option.group != group || (option.variable.empty() && option.key.empty())) continue;
      std::vector<std::string> names;
      if (!option.variable.empty()) names.push_back(bold(option.variable));
      if (!option.key.empty()) names.push_back(italic(option.key));
      std::string value =
          option.default_text.empty() ? "" : " [default " + option.default_text + "]";
      entries += entry(fmt::format("{}", fmt::join(names, ", ")), option.help + value);
    }
    if (!entries.empty()) text += ".SS \"" + troff_text(group) + "\"\n" + entries;
  }
  return text;
}

std::string files_section() {
  return section("FILES") +
         entry(italic("holdfast.toml"), "in the current folder, the configuration; else the next") +
         entry(italic("$XDG_CONFIG_HOME/holdfast/holdfast.toml"),
               "the user's configuration (~/.config without that variable); else the next") +
         entry(italic("/etc/holdfast/holdfast.toml"), "the machine's configuration") +
         entry(italic("/lib/systemd/system/holdfast-backup.timer"),
               "of Debian's package: makes a backup every night, once it is enabled") +
         entry(italic("/lib/systemd/system/holdfast.service"),
               "of Debian's package: runs holdfast serve, once it is enabled");
}

std::string exit_section() {
  std::string text = section("EXIT STATUS");
  for (const ExitCodeMeaning& exit : exit_code_meanings())
    text += entry(bold(std::to_string(exit.code)), exit.meaning);
  return text;
}

}  // namespace

std::string troff_text(const std::string& text) {
  std::string result;
  for (char c : text) {
    bool line_begins = result.empty() || result.back() == '\n';
    if (line_begins && (c == '.' || c == '\'')) result += "\\&";
    switch (c) {
      case '\\':
        result += "\\(rs";
        break;
      case '-':
        result += "\\-";  // else some renderers make a hyphen of it, which no shell takes
        break;
      case '\'':
        result += "\\(aq";
        break;
      case '`':
        result += "\\(ga";
        break;
      case '^':
        result += "\\(ha";
        break;
      case '~':
        result += "\\(ti";
        break;
      case '"':
        result += "\\(dq";  // ends an argument of a request
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string manual_page(const std::string& version) {
  std::string text = ".\\\" Written by `holdfast help man` from the program's option table.\n";
  text += ".TH HOLDFAST 1 \"\" \"" + troff_text("holdfast " + version) + "\" \"User Commands\"\n";
  text += section("NAME") + "holdfast \\- keeps a PostgreSQL database recoverable\n";
  text += section("SYNOPSIS") + bold("holdfast") + " " + italic("COMMAND") + " [" +
          italic("options") + "]\n";
  text += section("DESCRIPTION") +
          "Makes backups of a PostgreSQL database, proves that they restore, keeps them as long as "
          "the policy says,\n"
          "and brings them back. A dump is one archive that any " +
          bold("pg_restore") +
          " reads; a branch is the\n"
          "whole cluster as it was at one moment, at Neon or at the engine that " +
          bold("holdfast serve") +
          " runs.\n"
          ".PP\nBegin with " +
          bold("holdfast doctor") + ", which says what stands in the way, and go on with " +
          bold("holdfast backup") + ".\n";
  text += commands_section() + everywhere_section() + settings_section() + files_section() +
          exit_section();
  text += section("SEE ALSO") + ".BR pg_dump (1),\n.BR pg_restore (1),\n.BR psql (1),\n" +
          ".BR systemd.timer (5)\n";
  return text;
}

}  // namespace holdfast
