#include "engine/source_server.h"

#include <fmt/format.h>

#include <thread>

#include "base/process.h"
#include "base/text.h"
#include "engine/engine.h"
#include "engine/server_process.h"
#include "engine/source_recovery.h"
#include "pg/connection.h"

namespace holdfast {
namespace {

constexpr double kLoginSecondsMax = 600;  // crash recovery of a large source takes its time

std::string scram_verifier(Connection& connection, const std::string& role,
                           const Secret& password) {
  char* made = PQencryptPasswordConn(connection.raw(), password.reveal().c_str(), role.c_str(),
                                     "scram-sha-256");
  if (!made) throw connection.error("make a SCRAM verifier");
  std::string verifier = made;
  PQfreemem(made);
  return verifier;
}

class RealSourceServer final : public SourceServer {
 public:
  RealSourceServer(const Conninfo& source, const ManagedSource* managed, ClientTools tools,
                   std::string work_folder)
      : source_(source),
        managed_(managed),
        tools_(std::move(tools)),
        work_folder_(std::move(work_folder)) {}

  const Conninfo& conninfo() const override { return source_; }
  bool managed() const override { return managed_ != nullptr; }
  std::string data_folder() const override { return need_managed().data_folder; }

  int version() override { return connect().server_version(); }
  std::vector<SourceRole> roles() override;
  std::vector<SourceDatabase> databases() override;
  uint64_t database_bytes() override;
  void create_role(const std::string& name, const Secret& password, bool login) override;
  void drop_role(const std::string& name) override;
  void set_password(const std::string& role, const Secret& password) override;
  void create_database(const std::string& name, const std::string& owner) override;
  void update_database(const std::string& name, const std::string& new_name,
                       const std::string& new_owner) override;
  void drop_database(const std::string& name) override;

  bool running() override;
  void start(const Run& run) override;
  void stop(const Run& run) override;
  std::vector<SourceLogin> logins() override;
  void check_restorable() override;
  Lsn shutdown_checkpoint() override;
  void recover_aside(const std::string& folder, const BroughtFolder& brought,
                     const std::vector<SourceLogin>& logins, const Run& run) override {
    recover_beside(tools_, need_managed().data_folder, folder, brought, logins, run);
  }

 private:
  Connection connect() { return Connection::open(source_, "holdfast engine"); }
  const ManagedSource& need_managed() const;
  void run_command(const std::string& command, std::vector<std::string> fallback,
                   const std::string& what);
  void wait_for_logins(const Run& run);

  Conninfo source_;
  const ManagedSource* managed_;
  ClientTools tools_;
  std::string work_folder_;
};

const ManagedSource& RealSourceServer::need_managed() const {
  if (managed_) return *managed_;
  throw Error(ErrorCode::unsupported, "the source is not managed by this engine",
              "let the engine manage it (data_dir)");
}

std::vector<SourceRole> RealSourceServer::roles() {
  QueryResult rows = connect().query(
      "SELECT rolname, rolcanlogin FROM pg_catalog.pg_roles WHERE rolname !~ '^pg_' ORDER BY 1");
  std::vector<SourceRole> roles;
  for (int i = 0; i < rows.rows(); ++i) roles.push_back({rows.text(i, 0), rows.boolean(i, 1)});
  return roles;
}

std::vector<SourceDatabase> RealSourceServer::databases() {
  QueryResult rows = connect().query(
      "SELECT oid::bigint, datname, pg_catalog.pg_get_userbyid(datdba) FROM pg_catalog.pg_database "
      "WHERE datallowconn AND NOT datistemplate ORDER BY 2");
  std::vector<SourceDatabase> databases;
  for (int i = 0; i < rows.rows(); ++i)
    databases.push_back({rows.integer(i, 0), rows.text(i, 1), rows.text(i, 2)});
  return databases;
}

uint64_t RealSourceServer::database_bytes() {
  QueryResult rows = connect().query(
      "SELECT coalesce(sum(pg_catalog.pg_database_size(oid)), 0)::bigint FROM "
      "pg_catalog.pg_database "
      "WHERE pg_catalog.has_database_privilege(oid, 'CONNECT')");
  return static_cast<uint64_t>(rows.integer(0, 0));
}

// Passwords travel as verifiers only: statements can end up in the server's log.
void RealSourceServer::create_role(const std::string& name, const Secret& password, bool login) {
  Connection connection = connect();
  std::string sql = "CREATE ROLE " + connection.quote_identifier(name);
  if (login)
    sql +=
        " LOGIN PASSWORD " + connection.quote_literal(scram_verifier(connection, name, password));
  connection.execute(sql);
}

void RealSourceServer::drop_role(const std::string& name) {
  Connection connection = connect();
  connection.execute("DROP ROLE " + connection.quote_identifier(name));
}

void RealSourceServer::set_password(const std::string& role, const Secret& password) {
  Connection connection = connect();
  connection.execute("ALTER ROLE " + connection.quote_identifier(role) + " PASSWORD " +
                     connection.quote_literal(scram_verifier(connection, role, password)));
}

void RealSourceServer::create_database(const std::string& name, const std::string& owner) {
  Connection connection = connect();
  connection.execute("CREATE DATABASE " + connection.quote_identifier(name) + " OWNER " +
                     connection.quote_identifier(owner));
}

void RealSourceServer::update_database(const std::string& name, const std::string& new_name,
                                       const std::string& new_owner) {
  Connection connection = connect();
  connection.execute("ALTER DATABASE " + connection.quote_identifier(name) + " OWNER TO " +
                     connection.quote_identifier(new_owner));
  if (name != new_name)
    connection.execute("ALTER DATABASE " + connection.quote_identifier(name) + " RENAME TO " +
                       connection.quote_identifier(new_name));
}

void RealSourceServer::drop_database(const std::string& name) {
  Connection connection = connect();
  connection.execute("DROP DATABASE " + connection.quote_identifier(name) + " WITH (FORCE)");
}

bool RealSourceServer::running() {
  return find_server(need_managed().data_folder).has_value();
}

// The user's command, or pg_ctl. What a command starts outlives it and us: pg_ctl puts its server
// into a session of its own.
void RealSourceServer::run_command(const std::string& command, std::vector<std::string> fallback,
                                   const std::string& what) {
  ProcessOptions options;
  options.argv =
      command.empty() ? std::move(fallback) : std::vector<std::string>{"/bin/sh", "-c", command};
  options.env = clean_environment();
  ProcessResult done = run_process(options, {}, 1 << 20, kSourceCommandMax);
  if (done.exit_code != 0)
    throw Error(
        ErrorCode::unavailable,
        fmt::format("cannot {} the source: {}", what,
                    printable(trim(done.err.empty() ? done.out : done.err), kSourceWordsShown)),
        fmt::format("try by hand what is configured to {} it", what));
}

void RealSourceServer::start(const Run& run) {
  const ManagedSource& managed = need_managed();
  if (!running()) {
    remove_stale_postmaster_file(managed.data_folder);
    run_command(managed.start_command,
                {tools_.path("pg_ctl"), "--pgdata=" + managed.data_folder,
                 "--log=" + work_folder_ + "/source.log", "--wait", "--timeout=150", "start"},
                "start");
  }
  wait_for_logins(run);
}

void RealSourceServer::wait_for_logins(const Run& run) {
  double deadline = run.clock.monotonic_seconds() + kLoginSecondsMax;
  for (;;) {
    try {
      connect();
      return;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unavailable || run.clock.monotonic_seconds() > deadline) throw;
    }
    run.check_stop();
    if (!running())
      throw Error(ErrorCode::unavailable, "the source was started and has ended",
                  "its log says why");
    std::this_thread::sleep_for(kSourcePoll);
  }
}

void RealSourceServer::stop(const Run& run) {
  const ManagedSource& managed = need_managed();
  if (!running()) return;
  run_command(managed.stop_command,
              {tools_.path("pg_ctl"), "--pgdata=" + managed.data_folder, "--mode=fast", "--wait",
               "--timeout=150", "stop"},
              "stop");
  double deadline = run.clock.monotonic_seconds() + static_cast<double>(kSourceCommandMax.count());
  while (running()) {
    if (run.clock.monotonic_seconds() > deadline)
      throw Error(ErrorCode::unavailable, "the source runs on although it was told to stop",
                  "check stop_command");
    std::this_thread::sleep_for(kSourcePoll);
  }
}

std::vector<SourceLogin> RealSourceServer::logins() {
  QueryResult rows = connect().query(
      "SELECT rolname, coalesce(rolpassword, ''), "
      "concat_ws(' ', 'LOGIN', CASE WHEN rolsuper THEN 'SUPERUSER' END, "
      "CASE WHEN rolcreatedb THEN 'CREATEDB' END, CASE WHEN rolcreaterole THEN 'CREATEROLE' END, "
      "CASE WHEN rolreplication THEN 'REPLICATION' END, "
      "CASE WHEN rolbypassrls THEN 'BYPASSRLS' END) "
      "FROM pg_catalog.pg_authid WHERE rolcanlogin ORDER BY rolsuper DESC, oid");
  std::vector<SourceLogin> logins;
  for (int i = 0; i < rows.rows(); ++i)
    logins.push_back({rows.text(i, 0), Secret(rows.text(i, 1)), rows.text(i, 2)});
  return logins;
}

void RealSourceServer::check_restorable() {
  QueryResult rows = connect().query(
      "SELECT string_agg(spcname, ', ') FROM pg_catalog.pg_tablespace "
      "WHERE spcname NOT IN ('pg_default', 'pg_global')");
  if (!rows.null(0, 0))
    throw Error(ErrorCode::unsupported,
                fmt::format("the source has tablespaces ({}) and cannot be restored in place",
                            printable(rows.text(0, 0), 200)),
                "create a branch at that point, and dump and restore from it");
}

Lsn RealSourceServer::shutdown_checkpoint() {
  return clean_shutdown_checkpoint(tools_, need_managed().data_folder);
}

}  // namespace

std::unique_ptr<SourceServer> make_source_server(const Conninfo& source,
                                                 const ManagedSource* managed, ClientTools tools,
                                                 const std::string& work_folder) {
  return std::make_unique<RealSourceServer>(source, managed, std::move(tools), work_folder);
}

}  // namespace holdfast
