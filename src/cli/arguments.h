// The command line, taken apart by the option table into a command, its arguments and the raw
// values of its options. Values are checked later, in config.cc, together with those of the
// environment and the file, so that all three are held to the same rules.
//
// A password must not stand on a command line, where every user of the machine can read it: a URL
// with one is refused, and no error repeats an argument that may hold one.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/option_table.h"

namespace holdfast {

struct Arguments {
  const CommandInfo* command = nullptr;  // null: none was named
  std::vector<std::string> positionals;
  std::map<std::string, std::vector<std::string>> values;  // by the options' names
  bool help = false;
  bool version = false;
};

// `words` without the program's name. Throws Error(invalid) with one clear line.
Arguments parse_arguments(const std::vector<std::string>& words);

// `word` in quotes, fit for an error; what looks like a URL or a connection string is not repeated.
std::string shown(const std::string& word);

}  // namespace holdfast
