#include "engine/source_recovery.h"

#include <fmt/format.h>
#include <signal.h>

#include <filesystem>
#include <thread>

#include "base/process.h"
#include "base/text.h"
#include "engine/control_file.h"
#include "engine/server_config.h"
#include "pg/connection.h"

namespace holdfast {
namespace {

constexpr uint64_t kConfigurationBytesMax = 4 << 20;

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

std::vector<std::string> recovery_arguments(const ClientTools& tools, const std::string& folder,
                                            const std::string& socket,
                                            const BroughtFolder& brought) {
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
  std::vector<std::string> argv = {tools.path("postgres"), "-D", folder};
  for (const auto& [name, value] : settings) {
    argv.push_back("-c");
    argv.push_back(name + "=" + value);
  }
  return argv;
}

void give_logins(const Conninfo& server, const std::vector<SourceLogin>& logins) {
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
void take_over_configuration(const std::string& data_folder, const std::string& folder) {
  namespace fs = std::filesystem;
  const fs::path from = data_folder, to = folder;
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

}  // namespace

void recover_beside(const ClientTools& tools, const std::string& data_folder,
                    const std::string& folder, const BroughtFolder& brought,
                    const std::vector<SourceLogin>& logins, const Run& run) {
  TempFolder socket("holdfast-restore-");
  write_file_atomic(socket.path() + "/pg_hba.conf", "local all all trust\n");
  write_file_atomic(socket.path() + "/pg_ident.conf", "");
  // A cluster whose configuration is elsewhere has none in its folder.
  if (!file_exists(folder + "/postgresql.conf")) write_file_atomic(folder + "/postgresql.conf", "");

  ProcessOptions options;
  options.argv = recovery_arguments(tools, folder, socket.path(), brought);
  options.env = clean_environment();
  options.env["LC_ALL"] = "C";
  options.env.erase("LANG");
  options.die_with_parent = true;
  Process server(options);
  Conninfo conninfo =
      Conninfo::parse("dbname=postgres port=5432 sslmode=disable gssencmode=disable user=postgres")
          .with("host", socket.path());
  auto words = [&] { return printable(trim(server.stderr_tail()), kSourceWordsShown); };
  // Logins come in only when it is promoted (hot_standby=off). It takes as long as it takes.
  for (;;) {
    run.check_stop();
    if (server.ended())
      throw Error(ErrorCode::unavailable, "recovery of the new data ended early: " + words());
    if (PQping(fmt::format("host='{}' port=5432", socket.path()).c_str()) == PQPING_OK) break;
    std::this_thread::sleep_for(kSourcePoll);
  }
  give_logins(conninfo, logins);
  ::kill(server.pid(), SIGINT);  // fast shutdown
  int exit_code = server.wait();
  if (exit_code != 0 || read_control_file(tools, folder).state != "shut down")
    throw Error(ErrorCode::unavailable, "the recovered data was not shut down cleanly: " + words());
  take_over_configuration(data_folder, folder);
}

Lsn clean_shutdown_checkpoint(const ClientTools& tools, const std::string& data_folder) {
  ControlFile control = read_control_file(tools, data_folder);
  if (control.state != "shut down")
    throw Error(ErrorCode::unavailable, "the source was not shut down cleanly",
                "start and stop it by hand, then try again");
  return parse_lsn(control.checkpoint_lsn);
}

}  // namespace holdfast
