// Columns for people. Pure but for the lines it writes.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "cli/output.h"

namespace holdfast {

using Row = std::vector<std::string>;

// Every row has as many cells as the first, which is the heading. `right`: columns of numbers.
void show_table(Output& output, const std::vector<Row>& rows, const std::set<size_t>& right = {});

}  // namespace holdfast
