// Backups that are branches, as commands see them: found in every store that knows them, proven,
// pruned. What the branches themselves need is in branch/branch_backup.h.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "branch/branch_backup.h"
#include "cli/backups.h"
#include "cli/operation.h"
#include "cli/stores.h"
#include "policy/prune.h"

namespace holdfast {

struct BranchCopy {
  size_t store = 0;  // in the vector of stores
  BranchBackup backup;
};

// A branch backup, and the stores that know of it, in their order.
struct LocatedBranch {
  std::string id;
  std::vector<BranchCopy> copies;
  // As one: the first sound record, the newest proof, a hold if any store has one.
  BranchBackup backup() const;
};

BranchBackupView view_of(const LocatedBranch& located, const std::vector<OpenStore>& stores);

// Newest first. `database` empty: of all.
std::vector<LocatedBranch> list_branches_everywhere(const std::vector<OpenStore>& stores,
                                                    const std::string& database, const Run& run);

// The branch backup that `said` names: its id, or the beginning of one; nothing if it names none.
// Throws Error(invalid) if it stands for several.
std::optional<LocatedBranch> find_branch_everywhere(const std::vector<OpenStore>& stores,
                                                    const std::string& said, const Run& run);

// Throws Error(unsupported) with `hint` if `said` names a branch backup: for commands that need the
// bytes of a dump.
void refuse_branch_backup(const std::vector<OpenStore>& stores, const std::string& said,
                          const std::string& command, const std::string& hint, const Run& run);

// The first reading of its tables that some store knows.
std::optional<BranchTables> known_tables(const std::vector<OpenStore>& stores,
                                         const LocatedBranch& located, const Run& run);

// --- the leg

enum class BranchLegState { configured, half, none };
struct BranchLegConfigured {
  BranchLegState state = BranchLegState::none;
  std::string missing;  // of a half one: "NEON_PROJECT_ID"
};
BranchLegConfigured branch_leg_configured(const Config& config);

BranchBackupSettings branch_backup_settings(const Config& config);
BranchVerifyOptions branch_verify_options(const Config& config, VerifyLevel level);

// Proves the branch and records in every store what was found, and, of a first reading that
// succeeded, what was read.
VerifyReport prove_branch(neon::Client& client, const std::vector<OpenStore>& stores,
                          const LocatedBranch& located, const BranchVerifyOptions& options,
                          const Run& run);

// Stores what the branch's tables held, wherever it is not known yet. A store that cannot be
// written is a warning.
void store_branch_tables(const std::vector<OpenStore>& stores, const LocatedBranch& located,
                         const BranchTables& tables, const Run& run);

// Retention of branch backups: what the policy says, within the room that the plan has.
RetentionPolicy branch_retention_policy(const Config& config, const BranchRoom& room, size_t ours);

// Deletes the branch, then the records of it. Returns the hold if somebody holds it.
std::optional<Hold> remove_branch_backup(neon::Client& client, const std::vector<OpenStore>& stores,
                                         const LocatedBranch& located, const std::string& machine);

// Plans over `branches`, and removes unless `dry_run`. Never throws but Error(cancelled): what
// fails is the plan's `failure`. Only with the stores' lock held, unless `dry_run`. `operation` is
// told of each that is removed; null only with `dry_run`.
PrunePlan prune_branches(neon::Client& client, const Config& config,
                         const std::vector<OpenStore>& stores,
                         const std::vector<LocatedBranch>& branches, bool dry_run, const Run& run,
                         Operation* operation);

}  // namespace holdfast
