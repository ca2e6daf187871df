#include "pg/scratch_server.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <set>
#include <system_error>

#include "base/machine_memory.h"
#include "base/text.h"

namespace holdfast {
namespace {

constexpr double kStartSecondsMax = 60;
constexpr double kStopSecondsMax = 10;
constexpr int kPollMs = 20;
constexpr size_t kLogBytesShown = 2000;
constexpr char kFolderPrefix[] = "holdfast-scratch-";
constexpr char kLockName[] = "/in-use";
constexpr int64_t kMemoryShare = 8;
constexpr int64_t kMaintenanceMbMin = 64, kMaintenanceMbMax = 1024;
constexpr time_t kStaleSeconds = 60;    // far longer than from making a folder to locking it
constexpr size_t kSocketPathMax = 107;  // unix(7): sun_path without its end

struct Account {
  uid_t uid = static_cast<uid_t>(-1);
  gid_t gid = static_cast<gid_t>(-1);
  std::string name;
  bool other() const { return uid != static_cast<uid_t>(-1); }
};

// Who the server runs as: somebody else only when we are root, which PostgreSQL refuses.
Account server_account() {
  if (::geteuid() != 0) return {};
  for (const char* name : {"postgres", "nobody"})
    if (const passwd* user = ::getpwnam(name)) return {user->pw_uid, user->pw_gid, name};
  throw Error(ErrorCode::unsupported, "PostgreSQL refuses to run as root",
              "run holdfast as an ordinary user, or add a user 'postgres'");
}

ProcessOptions server_process(const Account& account, std::vector<std::string> argv,
                              const std::string& folder) {
  ProcessOptions options;
  options.argv = std::move(argv);
  options.env = clean_environment();
  options.env["LC_ALL"] = std::string("C");  // messages; the cluster's locale is given by name
  options.env["HOME"] = folder;
  options.env.erase("LANG");
  // Sorts for index builds take and give back hundreds of megabytes: in huge pages, which spares
  // the kernel one fault in every 4 KiB. Other C libraries than glibc (2.35 and later) do not look.
  options.env["GLIBC_TUNABLES"] = std::string("glibc.malloc.hugetlb=1");
  options.folder = folder;
  options.uid = account.uid;
  options.gid = account.gid;
  options.die_with_parent = true;
  return options;
}

// Parallel index builds share memory there; in containers it has 64 MiB only.
bool shared_memory_is_small() {
  constexpr uint64_t kWanted = uint64_t{1} << 30;
  struct statvfs status {};
  if (::statvfs("/dev/shm", &status) != 0) return true;
  return uint64_t{status.f_bavail} * status.f_frsize < kWanted;
}

// For sorting, of each of `jobs` index builds: an eighth of the machine's memory for all.
int64_t maintenance_memory_mb(int jobs) {
  return std::clamp((machine_memory_bytes() >> 20) / kMemoryShare / std::max(1, jobs),
                    kMaintenanceMbMin, kMaintenanceMbMax);
}

std::vector<std::string> settings_of(const std::string& folder, int jobs) {
  return {"listen_addresses=", "port=5432", "unix_socket_directories=" + folder,
          "unix_socket_permissions=0700", "fsync=off", "full_page_writes=off",
          "synchronous_commit=off", "wal_level=minimal", "max_wal_senders=0", "max_wal_size=8GB",
          "checkpoint_timeout=1h", "autovacuum=off", "shared_buffers=128MB",
          // What would make the disk busy before it must be.
          "bgwriter_lru_maxpages=0", "bgwriter_flush_after=0", "checkpoint_flush_after=0",
          fmt::format("maintenance_work_mem={}MB", maintenance_memory_mb(jobs)),
          fmt::format("max_connections={}", 20 + 3 * jobs), "max_locks_per_transaction=1024",
          shared_memory_is_small() ? "dynamic_shared_memory_type=mmap"
                                   : "dynamic_shared_memory_type=posix",
          "timezone=UTC", "logging_collector=off", "log_min_messages=warning",
          // Statements and details can hold rows.
          "log_min_error_statement=panic", "log_error_verbosity=terse", "restart_after_crash=off"};
}

bool try_lock(int fd) {
  return ::flock(fd, LOCK_EX | LOCK_NB) == 0;
}

// The lock of `folder` if that is one of ours whose program was killed; else closed. Folders of
// others are not touched: in /tmp anybody can make one of that name.
Fd lock_if_stale(const std::string& folder, const Account& account) {
  struct stat status {};
  if (::lstat(folder.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) return {};
  bool ours = status.st_uid == ::geteuid() || (account.other() && status.st_uid == account.uid);
  if (!ours || (status.st_mode & 0077) != 0 || std::time(nullptr) - status.st_mtime < kStaleSeconds)
    return {};
  Fd lock(::open((folder + kLockName).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  return lock.open() && try_lock(lock.get()) ? std::move(lock) : Fd();
}

std::vector<std::string> scratch_folders_in(const std::string& parent) {
  std::vector<std::string> folders;
  std::error_code failed;
  for (std::filesystem::directory_iterator at(parent, failed), end; !failed && at != end;
       at.increment(failed))
    if (at->path().filename().string().starts_with(kFolderPrefix))
      folders.push_back(at->path().string());
  return folders;
}

void remove_stale_folders(const std::string& parent, const Account& account, Log& log) {
  for (const std::string& folder : scratch_folders_in(parent)) {
    Fd lock = lock_if_stale(folder, account);
    if (!lock.open()) continue;
    std::error_code failed;
    std::filesystem::remove_all(folder, failed);
    if (failed)
      log.warning(fmt::format("cannot remove {}, which a killed run left behind: {}", folder,
                              failed.message()));
    else
      log.info(fmt::format("removed {}, which a killed run left behind", folder));
  }
}

std::set<std::string> scratch_parents(const std::string& named) {
  return {named.empty() ? temp_parent() : named, kScratchMemoryFolder};
}

// Who servers ran as here; where root found nobody for them, there were none.
Account account_or_own() {
  try {
    return server_account();
  } catch (const Error&) {
    return {};
  }
}

void check_socket_path(const std::string& folder) {
  if (folder.size() + std::string_view("/.s.PGSQL.5432.lock").size() <= kSocketPathMax) return;
  throw Error(ErrorCode::invalid,
              fmt::format("the path of {} is too long for a unix socket in it", folder),
              "choose a scratch folder with a shorter path (scratch_dir, or TMPDIR)");
}

bool says_unknown_locale(const std::string& text) {
  return text.find("invalid locale") != std::string::npos;
}

// initdb, with the first locale that this machine knows.
void make_cluster(const ClientTools& tools, const Account& account, const std::string& folder,
                  const ScratchServer::Options& options) {
  ProcessResult made;
  for (const std::string& locale : {options.locale, std::string("C.utf8"), std::string("C")}) {
    made = run_process(
        server_process(account,
                       {tools.path("initdb"), "--pgdata=" + folder + "/data", "--username=postgres",
                        "--auth=trust", "--encoding=" + options.encoding, "--locale=" + locale,
                        "--lc-messages=C", "--no-sync"},
                       folder));
    if (made.exit_code == 0) return;
    if (!says_unknown_locale(made.err)) break;
  }
  throw Error(ErrorCode::unavailable, "initdb failed: " + printable(trim(made.err), kLogBytesShown),
              account.other()
                  ? fmt::format("the user {} must be able to reach {}: choose another folder "
                                "(scratch_dir, or TMPDIR)",
                                account.name, parent_folder(folder))
                  : "choose another folder (scratch_dir, or TMPDIR)");
}

// Values of our environment that would change how we connect are set here once and for all.
Conninfo conninfo_in(const std::string& folder) {
  return Conninfo::parse(
             "user=postgres dbname=postgres port=5432 sslmode=disable gssencmode=disable "
             "target_session_attrs=any")
      .with("host", folder);
}

bool answers(const Conninfo& conninfo) {
  std::vector<const char*> keywords, values;
  for (const auto& [keyword, value] : conninfo.parameters()) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  return PQpingParams(keywords.data(), values.data(), 0) == PQPING_OK;
}

void wait_for_end(Process& process, int wait_ms) {
  pollfd ended{process.ended_fd(), POLLIN, 0};
  ::poll(&ended, 1, wait_ms);
}

void wait_until_ready(Process& server, const Conninfo& conninfo, const Run& run) {
  conninfo.resolved();  // throws if libpq's environment (PGSERVICE) lets nobody connect anywhere
  double deadline = run.clock.monotonic_seconds() + kStartSecondsMax;
  while (!answers(conninfo)) {
    run.check_stop();
    if (server.ended() || run.clock.monotonic_seconds() > deadline)
      throw Error(ErrorCode::unavailable,
                  "the scratch server does not start: " +
                      printable(trim(server.stderr_tail()), kLogBytesShown),
                  "its folder needs some 100 MB of disk space and memory (scratch_dir, or TMPDIR)");
    wait_for_end(server, kPollMs);
  }
}

}  // namespace

std::vector<std::string> stale_scratch_folders(const std::string& parent) {
  std::vector<std::string> stale;
  for (const std::string& each : scratch_parents(parent))
    for (const std::string& folder : scratch_folders_in(each))
      if (lock_if_stale(folder, account_or_own()).open()) stale.push_back(folder);
  return stale;
}

void remove_stale_scratch_folders(const std::string& parent, Log& log) {
  for (const std::string& each : scratch_parents(parent))
    remove_stale_folders(each, account_or_own(), log);
}

ScratchServer::ScratchServer(const ClientTools& tools, const Options& options, const Run& run)
    : run_(run) {
  if (!tools.has("initdb") || !tools.has("postgres"))
    throw Error(ErrorCode::unsupported,
                fmt::format("no PostgreSQL {} server programs in {}", tools.major, tools.folder),
                fmt::format("install postgresql-{}", tools.major));
  Account account = server_account();
  folder_ = std::make_unique<TempFolder>(kFolderPrefix, options.parent_folder);
  const std::string& folder = folder_->path();
  lock_ = open_file(folder + kLockName, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (!try_lock(lock_.get())) throw system_error("lock " + folder, errno);
  remove_stale_folders(parent_folder(folder), account, run.log);
  check_socket_path(folder);
  if (account.other() && ::chown(folder.c_str(), account.uid, account.gid) != 0)
    throw system_error(fmt::format("give {} to {}", folder, account.name), errno);

  run.check_stop();
  make_cluster(tools, account, folder, options);
  run.check_stop();
  std::vector<std::string> argv = {tools.path("postgres"), "-D", folder + "/data"};
  for (const std::string& setting : settings_of(folder, options.jobs)) {
    argv.push_back("-c");
    argv.push_back(setting);
  }
  server_ = std::make_unique<Process>(server_process(account, argv, folder));
  conninfo_ = conninfo_in(folder);
  wait_until_ready(*server_, conninfo_, run);
}

ScratchServer::~ScratchServer() {
  if (!server_->ended()) {
    // Immediate shutdown: nothing needs to be written, all of it goes.
    ::kill(server_->pid(), SIGQUIT);
    wait_for_end(*server_, static_cast<int>(kStopSecondsMax * 1000));
    server_->kill();
  }
  server_.reset();
  folder_.reset();
  run_.log.debug("the scratch server and all its data were removed");
}

}  // namespace holdfast
