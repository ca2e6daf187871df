#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "engine/core.h"
#include "engine/ids.h"

namespace holdfast {
namespace {

constexpr size_t kScheduleItemsMax = 16;
constexpr int64_t kRetentionSecondsMin = 3600;  // as the API has it

bool is_slug(const std::string& text) {
  auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() <= 63 && text[0] >= 'a' && text[0] <= 'z' &&
         plain(text.back()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return plain(c) || c == '-'; });
}

void check_snapshot_name(const std::string& name) {
  if (name.empty() || name.size() > 256 || printable(name, 256) != name)
    throw Error(ErrorCode::invalid, "a snapshot's name has 1 to 256 bytes");
}

void check_item(const neon::ScheduleItem& item) {
  static constexpr std::array<std::string_view, 5> kFrequencies = {"hourly", "daily", "weekly",
                                                                   "monthly", "yearly"};
  if (std::find(kFrequencies.begin(), kFrequencies.end(), item.frequency) == kFrequencies.end())
    throw Error(ErrorCode::invalid, "frequency is hourly, daily, weekly, monthly or yearly");
  auto within = [](const std::optional<int>& value, int least, int most) {
    return !value || (*value >= least && *value <= most);
  };
  if (!within(item.hour, 0, 23) || !within(item.month, 1, 12) ||
      !within(item.day, 1, item.frequency == "weekly" ? 7 : 31))
    throw Error(ErrorCode::invalid,
                "hour is 0 to 23, day 1 to 31 (weekly: 1 to 7, from Monday), month 1 to 12");
  if (item.retention_seconds && *item.retention_seconds < kRetentionSecondsMin)
    throw Error(ErrorCode::invalid,
                fmt::format("retention_seconds is at least {}", kRetentionSecondsMin));
}

const SnapshotRecord& need_snapshot(const Tables& tables, const std::string& id) {
  auto found = tables.snapshots.find(id);
  if (found != tables.snapshots.end()) return found->second;
  throw Error(ErrorCode::not_found, "snapshot not found",
              "snapshots are listed by `snapshots list`");
}

}  // namespace

std::vector<neon::Snapshot> EngineCore::snapshots() const {
  auto lock = state_->lock();
  std::vector<neon::Snapshot> result;
  for (const auto& [id, snapshot] : state_->tables().snapshots) result.push_back(snapshot.shown);
  std::sort(result.begin(), result.end(),
            [](const auto& a, const auto& b) { return a.created_at > b.created_at; });
  return result;
}

// A physical snapshot of the source; its bytes become those of the pinned one that it was taken
// for, if any.
neon::Operation EngineCore::snapshot_operation(Draft& draft,
                                               const std::optional<std::string>& branch_id,
                                               const std::string& snapshot_id) {
  return enqueue(draft, {.action = kSnapshotAction,
                         .branch_id = branch_id,
                         .endpoint_id = {},
                         .queues = {"snapshots"},
                         .arguments = {{"snapshot", snapshot_id}}});
}

SnapshotRecord EngineCore::pin_snapshot(const BranchRecord& branch, const ResolvedPoint& at) const {
  SnapshotRecord snapshot;
  snapshot.point = at.point;
  snapshot.shown.id = new_id("snap");
  snapshot.shown.name = fmt::format("{} {}", branch.shown.name, format_rfc3339(at.time));
  snapshot.shown.created_at = clock_.now();
  snapshot.shown.lsn = format_lsn(at.point.end);
  snapshot.shown.timestamp = at.time;
  snapshot.shown.source_branch_id = branch.shown.id;
  snapshot.shown.full_size = branch.shown.logical_size.value_or(0);
  return snapshot;
}

neon::Changed EngineCore::create_snapshot(const std::string& branch_id,
                                          const SnapshotRequest& request) {
  if (request.name) check_snapshot_name(*request.name);
  if (request.slug && !is_slug(*request.slug))
    throw Error(ErrorCode::invalid,
                "a slug has 1 to 63 of a-z, 0-9 and -, begins with a letter and does not end "
                "with -");
  if (request.expires_at && *request.expires_at <= clock_.now())
    throw Error(ErrorCode::invalid, "expires_at is in the past");
  BranchRecord branch;
  {
    auto lock = state_->lock();
    branch = need_branch(state_->tables(), branch_id);
  }
  std::shared_lock history(history_);
  ResolvedPoint at = resolve(branch, request.lsn, request.timestamp);

  Draft draft = this->draft();
  const BranchRecord& now = need_branch(state_->tables(), branch_id);
  if (now.line != branch.line)
    throw Error(ErrorCode::busy, "the branch was restored meanwhile", "try again");
  for (const auto& [id, other] : state_->tables().snapshots)
    if (request.slug && other.shown.slug == request.slug)
      throw Error(ErrorCode::exists,
                  fmt::format("snapshot with slug \"{}\" already exists", *request.slug));
  SnapshotRecord snapshot = pin_snapshot(now, at);
  if (request.name) snapshot.shown.name = *request.name;
  snapshot.shown.slug = request.slug;
  snapshot.shown.expires_at = request.expires_at;
  neon::Changed changed;
  changed.snapshot = snapshot.shown;
  if (branch.source && !request.lsn && !request.timestamp)
    snapshot_operation(draft, branch_id, snapshot.shown.id);
  else
    draft.operations.push_back(queue_->add_finished(draft.change, draft.project,
                                                    {.action = kSnapshotAction,
                                                     .branch_id = branch_id,
                                                     .endpoint_id = {},
                                                     .queues = {},
                                                     .arguments = {}}));
  changed.operations = draft.operations;
  draft.change.put(std::move(snapshot));
  commit(draft);
  return changed;
}

neon::Snapshot EngineCore::update_snapshot(const std::string& id,
                                           const std::optional<std::string>& name,
                                           bool has_expires_at,
                                           const std::optional<UtcTime>& expires_at) {
  if (name) check_snapshot_name(*name);
  if (has_expires_at && expires_at && *expires_at <= clock_.now())
    throw Error(ErrorCode::invalid, "expires_at is in the past");
  Draft draft = this->draft();
  SnapshotRecord snapshot = need_snapshot(state_->tables(), id);
  if (name) snapshot.shown.name = *name;
  if (has_expires_at) snapshot.shown.expires_at = expires_at;
  neon::Snapshot shown = snapshot.shown;
  draft.change.put(std::move(snapshot));
  commit(draft);
  return shown;
}

// What it pinned goes with the next trimming.
neon::Changed EngineCore::delete_snapshot(const std::string& id) {
  Draft draft = this->draft();
  const SnapshotRecord& snapshot = need_snapshot(state_->tables(), id);
  neon::Changed changed;
  changed.snapshot = snapshot.shown;
  draft.operations.push_back(queue_->add_finished(draft.change, draft.project,
                                                  {.action = kSnapshotRemovalAction,
                                                   .branch_id = snapshot.shown.source_branch_id,
                                                   .endpoint_id = {},
                                                   .queues = {},
                                                   .arguments = {}}));
  changed.operations = draft.operations;
  draft.change.erase(RecordKind::snapshot, id);
  commit(draft);
  return changed;
}

std::string EngineCore::free_name(const Tables& tables, const std::string& wish) {
  auto taken = [&](const std::string& name) {
    return std::any_of(tables.branches.begin(), tables.branches.end(), [&](const auto& entry) {
      return !entry.second.deleted && entry.second.shown.name == name;
    });
  };
  std::string name = wish;
  for (int i = 2; taken(name); ++i) name = fmt::format("{} {}", wish, i);
  return name;
}

// A branch at the snapshot's point: to be looked at first, or in place of the target at once. The
// source cannot be replaced by a branch: it is restored in place.
neon::Changed EngineCore::restore_snapshot(const std::string& id,
                                           const std::optional<std::string>& name,
                                           const std::optional<std::string>& target_branch_id,
                                           bool finalize) {
  SnapshotRecord snapshot;
  BranchRecord target;
  std::string old_name;
  {
    auto lock = state_->lock();
    const Tables& tables = state_->tables();
    snapshot = need_snapshot(tables, id);
    std::string target_id = target_branch_id.value_or(snapshot.shown.source_branch_id.value_or(""));
    if (target_branch_id || tables.branch(target_id))
      target = need_branch(tables, target_id);
    else
      target = source_branch(tables);
    old_name = free_name(tables, target.shown.name + " (old)");
  }
  ResolvedPoint at{snapshot.point, snapshot.shown.timestamp.value_or(snapshot.shown.created_at)};
  if (finalize && target.source)
    return restore_to(target.shown.id, at, target.shown.id, old_name, id);

  Draft draft = this->draft();
  const Tables& tables = state_->tables();
  need_snapshot(tables, id);
  const BranchRecord now = need_branch(tables, target.shown.id);
  std::string wanted =
      name.value_or(free_name(tables, fmt::format("{} from {}", now.shown.name, id)));
  check_name(tables, wanted, {});
  check_branches_left(tables);
  BranchRecord restored = new_branch(tables, wanted, now, at);
  restored.shown.restored_from = id;
  restored.shown.restored_as = now.shown.id;
  restored.shown.restore_status = "restored";
  neon::Changed changed;
  draft.operations.push_back(queue_->add_finished(draft.change, draft.project,
                                                  {.action = "create_timeline",
                                                   .branch_id = restored.shown.id,
                                                   .endpoint_id = {},
                                                   .queues = {restored.shown.id},
                                                   .arguments = {}}));
  if (finalize) replace_branch(draft, restored, now, old_name);
  changed.branch = restored.shown;
  draft.change.put(restored);
  changed.operations = draft.operations;
  commit(draft);
  changed.endpoints = endpoints(restored.shown.id);
  return changed;
}

void EngineCore::replace_branch(Draft& draft, BranchRecord& restored, const BranchRecord& target,
                                const std::string& old_name) {
  const Tables& tables = state_->tables();
  UtcTime now = clock_.now();
  const std::string id = restored.shown.id, target_id = target.shown.id;
  std::vector<std::string> queues = {id, target_id};
  BranchRecord old = target;
  old.shown.name = old_name;
  old.shown.is_default = old.shown.is_protected = false;
  old.shown.updated_at = now;
  restored.shown.name = target.shown.name;
  restored.shown.is_default = target.shown.is_default;
  restored.shown.is_protected = target.shown.is_protected;
  restored.shown.restore_status = "finalized";
  restored.shown.updated_at = now;
  bool had_passwords = restored.started;
  restored.roles = target.roles;

  for (const auto& [endpoint_id, endpoint] : tables.endpoints) {
    if (endpoint.deleted) continue;
    EndpointRecord moved = endpoint;
    moved.shown.updated_at = now;
    if (endpoint.shown.branch_id == id && endpoint.shown.type == "read_write") {
      // The one that it was looked at through.
      moved.deleted = true;
      draft.change.put(GoneRecord{endpoint_id, now});
      draft.change.put(moved);
      enqueue(draft, {.action = "suspend_compute",
                      .branch_id = id,
                      .endpoint_id = endpoint_id,
                      .queues = queues,
                      .arguments = {{"erase", "yes"}}});
    } else if (endpoint.shown.branch_id == target_id) {
      bool runs =
          endpoint.shown.current_state == "active" || endpoint.shown.pending_state == "active";
      bool writer = endpoint.shown.type == "read_write";
      moved.shown.branch_id = id;
      moved.shown.pending_state = "idle";
      enqueue(draft, {.action = "suspend_compute",
                      .branch_id = id,
                      .endpoint_id = endpoint_id,
                      .queues = queues,
                      .arguments = {{"line", writer ? target.line : endpoint_id}}});
      if (runs)
        start_operation(draft, moved);
      else
        draft.change.put(moved);
    }
  }
  // A compute that was started before has other passwords than the clients of the target know.
  if (had_passwords)
    for (const RoleRecord& role : target.roles)
      if (role.login && !role.password.empty())
        enqueue(draft, {.action = "apply_config",
                        .branch_id = id,
                        .endpoint_id = {},
                        .queues = queues,
                        .arguments = {{"what", "reset_password"},
                                      {"name", role.name},
                                      {"password", role.password.reveal()}}});
  draft.change.put(std::move(old));
}

neon::Changed EngineCore::finalize_restore(const std::string& branch_id,
                                           const std::optional<std::string>& name) {
  BranchRecord restored, target;
  std::string old_name;
  {
    auto lock = state_->lock();
    const Tables& tables = state_->tables();
    restored = need_branch(tables, branch_id);
    if (restored.shown.restore_status != "restored" || !restored.shown.restored_as)
      throw Error(ErrorCode::violated,
                  "the branch was not restored from a snapshot, or was "
                  "finalized already");
    target = need_branch(tables, *restored.shown.restored_as);
    old_name = name.value_or(free_name(tables, target.shown.name + " (old)"));
  }
  if (target.source) {
    neon::Changed changed = restore_to(
        target.shown.id,
        {restored.point, restored.shown.parent_timestamp.value_or(restored.shown.created_at)},
        target.shown.id, old_name, restored.shown.restored_from);
    Draft draft = this->draft();
    BranchRecord now = need_branch(state_->tables(), branch_id);
    now.shown.restore_status = "finalized";
    draft.change.put(std::move(now));
    commit(draft);
    return changed;
  }
  Draft draft = this->draft();
  const Tables& tables = state_->tables();
  BranchRecord now = need_branch(tables, branch_id);
  check_name(tables, old_name, {});
  replace_branch(draft, now, need_branch(tables, target.shown.id), old_name);
  neon::Changed changed;
  changed.branch = now.shown;
  draft.change.put(std::move(now));
  changed.operations = draft.operations;
  draft.change.put(draft.project);
  commit(draft);
  return changed;
}

std::vector<neon::ScheduleItem> EngineCore::schedule(const std::string& branch_id) const {
  auto lock = state_->lock();
  return need_branch(state_->tables(), branch_id).schedule;
}

void EngineCore::set_schedule(const std::string& branch_id,
                              const std::vector<neon::ScheduleItem>& items) {
  if (items.size() > kScheduleItemsMax)
    throw Error(ErrorCode::invalid,
                fmt::format("a schedule has at most {} items", kScheduleItemsMax));
  for (const neon::ScheduleItem& item : items) check_item(item);
  Draft draft = this->draft();
  BranchRecord branch = need_branch(state_->tables(), branch_id);
  branch.schedule = items;
  branch.schedule_ran_at = clock_.now();
  draft.change.put(std::move(branch));
  commit(draft);
}

}  // namespace holdfast
