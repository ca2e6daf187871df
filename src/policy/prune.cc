#include "policy/prune.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "dump/names.h"

namespace holdfast {
namespace {

constexpr size_t kIdsShown = 5;

std::string database_of(const Backup& backup) {
  return backup.manifest ? backup.manifest->database : parse_backup_id(backup.id)->database;
}

bool failed(const std::optional<Proof>& proof) {
  return proof && !proof->ok && proof->verdict == "FAIL";
}

RetentionFacts facts_of(const Backup& backup) {
  RetentionFacts facts;
  facts.id = backup.id;
  facts.created_at = backup.manifest ? backup.manifest->created_at : parse_backup_id(backup.id)->at;
  facts.proven = backup.manifest && backup.proof && backup.proof->ok;
  facts.broken = !backup.manifest || failed(backup.proof);
  if (backup.hold) facts.held = backup.hold->text();
  return facts;
}

RetentionFacts facts_of(const BranchBackup& backup) {
  RetentionFacts facts;
  facts.id = backup.id;
  facts.created_at = backup.created_at();
  facts.proven = backup.record && backup.proof && backup.proof->ok;
  facts.broken = !backup.record || failed(backup.proof);
  if (backup.hold) facts.held = backup.hold->text();
  return facts;
}

std::string database_of(const BranchBackup& backup) {
  return backup.record ? backup.record->database : "";
}

template <typename AnyBackup>
using Groups = std::map<std::string, std::vector<const AnyBackup*>>;

// By database.
template <typename AnyBackup>
Groups<AnyBackup> group(const std::vector<AnyBackup>& backups) {
  Groups<AnyBackup> groups;
  for (const AnyBackup& backup : backups) groups[database_of(backup)].push_back(&backup);
  return groups;
}

template <typename AnyBackup>
std::vector<RetentionFacts> facts_of(const std::vector<const AnyBackup*>& backups) {
  std::vector<RetentionFacts> facts;
  for (const AnyBackup* backup : backups) facts.push_back(facts_of(*backup));
  return facts;
}

// Until when the store keeps the backup, if it does.
std::optional<UtcTime> lock_of(ObjectStore& store, const Backup& backup) {
  std::string archive = backup.manifest ? backup.manifest->archive_object : archive_name(backup.id);
  std::optional<UtcTime> until;
  for (const std::string& name : {archive, manifest_name(backup.id)}) {
    try {
      std::optional<UtcTime> locked = store.head(name).locked_until;
      if (locked && (!until || *locked > *until)) until = locked;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::not_found) throw;
    }
  }
  return until;
}

bool newest_is_unproven(const std::vector<RetentionFacts>& facts, UtcTime now) {
  const RetentionFacts* newest = nullptr;
  for (const RetentionFacts& backup : facts)
    if (backup.created_at <= now && (newest == nullptr || backup.created_at > newest->created_at))
      newest = &backup;
  return newest != nullptr && !newest->proven;
}

std::string some_of(const std::vector<std::string>& ids) {
  std::vector<std::string> shown(
      ids.begin(), ids.begin() + static_cast<ptrdiff_t>(std::min(ids.size(), kIdsShown)));
  return fmt::format(
      "{}{}", fmt::join(shown, ", "),
      ids.size() > kIdsShown ? fmt::format(" and {} more", ids.size() - kIdsShown) : "");
}

std::vector<std::string> ids_with(const std::vector<RetentionDecision>& decisions,
                                  RetentionAction action) {
  std::vector<std::string> ids;
  for (const RetentionDecision& decision : decisions)
    if (decision.action == action) ids.push_back(decision.id);
  return ids;
}

// What should have gone a day ago.
std::vector<std::string> overdue_ids(const std::vector<RetentionFacts>& facts,
                                     const RetentionPolicy& policy, UtcTime now) {
  // A day of grace: what the nightly run is to remove today is not overdue yet.
  RetentionPolicy graceful = policy;
  graceful.days += 1;
  auto month_of = [](UtcTime time) {
    return std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(time)).month();
  };
  if (month_of(now) != month_of(now - std::chrono::days(1))) graceful.months += 1;
  if (graceful.count_max > 0) graceful.count_max += 1;
  return ids_with(decide_retention(facts, graceful, now), RetentionAction::remove);
}

// Of these, what the store could have let go.
std::vector<std::string> unlocked(ObjectStore* store, const std::vector<const Backup*>& group,
                                  const std::vector<std::string>& ids, UtcTime now) {
  if (store == nullptr || ids.empty()) return ids;
  std::vector<std::string> removable;
  for (const Backup* backup : group) {
    if (std::find(ids.begin(), ids.end(), backup->id) == ids.end()) continue;
    std::optional<UtcTime> locked = lock_of(*store, *backup);
    if (!locked || *locked <= now) removable.push_back(backup->id);
  }
  return removable;
}

// The policy on one database's backups of one kind in one place.
void check_group(const std::string& where, const std::vector<RetentionFacts>& facts,
                 const std::vector<std::string>& overdue, const RetentionPolicy& policy,
                 UtcTime now, std::vector<PolicyProblem>& problems) {
  using std::chrono::days;
  if (!overdue.empty())
    problems.push_back({where, fmt::format("{} beyond retention: {} (holdfast prune)",
                                           plural(overdue.size(), "backup"), some_of(overdue))});
  std::set<std::chrono::sys_days> dates;
  std::chrono::sys_days first = std::chrono::floor<days>(now);
  for (const RetentionFacts& backup : facts) {
    if (backup.created_at > now) continue;
    auto date = std::chrono::floor<days>(backup.created_at);
    first = std::min(first, date);
    if (!backup.broken) dates.insert(date);
  }
  auto wanted =
      std::min<size_t>(static_cast<size_t>(policy.dailies_min),
                       static_cast<size_t>((std::chrono::floor<days>(now) - first).count()));
  if (dates.size() < wanted)
    problems.push_back(
        {where, fmt::format("backups of only {}, of at least {} (is the schedule running?)",
                            plural(dates.size(), "day"), policy.dailies_min)});
}

}  // namespace

uint64_t PrunePlan::bytes_to_remove() const {
  uint64_t bytes = 0;
  for (const PruneEntry& entry : entries)
    if (entry.decision.action == RetentionAction::remove) bytes += entry.bytes;
  return bytes;
}

size_t PrunePlan::count(RetentionAction action) const {
  return static_cast<size_t>(
      std::count_if(entries.begin(), entries.end(),
                    [&](const PruneEntry& entry) { return entry.decision.action == action; }));
}

PrunePlan plan_prune(ObjectStore& store, const std::vector<Backup>& backups,
                     const RetentionPolicy& policy, UtcTime now) {
  PrunePlan plan;
  for (const auto& [database, group] : group(backups)) {
    std::vector<RetentionFacts> facts = facts_of(group);
    std::map<std::string, const Backup*> by_id;
    for (const Backup* backup : group) by_id[backup->id] = backup;
    std::vector<std::string> going =
        ids_with(decide_retention(facts, policy, now), RetentionAction::remove);
    for (RetentionFacts& backup : facts)
      if (std::find(going.begin(), going.end(), backup.id) != going.end())
        backup.locked_until = lock_of(store, *by_id[backup.id]);
    if (newest_is_unproven(facts, now)) plan.blocked.push_back(database);
    for (RetentionDecision& decision : decide_retention(facts, policy, now)) {
      const Backup& backup = *by_id[decision.id];
      uint64_t bytes = backup.manifest ? backup.manifest->stored_bytes() : 0;
      plan.entries.push_back({std::move(decision), database, bytes});
    }
  }
  return plan;
}

PrunePlan plan_branch_prune(const std::vector<BranchBackup>& backups, const RetentionPolicy& policy,
                            UtcTime now) {
  PrunePlan plan;
  for (const auto& [database, branches] : group(backups)) {
    std::vector<RetentionFacts> facts = facts_of(branches);
    if (newest_is_unproven(facts, now)) plan.blocked.push_back(database);
    for (RetentionDecision& decision : decide_retention(facts, policy, now))
      plan.entries.push_back({std::move(decision), database, 0});
  }
  return plan;
}

void apply_prune(ObjectStore& store, PrunePlan& plan, const std::string& machine, const Run& run) {
  apply_prune(
      plan, [&](const std::string& id) { return remove_backup(store, id, machine); }, run);
}

void apply_prune(PrunePlan& plan, const RemoveBackup& remove, const Run& run) {
  auto not_yet = [](RetentionDecision& decision, std::string reason) {
    decision.action = RetentionAction::not_yet;
    decision.reason = std::move(reason);
  };
  bool stopped = false;
  for (auto entry = plan.entries.rbegin(); entry != plan.entries.rend(); ++entry) {
    RetentionDecision& decision = entry->decision;
    if (decision.action != RetentionAction::remove) continue;
    if (stopped) {
      not_yet(decision, "another one could not be removed");
      continue;
    }
    try {
      run.check_stop();
      // Somebody may have held it since the plan was made.
      std::optional<Hold> hold = remove(decision.id);
      if (!hold) continue;
      decision.action = RetentionAction::keep;
      decision.reason = "held: " + hold->text();
    } catch (const Error& error) {
      not_yet(decision, error.what());
      if (!plan.failure) plan.failure = error.within("remove " + decision.id);
      // The right to remove one may be there for another; what else fails would fail again.
      stopped = error.code() != ErrorCode::denied;
    }
  }
}

std::vector<PolicyProblem> check_policy(const std::vector<StoreInventory>& stores,
                                        const RetentionPolicy& policy, UtcTime now) {
  std::vector<PolicyProblem> problems;
  std::map<std::string, std::set<std::string>> kept;  // database → ids that some store keeps
  for (const StoreInventory& store : stores) {
    if (!store.unreadable.empty())
      problems.push_back({store.name, "could not be looked at: " + store.unreadable});
    for (const auto& [database, group] : group(store.backups)) {
      std::vector<RetentionFacts> facts = facts_of(group);
      check_group(fmt::format("{}, database {}", store.name, printable(database)), facts,
                  unlocked(store.store, group, overdue_ids(facts, policy, now), now), policy, now,
                  problems);
      for (const std::string& id :
           ids_with(decide_retention(facts, policy, now), RetentionAction::keep))
        kept[database].insert(id);
    }
  }
  for (const StoreInventory& store : stores)
    for (const auto& [database, ids] : kept) {
      if (!store.unreadable.empty()) continue;
      std::vector<std::string> missing;
      for (const std::string& id : ids)
        if (std::none_of(store.backups.begin(), store.backups.end(),
                         [&](const Backup& backup) { return backup.id == id; }))
          missing.push_back(id);
      if (!missing.empty())
        problems.push_back(
            {fmt::format("{}, database {}", store.name, printable(database)),
             fmt::format("lacks {} that another store holds: {} (holdfast copy ID --to {})",
                         plural(missing.size(), "backup"), some_of(missing), store.name)});
    }
  return problems;
}

std::vector<PolicyProblem> check_branch_policy(const std::string& where,
                                               const std::vector<BranchBackup>& backups,
                                               const RetentionPolicy& policy, UtcTime now) {
  std::vector<PolicyProblem> problems;
  for (const auto& [database, branches] : group(backups)) {
    std::vector<RetentionFacts> facts = facts_of(branches);
    check_group(fmt::format("{}, database {}", where, printable(database)), facts,
                overdue_ids(facts, policy, now), policy, now, problems);
  }
  return problems;
}

}  // namespace holdfast
