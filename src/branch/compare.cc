#include "branch/compare.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace holdfast {
namespace {

TableSums read_place(const ComparedPlace& place, const TableSumOptions& options, const Run& run) {
  std::string name = printable(place.name, 80);
  run.progress.phase("read " + name);
  return with_context(name, [&] { return sum_tables(place.database, options, run); });
}

}  // namespace

size_t BranchComparison::equal() const {
  return static_cast<size_t>(std::count_if(tables.begin(), tables.end(),
                                           [](const ComparedTable& t) { return t.equal(); }));
}

std::vector<ComparedTable> side_by_side(const std::vector<TableSum>& branch,
                                        const std::vector<TableSum>& other) {
  std::vector<ComparedTable> tables;
  auto a = branch.begin();
  auto b = other.begin();
  while (a != branch.end() || b != other.end()) {
    bool from_branch = b == other.end() || (a != branch.end() && a->name <= b->name);
    bool from_other = a == branch.end() || (b != other.end() && b->name <= a->name);
    ComparedTable table{from_branch ? a->name : b->name, std::nullopt, std::nullopt};
    if (from_branch) table.in_branch = (a++)->sum;
    if (from_other) table.in_other = (b++)->sum;
    tables.push_back(std::move(table));
  }
  return tables;
}

BranchComparison compare_branches(const ComparedPlace& branch, const ComparedPlace& other,
                                  TableSumOptions options, const Run& run) {
  options.missing_allowed = true;
  TableSums left = read_place(branch, options, run);
  TableSums right = read_place(other, options, run);
  for (const std::string& name : left.missing)
    if (std::find(right.missing.begin(), right.missing.end(), name) != right.missing.end())
      throw Error(ErrorCode::not_found,
                  fmt::format("there is no table {}, neither in {} nor in {}", printable(name, 100),
                              printable(branch.name, 80), printable(other.name, 80)),
                  "name it with its schema, as billing.invoices, and quoted as in SQL");
  return {branch.name, other.name, side_by_side(left.tables, right.tables)};
}

}  // namespace holdfast
