#include "engine/source_server.h"

#include <fmt/format.h>
#include <signal.h>

#include <filesystem>
#include <thread>

#include "base/process.h"
#include "base/text.h"
#include "engine/engine.h"
#include "engine/server_config.h"
#include "engine/server_process.h"
#include "pg/connection.h"

namespace holdfast {
namespace {

constexpr std::chrono::seconds kCommandSecondsMax{180};
constexpr double kLoginSecondsMax = 600;  // crash recovery of a large source takes its time
constexpr std::chrono::milliseconds kPoll{50};
constexpr size_t kWordsShown = 2000;
constexpr uint64_t kConfigurationBytesMax = 4 << 20;

std::string scram_verifier(Connection& connection, const std::string& role,
                           const Secret& password) {
  char* made = PQencryptPasswordConn(connection.raw(), password.reveal().c_str(), role.c_str(),
                                     "scram-sha-256");
  if (!made) throw connection.error("make a SCRAM verifier");
  std::string verifier = made;
  PQfreemem(made);
  return verifier;
}

// The one member of `key: value` lines.
std::string member_of(const std::string& text, const std::string& key) {
  for (const std::string& line : split(text, '\n'))
    if (line.starts_with(key + ":")) return std::string(trim(line.substr(key.size() + 1)));
  return {};
}

std::string preload_libraries(const BroughtFolder& brought) {
  auto found = brought.source_settings.find("shared_preload_libraries");
  if (found == brought.source_settings.end()) return {};
  std::string kept;
  for (const std::string& part : split(found->second, ',')) {
    std::string library(trim(part));
    if (library.empty() || acts_outside(library)) continue;
    kept += (kept.empty() ? "" : ",") + library;
  }
  return kept;
}

bool is_configuration(const std::filesystem::path& path) {
  std::string name = path.extension().string();
  return name == ".conf" || name == ".crt" || name == ".key" || name == ".pem" || name == ".crl";
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
                     const std::vector<SourceLogin>& logins, const Run& run) override;

 private:
  Connection connect() { return Connection::open(source_, "holdfast engine"); }
  const ManagedSource& need_managed() const;
  void run_command(const std::string& command, std::vector<std::string> fallback,
                   const std::string& what);
  void wait_for_logins(const Run& run);
  std::string control_data(const std::string& folder) const;
  void take_over_configuration(const std::string& folder) const;
  std::vector<std::string> recovery_arguments(const std::string& folder, const std::string& socket,
                                              const BroughtFolder& brought) const;
  static void give_logins(const Conninfo& server, const std::vector<SourceLogin>& logins);

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
  ProcessResult done = run_process(options, {}, 1 << 20, kCommandSecondsMax);
  if (done.exit_code != 0)
    throw Error(ErrorCode::unavailable,
                fmt::format("cannot {} the source: {}", what,
                            printable(trim(done.err.empty() ? done.out : done.err), kWordsShown)),
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
    std::this_thread::sleep_for(kPoll);
  }
}

void RealSourceServer::stop(const Run& run) {
  const ManagedSource& managed = need_managed();
  if (!running()) return;
  run_command(managed.stop_command,
              {tools_.path("pg_ctl"), "--pgdata=" + managed.data_folder, "--mode=fast", "--wait",
               "--timeout=150", "stop"},
              "stop");
  double deadline = run.clock.monotonic_seconds() + static_cast<double>(kCommandSecondsMax.count());
  while (running()) {
    if (run.clock.monotonic_seconds() > deadline)
      throw Error(ErrorCode::unavailable, "the source runs on although it was told to stop",
                  "check stop_command");
    std::this_thread::sleep_for(kPoll);
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

std::string RealSourceServer::control_data(const std::string& folder) const {
  ProcessOptions options;
  options.argv = {tools_.path("pg_controldata"), "--pgdata=" + folder};
  options.env = clean_environment();
  options.env["LC_ALL"] = "C";
  options.env.erase("LANG");
  ProcessResult read = run_process(options, {}, 1 << 20, kCommandSecondsMax);
  if (read.exit_code != 0)
    throw Error(ErrorCode::unavailable,
                "pg_controldata failed: " + printable(trim(read.err), kWordsShown));
  return read.out;
}

Lsn RealSourceServer::shutdown_checkpoint() {
  std::string control = control_data(need_managed().data_folder);
  if (member_of(control, "Database cluster state") != "shut down")
    throw Error(ErrorCode::unavailable, "the source was not shut down cleanly",
                "start and stop it by hand, then try again");
  return parse_lsn(member_of(control, "Latest checkpoint location"));
}

std::vector<std::string> RealSourceServer::recovery_arguments(const std::string& folder,
                                                              const std::string& socket,
                                                              const BroughtFolder& brought) const {
  std::vector<std::pair<std::string, std::string>> settings = brought.settings;
  for (auto [name, value] : std::initializer_list<std::pair<const char*, const char*>>{
           {"listen_addresses", ""},
           {"port", "5432"},
           {"unix_socket_permissions", "0700"},
           {"ssl", "off"},
           {"archive_mode", "off"},
           {"archive_command", ""},
           {"primary_conninfo", ""},
           {"primary_slot_name", ""},
           {"synchronous_standby_names", ""},
           {"max_logical_replication_workers", "0"},
           {"recovery_init_sync_method", "syncfs"},
           {"hot_standby", "off"},
           {"external_pid_file", ""},
           {"logging_collector", "off"},
           {"log_destination", "stderr"},
           // Statements can hold rows, and here verifiers of passwords.
           {"log_statement", "none"},
           {"log_min_duration_statement", "-1"},
           {"log_min_error_statement", "panic"},
           {"restart_after_crash", "off"}})
    settings.emplace_back(name, value);
  settings.emplace_back("unix_socket_directories", socket);
  settings.emplace_back("hba_file", socket + "/pg_hba.conf");
  settings.emplace_back("ident_file", socket + "/pg_ident.conf");
  settings.emplace_back("shared_preload_libraries", preload_libraries(brought));
  std::vector<std::string> argv = {tools_.path("postgres"), "-D", folder};
  for (const auto& [name, value] : settings) {
    argv.push_back("-c");
    argv.push_back(name + "=" + value);
  }
  return argv;
}

void RealSourceServer::give_logins(const Conninfo& server, const std::vector<SourceLogin>& logins) {
  std::optional<Connection> connection;
  std::string refusal = "the source has no superuser that may log in";
  for (const SourceLogin& login : logins) {
    if (connection || login.attributes.find("SUPERUSER") == std::string::npos) continue;
    try {
      connection.emplace(Connection::open(server.with("user", login.name), "holdfast engine"));
    } catch (const Error& error) {
      refusal = error.what();  // it was made later than the point: the next one
    }
  }
  if (!connection) throw Error(ErrorCode::unavailable, "cannot set passwords: " + refusal);
  for (const SourceLogin& login : logins) {
    std::string name = connection->quote_identifier(login.name);
    bool there =
        connection->query("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1", {login.name})
            .rows() == 1;
    connection->execute(fmt::format(
        "{} ROLE {} {} PASSWORD {}", there ? "ALTER" : "CREATE", name,
        there ? "LOGIN" : login.attributes,
        login.verifier.empty() ? "NULL" : connection->quote_literal(login.verifier.reveal())));
  }
  connection->execute("CHECKPOINT");
}

// The source goes on with the settings that it has now, not with those of the snapshot.
void RealSourceServer::take_over_configuration(const std::string& folder) const {
  namespace fs = std::filesystem;
  const fs::path from = need_managed().data_folder, to = folder;
  auto copy = [&](const fs::path& file, const fs::path& target) {
    auto mode = static_cast<mode_t>(fs::status(file).permissions()) & 07777;
    write_file_atomic(target.string(), read_file(file.string(), kConfigurationBytesMax), mode);
  };
  for (const fs::directory_entry& entry : fs::directory_iterator(to))
    if (entry.is_regular_file() && is_configuration(entry.path()) &&
        !fs::exists(from / entry.path().filename()))
      fs::remove(entry.path());
  for (const fs::directory_entry& entry : fs::directory_iterator(from)) {
    fs::path target = to / entry.path().filename();
    if (entry.is_regular_file() && is_configuration(entry.path())) {
      copy(entry.path(), target);
    } else if (entry.is_directory() && entry.path().filename() == "conf.d") {
      fs::remove_all(target);
      make_folders(target.string());
      for (const fs::directory_entry& part : fs::directory_iterator(entry.path()))
        if (part.is_regular_file()) copy(part.path(), target / part.path().filename());
    }
  }
  fsync_folder(folder);
}

void RealSourceServer::recover_aside(const std::string& folder, const BroughtFolder& brought,
                                     const std::vector<SourceLogin>& logins, const Run& run) {
  TempFolder socket("holdfast-restore-");
  write_file_atomic(socket.path() + "/pg_hba.conf", "local all all trust\n");
  write_file_atomic(socket.path() + "/pg_ident.conf", "");
  // A cluster whose configuration is elsewhere has none in its folder.
  if (!file_exists(folder + "/postgresql.conf")) write_file_atomic(folder + "/postgresql.conf", "");

  ProcessOptions options;
  options.argv = recovery_arguments(folder, socket.path(), brought);
  options.env = clean_environment();
  options.env["LC_ALL"] = "C";
  options.env.erase("LANG");
  options.die_with_parent = true;
  Process server(options);
  Conninfo conninfo =
      Conninfo::parse("dbname=postgres port=5432 sslmode=disable gssencmode=disable user=postgres")
          .with("host", socket.path());
  auto words = [&] { return printable(trim(server.stderr_tail()), kWordsShown); };
  // Logins come in only when it is promoted (hot_standby=off). It takes as long as it takes.
  for (;;) {
    run.check_stop();
    if (server.ended())
      throw Error(ErrorCode::unavailable, "recovery of the new data ended early: " + words());
    if (PQping(fmt::format("host='{}' port=5432", socket.path()).c_str()) == PQPING_OK) break;
    std::this_thread::sleep_for(kPoll);
  }
  give_logins(conninfo, logins);
  ::kill(server.pid(), SIGINT);  // fast shutdown
  int exit_code = server.wait();
  if (exit_code != 0 || member_of(control_data(folder), "Database cluster state") != "shut down")
    throw Error(ErrorCode::unavailable, "the recovered data was not shut down cleanly: " + words());
  take_over_configuration(folder);
}

}  // namespace

std::unique_ptr<SourceServer> make_source_server(const Conninfo& source,
                                                 const ManagedSource* managed, ClientTools tools,
                                                 const std::string& work_folder) {
  return std::make_unique<RealSourceServer>(source, managed, std::move(tools), work_folder);
}

}  // namespace holdfast
