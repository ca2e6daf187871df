#include "engine/source_link.h"

#include <fmt/format.h>
#include <poll.h>

#include <chrono>

#include "base/error.h"

namespace holdfast {
namespace {

constexpr char kApplication[] = "holdfast storage";
constexpr int kSilenceMs = 1000;

// The clock is read first: what was flushed by then is not more than what is read behind it.
constexpr char kStatusSql[] = R"(
SELECT floor(extract(epoch FROM pg_catalog.clock_timestamp()) * 1000)::bigint,
       pg_catalog.pg_is_in_recovery(),
       CASE WHEN pg_catalog.pg_is_in_recovery()
            THEN coalesce(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn())
            ELSE pg_catalog.pg_current_wal_flush_lsn() END,
       CASE WHEN pg_catalog.pg_is_in_recovery()
            THEN (SELECT timeline_id::bigint FROM pg_catalog.pg_control_checkpoint())
            ELSE ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(
                    pg_catalog.pg_current_wal_flush_lsn()), 1, 8))::bit(32)::bigint END,
       (SELECT system_identifier FROM pg_catalog.pg_control_system()),
       s.slot_name IS NOT NULL, coalesce(s.active, false), s.restart_lsn, s.wal_status
FROM (VALUES (1)) AS one LEFT JOIN pg_catalog.pg_replication_slots s ON s.slot_name = $1)";

UtcTime from_milliseconds(int64_t value) {
  return UtcTime(std::chrono::milliseconds(value));
}

Lsn lsn_or_none(const QueryResult& rows, int row, int column) {
  return rows.null(row, column) ? Lsn{} : parse_lsn(rows.text(row, column));
}

}  // namespace

void check_same_cluster(uint64_t known, uint64_t found) {
  if (known == found) return;
  throw Error(ErrorCode::invalid,
              fmt::format("the source is another cluster (system identifier {}) than the one "
                          "whose history is kept here ({})",
                          found, known),
              "point it back at its source, or give the new one a storage folder of its own");
}

SourceLink::SourceLink(const Conninfo& source, std::string slot)
    : source_(source), slot_(std::move(slot)) {}

template <typename Work>
auto SourceLink::with_sql(Work&& work) {
  std::lock_guard lock(mutex_);
  try {
    if (!sql_) {
      sql_ = std::make_unique<Connection>(Connection::open(source_, kApplication));
      sql_->execute(fmt::format("SET statement_timeout = '{}s'", kSourceStatementSeconds));
      sql_->execute("SET idle_in_transaction_session_timeout = 0");
    }
    return work(*sql_);
  } catch (...) {
    // Also after an error of the server: a fresh connection costs little and is in a known state.
    sql_.reset();
    throw;
  }
}

Connection SourceLink::open_replication() const {
  return Connection::open(source_.with("replication", "true"), kApplication);
}

void SourceLink::close() {
  std::lock_guard lock(mutex_);
  sql_.reset();
}

SourceStatus SourceLink::status() {
  return with_sql([&](Connection& sql) {
    QueryResult row = sql.query(kStatusSql, {slot_});
    SourceStatus found;
    found.clock = from_milliseconds(row.integer(0, 0));
    found.standby = row.boolean(0, 1);
    found.flushed = lsn_or_none(row, 0, 2);
    found.timeline = static_cast<Timeline>(row.integer(0, 3));
    // A signed bigint in SQL.
    found.system_identifier = static_cast<uint64_t>(row.integer(0, 4));
    found.slot = {row.boolean(0, 5), row.boolean(0, 6), lsn_or_none(row, 0, 7),
                  row.null(0, 8) ? std::string() : row.text(0, 8)};
    return found;
  });
}

SourceBasics SourceLink::basics() {
  return with_sql([&](Connection& sql) {
    // Its unit is bytes since version 11.
    QueryResult row = sql.query(
        "SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'wal_segment_size'");
    return SourceBasics{sql.server_version(), static_cast<uint32_t>(row.integer(0, 0))};
  });
}

std::string SourceLink::timeline_history(Timeline timeline) {
  Connection walsender = open_replication();
  QueryResult row = walsender.query(fmt::format("TIMELINE_HISTORY {}", timeline));
  return row.text(0, 1);
}

// Asks for it as pg_receivewal does. Its own message is in the server's language, and only here is
// there an SQLSTATE.
SourceLink::HasWal SourceLink::has_wal(Lsn start, Timeline timeline) {
  Connection walsender = open_replication();
  std::string command =
      fmt::format("START_REPLICATION PHYSICAL {} TIMELINE {}", format_lsn(start), timeline);
  auto free_result = [](PGresult* result) { PQclear(result); };
  std::unique_ptr<PGresult, decltype(free_result)> begun(PQexec(walsender.raw(), command.c_str()),
                                                         free_result);
  if (PQresultStatus(begun.get()) != PGRES_COPY_BOTH) {
    if (PQstatus(walsender.raw()) != CONNECTION_OK) throw walsender.error("ask for WAL");
    return HasWal::refused;
  }
  // Where it has nothing to send, it says nothing for a while; what is gone it says at once, maybe
  // along with what was read of the connection already: then the socket would stay silent.
  char* bytes = nullptr;
  int got = PQgetCopyData(walsender.raw(), &bytes, /*async=*/1);
  if (got == 0) {
    pollfd readable{PQsocket(walsender.raw()), POLLIN, 0};
    if (::poll(&readable, 1, kSilenceMs) == 0) return HasWal::yes;
    got = PQgetCopyData(walsender.raw(), &bytes, /*async=*/0);
  }
  if (bytes != nullptr) PQfreemem(bytes);
  if (got > 0) return HasWal::yes;
  begun.reset(PQgetResult(walsender.raw()));
  const char* state = PQresultErrorField(begun.get(), PG_DIAG_SQLSTATE);
  if (state == nullptr) throw walsender.error("ask for WAL");
  constexpr std::string_view kUndefinedFile = "58P01";  // "… has already been removed"
  return state == kUndefinedFile ? HasWal::removed : HasWal::refused;
}

void SourceLink::make_slot() {
  with_sql([&](Connection& sql) {
    sql.query(
        "SELECT pg_catalog.pg_create_physical_replication_slot($1, true) "
        "WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name = $1)",
        {slot_});
    return 0;
  });
}

void SourceLink::drop_slot() {
  with_sql([&](Connection& sql) {
    sql.query(
        "SELECT pg_catalog.pg_terminate_backend(active_pid) FROM pg_catalog.pg_replication_slots "
        "WHERE slot_name = $1 AND active",
        {slot_});
    sql.query(
        "SELECT pg_catalog.pg_drop_replication_slot(slot_name) "
        "FROM pg_catalog.pg_replication_slots WHERE slot_name = $1",
        {slot_});
    return 0;
  });
}

UtcTime SourceLink::clock() {
  return with_sql([&](Connection& sql) {
    return from_milliseconds(
        sql.query("SELECT ceil(extract(epoch FROM pg_catalog.clock_timestamp()) * 1000)::bigint")
            .integer(0, 0));
  });
}

std::vector<SnapshotTablespace> SourceLink::tablespaces() {
  return with_sql([&](Connection& sql) {
    // Those inside of the data folder (allow_in_place_tablespaces) have a relative path.
    QueryResult rows = sql.query(
        "SELECT oid, pg_catalog.pg_tablespace_location(oid) FROM pg_catalog.pg_tablespace "
        "WHERE pg_catalog.pg_tablespace_location(oid) LIKE '/%' ORDER BY oid");
    std::vector<SnapshotTablespace> found;
    for (int i = 0; i < rows.rows(); ++i)
      found.push_back({static_cast<uint32_t>(rows.integer(i, 0)), rows.text(i, 1)});
    return found;
  });
}

StoredSnapshot SourceLink::describe() {
  StoredSnapshot record;
  record.tablespaces = tablespaces();
  with_sql([&](Connection& sql) {
    record.info.server_version = sql.server_version();
    record.server = sql.query_text("SELECT pg_catalog.version()");
    record.system_identifier = static_cast<uint64_t>(
        sql.query("SELECT system_identifier FROM pg_catalog.pg_control_system()").integer(0, 0));
    // Not this session's own: what it set is in `setting`, what the server has in `reset_val`.
    QueryResult rows =
        sql.query("SELECT name, coalesce(reset_val, setting, '') FROM pg_catalog.pg_settings");
    for (int i = 0; i < rows.rows(); ++i) record.settings[rows.text(i, 0)] = rows.text(i, 1);
    rows = sql.query(
        "SELECT pg_catalog.current_database(), extname, extversion FROM pg_catalog.pg_extension");
    for (int i = 0; i < rows.rows(); ++i)
      record.extensions.push_back({rows.text(i, 0), rows.text(i, 1), rows.text(i, 2)});
    rows = sql.query(
        "SELECT DISTINCT CASE collprovider WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' "
        "WHEN 'b' THEN 'builtin' ELSE collprovider::text END, "
        "pg_catalog.pg_collation_actual_version(oid) FROM pg_catalog.pg_collation "
        "WHERE pg_catalog.pg_collation_actual_version(oid) IS NOT NULL ORDER BY 1, 2 LIMIT 1000");
    for (int i = 0; i < rows.rows(); ++i)
      record.collations.push_back({rows.text(i, 0), rows.text(i, 1)});
    return 0;
  });
  return record;
}

}  // namespace holdfast
