#include "pg/connection.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>

#include "base/text.h"

namespace holdfast {
namespace {

using PgHandle = std::unique_ptr<PGconn, void (*)(PGconn*)>;

constexpr int kTimeoutsMax = 16;  // addresses that may hang one after the other

// --- messages of the server ---

// Whether DETAIL may quote a row's values.
bool is_about_rows(std::string_view sqlstate) {
  return sqlstate.starts_with("22") || sqlstate.starts_with("23");
}

// Whether the message itself may. Class 23 names constraints only; 22023 is about parameters, which
// are ours.
bool quotes_values(std::string_view sqlstate) {
  return sqlstate.starts_with("22") && sqlstate != "22023";
}

// `invalid input syntax for type date: "1956-13-01"` → `invalid input syntax for type date`, and
// whatever else is in quotes becomes `…`.
std::string without_values(std::string_view message) {
  message = message.substr(0, message.find(": "));
  std::string result;
  size_t at = 0;
  while (at < message.size()) {
    size_t open = message.find('"', at);
    if (open == std::string_view::npos) break;
    result.append(message.substr(at, open - at)).append("\"…\"");
    size_t close = message.rfind('"');  // a value may hold quotes itself
    at = close + 1;
  }
  return result.append(message.substr(std::min(at, message.size())));
}

struct StateMeaning {
  std::string_view sqlstate;  // five characters, or the two of its class
  ErrorCode code;
  std::string_view hint;
};

constexpr std::string_view kServerGone =
    "see the server's log: it may have been restarted, or have run out of memory";
constexpr int kJitMajor = 11;
constexpr std::string_view kValuesHidden =
    "values are not shown, since they may be personal data; the server's log has the whole message";

// Exact states before their classes.
constexpr auto kMeanings = std::to_array<StateMeaning>({
    {"0A", ErrorCode::unsupported, ""},
    {"08", ErrorCode::unavailable, kServerGone},
    {"22023", ErrorCode::invalid, ""},
    {"2201B", ErrorCode::invalid, "check the pattern"},
    {"22", ErrorCode::unsupported, kValuesHidden},
    {"23", ErrorCode::unsupported, kValuesHidden},
    {"25006", ErrorCode::denied, "the session is read-only: connect to the primary"},
    {"28", ErrorCode::denied, ""},
    {"2BP01", ErrorCode::unsupported, ""},
    {"3D000", ErrorCode::not_found, "psql --list shows the server's databases"},
    {"3F000", ErrorCode::not_found, ""},
    {"40001", ErrorCode::unavailable,
     "retry; on a standby, raise max_standby_streaming_delay or turn hot_standby_feedback on"},
    {"40", ErrorCode::unavailable, "retry"},
    {"42501", ErrorCode::denied,
     "connect as the owner, or grant the login what it lacks (to read everything: GRANT "
     "pg_read_all_data)"},
    {"42P01", ErrorCode::not_found, ""},
    {"42704", ErrorCode::not_found, ""},
    {"42883", ErrorCode::not_found, ""},
    {"42P04", ErrorCode::exists, "choose another name, or drop it first"},
    {"42P06", ErrorCode::exists, ""},
    {"42P07", ErrorCode::exists, ""},
    {"42710", ErrorCode::exists, ""},
    {"53100", ErrorCode::unavailable, "the server's disk is full: free some space there"},
    {"53200", ErrorCode::unavailable,
     "the server has run out of memory; if it says so of shared memory, raise its "
     "max_locks_per_transaction"},
    {"53300", ErrorCode::unavailable, "lower --jobs, or raise the server's max_connections"},
    {"53", ErrorCode::unavailable, ""},
    {"54", ErrorCode::unsupported, ""},
    {"55P03", ErrorCode::unavailable,
     "another session holds or waits for an exclusive lock (a migration?): retry later, or raise "
     "--lock-timeout"},
    {"55006", ErrorCode::unavailable, "other sessions use it: end them, then retry"},
    {"55", ErrorCode::unavailable, ""},
    {"57P03", ErrorCode::unavailable,
     "the server is starting up or shutting down: retry in a moment"},
    {"57014", ErrorCode::unavailable,
     "somebody, or a timeout of the server, cancelled the statement: retry"},
    {"57", ErrorCode::unavailable, kServerGone},
    {"58", ErrorCode::unavailable, "the server has trouble with its files: see its log"},
    {"P0", ErrorCode::unsupported, kValuesHidden},
    {"XX001", ErrorCode::corrupt,
     "the source itself is damaged: see the server's log, and keep the last good backup"},
    {"XX002", ErrorCode::corrupt, "an index of the source is damaged: REINDEX it"},
    {"XX", ErrorCode::unavailable, "this is an internal error of the server: see its log"},
});

const StateMeaning* meaning_of(std::string_view sqlstate) {
  if (sqlstate.size() != 5) return nullptr;
  for (const StateMeaning& meaning : kMeanings)
    if (sqlstate.starts_with(meaning.sqlstate)) return &meaning;
  return nullptr;
}

// --- connecting ---

// Takes libpq's text of a failed connection apart. A line of the server's ends in
// `FATAL:  28P01: password authentication failed …` (the first word in the server's language).
struct ConnectFailure {
  std::string sqlstate;  // empty: the server did not answer
  std::string message;
};

// Where `FATAL:  28P01: ` begins its SQLSTATE in `line`, or npos.
size_t sqlstate_in(std::string_view line) {
  for (size_t at = line.find(":  "); at != std::string_view::npos; at = line.find(":  ", at + 1)) {
    std::string_view state = line.substr(at + 3);
    if (state.size() < 7 || state.substr(5, 2) != ": ") continue;
    bool sound = std::all_of(state.begin(), state.begin() + 5, [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
    });
    if (sound) return at + 3;
  }
  return std::string_view::npos;
}

ConnectFailure read_connect_failure(std::string_view text) {
  ConnectFailure failure;
  for (const std::string& whole : split(trim(text), '\n')) {
    // What follows on lines of its own is advice; ours is better.
    std::string_view line = whole;
    if (line.empty() || line.front() == '\t') continue;
    if (size_t at = sqlstate_in(line); at != std::string_view::npos) {
      failure.sqlstate = line.substr(at, 5);
      failure.message = line.substr(at + 7);
    } else if (failure.sqlstate.empty()) {
      // `connection to server at "db", port 5432 failed: Connection refused`: we say where
      // ourselves.
      size_t reason = line.starts_with("connection to server") ? line.find(" failed: ")
                                                               : std::string_view::npos;
      if (reason != std::string_view::npos) line.remove_prefix(reason + 9);
      if (!failure.message.empty()) failure.message += "; ";
      failure.message += trim(line);
    }
  }
  failure.message = printable(failure.message);
  return failure;
}

std::string password_hint(const Conninfo& conninfo, const std::string& user, PGconn* pg) {
  if (PQconnectionNeedsPassword(pg) != 0)
    return "put it into the connection string, PGPASSWORD or ~/.pgpass";
  if (PQconnectionUsedPassword(pg) == 0) return fmt::format("check the user {}", user);
  if (!conninfo.password().empty())
    return fmt::format(
        "check the user {} and the password in the connection string (special "
        "characters in it must be percent-encoded: @ is %40, / is %2F)",
        user);
  const char* from_environment = std::getenv("PGPASSWORD");
  bool by_environment = from_environment != nullptr && *from_environment != '\0';
  return fmt::format("check the user {} and the password, which comes from {}", user,
                     by_environment ? "PGPASSWORD" : "the password file (~/.pgpass or PGPASSFILE)");
}

std::string login_hint(const ConnectFailure& failure, const Conninfo& conninfo,
                       const std::string& user, PGconn* pg) {
  if (contains(failure.message, "pg_hba.conf"))
    return "the server's pg_hba.conf does not let this host, user and database in: add a line for "
           "them, or try sslmode=require";
  if (contains(failure.message, "Peer authentication") ||
      contains(failure.message, "Ident authentication"))
    return fmt::format(
        "run as the operating system's user {}, or connect over host=localhost with a "
        "password",
        user);
  if (contains(failure.message, "does not exist")) return "create the role, or name another user";
  return password_hint(conninfo, user, pg);
}

// What the server itself answered.
Error refused_by_server(const ConnectFailure& failure, const Conninfo& conninfo, PGconn* pg) {
  std::string user = printable(conninfo.user());
  const StateMeaning* meaning = meaning_of(failure.sqlstate);
  ErrorCode code = meaning == nullptr ? ErrorCode::unavailable : meaning->code;
  std::string hint = meaning == nullptr ? std::string() : std::string(meaning->hint);
  if (failure.sqlstate.starts_with("28")) {
    hint = login_hint(failure, conninfo, user, pg);
  } else if (failure.sqlstate == "42501") {
    hint = fmt::format("GRANT CONNECT ON DATABASE {} TO {}", printable(conninfo.dbname()), user);
  } else if (failure.sqlstate.starts_with("08")) {
    hint = "a pooler or proxy stands before the server? connect to the server itself";
  }
  return Error(code,
               fmt::format("{} refuses the login of {}: {}", conninfo.display_server(), user,
                           failure.message),
               hint);
}

// What libpq says when there was no answer.
Error not_connected(const ConnectFailure& failure, const Conninfo& conninfo, PGconn* pg,
                    bool timed_out, int timeout_seconds) {
  std::string server = conninfo.display_server(), user = printable(conninfo.user());
  std::string message = fmt::format("cannot connect to {}: {}", server, failure.message);
  auto says = [&](std::string_view part) { return contains(failure.message, part); };
  if (PQconnectionNeedsPassword(pg) != 0)
    return Error(ErrorCode::denied,
                 fmt::format("{} asks for the password of {}, and none is known", server, user),
                 password_hint(conninfo, user, pg));
  if (timed_out)
    return Error(ErrorCode::unavailable,
                 fmt::format("cannot connect to {}: no answer within {}", server,
                             plural(static_cast<uint64_t>(timeout_seconds), "second")),
                 "check host, port and firewalls between here and there");
  if (says("certificate") || says("tlsv1") || says("unknown ca"))
    return Error(says("does not exist") ? ErrorCode::invalid : ErrorCode::denied, message,
                 "check sslmode, sslrootcert and the server's certificate");
  if (says("does not support SSL"))
    return Error(ErrorCode::unsupported, message,
                 "turn ssl on in the server, or use sslmode=prefer on a network that you trust");
  if (says("could not translate host name"))
    return Error(ErrorCode::unavailable, message, "check the host's name and this machine's DNS");
  if (says("for connection option") || says("could not parse network address"))
    return Error(ErrorCode::invalid, message,
                 "check the connection string and the environment (PG…)");
  if (says("Connection refused") || says("No such file or directory"))
    return Error(ErrorCode::unavailable, message,
                 fmt::format("is the server running, and does it listen there ({})?", server));
  return Error(ErrorCode::unavailable, message,
               fmt::format("check that {} can be reached from this machine", server));
}

void ignore_notice(void*, const PGresult*) {}

int timeout_of(const std::map<std::string, std::string>& parameters, int otherwise) {
  auto found = parameters.find("connect_timeout");
  if (found == parameters.end()) return otherwise;
  int seconds = std::atoi(found->second.c_str());
  return seconds <= 0 ? 0 : std::max(seconds, 2);  // as libpq: 0 waits for ever, 1 counts as 2
}

// Waits until libpq wants to go on. An address that does not answer in time is shut down under
// libpq, which then tries the server's next one. Returns whether the last address hung.
bool finish_connecting(PGconn* pg, int timeout_seconds) {
  using SteadyClock = std::chrono::steady_clock;
  auto limit = std::chrono::seconds(timeout_seconds);
  auto deadline = SteadyClock::now() + limit;
  bool timed_out = false;
  int timeouts = 0;
  std::string address;
  PostgresPollingStatusType wanted = PGRES_POLLING_WRITING;
  while (wanted != PGRES_POLLING_OK && wanted != PGRES_POLLING_FAILED) {
    const char* current = PQhostaddr(pg);
    if (std::string now_at = current == nullptr ? "" : current; now_at != address) {
      address = now_at;
      deadline = SteadyClock::now() + limit;
      timed_out = false;
    }
    auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - SteadyClock::now()).count();
    int wait_ms = timeout_seconds == 0 ? -1 : static_cast<int>(std::max<int64_t>(left, 0));
    pollfd socket{PQsocket(pg),
                  static_cast<short>(wanted == PGRES_POLLING_READING ? POLLIN : POLLOUT), 0};
    int ready = ::poll(&socket, 1, wait_ms);
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) {
      timed_out = true;
      if (++timeouts > kTimeoutsMax) return true;
      ::shutdown(PQsocket(pg), SHUT_RDWR);
      deadline = SteadyClock::now() + limit;
    }
    wanted = PQconnectPoll(pg);
  }
  return timed_out;
}

PgHandle start_connecting(const std::map<std::string, std::string>& parameters) {
  std::vector<const char*> keywords, values;
  for (const auto& [keyword, value] : parameters) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  PgHandle pg(PQconnectStartParams(keywords.data(), values.data(), 0), PQfinish);
  if (!pg) throw Error(ErrorCode::unavailable, "out of memory");
  PQsetNoticeReceiver(pg.get(), ignore_notice, nullptr);
  // For the SQLSTATE, which does not depend on the server's language.
  PQsetErrorVerbosity(pg.get(), PQERRORS_VERBOSE);
  return pg;
}

int major_version(int server_version) {
  constexpr int kFirstVersionNumber = 10'000;
  return server_version >= kFirstVersionNumber ? server_version / kFirstVersionNumber
                                               : server_version;
}

std::string field_of(const PGresult* result, int field) {
  const char* text = PQresultErrorField(result, field);
  return text == nullptr ? "" : text;
}

template <typename Number>
Number parse_number(const std::string& text) {
  Number number{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.empty())
    throw Error(ErrorCode::internal, "the server answered something else than a number");
  return number;
}

}  // namespace

int64_t QueryResult::integer(int row, int column) const {
  return parse_number<int64_t>(text(row, column));
}

double QueryResult::number(int row, int column) const {
  return parse_number<double>(text(row, column));
}

uint64_t QueryResult::affected() const {
  std::string count = PQcmdTuples(result_.get());
  return count.empty() ? 0 : parse_number<uint64_t>(count);
}

Connection Connection::open_as_configured(const Conninfo& conninfo, const std::string& name,
                                          int timeout_seconds) {
  // The environment's and the service file's values count as the user's, too.
  std::map<std::string, std::string> resolved = conninfo.resolved();
  std::map<std::string, std::string> parameters = conninfo.parameters_with_secret();
  parameters.try_emplace("fallback_application_name", name);
  for (const auto& [keyword, value] : connection_defaults(timeout_seconds))
    if (resolved.count(keyword) == 0) parameters.try_emplace(keyword, value);
  int limit = timeout_of(resolved, timeout_seconds);

  PgHandle pg = start_connecting(parameters);
  bool timed_out = PQstatus(pg.get()) != CONNECTION_BAD && finish_connecting(pg.get(), limit);
  if (PQstatus(pg.get()) != CONNECTION_OK) {
    ConnectFailure failure = read_connect_failure(PQerrorMessage(pg.get()));
    if (!failure.sqlstate.empty()) throw refused_by_server(failure, conninfo, pg.get());
    throw not_connected(failure, conninfo, pg.get(), timed_out, limit);
  }
  PQsetErrorVerbosity(pg.get(), PQERRORS_TERSE);
  PQsetErrorContextVisibility(pg.get(), PQSHOW_CONTEXT_NEVER);
  return Connection(pg.release());
}

Connection Connection::open(const Conninfo& conninfo, const std::string& name,
                            int timeout_seconds) {
  Connection connection = open_as_configured(conninfo, name, timeout_seconds);
  if (conninfo.parameters_with_secret().count("replication") == 0)
    connection.execute(guarded_session_settings(connection.server_version()));
  return connection;
}

QueryResult Connection::check(PGresult* result) {
  QueryResult checked(result);
  switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
      return checked;
    default:
      break;
  }
  last_sqlstate_ = result == nullptr ? "" : field_of(result, PG_DIAG_SQLSTATE);
  if (last_sqlstate_.empty()) throw error("");
  throw server_error(last_sqlstate_, field_of(result, PG_DIAG_MESSAGE_PRIMARY),
                     field_of(result, PG_DIAG_MESSAGE_DETAIL),
                     field_of(result, PG_DIAG_MESSAGE_HINT));
}

QueryResult Connection::query(const std::string& sql) {
  return check(PQexec(pg_.get(), sql.c_str()));
}

QueryResult Connection::query(const std::string& sql, const std::vector<std::string>& parameters) {
  std::vector<const char*> values;
  for (const std::string& parameter : parameters) values.push_back(parameter.c_str());
  return check(PQexecParams(pg_.get(), sql.c_str(), static_cast<int>(values.size()), nullptr,
                            values.data(), nullptr, nullptr, 0));
}

std::string Connection::query_text(const std::string& sql) {
  QueryResult result = query(sql);
  if (result.rows() != 1)
    throw Error(ErrorCode::internal, "the server did not answer with one row");
  return result.text(0, 0);
}

std::string Connection::quote_identifier(const std::string& name) const {
  std::unique_ptr<char, void (*)(void*)> quoted(
      PQescapeIdentifier(pg_.get(), name.data(), name.size()), PQfreemem);
  if (!quoted) throw Error(ErrorCode::invalid, "a name is not valid in the session's encoding");
  return quoted.get();
}

std::string Connection::quote_literal(const std::string& text) const {
  std::unique_ptr<char, void (*)(void*)> quoted(
      PQescapeLiteral(pg_.get(), text.data(), text.size()), PQfreemem);
  if (!quoted) throw Error(ErrorCode::invalid, "a text is not valid in the session's encoding");
  return quoted.get();
}

void Connection::cancel() {
  std::unique_ptr<PGcancel, void (*)(PGcancel*)> request(PQgetCancel(pg_.get()), PQfreeCancel);
  if (!request) return;
  std::array<char, 256> message{};
  PQcancel(request.get(), message.data(), static_cast<int>(message.size()));
}

Error Connection::error(const std::string& what) {
  std::string message = printable(trim(PQerrorMessage(pg_.get())));
  std::string prefix = what.empty() ? "" : what + ": ";
  if (PQstatus(pg_.get()) == CONNECTION_OK) return Error(ErrorCode::internal, prefix + message);
  return Error(ErrorCode::unavailable,
               fmt::format("{}the connection to the server is lost{}{}", prefix,
                           message.empty() ? "" : ": ", message),
               std::string(kServerGone));
}

Error server_error(const std::string& sqlstate, const std::string& message,
                   const std::string& detail, const std::string& server_hint) {
  const StateMeaning* meaning = meaning_of(sqlstate);
  ErrorCode code = meaning == nullptr ? ErrorCode::internal : meaning->code;
  std::string hint = meaning == nullptr ? std::string() : std::string(meaning->hint);
  if (sqlstate.starts_with("P0"))
    return Error(code, "a function of the database raised an exception", hint);
  std::string text = printable(quotes_values(sqlstate) ? without_values(message) : message);
  if (is_about_rows(sqlstate)) return Error(code, text, hint);
  if (!detail.empty()) text += fmt::format(" ({})", printable(detail));
  return Error(code, text, hint.empty() ? printable(server_hint) : hint);
}

std::string guarded_session_settings(int server_version) {
  std::string settings =
      "SELECT pg_catalog.set_config('search_path', '', false);"
      "SET default_transaction_read_only = off;"
      "SET statement_timeout = 0;"
      "SET lock_timeout = 0;"
      "SET idle_in_transaction_session_timeout = 0";
  int major = major_version(server_version);
  if (major >= 14) settings += ";SET idle_session_timeout = 0";
  if (major >= 17) settings += ";SET transaction_timeout = 0";
  return settings;
}

std::string dump_session_settings(int server_version) {
  std::string settings =
      "SET client_min_messages = error;"
      "SET datestyle = ISO;"
      "SET intervalstyle = postgres;"
      "SET timezone = 'UTC';"
      "SET extra_float_digits = 3;"
      "SET bytea_output = hex;"
      "SET xmloption = content;"
      "SET standard_conforming_strings = on;"
      "SET array_nulls = on;"
      "SET quote_all_identifiers = off;"
      "SET row_security = off;"
      "SET synchronize_seqscans = off;"
      "SET max_parallel_workers_per_gather = 0";
  if (major_version(server_version) >= kJitMajor) settings += ";SET jit = off";
  return settings;
}

std::string load_session_settings(int server_version) {
  std::string settings =
      "SET client_min_messages = error;"
      "SET xmloption = content;"
      "SET standard_conforming_strings = on;"
      "SET array_nulls = on;"
      "SET row_security = off;"
      "SET synchronous_commit = off;"
      "SET check_function_bodies = off";
  if (major_version(server_version) >= kJitMajor) settings += ";SET jit = off";
  return settings;
}

}  // namespace holdfast
