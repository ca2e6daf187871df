// The one table of commands and options. Everything that knows an option takes it from here: the
// command line (arguments.cc), the environment and holdfast.toml (config.cc), `--help` (help.cc),
// docs/configuration.md (`holdfast help configuration`), the manual page (manual.cc) and what
// shells complete (completion.cc).
//
// A row says under which names an option can be given, what values it takes and which commands
// listen to it. Adding an option is adding a row and reading it by its name in a command.
// Plain data without state; all functions are pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

enum CommandBit : unsigned {
  kBackup = 1 << 0,
  kList = 1 << 1,
  kShow = 1 << 2,
  kVerify = 1 << 3,
  kRestore = 1 << 4,
  kDoctor = 1 << 5,
  kVersion = 1 << 6,
  kConfig = 1 << 7,
  kHelp = 1 << 8,
  kPrune = 1 << 9,
  kHold = 1 << 10,
  kUnhold = 1 << 11,
  kCopy = 1 << 12,
  kRecover = 1 << 13,
  kServe = 1 << 14,
  kKey = 1 << 15,
  kBranch = 1 << 16,
  kPsql = 1 << 17,
  kCompletion = 1 << 18,
  kAudit = 1 << 19,
  kAlert = 1 << 20,
  kDrill = 1 << 21,
  kStatus = 1 << 22,
  kReport = 1 << 23,
  kEveryCommand = (1 << 24) - 1,
};

struct CommandInfo {
  CommandBit bit;
  std::string name;
  std::string arguments;  // "[ID|latest|FILE]", as usage shows it
  size_t arguments_max;
  std::string summary;                // one line
  std::string text;                   // what it does, for `help COMMAND`
  std::vector<std::string> examples;  // without "holdfast "
  // What the first argument can be, where that is one of a few words; shells complete them.
  std::vector<std::string> words = {};
};

enum class OptionKind {
  text,
  number,  // whole, from `least` to `most`
  choice,  // one of `choices`
  list,    // may be given several times; an array in holdfast.toml
  flag,
  secret,  // never shown
  url,     // shown without its password
};

struct Option {
  std::string name;      // how the program asks for it; unique
  std::string flag;      // "--jobs"; empty: not on the command line
  std::string variable;  // "BACKUP_DIR"; empty: not in the environment
  std::string key;       // of holdfast.toml; empty: not there
  OptionKind kind;
  std::string value_name;    // "N", as help shows it
  std::string default_text;  // as if it had been given; empty: none
  unsigned commands;         // CommandBits whose flag it is; 0 with a flag: none
  std::string group;         // heading in help and in the reference
  std::string help;          // a sentence, lower-case, without the full stop
  std::vector<std::string> choices = {};
  int64_t least = 0, most = 0;
};

const std::vector<CommandInfo>& command_table();
const std::vector<Option>& option_table();

// nullptr if there is none of that name.
const CommandInfo* find_command(std::string_view name);
const Option* find_option(std::string_view name);

// The nearest of `known`, also if `word` is only its beginning or differs in case; "" if none is.
std::string suggest(std::string_view word, const std::vector<std::string>& known);

// " (did you mean 'dump'?)", or "" without a near word.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& known);

}  // namespace holdfast
