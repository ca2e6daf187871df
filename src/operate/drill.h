// A drill: a recovery that is rehearsed as it would be needed, from what a store holds to data that
// answers questions, with every step timed and everything found written down.
//
//   dump    the backup is restored into a scratch server (dump/verify_restore.h: what proofs use),
//           every row and the schema are compared with the manifest, the operator's queries are
//           asked, amcheck looks at the indexes, and the scratch server goes with all its data
//   branch  the backup's branch is looked up, its compute started, every table compared with what
//           was read of it first, the operator's queries are asked, and the compute goes again
//
// A drill that fails is a record as well: these functions throw no Error, they fill the record.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/run.h"
#include "branch/branch_backup.h"
#include "dump/catalog.h"
#include "dump/verify.h"
#include "neon/client.h"
#include "operate/drill_query.h"
#include "operate/drill_record.h"
#include "store/object_store.h"

namespace holdfast {

struct DrillSettings {
  VerifyOptions verify;  // keys, jobs, folders; the level does not matter
  // A named one that the backup lacks is a failure. Empty: the usual ones, as far as they are
  // there.
  std::vector<std::string> critical_tables;
  std::vector<DrillQuestion> questions;
  int64_t query_timeout_seconds = 0;  // of each; 0: none
};

struct DrillOutcome {
  DrillRecord record;
  // What the drill showed of the backup itself, as a proof of level restore; the operator's queries
  // have no part in it.
  VerifyReport report;
  bool interrupted = false;
  BranchTables read;  // of a branch
};

// `begun` says what is known beforehand: id, store, chosen, objectives, who and where.
DrillOutcome drill_dump(ObjectStore& store, const Backup& backup, DrillRecord begun,
                        const DrillSettings& settings, const Run& run);
// `before`: what was read of it first, if it was.
DrillOutcome drill_branch(neon::Client& client, const BranchBackup& backup,
                          const std::optional<BranchTables>& before,
                          const BranchVerifyOptions& options, DrillRecord begun,
                          const DrillSettings& settings, const Run& run);

// The six tables that the procedure which holdfast replaces counted by hand.
const std::vector<std::string>& usual_critical_tables();

// A backup to choose from, as far as the choice asks.
struct DrillCandidate {
  std::string id;
  UtcTime at{};
};
struct DrillChoice {
  size_t index = 0;    // of the candidates
  std::string chosen;  // "random of 2026-10"
};
// One of last calendar month (UTC) at random, or, if it has none, one of all. The same seed chooses
// the same one of the same candidates, in whatever order they come. `candidates` is not empty.
DrillChoice choose_drill(const std::vector<DrillCandidate>& candidates, UtcTime now, uint64_t seed);

}  // namespace holdfast
