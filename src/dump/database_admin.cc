#include "dump/database_admin.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "pg/connection.h"

namespace holdfast {
namespace {

constexpr size_t kWorkingDigits = 8;
constexpr int kSwapTries = 3;  // PostgreSQL itself waits 5 s in each
constexpr int kEndSessionsEveryMs = 100;
constexpr int kSubscriptionsMajor = 10;
constexpr int kDropForceMajor = 13;
constexpr int kNamedProviderMajor = 15;

std::string end_sessions_sql(Connection& admin, const std::string& database) {
  return "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
         " WHERE pid <> pg_backend_pid() AND datname = " +
         admin.quote_literal(database);
}

// Parameters whose values are lists of names: they are stored quoted and must be taken apart
// (pg_dump's variable_is_guc_list_quote).
bool is_name_list(const std::string& parameter) {
  constexpr std::array<std::string_view, 7> kLists = {
      "local_preload_libraries",         "search_path",      "session_preload_libraries",
      "shared_preload_libraries",        "temp_tablespaces", "unix_socket_directories",
      "restrict_nonsystem_relation_kind"};
  return std::find(kLists.begin(), kLists.end(), parameter) != kLists.end();
}

// `"$user", public` → `'$user', 'public'`
std::string name_list_literals(Connection& admin, const std::string& value) {
  std::string result, name;
  bool quoted = false;
  auto flush = [&] {
    result += (result.empty() ? "" : ", ") + admin.quote_literal(name);
    name.clear();
  };
  for (size_t i = 0; i < value.size(); ++i) {
    char c = value[i];
    if (c == '"' && quoted && i + 1 < value.size() && value[i + 1] == '"')
      name += value[++i];
    else if (c == '"')
      quoted = !quoted;
    else if (c == ',' && !quoted)
      flush();
    else if (c != ' ' || quoted)
      name += c;
  }
  flush();
  return result;
}

// The statements that give `to` the properties of `from`.
std::vector<std::string> property_statements(Connection& admin, const std::string& from,
                                             const std::string& to) {
  std::string name = admin.quote_identifier(to);
  std::vector<std::string> statements;
  QueryResult facts = admin.query(
      "SELECT d.oid, pg_get_userbyid(datdba), datconnlimit, shobj_description(d.oid, 'pg_database')"
      " FROM pg_database d WHERE datname = $1",
      {from});
  if (facts.rows() != 1) throw Error(ErrorCode::not_found, "database " + from + " is gone");
  std::string oid = facts.text(0, 0);
  if (facts.integer(0, 2) != -1)
    statements.push_back(
        fmt::format("ALTER DATABASE {} CONNECTION LIMIT {}", name, facts.integer(0, 2)));
  if (!facts.null(0, 3))
    statements.push_back(
        fmt::format("COMMENT ON DATABASE {} IS {}", name, admin.quote_literal(facts.text(0, 3))));

  QueryResult settings = admin.query(
      "SELECT coalesce(r.rolname, ''), split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)"
      " FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole,"
      " unnest(s.setconfig) c WHERE s.setdatabase = $1::oid",
      {oid});
  for (int row = 0; row < settings.rows(); ++row) {
    std::string role = settings.text(row, 0), parameter = settings.text(row, 1);
    std::string value = settings.text(row, 2);
    statements.push_back(fmt::format(
        "{} SET {} TO {}",
        role.empty()
            ? "ALTER DATABASE " + name
            : fmt::format("ALTER ROLE {} IN DATABASE {}", admin.quote_identifier(role), name),
        // An extension's parameter, "auto_explain.log", is two names.
        admin.query_text("SELECT string_agg(quote_ident(p), '.') FROM unnest(string_to_array(" +
                         admin.quote_literal(parameter) + ", '.')) p"),
        is_name_list(parameter) ? name_list_literals(admin, value) : admin.quote_literal(value)));
  }

  // The owner first, so that the privileges are granted by the right role; a database without an
  // access list has the default one, as the new one does.
  statements.push_back(
      fmt::format("ALTER DATABASE {} OWNER TO {}", name, admin.quote_identifier(facts.text(0, 1))));
  QueryResult acl = admin.query(
      "SELECT CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee) END,"
      " a.privilege_type, a.is_grantable"
      " FROM pg_database d, aclexplode(d.datacl) a WHERE d.oid = $1::oid AND d.datacl IS NOT NULL",
      {oid});
  if (acl.rows() > 0)
    statements.push_back(fmt::format("REVOKE ALL ON DATABASE {} FROM PUBLIC", name));
  for (int row = 0; row < acl.rows(); ++row) {
    std::string role = acl.text(row, 0);
    statements.push_back(fmt::format("GRANT {} ON DATABASE {} TO {}{}", acl.text(row, 1), name,
                                     role.empty() ? "PUBLIC" : admin.quote_identifier(role),
                                     acl.boolean(row, 2) ? " WITH GRANT OPTION" : ""));
  }
  return statements;
}

std::string create_statement(Connection& admin, const std::string& name, const DatabaseSpec& spec) {
  std::string sql = fmt::format("CREATE DATABASE {} TEMPLATE template0 ENCODING {}",
                                admin.quote_identifier(name), admin.quote_literal(spec.encoding));
  auto option = [&](const std::string& key, const std::string& value) {
    if (!value.empty()) sql += fmt::format(" {} {}", key, admin.quote_literal(value));
  };
  option("LC_COLLATE", spec.collate);
  option("LC_CTYPE", spec.ctype);
  if (!spec.provider.empty()) {
    sql += " LOCALE_PROVIDER " + spec.provider;
    option(spec.provider == "icu" ? "ICU_LOCALE" : "BUILTIN_LOCALE", spec.locale);
    option("ICU_RULES", spec.icu_rules);
  } else if (admin.server_major() >= kNamedProviderMajor && !spec.collate.empty()) {
    // Where the server's default provider is another, the locale's names would not be libc's.
    sql += " LOCALE_PROVIDER libc";
  }
  if (!spec.tablespace.empty()) sql += " TABLESPACE " + admin.quote_identifier(spec.tablespace);
  return sql;
}

// What to try, in this order, until the server makes it.
std::vector<DatabaseSpec> locale_choices(const DatabaseSpec& spec) {
  std::vector<DatabaseSpec> choices = {spec};
  auto add_plain = [&](DatabaseSpec choice) {
    for (const char* locale : {"C.UTF-8", "C.utf8", "C"}) {
      if (spec.encoding != "UTF8" && std::string_view(locale) != "C") continue;
      choice.collate = choice.ctype = locale;
      choices.push_back(choice);
    }
  };
  add_plain(spec);
  if (spec.provider.empty()) return choices;
  DatabaseSpec libc = spec;
  libc.provider.clear();
  libc.locale.clear();
  libc.icu_rules.clear();
  // The built-in provider sorts by code points, as only C does.
  if (spec.provider != "builtin") choices.push_back(libc);
  add_plain(libc);
  return choices;
}

// 22023: unknown locale; 42809: one that does not go with the encoding. Of other providers than the
// C library also 0A000: not in this server; XX000: what ICU itself says; 42601: its rules, which
// came a version later.
bool refuses_locale(const std::string& sqlstate, const DatabaseSpec& spec) {
  if (sqlstate == "22023" || sqlstate == "42809") return true;
  return !spec.provider.empty() &&
         (sqlstate == "0A000" || sqlstate == "XX000" || sqlstate == "42601");
}

// Why a database cannot be made in the tablespace; "" if it can.
std::string why_not_in(Connection& admin, const std::string& tablespace) {
  if (tablespace.empty()) return {};
  QueryResult found = admin.query(
      "SELECT pg_catalog.has_tablespace_privilege(oid, 'CREATE') FROM pg_catalog.pg_tablespace"
      " WHERE spcname = $1",
      {tablespace});
  if (found.rows() == 0) return "the server has no tablespace " + tablespace;
  return found.boolean(0, 0) ? "" : "the login may not create in tablespace " + tablespace;
}

// Waits for the statement that was sent, ending sessions of `live` over `helper` meanwhile.
void wait_ending_sessions(Connection& admin, Connection& helper, const std::string& live) {
  std::string end_sessions = end_sessions_sql(helper, live);
  while (true) {
    if (PQconsumeInput(admin.raw()) == 0) throw admin.error("rename the database");
    if (PQisBusy(admin.raw()) == 0) break;
    try {
      helper.query(end_sessions);
    } catch (const Error& error) {
      // Sessions of a superuser, say: PostgreSQL gives up the renaming when they do not end.
      if (error.code() != ErrorCode::denied) throw;
    }
    pollfd readable{PQsocket(admin.raw()), POLLIN, 0};
    ::poll(&readable, 1, kEndSessionsEveryMs);
  }
}

// Runs one statement while sessions of `live` are being ended; its SQLSTATE, or "".
std::string run_ending_sessions(Connection& admin, Connection& helper, const std::string& sql,
                                const std::string& live, std::string& message) {
  if (PQsendQuery(admin.raw(), sql.c_str()) == 0) throw admin.error("rename the database");
  wait_ending_sessions(admin, helper, live);
  std::string sqlstate;
  while (PGresult* raw = PQgetResult(admin.raw())) {
    std::unique_ptr<PGresult, void (*)(PGresult*)> result(raw, PQclear);
    if (PQresultStatus(result.get()) != PGRES_FATAL_ERROR) continue;
    const char* state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
    const char* text = PQresultErrorField(result.get(), PG_DIAG_MESSAGE_PRIMARY);
    sqlstate = state == nullptr ? "XX000" : state;
    message = text == nullptr ? "the connection was lost" : text;
  }
  return sqlstate;
}

std::vector<std::string> subscriptions(Connection& in_it) {
  std::vector<std::string> names;
  if (in_it.server_major() < kSubscriptionsMajor) return names;
  QueryResult found = in_it.query(
      "SELECT subname FROM pg_subscription WHERE subdbid ="
      " (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1");
  for (int row = 0; row < found.rows(); ++row) names.push_back(found.text(row, 0));
  return names;
}

}  // namespace

Connection open_admin(const Conninfo& server, const std::string& avoid) {
  std::vector<std::string> names = {server.dbname(), "postgres", "template1"};
  std::optional<Error> first;
  for (const std::string& name : names) {
    if (name == avoid) continue;
    try {
      return Connection::open(server.with("dbname", name), "holdfast restore");
    } catch (const Error& error) {
      if (error.code() != ErrorCode::not_found) throw;
      if (!first) first = error;
    }
  }
  if (first) throw *first;
  throw Error(ErrorCode::not_found, "no other database to connect to on " + server.display(),
              "name one in the URL, such as …/postgres");
}

bool database_exists(Connection& admin, const std::string& name) {
  return admin.query("SELECT 1 FROM pg_database WHERE datname = $1", {name}).rows() > 0;
}

bool database_empty(Connection& in_it) {
  if (!subscriptions(in_it).empty()) return false;
  // What belongs to an extension goes with it: a database with pgcrypto alone counts as empty.
  std::string not_of_extension =
      " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = o.oid AND d.deptype = 'e')";
  std::string of_user =
      " IN (SELECT oid FROM pg_namespace WHERE nspname <> 'information_schema'"
      " AND nspname NOT LIKE 'pg\\_%')";
  return in_it
             .query("SELECT 1 FROM pg_class o WHERE relnamespace" + of_user + not_of_extension +
                    " UNION ALL SELECT 1 FROM pg_proc o WHERE pronamespace" + of_user +
                    not_of_extension + " UNION ALL SELECT 1 FROM pg_type o WHERE typnamespace" +
                    of_user + not_of_extension +
                    " UNION ALL SELECT 1 FROM pg_largeobject_metadata LIMIT 1")
             .rows() == 0;
}

std::vector<std::string> create_database(Connection& admin, const std::string& name,
                                         const DatabaseSpec& spec) {
  std::vector<std::string> notes;
  DatabaseSpec possible = spec;
  if (std::string why = why_not_in(admin, spec.tablespace); !why.empty()) {
    notes.push_back(why + ": the database goes to the default one");
    possible.tablespace.clear();
  }
  for (const DatabaseSpec& choice : locale_choices(possible)) {
    if (!has_locale_provider(admin, choice.provider)) continue;
    try {
      admin.execute(create_statement(admin, name, choice));
    } catch (const Error&) {
      if (!refuses_locale(admin.last_sqlstate(), choice)) throw;
      continue;
    }
    DatabaseSpec made = read_database_spec(admin, name);
    if (!same_locale(spec, made))
      notes.push_back(fmt::format("the server has no {}: the database sorts by {}",
                                  locale_text(spec), locale_text(made)));
    return notes;
  }
  throw Error(ErrorCode::unsupported,
              fmt::format("the server cannot make a database with encoding {}", spec.encoding));
}

void forget_subscriptions(Connection& in_it) {
  for (const std::string& subscription : subscriptions(in_it)) {
    std::string name = in_it.quote_identifier(subscription);
    in_it.execute(fmt::format("ALTER SUBSCRIPTION {} DISABLE", name));
    in_it.execute(fmt::format("ALTER SUBSCRIPTION {} SET (slot_name = NONE)", name));
    in_it.execute(fmt::format("DROP SUBSCRIPTION {}", name));
  }
}

void drop_database(Connection& admin, const std::string& name) {
  std::string sql = "DROP DATABASE IF EXISTS " + admin.quote_identifier(name);
  if (admin.server_major() >= kDropForceMajor)
    sql += " WITH (FORCE)";
  else
    admin.query(end_sessions_sql(admin, name));
  admin.execute(sql);
}

std::string derived_name(const std::string& base, const std::string& suffix) {
  size_t size = std::min(base.size(), kSqlNameBytesMax - suffix.size());
  while (size > 0 && size < base.size() && (static_cast<uint8_t>(base[size]) & 0xC0) == 0x80)
    --size;
  return base.substr(0, size) + suffix;
}

void rename_database(Connection& admin, const std::string& from, const std::string& to) {
  admin.execute(fmt::format("ALTER DATABASE {} RENAME TO {}", admin.quote_identifier(from),
                            admin.quote_identifier(to)));
}

std::vector<std::string> copy_database_properties(Connection& admin, const std::string& from,
                                                  const std::string& to) {
  std::vector<std::string> notes;
  for (const std::string& statement : property_statements(admin, from, to)) {
    try {
      admin.execute(statement);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::denied) throw;
      notes.push_back(fmt::format("not set: {} ({})", statement, error.what()));
    }
  }
  return notes;
}

void swap_databases(Connection& admin, const Conninfo& server, const std::string& live,
                    const std::string& fresh, const std::string& kept, const Run& run) {
  Connection helper = open_admin(server, live);
  std::string rename_live = fmt::format("ALTER DATABASE {} RENAME TO {}",
                                        admin.quote_identifier(live), admin.quote_identifier(kept));
  std::string message;
  for (int attempt = 0; attempt < kSwapTries; ++attempt) {
    run.check_stop();
    admin.execute("BEGIN");
    std::string sqlstate = run_ending_sessions(admin, helper, rename_live, live, message);
    if (sqlstate.empty()) {
      try {
        rename_database(admin, fresh, live);
        admin.execute("COMMIT");
        return;
      } catch (const Error&) {
        if (PQstatus(admin.raw()) == CONNECTION_OK) admin.execute("ROLLBACK");
        throw;
      }
    }
    if (PQstatus(admin.raw()) == CONNECTION_OK) admin.execute("ROLLBACK");
    if (sqlstate != "55006") throw server_error(sqlstate, message).within("rename " + live);
  }
  throw Error(ErrorCode::busy, fmt::format("database {} could not be renamed: {}", live, message),
              "end its sessions and prepared transactions, or log in as a role that may "
              "(pg_signal_backend), and try again; nothing has been changed");
}

std::vector<std::string> leftover_databases(Connection& admin, const std::string& name) {
  std::string begin = derived_name(name, "_holdfast_" + std::string(kWorkingDigits, '0'));
  begin.resize(begin.size() - kWorkingDigits);
  QueryResult found = admin.query(
      "SELECT datname FROM pg_database WHERE starts_with(datname, $1)"
      " AND substr(datname, length($1) + 1) ~ '^[0-9a-f]{8}$' ORDER BY 1",
      {begin});
  std::vector<std::string> names;
  for (int row = 0; row < found.rows(); ++row) names.push_back(found.text(row, 0));
  return names;
}

}  // namespace holdfast
