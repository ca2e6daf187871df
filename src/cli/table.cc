#include "cli/table.h"

#include <algorithm>

#include "cli/progress_line.h"

namespace holdfast {

void show_table(Output& output, const std::vector<Row>& rows, const std::set<size_t>& right) {
  std::vector<size_t> widths(rows.front().size(), 0);
  for (const Row& row : rows)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns_of(row[i]));
  for (const Row& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      std::string padding(widths[i] - columns_of(row[i]), ' ');
      bool last = i + 1 == row.size();
      line += right.count(i) > 0 ? padding + row[i] : row[i] + (last ? "" : padding);
      if (!last) line += "  ";
    }
    output.line(line);
  }
}

}  // namespace holdfast
