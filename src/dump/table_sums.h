// Rows and checksums of a live database's tables, with no archive at hand: for every table exactly
// what the manifest of a dump of the same moment says of it. So two places, or one place at two
// moments, can be compared without moving a row.
//
// It is of one moment also while others write: one exported snapshot, over several connections, and
// every table stays locked against being dropped (ACCESS SHARE, as a dump does). Nothing is
// written. Which tables: those whose rows pg_dump would take. Ordinary tables and the leaves of
// partitioned ones, each by itself; of an extension's own only its configuration tables; no foreign
// tables, temporary ones or those of the system.
#pragma once

#include <string>
#include <vector>

#include "base/run.h"
#include "pg/conninfo.h"
#include "seal/row_checksum.h"

namespace holdfast {

struct TableSum {
  std::string name;  // quoted and qualified, as in manifests: `public."Odd one"`
  RowChecksum sum;
};

struct TableSumOptions {
  // As users write them (`visits`, `billing."Odd one"`), found by the session's own search_path; a
  // partitioned table stands for its partitions. Empty: all.
  std::vector<std::string> tables;
  bool missing_allowed = false;  // of `tables`: they are listed instead of being an error
  int jobs = 0;                  // connections that read; 0: one per core, from 2 to 8
};

struct TableSums {
  std::vector<TableSum> tables;      // by name
  std::vector<std::string> missing;  // of the options' `tables`, as they were written
};

// Throws Error(not_found) that names a table that is not there, Error(invalid) for a name that is
// none or that of something else (a view), Error(denied) and others that name the table which
// cannot be read.
TableSums sum_tables(const Conninfo& database, const TableSumOptions& options, const Run& run);

}  // namespace holdfast
