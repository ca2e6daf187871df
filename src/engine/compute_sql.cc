// Roles, databases and facts of a running compute, by SQL through its socket.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "engine/compute.h"
#include "engine/compute_quarantine.h"
#include "engine/compute_server.h"
#include "pg/connection.h"

namespace holdfast {
namespace {

void check_name(std::string_view what, const std::string& name) {
  auto refuse = [&](std::string_view why) {
    throw Error(ErrorCode::invalid,
                fmt::format("the name of the {} {}: {}", what, why, printable(name, 80)));
  };
  if (name.empty()) throw Error(ErrorCode::invalid, fmt::format("the {} has no name", what));
  if (name.size() > kSqlNameBytesMax) refuse("is longer than 63 bytes");
  if (!is_utf8(name) || name.find('\0') != std::string::npos) refuse("is not valid UTF-8");
}

void check_role_name(const std::string& name) {
  check_name("role", name);
  if (name.starts_with("pg_") || name == "public" || name == "none")
    throw Error(ErrorCode::invalid, fmt::format("the role name {} is reserved", name),
                "choose one that does not begin with pg_");
}

// A session of the compute's superuser.
struct Session {
  std::string admin;
  Connection connection;
};

Session open_session(const ComputeServer& server) {
  std::string admin = server.record().admin;
  Connection connection = server.connect_anywhere(admin);
  connection.execute("SET client_encoding = 'UTF8'");
  return {std::move(admin), std::move(connection)};
}

// Databases in which `role` owns something or was granted something; "" stands for what belongs to
// no database.
std::set<std::string> databases_with(Connection& connection, const std::string& role) {
  QueryResult found = connection.query(
      "SELECT DISTINCT coalesce(d.datname, '') FROM pg_shdepend s "
      "JOIN pg_roles r ON r.oid = s.refobjid AND r.rolname = $1 "
      "LEFT JOIN pg_database d ON d.oid = s.dbid "
      "WHERE s.refclassid = 'pg_authid'::regclass AND (s.dbid = 0 OR d.datallowconn)",
      {role});
  std::set<std::string> names;
  for (int row = 0; row < found.rows(); ++row) names.insert(found.text(row, 0));
  return names;
}

void end_sessions_of_database(Connection& connection, const std::string& name) {
  connection.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
      "WHERE datname = $1 AND pid <> pg_backend_pid()",
      {name});
}

// A session that is not in `name`, which is about to be renamed or dropped.
Connection outside_of(const ComputeServer& server, const std::string& admin,
                      const std::string& name) {
  Connection connection =
      name == "postgres" ? server.connect(admin, "template1") : server.connect_anywhere(admin);
  connection.execute("SET client_encoding = 'UTF8'");
  return connection;
}

}  // namespace

// Clients come by TCP, the engine by the socket. Whoever is in the middle of something counts as
// active now, as at Neon; template1 is asked, so that asking does not count as a session.
ComputeActivity Compute::activity() const {
  ComputeServer server(tools_, settings_);
  server.bound_log();
  const std::string admin = server.record().admin;
  Connection connection = [&] {
    try {
      return server.connect(admin, "template1");
    } catch (const Error& error) {
      if (error.code() != ErrorCode::not_found) throw;
      return server.connect(admin, "postgres");
    }
  }();
  QueryResult found = connection.query(
      "SELECT count(*), (extract(epoch FROM max(CASE WHEN state = 'idle' THEN state_change "
      "ELSE clock_timestamp() END)) * 1000)::bigint FROM pg_stat_activity "
      "WHERE client_addr IS NOT NULL AND backend_type IN ('client backend', 'walsender')");
  ComputeActivity activity;
  activity.clients = static_cast<int>(found.integer(0, 0));
  if (!found.null(0, 1))
    activity.last_activity = UtcTime(std::chrono::milliseconds(found.integer(0, 1)));
  if (connection.server_major() >= 14)
    activity.sessions = static_cast<uint64_t>(
        connection
            .query("SELECT coalesce(sum(sessions), 0)::bigint FROM pg_stat_database "
                   "WHERE datname <> current_database()")
            .integer(0, 0));
  activity.database_bytes = static_cast<uint64_t>(
      connection.query("SELECT coalesce(sum(pg_database_size(oid)), 0)::bigint FROM pg_database")
          .integer(0, 0));
  return activity;
}

std::vector<ComputeRole> Compute::roles() const {
  Session session = open_session(ComputeServer(tools_, settings_));
  QueryResult found = session.connection.query(
      "SELECT rolname, rolcanlogin, rolsuper, rolreplication FROM pg_roles "
      "WHERE rolname !~ '^pg_' ORDER BY rolname");
  std::vector<ComputeRole> roles;
  for (int row = 0; row < found.rows(); ++row)
    roles.push_back(
        {found.text(row, 0), found.boolean(row, 1), found.boolean(row, 2), found.boolean(row, 3)});
  return roles;
}

void Compute::create_role(const std::string& name, const Secret& password, bool login) {
  check_role_name(name);
  Session session = open_session(ComputeServer(tools_, settings_));
  Connection& connection = session.connection;
  std::string sql = fmt::format("CREATE ROLE {} {}", connection.quote_identifier(name),
                                login ? "LOGIN" : "NOLOGIN");
  if (!password.empty())
    sql += " PASSWORD " + connection.quote_literal(password_verifier(connection, name, password));
  connection.execute(sql);
}

// What it owns goes to the owner of the database it is in (to the superuser where that is itself):
// nothing of the users' is lost with a role.
void Compute::drop_role(const std::string& name) {
  check_name("role", name);
  ComputeServer server(tools_, settings_);
  Session session = open_session(server);
  Connection& connection = session.connection;
  if (name == session.admin)
    throw Error(ErrorCode::unsupported,
                fmt::format("role {} is the superuser that the engine needs", name));
  if (connection.query("SELECT 1 FROM pg_roles WHERE rolname = $1", {name}).rows() == 0)
    throw Error(ErrorCode::not_found, fmt::format("role \"{}\" does not exist", name));
  std::set<std::string> databases = databases_with(connection, name);
  if (databases.erase("") > 0 && databases.empty())
    databases.insert(connection.query_text("SELECT current_database()"));
  const std::string role = connection.quote_identifier(name);
  for (const std::string& database : databases) {
    Connection inside = server.connect(session.admin, database);
    inside.execute("SET client_encoding = 'UTF8'");
    std::string owner = inside.query_text(
        "SELECT r.rolname FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba "
        "WHERE d.datname = current_database()");
    if (owner == name) owner = session.admin;
    inside.execute(fmt::format("REASSIGN OWNED BY {0} TO {1}; DROP OWNED BY {0}", role,
                               inside.quote_identifier(owner)));
  }
  connection.execute("DROP ROLE " + role);
  connection.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IS NULL "
      "AND backend_type = 'client backend'");
}

void Compute::set_password(const std::string& role, const Secret& password) {
  check_name("role", role);
  Session session = open_session(ComputeServer(tools_, settings_));
  Connection& connection = session.connection;
  connection.execute(
      fmt::format("ALTER ROLE {} PASSWORD {}", connection.quote_identifier(role),
                  connection.quote_literal(password_verifier(connection, role, password))));
}

std::vector<ComputeDatabase> Compute::databases() const {
  Session session = open_session(ComputeServer(tools_, settings_));
  QueryResult found = session.connection.query(
      "SELECT d.oid, d.datname, r.rolname FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba "
      "WHERE NOT d.datistemplate AND d.datallowconn AND d.datconnlimit <> -2 ORDER BY d.datname");
  std::vector<ComputeDatabase> databases;
  for (int row = 0; row < found.rows(); ++row)
    databases.push_back({found.integer(row, 0), found.text(row, 1), found.text(row, 2)});
  return databases;
}

void Compute::create_database(const std::string& name, const std::string& owner) {
  check_name("database", name);
  check_name("role", owner);
  Session session = open_session(ComputeServer(tools_, settings_));
  session.connection.execute(fmt::format("CREATE DATABASE {} OWNER {}",
                                         session.connection.quote_identifier(name),
                                         session.connection.quote_identifier(owner)));
}

void Compute::update_database(const std::string& name, const std::string& new_name,
                              const std::string& new_owner) {
  check_name("database", name);
  const bool renames = !new_name.empty() && new_name != name;
  if (renames) check_name("database", new_name);
  if (!new_owner.empty()) check_name("role", new_owner);
  ComputeServer server(tools_, settings_);
  Connection connection = outside_of(server, server.record().admin, name);
  std::string database = connection.quote_identifier(name), statements;
  if (!new_owner.empty())
    statements += fmt::format("ALTER DATABASE {} OWNER TO {};", database,
                              connection.quote_identifier(new_owner));
  if (renames) {
    end_sessions_of_database(connection, name);
    statements += fmt::format("ALTER DATABASE {} RENAME TO {};", database,
                              connection.quote_identifier(new_name));
  }
  if (!statements.empty()) connection.execute(statements);
}

void Compute::drop_database(const std::string& name) {
  check_name("database", name);
  ComputeServer server(tools_, settings_);
  Connection connection = outside_of(server, server.record().admin, name);
  connection.execute(
      fmt::format("DROP DATABASE {} WITH (FORCE)", connection.quote_identifier(name)));
}

Lsn Compute::flush_lsn() const {
  return parse_lsn(open_session(ComputeServer(tools_, settings_))
                       .connection.query_text("SELECT pg_current_wal_flush_lsn()"));
}

Timeline Compute::timeline() const {
  return static_cast<Timeline>(
      open_session(ComputeServer(tools_, settings_))
          .connection
          .query("SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint")
          .integer(0, 0));
}

}  // namespace holdfast
