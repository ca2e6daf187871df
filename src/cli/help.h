// Help and the configuration reference, written from the option table. Pure.
#pragma once

#include <string>

#include "cli/option_table.h"

namespace holdfast {

std::string short_usage();
std::string main_help();
std::string command_help(const CommandInfo& command);
// docs/configuration.md, byte for byte.
std::string configuration_reference();

}  // namespace holdfast
