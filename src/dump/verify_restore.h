// The rehearsal: a backup restored into a scratch server of its own, and compared there. One
// function for `verify --level restore` and for drills, which watch it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "dump/restore.h"
#include "dump/verify.h"
#include "pg/conninfo.h"

namespace holdfast {

// What a drill wants of a rehearsal beyond its verdict. Filled as far as it came, also when it
// throws.
struct RehearsalWatch {
  // Called while the restored database stands, after it was compared. What it throws ends the
  // rehearsal.
  std::function<void(const Conninfo& database)> ask{};

  // "fetch", "server", "globals", "restore", "compare", "queries", "amcheck", "destroy": those that
  // were begun.
  std::vector<RestorePhase> phases{};
  std::string server_version{};           // of the scratch server; empty: none was started
  std::string amcheck{};                  // "42 indexes sound", or why that is not known
  std::optional<UtcTime> destroyed_at{};  // when the scratch server's folder was seen to be gone
  std::string left_behind{};              // a folder that could not be removed
};

// Adds what it finds to `report`: problems, notes, tables (as read back). Returns false, with the
// reason as the last note, if the rehearsal could not be made (no server programs, an extension
// that is not installed here): the verdict is then INCONCLUSIVE. However it ends, the scratch
// server and its data are gone then.
bool rehearse_restore(ObjectStore& store, const Manifest& manifest, const VerifyOptions& options,
                      VerifyReport& report, const Run& run, RehearsalWatch* watch = nullptr);

}  // namespace holdfast
