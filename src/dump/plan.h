// The plan of a dump or of a comparison: which tables, cut into which pieces, read by which COPY.
//
// A piece is a range of a table's physical pages (`ctid` range; TID range scans exist since
// PostgreSQL 14), so that one huge table is read by all connections. Tables keep the order of the
// table of contents, so that pg_restore can also read the archive from a pipe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pg/archive.h"
#include "pg/connection.h"

namespace holdfast {

struct PlannedPiece {
  size_t table = 0;                  // index in Plan::tables
  bool first = false, last = false;  // of its table
  std::string copy_sql;              // COPY … TO STDOUT
  uint64_t text_bytes_estimate = 0;
};

struct PlannedTable {
  std::string name;  // "public.visits": quoted and qualified
  int dump_id = 0;
  CopyTarget target;
  size_t piece_begin = 0, piece_end = 0;  // in Plan::pieces
};

struct Plan {
  std::vector<PlannedTable> tables;
  std::vector<PlannedPiece> pieces;
  uint64_t text_bytes_estimate = 0;
};

// A table whose rows are to be read: by its names as they are, unquoted, and by how COPY says them.
struct TableToRead {
  std::string schema, name;
  CopyTarget target;
  int dump_id = 0;  // of its TABLE DATA entry; 0 without an archive
};

// Plans over `tables`, in their order, looking up sizes on `connection`. The tables are found by
// name, so that it serves a restored database as well.
Plan plan_tables(const std::vector<TableToRead>& tables, Connection& connection);
// Over the TABLE DATA entries of `toc`.
Plan plan_tables(const ArchiveToc& toc, Connection& connection);

// Names of all planned tables, ready for LOCK TABLE.
std::vector<std::string> lock_statements(const Plan& plan, const std::string& mode);

}  // namespace holdfast
