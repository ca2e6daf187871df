#include <fmt/format.h>

#include "base/process.h"
#include "base/text.h"
#include "engine/core.h"
#include "engine/ids.h"

namespace holdfast {
namespace {

constexpr size_t kSchemaBytesMax = 64 << 20;
constexpr std::chrono::seconds kDumpSecondsMax{120};
constexpr std::chrono::seconds kTurnSecondsMax{30};

// pg_dump's \restrict lines hold a random word each time: they would make any two schemas differ.
std::string without_random_lines(const std::string& sql) {
  std::string result;
  for (const std::string& line : split(sql, '\n'))
    if (!line.starts_with("\\restrict ") && !line.starts_with("\\unrestrict "))
      result += line + "\n";
  if (!result.empty() && !sql.ends_with('\n')) result.pop_back();
  return result;
}

}  // namespace

std::string EngineCore::dump_schema(const Conninfo& server, const std::string& database) const {
  ChildLogin login(server.with("dbname", database));
  ProcessOptions options;
  options.argv = {tools_.path("pg_dump"), "--schema-only", "--no-password",
                  "--dbname=" + login.dbname_argument()};
  options.env = clean_environment();
  options.env["LC_ALL"] = "C";
  for (const auto& [name, value] : login.env()) options.env[name] = value;
  options.inherit = login.inherit();
  options.die_with_parent = true;
  ProcessResult dumped = run_process(options, {}, kSchemaBytesMax, kDumpSecondsMax);
  if (dumped.exit_code == 0) return without_random_lines(dumped.out);
  bool missing = dumped.err.find("does not exist") != std::string::npos;
  throw Error(missing ? ErrorCode::not_found : ErrorCode::unavailable,
              missing ? "database not found" : "pg_dump failed: " + printable(trim(dumped.err)),
              missing ? "databases are listed by `databases list`" : "");
}

// Of a running server as it is; of anything else through a compute that is there for this only.
// Two of those at once: each copies a snapshot.
std::string EngineCore::schema(const std::string& id, const std::string& database,
                               const std::optional<std::string>& lsn,
                               const std::optional<UtcTime>& time) {
  BranchRecord branch;
  {
    auto lock = state_->lock();
    branch = need_branch(state_->tables(), id);
  }
  if (!lsn && !time) {
    if (branch.source) return dump_schema(settings_.source, database);
    if (auto compute = running_compute(branch))
      return dump_schema(compute->admin_conninfo(database), database);
  }
  std::optional<Pin> pin;
  {
    std::shared_lock history(history_);
    pin.emplace(*this, resolve(branch, lsn, time).point);
  }
  if (!temporary_.try_acquire_for(kTurnSecondsMax))
    throw Error(ErrorCode::busy, "too many schemas of the past are being looked at", "try again");
  struct Turn {
    std::counting_semaphore<8>& semaphore;
    ~Turn() { semaphore.release(); }
  } turn{temporary_};

  LentPort port(*this);
  EndpointRecord nobody;
  nobody.port = port.number();
  ComputeSettings settings = compute_settings(nobody, "temporary-" + make_uuid().substr(0, 8));
  auto compute = computes_->make(settings);
  struct Removal {
    ComputeControl& compute;
    Log& log;
    ~Removal() {
      try {
        compute.remove();
      } catch (const Error& error) {
        log.warning(
            fmt::format("a temporary compute is left until the next start: {}", error.what()));
      }
    }
  } removal{*compute, log_};
  NullProgress progress;
  Run run{clock_, log_, progress, {}};
  make_folders(settings.folder);
  BroughtFolder brought = storage_->bring(pin->point(), settings.folder + "/data", run);
  compute->first_start(brought, {}, run);
  return dump_schema(compute->admin_conninfo(database), database);
}

}  // namespace holdfast
