// The JSON documents of --json (DESIGN section 9): their shapes are what scripts rely on, so fields
// may be added, never renamed. Each function returns a whole document. Text that is not UTF-8 is
// made so. Pure; nlohmann/json stays in documents.cc.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "cli/config.h"
#include "dump/catalog.h"
#include "dump/preflight.h"
#include "dump/recover.h"
#include "dump/restore.h"
#include "dump/verify.h"
#include "policy/prune.h"

namespace holdfast {

struct StoreOutcome {
  std::string location;
  std::optional<Error> error;
  std::optional<Proof> proof;
  std::vector<std::string> removed;  // by retention: ids
  bool written = true;               // the backup stands there, proven or not
};

// What became of a leg of a backup run. With an error and an id, the backup is there all the same.
struct LegOutcome {
  std::string kind;  // dump, branch
  std::string id;
  std::optional<Error> error;
  std::optional<uint64_t> bytes;
  double seconds = 0;
  std::optional<Proof> proof;
  std::vector<Problem> problems;  // of a proof that failed
  std::vector<StoreOutcome> stores;
  std::optional<BranchBackupRecord> branch{};  // of a branch leg
  std::vector<std::string> removed{};          // branches, by retention: ids
  std::string taken_from{};                    // of a dump: the branch that it was taken from
};

std::string error_document(const Error& error);
std::string backup_document(const std::vector<LegOutcome>& legs,
                            const std::vector<std::string>& notes);
// A backup as one store holds it; `store` is the store's name, `location` where that is.
struct BackupCopy {
  std::string store, location;
  Backup backup;
};
// A backup that is a branch, and where it is recorded.
struct BranchBackupView {
  BranchBackup backup;
  std::vector<std::string> stores, locations;
};
// The copies of each backup, the first of which is the one to show; and the branches, which go
// between them by their time.
std::string list_document(const std::vector<std::vector<BackupCopy>>& backups,
                          const std::vector<BranchBackupView>& branches);
// `tables`: what was read of it, if anything was.
std::string show_branch_backup_document(const BranchBackupView& view,
                                        const std::optional<BranchTables>& tables);
std::string show_document(const std::vector<BackupCopy>& copies);
// What was verified where; `store` is empty for an archive that was named by its path.
struct VerifiedCopy {
  std::string store;
  VerifyReport report;
  bool of_branch = false;
};
std::string verify_document(const std::vector<VerifiedCopy>& verified, VerifyLevel level,
                            const std::vector<PolicyProblem>& policy);
struct PrunedStore {
  std::string store, location;
  PrunePlan plan;
};
std::string prune_document(const std::vector<PrunedStore>& stores, bool dry_run);
// After hold or unhold: the stores where it was done.
std::string hold_document(const std::string& id, const std::optional<Hold>& hold,
                          const std::vector<std::string>& stores);
std::string copy_document(const std::string& id, const std::string& from, const std::string& to,
                          uint64_t bytes, const std::optional<Proof>& proof, double seconds);
std::string restore_document(const std::string& id, const RestoreReport& report,
                             const std::string& server, const std::string& safety_backup_id);
std::string recover_plan_document(const RecoverPlan& plan, bool ready);
// `from`: the store's name; `server`: of the new database, without secrets.
std::string recover_document(const RecoverPlan& plan, const RecoverReport& report,
                             const std::string& from, const std::string& server);
std::string doctor_document(const std::vector<Finding>& findings);
std::string config_document(const Config& config);

using NamedTexts = std::vector<std::pair<std::string, std::string>>;
std::string version_document(const std::string& version, const NamedTexts& libraries,
                             const NamedTexts& formats);

// How a setting's value is shown; nothing if it has none. Never a secret.
std::optional<std::string> shown_value(const Setting& setting);

std::string_view finding_level_name(FindingLevel level);

}  // namespace holdfast
