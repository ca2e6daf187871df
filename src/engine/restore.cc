#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "base/text.h"
#include "engine/core.h"
#include "engine/ids.h"
#include "engine/in_place_restore.h"

namespace holdfast {
namespace {

constexpr std::chrono::seconds kRestorePatience{5};

bool same_file_system(const std::string& a, const std::string& b) {
  struct stat one {
  }, other{};
  return ::stat(a.c_str(), &one) == 0 && ::stat(b.c_str(), &other) == 0 &&
         one.st_dev == other.st_dev;
}

}  // namespace

neon::Changed EngineCore::restore_branch(const std::string& id,
                                         const neon::BranchRestoreRequest& request) {
  BranchRecord source;
  {
    auto lock = state_->lock();
    need_branch(state_->tables(), id);
    source = need_branch(state_->tables(), request.source_branch_id);
  }
  if (id == request.source_branch_id && !request.source_lsn && !request.source_timestamp)
    throw Error(ErrorCode::violated,
                "restoring a branch from itself takes source_lsn or source_timestamp");
  std::shared_lock history(history_);
  ResolvedPoint at = resolve(source, request.source_lsn, request.source_timestamp);
  neon::Changed changed =
      restore_to(id, at, request.source_branch_id, request.preserve_under_name, std::nullopt);
  history.unlock();
  return settle(std::move(changed), kRestorePatience);
}

neon::Changed EngineCore::restore_to(const std::string& id, const ResolvedPoint& at,
                                     const std::string& source_id,
                                     const std::optional<std::string>& preserve_under_name,
                                     const std::optional<std::string>& snapshot_id) {
  Draft draft = this->draft();
  const Tables& tables = state_->tables();
  const BranchRecord& target = need_branch(tables, id);
  if (preserve_under_name) {
    check_name(tables, *preserve_under_name, {});
    check_branches_left(tables);
  } else if (id == source_id || target.source || has_children(tables, target)) {
    throw Error(ErrorCode::violated,
                fmt::format("preserve_under_name is required to restore branch {}: it {}",
                            target.shown.name,
                            id == source_id ? "is restored from itself"
                            : target.source ? "is the source"
                                            : "has children"),
                "name a branch that keeps its present state");
  }
  for (const auto& [snapshot, record] : tables.snapshots)
    if (!preserve_under_name && !target.source && record.point.line == target.line)
      throw Error(
          ErrorCode::violated,
          fmt::format("preserve_under_name is required: snapshot {} is of this branch", snapshot));
  for (const auto& [operation, journal] : tables.journals)
    if (journal.branch_id == id || journal.preserved_id == id)
      throw Error(ErrorCode::busy, "the branch is being restored", "try again later");

  neon::Changed changed;
  BranchRecord restored = target.source
                              ? restore_source(draft, target, at, *preserve_under_name)
                              : restore_line(draft, target, at, source_id, preserve_under_name);
  restored.shown.restored_from = snapshot_id;
  changed.branch = restored.shown;
  draft.change.put(std::move(restored));
  if (const EndpointRecord* writer = writer_of(tables, id); writer && !target.source)
    changed.endpoints.push_back(shown(*writer));
  changed.operations = draft.operations;
  commit(draft);
  return changed;
}

// The target gets a new line that begins at the point, and the endpoint that it has; its old line
// goes to the branch that preserves it, or goes. Everything but stopping, starting and removing is
// done in this one transaction.
BranchRecord EngineCore::restore_line(Draft& draft, const BranchRecord& target,
                                      const ResolvedPoint& at, const std::string& source_id,
                                      const std::optional<std::string>& preserve_under_name) {
  const Tables& tables = state_->tables();
  const std::string id = target.shown.id, old_line = target.line;
  if (!preserve_under_name && at.point.line == old_line)
    throw Error(ErrorCode::violated,
                "preserve_under_name is required: the point is on the branch's own line");
  UtcTime now = clock_.now();
  BranchRecord restored = target;
  restored.line = fmt::format("{}-{}", id, draft.project.next_number++);
  restored.point = at.point;
  restored.started = false;
  restored.brought.reset();
  restored.shown.parent_lsn = format_lsn(at.point.end);
  restored.shown.parent_timestamp = at.time;
  restored.shown.last_reset_at = restored.shown.updated_at = now;
  restored.shown.parent_id = source_id;
  add_names(tables.branches.at(source_id), restored);

  std::vector<std::string> queues = {id};
  if (preserve_under_name) {
    BranchRecord preserved = target;
    preserved.shown.id = new_id("br");
    preserved.shown.name = *preserve_under_name;
    preserved.shown.is_default = preserved.shown.is_protected = false;
    preserved.shown.expires_at.reset();
    preserved.shown.created_at = preserved.shown.updated_at = now;
    preserved.shown.state_changed_at = now;
    preserved.schedule.clear();
    for (const auto& [child_id, child] : tables.branches) {
      if (child.deleted || child.shown.parent_id != id) continue;
      BranchRecord moved = child;
      moved.shown.parent_id = preserved.shown.id;
      moved.shown.updated_at = now;
      draft.change.put(std::move(moved));
    }
    restored.shown.parent_id = preserved.shown.id;
    queues.push_back(preserved.shown.id);
    draft.change.put(std::move(preserved));
  }

  const EndpointRecord* writer = writer_of(tables, id);
  bool runs = writer &&
              (writer->shown.current_state == "active" || writer->shown.pending_state == "active");
  if (writer) {
    EndpointRecord endpoint = *writer;
    endpoint.shown.pending_state = "idle";
    enqueue(draft, {.action = "suspend_compute",
                    .branch_id = id,
                    .endpoint_id = endpoint.shown.id,
                    .queues = queues,
                    .arguments = {{"line", old_line}}});
    if (runs) {
      start_operation(draft, endpoint);
      restored.shown.current_state = "resetting";
      restored.shown.state_changed_at = now;
    } else {
      draft.change.put(endpoint);
    }
  }
  if (!preserve_under_name)
    enqueue(draft, {.action = "delete_timeline",
                    .branch_id = id,
                    .endpoint_id = {},
                    .queues = queues,
                    .arguments = {{"line", old_line}}});
  if (draft.operations.empty())
    draft.operations.push_back(queue_->add_finished(draft.change, draft.project,
                                                    {.action = "create_timeline",
                                                     .branch_id = id,
                                                     .endpoint_id = {},
                                                     .queues = queues,
                                                     .arguments = {}}));
  return restored;
}

// What the new data brings along: roles (with passwords of their own) and databases.
void EngineCore::add_names(const BranchRecord& from, BranchRecord& branch) const {
  for (const RoleRecord& role : from.roles) {
    if (std::any_of(branch.roles.begin(), branch.roles.end(),
                    [&](const RoleRecord& known) { return known.name == role.name; }))
      continue;
    branch.roles.push_back(role);
    branch.roles.back().password = role.login ? make_password() : Secret();
  }
  for (const DatabaseRecord& database : from.databases)
    if (std::none_of(branch.databases.begin(), branch.databases.end(),
                     [&](const DatabaseRecord& known) { return known.name == database.name; }))
      branch.databases.push_back(database);
}

// The old data stays on the same file system, so that putting it aside is one rename.
std::string EngineCore::kept_folder_for(const std::string& preserved_id) const {
  std::string kept = settings_.work_folder + "/kept";
  make_folders(kept);
  std::string data = source_->data_folder();
  if (same_file_system(kept, std::filesystem::path(data).parent_path().string()))
    return kept + "/" + preserved_id;
  return data + "." + preserved_id;
}

BranchRecord EngineCore::restore_source(Draft& draft, const BranchRecord& target,
                                        const ResolvedPoint& at,
                                        const std::string& preserve_under_name) {
  if (!source_->managed())
    throw Error(
        ErrorCode::unsupported,
        fmt::format("branch {} is the source itself, which this engine only receives from and "
                    "cannot restore in place",
                    target.shown.name),
        "create a branch at that point and dump and restore from it, or let the engine manage the "
        "source (data_dir)");
  if (at.point.line != kMainLine)
    throw Error(ErrorCode::unsupported,
                "the source can be restored in place to points of its own history only, and that "
                "point is in a branch's",
                "dump from that branch and restore into the source");
  UtcTime now = clock_.now();
  BranchRecord preserved = new_branch(state_->tables(), preserve_under_name, target, at);
  preserved.shown.parent_id.reset();
  preserved.shown.current_state = "init";
  preserved.shown.state_changed_at = now;
  const std::string preserved_id = preserved.shown.id;
  preserved.kept_folder = kept_folder_for(preserved_id);

  RestoreJournal journal;
  journal.branch_id = target.shown.id;
  journal.preserved_id = preserved_id;
  journal.point = at.point;
  journal.data_folder = source_->data_folder();
  journal.new_folder = journal.data_folder + ".new";
  journal.kept_folder = preserved.kept_folder;

  BranchRecord restoring = target;
  restoring.shown.current_state = "resetting";
  restoring.shown.pending_state = "ready";
  restoring.shown.state_changed_at = restoring.shown.updated_at = now;
  neon::Operation operation =
      enqueue(draft, {.action = kRestoreAction,
                      .branch_id = target.shown.id,
                      .endpoint_id = writer_of(state_->tables(), target.shown.id)->shown.id,
                      .queues = {target.shown.id, preserved_id, "snapshots"},
                      .arguments = {{"preserved", preserved_id}}});
  journal.operation_id = operation.id;
  draft.change.put(std::move(journal));
  draft.change.put(std::move(preserved));
  return restoring;
}

EngineCore::Effects EngineCore::do_restore(const OperationRecord& operation, const Run& run) {
  RestoreJournal journal;
  {
    auto lock = state_->lock();
    auto found = state_->tables().journals.find(operation.shown.id);
    if (found == state_->tables().journals.end())
      throw Error(ErrorCode::corrupt, "the restore has no journal");
    journal = found->second;
  }
  journal = InPlaceRestore(*state_, *storage_, *source_, probe_).run(std::move(journal), run);

  return [this, journal](Change& change) {
    const Tables& tables = state_->tables();
    UtcTime now = clock_.now();
    BranchRecord restored = tables.branches.at(journal.branch_id);
    BranchRecord preserved = tables.branches.at(journal.preserved_id);
    const RestorePoint& end = journal.old_end.value();
    preserved.point = end;
    preserved.shown.parent_lsn.reset();
    preserved.shown.parent_timestamp = end.commit_time.value_or(now);
    preserved.shown.current_state = "ready";
    preserved.shown.state_changed_at = preserved.shown.updated_at = now;
    restored.shown.current_state = "ready";
    restored.shown.pending_state.reset();
    restored.shown.state_changed_at = restored.shown.updated_at = now;
    restored.shown.last_reset_at = now;
    for (const auto& [id, child] : tables.branches) {
      if (child.shown.parent_id != journal.branch_id || id == journal.preserved_id) continue;
      BranchRecord moved = child;
      moved.shown.parent_id = journal.preserved_id;
      moved.shown.updated_at = now;
      change.put(std::move(moved));
    }
    change.put(std::move(preserved));
    change.put(std::move(restored));
    change.erase(RecordKind::restore_journal, journal.operation_id);
  };
}

}  // namespace holdfast
