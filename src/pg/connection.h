// A connection to a PostgreSQL server, over libpq: queries with text results, and the messages of
// the server as Errors with the code and the next step that their SQLSTATE stands for. One thread
// at a time, but for cancel().
//
// Messages must not leak rows, which are people's records. DETAIL is left out for data errors
// (classes 22 and 23), CONTEXT ("COPY visits, line 5: …") always; values that the message of a
// class 22 error quotes are taken out of it; of exceptions that the database's own functions raise
// (class P0) only the fact is told. Notices of the server go nowhere.
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

// PostgreSQL's NAMEDATALEN - 1: it would cut a longer name, and say nothing.
inline constexpr size_t kSqlNameBytesMax = 63;

// A query's rows as text. Columns by position, because every query is ours.
class QueryResult {
 public:
  explicit QueryResult(PGresult* result) : result_(result, PQclear) {}
  int rows() const { return PQntuples(result_.get()); }
  int columns() const { return PQnfields(result_.get()); }
  // The object id of a column's type.
  uint32_t column_type(int column) const { return PQftype(result_.get(), column); }
  bool null(int row, int column) const { return PQgetisnull(result_.get(), row, column) != 0; }
  std::string text(int row, int column) const {
    return {PQgetvalue(result_.get(), row, column),
            static_cast<size_t>(PQgetlength(result_.get(), row, column))};
  }
  int64_t integer(int row, int column) const;  // throws Error(internal) if it is none
  double number(int row, int column) const;    // likewise
  bool boolean(int row, int column) const { return text(row, column) == "t"; }
  // "COPY 5" → 5; 0 where the command has no count.
  uint64_t affected() const;

 private:
  std::unique_ptr<PGresult, void (*)(PGresult*)> result_;
};

class Connection {
 public:
  // Connects, with a time limit of `timeout_seconds` for each address of the server unless the
  // conninfo says otherwise, as application `name`. Throws Error: denied (login), unavailable
  // (network, starting up), not_found (no such database), invalid (a parameter), each with a hint;
  // passwords never appear.
  //
  // The session is for our own SQL, whatever the login's and the database's settings: names that we
  // do not qualify are pg_catalog's (a database's owner could put functions of his own before them,
  // which would run with our rights), nothing times out, and writing is not forbidden. (Not so for
  // replication, whose sessions know no settings.)
  //
  // The client's encoding stays the session's default: who copies data sets it to the database's
  // own (SET client_encoding), so that bytes arrive as they are stored.
  static Connection open(const Conninfo& conninfo, const std::string& name = "holdfast",
                         int timeout_seconds = kConnectTimeoutSeconds);
  // The same for SQL that an operator wrote: as `psql` with this login would run it.
  static Connection open_as_configured(const Conninfo& conninfo, const std::string& name,
                                       int timeout_seconds = kConnectTimeoutSeconds);

  // Runs one statement (or several; the result is the last one's). Throws Error with the server's
  // message. A COPY is only started: its data belongs to copy_stream.h.
  QueryResult query(const std::string& sql);
  QueryResult query(const std::string& sql, const std::vector<std::string>& parameters);
  // The only value of the only row.
  std::string query_text(const std::string& sql);
  void execute(const std::string& sql) { query(sql); }

  int server_version() const { return PQserverVersion(pg_.get()); }  // 150018
  int server_major() const { return server_version() / 10000; }
  std::string quote_identifier(const std::string& name) const;
  std::string quote_literal(const std::string& text) const;
  // SQLSTATE of the last failed query of this connection ("55P03"), or "" (none, or lost).
  const std::string& last_sqlstate() const { return last_sqlstate_; }
  PGconn* raw() { return pg_.get(); }
  // Asks the server, over a second connection, to stop what this one is doing. May be called by
  // another thread. A server that cannot be asked is no error: there is nothing more to do then.
  void cancel();

  // The Error for libpq's current failure on this connection, `what` put before it.
  Error error(const std::string& what);

 private:
  explicit Connection(PGconn* pg) : pg_(pg, PQfinish) {}
  QueryResult check(PGresult* result);

  std::unique_ptr<PGconn, void (*)(PGconn*)> pg_;
  std::string last_sqlstate_;
};

// An Error for a server message with this SQLSTATE (PostgreSQL manual, appendix A). Details of data
// and constraint errors (classes 22 and 23) are left out: they quote rows.
Error server_error(const std::string& sqlstate, const std::string& message,
                   const std::string& detail = {}, const std::string& server_hint = {});

// What Connection::open() begins a session with; the forms of what follows.
std::string guarded_session_settings(int server_version);

// Session settings for reading data, beside those that every session of ours begins with: text is
// the same whatever the defaults (pg_dump's own settings, and a fixed time zone), and row security
// fails instead of hiding rows. SET statements joined by ";", without one at the end.
// `server_version` as of server_version() or server_major().
std::string dump_session_settings(int server_version);

// The same for loading rows. Constraints and generated columns are to come out as they did where
// the rows are from, so what a function may ask for (DateStyle, IntervalStyle) stays the
// database's: text as dump_session_settings() had it written is read alike under any of them.
std::string load_session_settings(int server_version);

}  // namespace holdfast
