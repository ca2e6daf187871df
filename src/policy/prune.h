// Retention applied to a store, and what a store looks like to the policy.
//
// Only what has a manifest and an id is looked at, per database; objects of other makers are never
// touched. A backup is removed manifest first (catalog.h, remove_backup), so that a crash between
// any two removals leaves nothing that is listed and broken, and the next run finishes it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/run.h"
#include "dump/catalog.h"
#include "policy/retention.h"
#include "store/object_store.h"

namespace holdfast {

struct PruneEntry {
  RetentionDecision decision;
  std::string database;
  uint64_t bytes = 0;  // of the archive; 0: unknown (a damaged manifest)
};

struct PrunePlan {
  std::vector<PruneEntry> entries;  // by database, newest first
  uint64_t bytes_to_remove() const;
  size_t count(RetentionAction action) const;
  // Databases whose newest backup is not proven, so that nothing of theirs goes.
  std::vector<std::string> blocked;
  // Why apply_prune ended early (a store that went away, the wish to stop).
  std::optional<Error> failure{};
};

// Decides over all databases of `backups` (as list_backups gives them), each by itself. Asks the
// store for locks of those that would go. Changes nothing.
PrunePlan plan_prune(ObjectStore& store, const std::vector<Backup>& backups,
                     const RetentionPolicy& policy, UtcTime now);

// The same over branch backups (as list_branch_backups gives them, each once, however many stores
// know it). No store is asked for locks: what is locked there is a record.
PrunePlan plan_branch_prune(const std::vector<BranchBackup>& backups, const RetentionPolicy& policy,
                            UtcTime now);

// Removes what the plan says, the oldest first. Only with the run lock held. Never throws an Error:
// afterwards the plan says what became of each backup, so that whatever goes is always reported.
// One that was held meanwhile stays. Where the store denies a removal the others are still tried;
// any other failure ends it. Either is the plan's `failure`, and what was not removed is "not yet".
void apply_prune(ObjectStore& store, PrunePlan& plan, const std::string& machine, const Run& run);
// With a removal of one's own, which returns the hold that it met, or throws.
using RemoveBackup = std::function<std::optional<Hold>(const std::string& id)>;
void apply_prune(PrunePlan& plan, const RemoveBackup& remove, const Run& run);

// What is wrong with a store by the policy, as the original procedure checked it every night.
struct PolicyProblem {
  std::string where;  // "local, database care"
  std::string what;
};

// A store's content for the check below.
struct StoreInventory {
  std::string name;
  std::vector<Backup> backups;
  std::string unreadable{};      // why its content is not known; empty: it is
  ObjectStore* store = nullptr;  // asked which of the overdue ones it has locked; null: none
};

// - every store can be looked at;
// - nothing is older than retention allows (a day of grace: the nightly run prunes), unless the
//   store has it locked;
// - there are backups of at least `dailies_min` days, unless the database's first backup is younger
//   than that;
// - every store holds what another store keeps by a rule.
std::vector<PolicyProblem> check_policy(const std::vector<StoreInventory>& stores,
                                        const RetentionPolicy& policy, UtcTime now);

// The same of branch backups, each once. `where`: "branches".
std::vector<PolicyProblem> check_branch_policy(const std::string& where,
                                               const std::vector<BranchBackup>& backups,
                                               const RetentionPolicy& policy, UtcTime now);

}  // namespace holdfast
