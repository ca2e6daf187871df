// Help and the configuration reference, written from the option table. Pure.
#pragma once

#include <string>
#include <vector>

#include "cli/option_table.h"

namespace holdfast {

// What the program's exit codes mean (base/error.h has the codes of errors).
struct ExitCodeMeaning {
  int code;
  std::string meaning;
};
const std::vector<ExitCodeMeaning>& exit_code_meanings();

// "one of dump, branch, both; default both; HOLDFAST_TYPE", in brackets; "" if there is nothing.
std::string facts_of(const Option& option);
// The group headings of the option table, in its order.
std::vector<std::string> option_groups();

std::string short_usage();
std::string main_help();
std::string command_help(const CommandInfo& command);
// docs/configuration.md, byte for byte.
std::string configuration_reference();

}  // namespace holdfast
