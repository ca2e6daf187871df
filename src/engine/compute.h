// One running (or stopped) PostgreSQL that serves one branch, in a folder of its own.
//
//   <folder>/data     PGDATA, brought there by BranchStorage; promoted at its first start
//   <folder>/run      its unix socket, for the engine only (0700)
//   <folder>/log      what the server said
//   <folder>/compute.json  what it was started with; docs/format/compute.md
//   <folder>/source-config  the source's own configuration files, for reference only
//
// A compute outlives the engine: servers are started as daemons of their own, and an engine that
// comes back finds them by their postmaster.pid and goes on. It is quarantined: nothing of the
// source's that reaches outside is left on (archiving, synchronous standbys, subscription workers,
// slots, preloaded libraries that are not here), and its pg_hba.conf, certificate and passwords are
// its own. Clients get in by TLS and SCRAM only.
//
// One thread at a time per object; different computes are independent. Errors: unavailable (does
// not start; with the server's last words), invalid, internal.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/run.h"
#include "base/secret.h"
#include "engine/branch_storage.h"
#include "pg/client_tools.h"
#include "pg/conninfo.h"

namespace holdfast {

struct ComputeSettings {
  std::string folder;
  std::string listen_address = "127.0.0.1";
  int port = 0;
  std::string certificate_file, key_file;          // of the engine (certificate.h)
  std::map<std::string, std::string> pg_settings;  // the user's; beaten by those of the quarantine
  double compute_units = 0.25;  // 1 unit: 4 GiB of memory, as at Neon; sizes buffers
};

// starting: also while it recovers, before the first start is done, and while it shuts down.
enum class ComputeState { absent, stopped, starting, running };

struct ComputeActivity {
  int clients = 0;                       // connections of others than the engine
  std::optional<UtcTime> last_activity;  // newest state change of any of them; now, while one works
  // Ever opened, as far as the server counts (not before PostgreSQL 14; anew after a crash): one
  // that came and went between two looks shows as a change here and nowhere else.
  uint64_t sessions = 0;
  uint64_t database_bytes = 0;  // of all databases
};

struct ComputeRole {
  std::string name;
  bool login = true, superuser = false, replication = false;
};

struct ComputeDatabase {
  int64_t id = 0;  // its oid
  std::string name, owner;
};

class Compute {
 public:
  Compute(ClientTools tools, ComputeSettings settings);

  const ComputeSettings& settings() const { return settings_; }
  ComputeState state() const;

  // The first start after BranchStorage::bring (into <folder>/data): recovers, promotes,
  // quarantines (every login role gets a random password unless `passwords` has one for it), then
  // opens to clients. Returns when it takes connections. A crash in its midst is gone on with by
  // calling it again.
  void first_start(const BroughtFolder& brought, const std::map<std::string, Secret>& passwords,
                   const Run& run);
  bool first_start_done() const;
  // Any later start; harmless when it runs. Throws Error(invalid) before the first is done.
  void start(const Run& run);
  void stop(const Run& run);  // clean (fast) shutdown; harmless when it is stopped
  // Stops it without care and removes the folder, in one step as far as a crash can tell: what is
  // left in <folder>.removed goes with the next remove().
  void remove();

  // For the engine, through the socket, as superuser.
  Conninfo admin_conninfo(const std::string& database = "postgres") const;
  ComputeActivity activity() const;

  std::vector<ComputeRole> roles() const;  // without pg_* and the engine's own
  void create_role(const std::string& name, const Secret& password, bool login);
  // What it owns goes to the owner of the database it is in.
  void drop_role(const std::string& name);
  void set_password(const std::string& role, const Secret& password);
  std::vector<ComputeDatabase> databases() const;  // without templates
  void create_database(const std::string& name, const std::string& owner);
  // Empty: stays. Renaming ends the database's sessions, dropping it does, too.
  void update_database(const std::string& name, const std::string& new_name,
                       const std::string& new_owner);
  void drop_database(const std::string& name);
  Lsn flush_lsn() const;      // pg_current_wal_flush_lsn()
  Timeline timeline() const;  // it writes on

 private:
  ClientTools tools_;
  ComputeSettings settings_;
};

}  // namespace holdfast
