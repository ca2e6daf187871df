#include "dump/table_sums.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "base/text.h"
#include "dump/piece_sums.h"
#include "dump/snapshot_session.h"

namespace holdfast {
namespace {

// An exclusive lock that is held longer is a migration: who waits behind it, waits in its way.
constexpr int kSumLockTimeoutMs = 60'000;
constexpr int kGeneratedColumnsMajor = 12;

// Whether `sqlstate` says that a text is no name of a relation of this database at all.
bool is_about_a_name(const std::string& sqlstate) {
  return sqlstate.starts_with("42") || sqlstate == "0A000";
}

struct Relation {
  std::string oid, kind;
};

// By the session's own search_path, which the data session's empty one stands in for.
std::optional<Relation> find_relation(Connection& connection, const std::string& name) {
  connection.execute("SET LOCAL search_path TO DEFAULT");
  try {
    QueryResult found = connection.query(
        "SELECT c.oid, c.relkind FROM pg_class c WHERE c.oid = to_regclass($1::text)", {name});
    connection.execute("SET LOCAL search_path TO ''");
    if (found.rows() == 0) return std::nullopt;
    return Relation{found.text(0, 0), found.text(0, 1)};
  } catch (const Error& error) {
    if (!is_about_a_name(connection.last_sqlstate())) throw;
    throw Error(ErrorCode::invalid,
                fmt::format("'{}' is not a table's name: {}", printable(name, 100), error.what()),
                "write it as in SQL: visits, billing.invoices or \"Odd one\"");
  }
}

std::string list_statement(int server_major) {
  return fmt::format(
      "SELECT c.oid, n.nspname, c.relname, format('%I.%I', n.nspname, c.relname),"
      " coalesce((SELECT '(' || string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) || ')'"
      "  FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped{}),"
      "  '')"
      " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
      " WHERE c.relkind = 'r' AND c.relpersistence <> 't'"
      " AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'"
      " AND (NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass"
      "   AND d.objid = c.oid AND d.objsubid = 0 AND d.deptype = 'e')"
      "  OR EXISTS (SELECT 1 FROM pg_extension e WHERE c.oid = ANY (e.extconfig)))",
      server_major >= kGeneratedColumnsMajor ? " AND a.attgenerated = ''" : "");
}

// By object id: the tables whose rows pg_dump would take.
using UserTables = std::map<std::string, TableToRead>;

UserTables user_tables(Connection& connection) {
  QueryResult found = connection.query(list_statement(connection.server_major()));
  UserTables tables;
  for (int row = 0; row < found.rows(); ++row)
    tables.emplace(found.text(row, 0),
                   TableToRead{found.text(row, 1), found.text(row, 2),
                               CopyTarget{found.text(row, 3), found.text(row, 4)}});
  return tables;
}

// The object ids of the tables that `name` stands for; nothing if there is nothing of that name.
std::optional<std::set<std::string>> resolve(Connection& connection, const UserTables& tables,
                                             const std::string& name) {
  std::optional<Relation> relation = find_relation(connection, name);
  if (!relation) return std::nullopt;
  if (tables.count(relation->oid) > 0) return std::set<std::string>{relation->oid};
  if (relation->kind != "p")
    throw Error(ErrorCode::invalid, fmt::format("{} is no table of a user", printable(name, 100)),
                "name a table: the system's own, views and foreign tables are not compared");
  std::set<std::string> leaves;
  QueryResult found = connection.query(
      "SELECT t.relid::oid FROM pg_partition_tree($1::oid) t WHERE t.isleaf", {relation->oid});
  for (int row = 0; row < found.rows(); ++row)
    if (tables.count(found.text(row, 0)) > 0) leaves.insert(found.text(row, 0));
  return leaves;
}

// Those that are asked for, by name. What `options` names and is not there goes to `missing`.
std::vector<TableToRead> wanted_tables(Connection& connection, const TableSumOptions& options,
                                       std::vector<std::string>& missing) {
  UserTables all = user_tables(connection);
  std::set<std::string> wanted;
  for (const std::string& name : options.tables) {
    std::optional<std::set<std::string>> found = resolve(connection, all, name);
    if (!found) missing.push_back(name);
    if (found) wanted.merge(*found);
  }
  std::vector<TableToRead> tables;
  for (auto& [oid, table] : all)
    if (options.tables.empty() || wanted.count(oid) > 0) tables.push_back(std::move(table));
  std::sort(tables.begin(), tables.end(), [](const TableToRead& a, const TableToRead& b) {
    return a.target.table < b.target.table;
  });
  return tables;
}

}  // namespace

TableSums sum_tables(const Conninfo& database, const TableSumOptions& options, const Run& run) {
  SnapshotSession session(database.direct(), kSumLockTimeoutMs, run.clock, "holdfast compare");
  Connection& control = session.connection();
  TableSums sums;
  std::vector<TableToRead> wanted = wanted_tables(control, options, sums.missing);
  if (!sums.missing.empty() && !options.missing_allowed)
    throw Error(ErrorCode::not_found,
                fmt::format("there is no table {} in {}", printable(sums.missing.front(), 100),
                            printable(database.dbname())),
                "name it with its schema, as billing.invoices, and quoted as in SQL");
  Plan plan = plan_tables(wanted, control);
  // One after the other, and not in one statement, so that a refusal names its table.
  for (const PlannedTable& table : plan.tables)
    with_context("table " + table.name, [&] {
      control.execute(fmt::format("LOCK TABLE ONLY {} IN ACCESS SHARE MODE", table.target.table));
    });
  run.progress.counters().tables_total = plan.tables.size();
  run.progress.counters().bytes_total = plan.text_bytes_estimate;
  std::vector<RowChecksum> found = sum_planned_tables(
      plan, [&] { return session.open_worker(); }, options.jobs, run);
  for (size_t i = 0; i < found.size(); ++i) sums.tables.push_back({plan.tables[i].name, found[i]});
  return sums;
}

}  // namespace holdfast
