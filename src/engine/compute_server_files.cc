// What ComputeServer finds and sets right in its folder before a start, and how it logs in.
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <clocale>
#include <cstdlib>
#include <filesystem>
#include <locale>

#include "base/process.h"
#include "base/text.h"
#include "engine/compute_server.h"

namespace holdfast {
namespace {

constexpr uint64_t kSmallBytesMax = 4096;
constexpr size_t kSocketPathMax = 107;  // unix(7): sun_path without its end

// Settings of every session of the engine's, so that what the source has attached to databases and
// roles (ALTER ROLE … SET) does not change what its statements mean, nor where they are written.
constexpr char kSessionOptions[] =
    "-c role=none -c search_path=pg_catalog -c default_transaction_read_only=off "
    "-c default_transaction_isolation=read\\ committed -c session_replication_role=origin "
    "-c standard_conforming_strings=on -c client_min_messages=error -c synchronous_commit=on "
    "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c lock_timeout=30s "
    "-c datestyle=ISO -c session_preload_libraries= -c local_preload_libraries= "
    "-c log_statement=none -c log_min_duration_statement=-1 -c log_min_error_statement=panic "
    "-c log_min_messages=log";

bool library_is_here(const std::string& folder, const std::string& library) {
  std::string path = library;
  if (path.starts_with("$libdir/")) path = path.substr(8);
  if (path.find('/') == std::string::npos) path = folder + "/" + path;
  return file_exists(path) || file_exists(path + ".so");
}

bool locale_is_here(const std::string& name) {
  if (name.empty()) return true;
  locale_t found = ::newlocale(LC_ALL_MASK, name.c_str(), nullptr);
  if (found == nullptr) return false;
  ::freelocale(found);
  return true;
}

// Parallel queries share memory there; in containers it has 64 MiB only.
bool shared_memory_is_small() {
  constexpr uint64_t kWanted = uint64_t{1} << 30;
  struct statvfs status {};
  if (::statvfs("/dev/shm", &status) != 0) return true;
  return uint64_t{status.f_bavail} * status.f_frsize < kWanted;
}

std::string library_folder(const ClientTools& tools) {
  if (tools.has("pg_config")) {
    ProcessOptions ask;
    ask.argv = {tools.path("pg_config"), "--pkglibdir"};
    ask.env = clean_environment();
    ProcessResult answer = run_process(ask, {}, kSmallBytesMax);
    if (answer.exit_code == 0) return std::string(trim(answer.out));
  }
  return tools.folder + "/../lib";
}

bool lies_in(const std::filesystem::path& path, const std::filesystem::path& folder) {
  auto relative = path.lexically_relative(folder);
  return !relative.empty() && *relative.begin() != "..";
}

}  // namespace

ComputeRecord ComputeServer::record() const {
  if (auto found = read_compute_record(record_file())) return *found;
  throw Error(ErrorCode::invalid, fmt::format("{} holds no compute that was started", folder()));
}

void ComputeServer::check(int expected_major) const {
  if (::geteuid() == 0)
    throw Error(ErrorCode::unsupported, "PostgreSQL refuses to run as root",
                "run holdfast serve as an ordinary user");
  if (!tools_.has("postgres"))
    throw Error(ErrorCode::unsupported,
                fmt::format("no PostgreSQL {} server programs in {}", tools_.major, tools_.folder),
                fmt::format("install postgresql-{}", tools_.major));
  int major = 0;
  if (file_exists(data() + "/PG_VERSION")) {
    std::string text = read_file(data() + "/PG_VERSION", kSmallBytesMax);
    std::from_chars(text.data(), text.data() + text.size(), major);
  }
  if (major == 0) throw Error(ErrorCode::not_found, data() + " is no data folder");
  if (major != tools_.major || (expected_major != 0 && major != expected_major))
    throw Error(ErrorCode::unsupported,
                fmt::format("the data folder is PostgreSQL {}'s, the programs are {}'s", major,
                            tools_.major),
                fmt::format("install postgresql-{}", major));
  std::string socket = fmt::format("{}/.s.PGSQL.{}", run_folder(), settings_.port);
  if (socket.size() > kSocketPathMax)
    throw Error(ErrorCode::invalid,
                fmt::format("the path of {} is too long for a unix socket in it", run_folder()),
                "choose a work folder with a shorter path");
  check_tablespaces();
}

// A link to where the source keeps a tablespace would have two servers write the same files.
void ComputeServer::check_tablespaces() const {
  namespace fs = std::filesystem;
  std::error_code failed;
  const fs::path own = fs::canonical(folder(), failed);
  std::vector<fs::path> links;
  for (const auto& entry : fs::directory_iterator(data() + "/pg_tblspc", failed))
    links.push_back(entry.path());
  if (fs::is_symlink(data() + "/pg_wal", failed)) links.emplace_back(data() + "/pg_wal");
  for (const fs::path& link : links) {
    fs::path target = fs::weakly_canonical(link, failed);
    if (failed || !lies_in(target, own))
      throw Error(ErrorCode::invalid,
                  fmt::format("{} leads out of the branch's folder", link.string()),
                  "bring the branch again: its tablespaces must be copies of its own");
  }
  // Followed at the start of recovery: PostgreSQL makes the links anew from it.
  if (!file_exists(data() + "/tablespace_map")) return;
  for (const std::string& line :
       split(read_file(data() + "/tablespace_map", uint64_t{1} << 20), '\n')) {
    size_t blank = line.find(' ');
    if (blank == std::string::npos) continue;
    if (!lies_in(fs::weakly_canonical(line.substr(blank + 1), failed), own) || failed)
      throw Error(ErrorCode::invalid,
                  fmt::format("tablespace {} leads out of the branch's folder",
                              printable(line.substr(0, blank), 20)),
                  "bring the branch again: its tablespace_map must name copies of its own");
  }
}

void ComputeServer::set_source_aside() const {
  namespace fs = std::filesystem;
  const std::string aside = folder() + "/source-config";
  make_folders(aside, 0700);
  for (const char* name :
       {"postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf"}) {
    const std::string from = data() + "/" + name, to = aside + "/" + name;
    if (file_exists(to)) continue;  // a crash came after it
    if (::rename(from.c_str(), to.c_str()) != 0 && errno != ENOENT)
      throw system_error(fmt::format("move {} aside", from), errno);
  }
  write_file_atomic(data() + "/postgresql.auto.conf", "");
  // Slots would hold WAL for somebody who never comes, and keep the server from starting where its
  // wal_level does not suit them.
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(data() + "/pg_replslot", failed))
    fs::remove_all(entry.path(), failed);
  for (const char* name : {"postmaster.pid", "postmaster.opts", "standby.signal"})
    fs::remove(data() + "/" + name, failed);
}

ServerPlan ComputeServer::plan(const ComputeRecord& record, bool recovering) const {
  ServerPlan plan;
  plan.major = record.major;
  plan.data_folder = data();
  plan.socket_folder = run_folder();
  plan.listen_address = settings_.listen_address;
  plan.port = settings_.port;
  plan.certificate_file = settings_.certificate_file;
  plan.key_file = settings_.key_file;
  plan.compute_units = settings_.compute_units;
  plan.recovering = recovering;
  plan.shared_memory_is_small = shared_memory_is_small();
  plan.brought = record.brought;
  plan.source = record.source;
  plan.user = settings_.pg_settings;
  plan.has_library = [this, libraries = std::string()](const std::string& name) mutable {
    if (libraries.empty()) libraries = library_folder(tools_);
    return library_is_here(libraries, name);
  };
  plan.has_locale = locale_is_here;
  return plan;
}

Conninfo ComputeServer::conninfo(const std::string& admin, const std::string& database) const {
  // Values of our environment that would change how we connect are set here once and for all.
  std::string options = kSessionOptions;
  if (tools_.major >= 17) options += " -c event_triggers=off -c transaction_timeout=0";
  return Conninfo::parse(
             "sslmode=disable gssencmode=disable channel_binding=disable target_session_attrs=any")
      .with("host", run_folder())
      .with("port", std::to_string(settings_.port))
      .with("user", admin)
      .with("dbname", database)
      .with("options", options);
}

Connection ComputeServer::connect(const std::string& admin, const std::string& database) const {
  return Connection::open(conninfo(admin, database), "holdfast");
}

Connection ComputeServer::connect_anywhere(const std::string& admin) const {
  try {
    return connect(admin, "postgres");
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found) throw;
    return connect(admin, "template1");
  }
}

// --- finding the superuser ---

Connection ComputeServer::connect_as_admin(ComputeRecord& record, const Run& run) const {
  try {
    Connection connection = connect_anywhere("postgres");
    QueryResult found = connection.query(
        "SELECT rolname FROM pg_roles WHERE rolsuper AND rolcanlogin "
        "ORDER BY rolname = 'postgres' DESC, oid LIMIT 1");
    if (found.rows() == 1) {
      record.admin = found.text(0, 0);
      return record.admin == "postgres" ? std::move(connection) : connect_anywhere(record.admin);
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::denied) throw;
  }
  run.log.info("the cluster has no superuser called postgres: asking it in single-user mode");
  stop(run);
  record.admin = ask_alone(
      "SELECT 'admin=' || encode(convert_to(rolname, getdatabaseencoding()), 'hex') || ';' "
      "AS found FROM pg_authid WHERE rolsuper AND rolcanlogin ORDER BY oid LIMIT 1");
  if (record.admin.empty())
    throw Error(ErrorCode::unsupported, "no superuser of the cluster may log in",
                "ALTER ROLE … LOGIN at the source, and branch from a point after that");
  start(record, run);
  return connect_anywhere(record.admin);
}

// Single-user mode prints rows as ` 1: found = "admin=616c;"  (typeid = 25, …)`.
std::string ComputeServer::ask_alone(const std::string& sql) const {
  ProcessOptions alone;
  alone.argv = {tools_.path("postgres"),  "--single", "-D", data(), "-c",
                "search_path=pg_catalog", "template1"};
  alone.env = clean_environment();
  alone.env["LC_ALL"] = std::string("C");
  alone.folder = folder();
  ProcessResult answer = run_process(alone, sql + "\n", kSmallBytesMax);
  size_t from = answer.out.find("\"admin=");
  size_t to = answer.out.find(";\"", from);
  if (from == std::string::npos || to == std::string::npos) return {};
  std::string hex = answer.out.substr(from + 7, to - from - 7), name;
  for (size_t at = 0; at + 1 < hex.size(); at += 2)
    name += static_cast<char>(std::stoi(hex.substr(at, 2), nullptr, 16));
  return name;
}

}  // namespace holdfast
