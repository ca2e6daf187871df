#include "dump/plan.h"

#include <fmt/format.h>

#include <map>

#include "base/error.h"

namespace holdfast {
namespace {

// Heap (with its TOAST) per piece: small enough that connections stay evenly loaded and that a
// piece waiting for its turn is a few MiB, large enough that a statement's start-up does not count.
constexpr uint64_t kPieceBytes = 16 << 20;
constexpr int kTidRangeScanMajor = 14;
constexpr size_t kTablesPerLock = 500;

struct TableSize {
  uint64_t heap_bytes = 0, total_bytes = 0;
  bool ranges = false;    // a plain heap table, which ctid ranges work on
  std::string condition;  // of an extension's configuration table: "WHERE …"
};

using TableName = std::pair<std::string, std::string>;  // schema, table: as they are, unquoted

std::map<TableName, TableSize> table_sizes(Connection& connection) {
  QueryResult found = connection.query(
      "SELECT n.nspname, c.relname, pg_relation_size(c.oid),"
      " pg_table_size(c.oid), c.relkind = 'r' AND coalesce(a.amname, '') = 'heap',"
      " coalesce((SELECT e.extcondition[array_position(e.extconfig, c.oid)]"
      "           FROM pg_extension e WHERE c.oid = ANY (e.extconfig) LIMIT 1), '')"
      " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
      " LEFT JOIN pg_am a ON a.oid = c.relam"
      " WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg\\_temp\\_%'"
      " AND n.nspname NOT IN ('pg_toast', 'information_schema')");
  std::map<TableName, TableSize> sizes;
  for (int row = 0; row < found.rows(); ++row) {
    TableSize& size = sizes[{found.text(row, 0), found.text(row, 1)}];
    // A table dropped meanwhile has no size; the COPY will say so in its own words.
    if (!found.null(row, 2)) size.heap_bytes = static_cast<uint64_t>(found.integer(row, 2));
    if (!found.null(row, 3)) size.total_bytes = static_cast<uint64_t>(found.integer(row, 3));
    size.ranges = found.boolean(row, 4);
    size.condition = found.text(row, 5);
  }
  return sizes;
}

std::string select_of(const PlannedTable& table, const std::string& condition) {
  // "(a, b)" → "a, b"
  std::string columns = table.target.columns.empty()
                            ? std::string()
                            : table.target.columns.substr(1, table.target.columns.size() - 2);
  return fmt::format("COPY (SELECT {} FROM ONLY {} {}) TO STDOUT", columns, table.target.table,
                     condition);
}

// Appends the pieces of one table.
void cut(Plan& plan, PlannedTable& table, const TableSize& size, uint64_t page_bytes,
         bool tid_range_scans) {
  table.piece_begin = plan.pieces.size();
  uint64_t pages = size.heap_bytes / page_bytes;
  uint64_t pieces = std::min(pages, (size.total_bytes + kPieceBytes - 1) / kPieceBytes);
  auto add = [&](std::string sql, uint64_t estimate) {
    plan.pieces.push_back({plan.tables.size(), false, false, std::move(sql), estimate});
  };
  if (!tid_range_scans || !size.ranges || pieces < 2 || !size.condition.empty()) {
    add(size.condition.empty()
            ? fmt::format("COPY {} {} TO STDOUT", table.target.table, table.target.columns)
            : select_of(table, size.condition),
        size.total_bytes);
  } else {
    for (uint64_t i = 0; i < pieces; ++i) {
      std::string condition = fmt::format("WHERE ctid >= '({},0)'", pages * i / pieces);
      // The last range has no end: pages added since the size was taken belong to it.
      if (i + 1 < pieces)
        condition += fmt::format(" AND ctid < '({},0)'", pages * (i + 1) / pieces);
      add(select_of(table, condition), size.total_bytes / pieces);
    }
  }
  plan.pieces[table.piece_begin].first = true;
  plan.pieces.back().last = true;
  table.piece_end = plan.pieces.size();
}

}  // namespace

Plan plan_tables(const std::vector<TableToRead>& tables, Connection& connection) {
  std::map<TableName, TableSize> sizes = table_sizes(connection);
  auto page_bytes = static_cast<uint64_t>(
      std::stoul(connection.query_text("SELECT current_setting('block_size')")));
  bool tid_range_scans = connection.server_major() >= kTidRangeScanMajor;
  Plan plan;
  for (const TableToRead& read : tables) {
    PlannedTable table;
    table.target = read.target;
    table.name = read.target.table;
    table.dump_id = read.dump_id;
    auto at = sizes.find({read.schema, read.name});
    TableSize size = at == sizes.end() ? TableSize{} : at->second;
    cut(plan, table, size, page_bytes, tid_range_scans);
    plan.text_bytes_estimate += size.total_bytes;
    plan.tables.push_back(std::move(table));
  }
  return plan;
}

Plan plan_tables(const ArchiveToc& toc, Connection& connection) {
  std::vector<TableToRead> tables;
  for (const TocEntry& entry : toc.entries)
    if (entry.desc == "TABLE DATA" && entry.had_dumper)
      tables.push_back(
          {entry.name_space, entry.tag, parse_copy_statement(entry.copy_stmt), entry.dump_id});
  return plan_tables(tables, connection);
}

std::vector<std::string> lock_statements(const Plan& plan, const std::string& mode) {
  std::vector<std::string> statements;
  for (size_t begin = 0; begin < plan.tables.size(); begin += kTablesPerLock) {
    std::string names;
    for (size_t i = begin; i < std::min(begin + kTablesPerLock, plan.tables.size()); ++i)
      names += (names.empty() ? "ONLY " : ", ONLY ") + plan.tables[i].target.table;
    statements.push_back(fmt::format("LOCK TABLE {} IN {} MODE", names, mode));
  }
  return statements;
}

}  // namespace holdfast
