// What one place holds against another: rows and checksum of every table of two databases, side by
// side. Both are read where they are, each as of one moment (dump/table_sums.h); no row is moved.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/run.h"
#include "dump/table_sums.h"
#include "pg/conninfo.h"

namespace holdfast {

struct ComparedTable {
  std::string name;                                // quoted and qualified
  std::optional<RowChecksum> in_branch, in_other;  // empty: it is not there; in one of them it is

  bool equal() const { return in_branch == in_other; }
};

struct BranchComparison {
  std::string branch, other;          // what the two are called: "before", "main"
  std::vector<ComparedTable> tables;  // by name

  size_t equal() const;  // how many are
  bool all_equal() const { return equal() == tables.size(); }
};

// Puts side by side what was read of the two (each sorted by name). Pure.
std::vector<ComparedTable> side_by_side(const std::vector<TableSum>& branch,
                                        const std::vector<TableSum>& other);

struct ComparedPlace {
  std::string name;
  Conninfo database;
};

// Reads both, one after the other. One of `options.tables` may be missing in one of the two: that
// is a difference; in both, it is Error(not_found). Throws Error as sum_tables does, with the
// place's name.
BranchComparison compare_branches(const ComparedPlace& branch, const ComparedPlace& other,
                                  TableSumOptions options, const Run& run);

}  // namespace holdfast
