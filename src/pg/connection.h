// A connection to a PostgreSQL server, over libpq: queries with text results, and the messages of
// the server as Errors that keep its SQLSTATE, detail and hint. One thread at a time.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "pg/conninfo.h"

namespace holdfast {

// A query's rows as text. Columns by position, because every query is ours.
class QueryResult {
 public:
  explicit QueryResult(PGresult* result) : result_(result, PQclear) {}
  int rows() const { return PQntuples(result_.get()); }
  bool null(int row, int column) const { return PQgetisnull(result_.get(), row, column) != 0; }
  std::string text(int row, int column) const {
    return {PQgetvalue(result_.get(), row, column),
            static_cast<size_t>(PQgetlength(result_.get(), row, column))};
  }
  int64_t integer(int row, int column) const;  // throws Error(internal) if it is none
  bool boolean(int row, int column) const { return text(row, column) == "t"; }
  // "COPY 5" → 5; 0 where the command has no count.
  uint64_t affected() const;

 private:
  std::unique_ptr<PGresult, void (*)(PGresult*)> result_;
};

class Connection {
 public:
  // Connects, with a time limit of `timeout_seconds` unless the conninfo says otherwise, as
  // application `name`. Throws Error: denied (login), unavailable (network, starting up), not_found
  // (no such database), each with a hint; passwords never appear.
  static Connection open(const Conninfo& conninfo, const std::string& name = "holdfast",
                         int timeout_seconds = 15);

  // Runs one statement (or several without results). Throws Error with the server's message.
  QueryResult query(const std::string& sql);
  QueryResult query(const std::string& sql, const std::vector<std::string>& parameters);
  // The only value of the only row.
  std::string query_text(const std::string& sql);
  void execute(const std::string& sql) { query(sql); }

  int server_version() const { return PQserverVersion(pg_.get()); }  // 150018
  int server_major() const { return server_version() / 10000; }
  std::string quote_identifier(const std::string& name) const;
  std::string quote_literal(const std::string& text) const;
  // SQLSTATE of the last failed query of this connection ("55P03"), or "".
  const std::string& last_sqlstate() const { return last_sqlstate_; }
  PGconn* raw() { return pg_.get(); }
  // Asks the server, over a second connection, to stop what this one is doing. May be called by
  // another thread.
  void cancel();

  // The Error for libpq's current failure on this connection, `what` put before it.
  Error error(const std::string& what);

 private:
  explicit Connection(PGconn* pg) : pg_(pg, PQfinish) {}
  QueryResult check(PGresult* result);

  std::unique_ptr<PGconn, void (*)(PGconn*)> pg_;
  std::string last_sqlstate_;
};

// An Error for a server message with this SQLSTATE (PostgreSQL manual, appendix A).
Error server_error(const std::string& sqlstate, const std::string& message,
                   const std::string& detail = {}, const std::string& server_hint = {});

// Text settings that make COPY output the same whatever the session's defaults: pg_dump's own, and
// a fixed time zone. One string of SET statements.
std::string dump_session_settings();

}  // namespace holdfast
