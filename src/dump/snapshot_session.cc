#include "dump/snapshot_session.h"

#include <fmt/format.h>

#include "dump/database_spec.h"

namespace holdfast {
namespace {

constexpr char kBegin[] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

// Not everybody may ask; without it the manifest just does not name the cluster.
std::string system_identifier(Connection& connection) {
  try {
    return connection.query_text("SELECT system_identifier FROM pg_control_system()");
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

SnapshotSession::SnapshotSession(const Conninfo& source, int lock_timeout_ms, const Clock& clock,
                                 const std::string& name)
    : source_(source),
      name_(name),
      lock_timeout_ms_(lock_timeout_ms),
      connection_(Connection::open(source, name)) {
  // Before the transaction: a refused query would end it.
  facts_.system_identifier = system_identifier(connection_);
  QueryResult session = connection_.query(
      "SELECT current_database(), current_setting('server_version'), current_setting('TimeZone')");
  facts_.database = session.text(0, 0);
  facts_.server_version = session.text(0, 1);
  facts_.time_zone = session.text(0, 2);
  facts_.server_major = connection_.server_major();
  DatabaseSpec spec = read_database_spec(connection_, facts_.database);
  facts_.encoding = spec.encoding;
  facts_.collate = spec.collate;
  facts_.ctype = spec.ctype;
  facts_.locale_provider = spec.provider;
  facts_.locale = spec.locale;
  facts_.icu_rules = spec.icu_rules;
  facts_.server = source.display();

  connection_.execute(session_settings());
  connection_.execute(kBegin);
  snapshot_ = connection_.query_text("SELECT pg_export_snapshot()");
  facts_.created_at = clock.now();
  facts_.lsn = connection_.query_text(
      "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
      " ELSE pg_current_wal_lsn() END");
  QueryResult extensions =
      connection_.query("SELECT extname, extversion FROM pg_extension ORDER BY extname");
  for (int row = 0; row < extensions.rows(); ++row)
    facts_.extensions.push_back({extensions.text(row, 0), extensions.text(row, 1)});
}

std::string SnapshotSession::session_settings() const {
  return dump_session_settings(connection_.server_major()) +
         fmt::format(";SET client_encoding = '{}';SET lock_timeout = {}", facts_.encoding,
                     lock_timeout_ms_);
}

Connection SnapshotSession::open_worker() const {
  Connection worker = Connection::open(source_, name_ + " worker");
  worker.execute(session_settings());
  worker.execute(kBegin);
  worker.execute("SET TRANSACTION SNAPSHOT " + worker.quote_literal(snapshot_));
  return worker;
}

void SnapshotSession::describe(Manifest& manifest) const {
  manifest.database = facts_.database;
  manifest.server = facts_.server;
  manifest.server_version = facts_.server_version;
  manifest.server_major = facts_.server_major;
  manifest.system_identifier = facts_.system_identifier;
  manifest.lsn = facts_.lsn;
  manifest.created_at = facts_.created_at;
  manifest.encoding = facts_.encoding;
  manifest.collate = facts_.collate;
  manifest.ctype = facts_.ctype;
  manifest.time_zone = facts_.time_zone;
  manifest.locale_provider = facts_.locale_provider;
  manifest.locale = facts_.locale;
  manifest.icu_rules = facts_.icu_rules;
  manifest.extensions = facts_.extensions;
}

}  // namespace holdfast
