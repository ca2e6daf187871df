#include "pg/scratch_server.h"

#include <fmt/format.h>
#include <grp.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <thread>

#include "base/text.h"

namespace holdfast {
namespace {

constexpr double kStartSecondsMax = 60;
constexpr double kStopSecondsMax = 10;
constexpr auto kPollInterval = std::chrono::milliseconds(20);
constexpr uint64_t kLogBytesShown = 2000;

struct Account {
  uid_t uid = static_cast<uid_t>(-1);
  gid_t gid = static_cast<gid_t>(-1);
  std::string name;
};

// Who the server runs as: nobody special but when we are root, which PostgreSQL refuses.
Account server_account() {
  if (geteuid() != 0) return {};
  for (const char* name : {"postgres", "nobody"})
    if (const passwd* user = getpwnam(name)) return {user->pw_uid, user->pw_gid, name};
  throw Error(ErrorCode::unsupported, "PostgreSQL refuses to run as root",
              "run holdfast as an ordinary user, or add a user 'postgres'");
}

ProcessOptions server_process(const Account& account, std::vector<std::string> argv,
                              const std::string& folder) {
  ProcessOptions options;
  options.argv = std::move(argv);
  options.env = clean_environment();
  options.env["LC_ALL"] = "C.UTF-8";
  options.env["HOME"] = folder;
  options.folder = folder;
  options.uid = account.uid;
  options.gid = account.gid;
  return options;
}


std::vector<std::string> settings_of(const std::string& folder, int jobs) {
  return {"listen_addresses=",
          "unix_socket_directories=" + folder,
          "unix_socket_permissions=0700",
          "fsync=off",
          "full_page_writes=off",
          "synchronous_commit=off",
          "wal_level=minimal",
          "max_wal_senders=0",
          "max_wal_size=8GB",
          "checkpoint_timeout=1h",
          "autovacuum=off",
          "shared_buffers=128MB",
          "maintenance_work_mem=256MB",
          fmt::format("max_connections={}", 20 + 3 * jobs),
          "max_locks_per_transaction=1024",
          "timezone=UTC",
          "logging_collector=off",
          "log_min_messages=warning",
          "shared_preload_libraries="};
}

}  // namespace

ScratchServer::ScratchServer(const ClientTools& tools, const Options& options, const Run& run)
    : run_(run) {
  if (!tools.has("initdb") || !tools.has("postgres"))
    throw Error(ErrorCode::unsupported,
                fmt::format("no PostgreSQL {} server programs in {}", tools.major, tools.folder),
                fmt::format("install postgresql-{}", tools.major));
  Account account = server_account();
  folder_ = std::make_unique<TempFolder>("holdfast-scratch-", options.parent_folder);
  const std::string& folder = folder_->path();
  constexpr size_t kSocketPathMax = 107;  // sun_path, unix(7)
  if (folder.size() + std::string("/.s.PGSQL.5432").size() > kSocketPathMax)
    throw Error(ErrorCode::invalid, fmt::format("{} is too long a path for a unix socket", folder),
                "choose a scratch folder with a shorter path (TMPDIR)");
  if (account.uid != static_cast<uid_t>(-1) && chown(folder.c_str(), account.uid, account.gid) != 0)
    throw system_error("give " + folder + " to " + account.name, errno);

  run.check_stop();
  std::string data = folder + "/data";
  ProcessResult made = run_process(server_process(
      account,
      {tools.path("initdb"), "--pgdata=" + data, "--username=postgres", "--auth=trust",
       "--encoding=" + options.encoding, "--locale=" + options.locale, "--no-sync"},
      folder));
  if (made.exit_code != 0)
    throw Error(ErrorCode::unavailable, "initdb failed: " + printable(made.err, kLogBytesShown),
                "the scratch folder must let the server's user in: choose another by TMPDIR");

  std::vector<std::string> argv = {tools.path("postgres"), "-D", data};
  for (const std::string& setting : settings_of(folder, options.jobs)) {
    argv.push_back("-c");
    argv.push_back(setting);
  }
  ProcessOptions start = server_process(account, argv, folder);
  start.die_with_parent = true;
  server_ = std::make_unique<Process>(start);
  conninfo_ = Conninfo::parse("user=postgres dbname=postgres port=5432").with("host", folder);

  double deadline = run.clock.monotonic_seconds() + kStartSecondsMax;
  std::string target = fmt::format("host={} port=5432 dbname=postgres user=postgres", folder);
  while (PQping(target.c_str()) != PQPING_OK) {
    run.check_stop();
    if (server_->ended() || run.clock.monotonic_seconds() > deadline)
      throw Error(ErrorCode::unavailable,
                  "the scratch server does not start: " + printable(server_->stderr_tail(), kLogBytesShown));
    std::this_thread::sleep_for(kPollInterval);
  }
}

ScratchServer::~ScratchServer() {
  if (server_ && !server_->ended()) {
    ::kill(server_->pid(), SIGINT);  // fast shutdown: sessions are ended
    double deadline = run_.clock.monotonic_seconds() + kStopSecondsMax;
    while (!server_->ended() && run_.clock.monotonic_seconds() < deadline)
      std::this_thread::sleep_for(kPollInterval);
    server_->kill();
  }
  server_.reset();
  folder_.reset();
  run_.log.debug("the scratch server and all its data were removed");
}

}  // namespace holdfast
