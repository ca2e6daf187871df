// Parts of the option table that have files of their own; option_table.cc puts them together. Pure.
#pragma once

#include <vector>

#include "cli/option_table.h"

namespace holdfast {

std::vector<Option> recover_options();
std::vector<Option> branch_options();
std::vector<Option> engine_options();
std::vector<Option> schedule_options();
std::vector<Option> audit_options();
std::vector<Option> alert_options();
std::vector<Option> drill_options();
std::vector<Option> objective_options();
std::vector<Option> report_options();

}  // namespace holdfast
