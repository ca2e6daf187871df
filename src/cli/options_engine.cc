// [engine] of holdfast.toml: what `holdfast serve` is told. Its keys are named `engine.…` here and
// stand without that in the table.
#include "cli/option_groups.h"
#include "engine/plain_storage.h"

namespace holdfast {
namespace {

const char* const kEngineGroup = "Engine";

std::vector<Option> place_options() {
  using enum OptionKind;
  return {
      {"engine_storage_dir", "--storage-dir", "HOLDFAST_ENGINE_STORAGE_DIR", "engine.storage_dir",
       text, "FOLDER", "/var/lib/holdfast/storage", kServe, kEngineGroup,
       "where snapshots and received WAL are kept"},
      {"engine_work_dir", "--work-dir", "HOLDFAST_ENGINE_WORK_DIR", "engine.work_dir", text,
       "FOLDER", "/var/lib/holdfast/engine", kServe | kKey, kEngineGroup,
       "where the engine keeps its records, keys and computes; as the storage on one file system "
       "that can clone (XFS, btrfs), branches share its blocks"},
      {"engine_listen", "--listen", "HOLDFAST_ENGINE_LISTEN", "engine.listen", text, "ADDRESS:PORT",
       "127.0.0.1:8474", kServe, kEngineGroup,
       "where the API listens, and on which address the computes do; only this machine by default"},
      {"engine_advertise_host", "", "HOLDFAST_ENGINE_ADVERTISE_HOST", "engine.advertise_host", text,
       "HOST", "", 0, kEngineGroup,
       "the host in the computes' connection strings; else the address of engine.listen"},
      {"engine_ports", "", "HOLDFAST_ENGINE_PORTS", "engine.ports", text, "FIRST-LAST",
       "15500-15999", 0, kEngineGroup, "the ports that computes may take"},
      {"engine_data_dir", "", "HOLDFAST_ENGINE_DATA_DIR", "engine.data_dir", text, "FOLDER", "", 0,
       kEngineGroup,
       "the source's data folder, if the engine is to manage it: restoring it in place needs that"},
      {"engine_start_command", "", "HOLDFAST_ENGINE_START_COMMAND", "engine.start_command", text,
       "COMMAND", "", 0, kEngineGroup,
       "how a managed source is started; else pg_ctl on its data folder"},
      {"engine_stop_command", "", "HOLDFAST_ENGINE_STOP_COMMAND", "engine.stop_command", text,
       "COMMAND", "", 0, kEngineGroup,
       "how a managed source is stopped; else pg_ctl on its data folder"},
  };
}

std::vector<Option> rule_options() {
  using enum OptionKind;
  constexpr int64_t kYearSeconds = 366 * 86400;
  // Beyond it the slot is given up: a limit above that would never be heard of.
  constexpr auto kHeldBytesMax = static_cast<int64_t>(kSlotHeldBytesMax);
  return {
      {"engine_history_retention",
       "",
       "HOLDFAST_ENGINE_HISTORY_RETENTION",
       "engine.history_retention",
       number,
       "SECONDS",
       "604800",
       0,
       kEngineGroup,
       "for how long every second can be gone back to",
       {},
       0,
       kYearSeconds},
      {"engine_snapshot_interval",
       "",
       "HOLDFAST_ENGINE_SNAPSHOT_INTERVAL",
       "engine.snapshot_interval",
       number,
       "SECONDS",
       "21600",
       0,
       kEngineGroup,
       "how often a snapshot is taken: more often, and a branch has less WAL to replay",
       {},
       60,
       kYearSeconds},
      {"engine_computes_max",
       "",
       "HOLDFAST_ENGINE_COMPUTES_MAX",
       "engine.computes_max",
       number,
       "N",
       "10",
       0,
       kEngineGroup,
       "how many computes run at once",
       {},
       1,
       500},
      {"engine_branches_max",
       "",
       "HOLDFAST_ENGINE_BRANCHES_MAX",
       "engine.branches_max",
       number,
       "N",
       "5000",
       0,
       kEngineGroup,
       "how many branches there can be",
       {},
       1,
       100'000},
      {"engine_suspend_timeout",
       "",
       "HOLDFAST_ENGINE_SUSPEND_TIMEOUT",
       "engine.suspend_timeout",
       number,
       "SECONDS",
       "0",
       0,
       kEngineGroup,
       "after how long without a query a compute is suspended; 0: never",
       {},
       0,
       604'800},
      {"engine_wal_lag_seconds",
       "",
       "HOLDFAST_ENGINE_WAL_LAG_SECONDS",
       "engine.wal_lag_seconds",
       number,
       "SECONDS",
       "300",
       0,
       kEngineGroup,
       "for how long WAL that the source has written may be missing, or none be received, before "
       "those who are alerted are told",
       {},
       10,
       kYearSeconds},
      {"engine_wal_lag_bytes",
       "",
       "HOLDFAST_ENGINE_WAL_LAG_BYTES",
       "engine.wal_lag_bytes",
       number,
       "BYTES",
       "1073741824",
       0,
       kEngineGroup,
       "how many bytes of WAL may be missing for half a minute before they are told",
       {},
       1 << 20,
       kHeldBytesMax},
      {"engine_project_name", "", "HOLDFAST_ENGINE_PROJECT_NAME", "engine.project_name", text,
       "NAME", "holdfast", 0, kEngineGroup, "what the project is called in the API"},
      {"engine_roles", "", "HOLDFAST_ENGINE_ROLES", "engine.roles", list, "ROLE", "", 0,
       kEngineGroup,
       "the roles that branches show; else that of the source's URL (with several, clients must "
       "name one)"},
      {"engine_databases", "", "HOLDFAST_ENGINE_DATABASES", "engine.databases", list, "DATABASE",
       "", 0, kEngineGroup, "the databases that branches show; else that of the source's URL"},
  };
}

}  // namespace

std::vector<Option> engine_options() {
  std::vector<Option> all = place_options();
  for (Option& option : rule_options()) all.push_back(std::move(option));
  return all;
}

}  // namespace holdfast
