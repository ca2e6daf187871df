// What operations do: starting, stopping and removing computes, and changing roles and databases.
// Everything here may have been done before, in whole or in part, by an engine that ended.
#include <fmt/format.h>

#include <algorithm>

#include "engine/core.h"

namespace holdfast {
namespace {

std::map<std::string, Secret> known_passwords(const std::vector<RoleRecord>& roles) {
  std::map<std::string, Secret> passwords;
  for (const RoleRecord& role : roles)
    if (role.login && !role.password.empty()) passwords[role.name] = role.password;
  return passwords;
}

}  // namespace

EngineCore::Effects EngineCore::run(const OperationRecord& operation, const Run& run) {
  const std::string& action = operation.shown.action;
  if (action == "start_compute") return do_start(operation, run);
  if (action == "suspend_compute") return do_suspend(operation, run);
  if (action == "delete_timeline") return do_remove(operation);
  if (action == "apply_config") return do_apply(operation, run);
  if (action == kSnapshotAction) return do_snapshot(operation, run);
  if (action == kRestoreAction) return do_restore(operation, run);
  throw Error(ErrorCode::internal, fmt::format("operation {} is unknown", action));
}

// Called with the lock held: nothing is asked of servers here.
void EngineCore::failed(const OperationRecord& operation, const Error&, Change& change) {
  const Tables& tables = state_->tables();
  const std::string& action = operation.shown.action;
  if (operation.shown.endpoint_id && (action == "start_compute" || action == "suspend_compute")) {
    auto found = tables.endpoints.find(*operation.shown.endpoint_id);
    if (found != tables.endpoints.end()) {
      EndpointRecord endpoint = found->second;
      endpoint.shown.pending_state.reset();
      if (action == "start_compute" && !endpoint.source) endpoint.shown.current_state = "idle";
      endpoint.shown.updated_at = clock_.now();
      change.put(std::move(endpoint));
    }
  }
  if (action == kRestoreAction) {
    change.erase(RecordKind::branch, operation.argument("preserved"));
    change.erase(RecordKind::restore_journal, operation.shown.id);
  }
  if (operation.shown.branch_id)
    if (const BranchRecord* found = tables.branch(*operation.shown.branch_id);
        found && found->shown.current_state == "resetting") {
      BranchRecord branch = *found;
      branch.shown.current_state = "ready";
      branch.shown.pending_state.reset();
      change.put(std::move(branch));
    }
}

// The first start of a line: a folder is brought to the branch's point, and recovered there. What
// it was brought with is written down in between, for an engine that ends before it is recovered.
void EngineCore::bring_up(const std::string& branch_id, const ComputeSettings& settings,
                          const Run& run) {
  BranchRecord branch;
  {
    auto lock = state_->lock();
    branch = state_->tables().branches.at(branch_id);
  }
  auto compute = computes_->make(settings);
  if (branch.started) {
    compute->start(run);
    return;
  }
  if (!branch.brought || compute->state() == ComputeState::absent) {
    compute->remove();
    make_folders(settings.folder);
    branch.brought = storage_->bring(branch.point, settings.folder + "/data", run);
    Draft draft = this->draft();
    BranchRecord now = state_->tables().branches.at(branch_id);
    now.brought = branch.brought;
    draft.change.put(std::move(now));
    commit(draft);
  }
  compute->first_start(*branch.brought, known_passwords(branch.roles), run);
  storage_->add_line({branch.line, settings.folder + "/data/pg_wal", branch.point});
  std::vector<ComputeRole> roles = compute->roles();
  std::vector<ComputeDatabase> databases = compute->databases();
  Draft draft = this->draft();
  BranchRecord now = state_->tables().branches.at(branch_id);
  now.started = true;
  now.brought.reset();
  settle_names(now, roles, databases);
  draft.change.put(std::move(now));
  commit(draft);
}

void EngineCore::settle_names(BranchRecord& branch, const std::vector<ComputeRole>& roles,
                              const std::vector<ComputeDatabase>& databases) {
  std::erase_if(branch.roles, [&](const RoleRecord& role) {
    return std::none_of(roles.begin(), roles.end(),
                        [&](const ComputeRole& there) { return there.name == role.name; });
  });
  std::erase_if(branch.databases, [&](DatabaseRecord& database) {
    for (const ComputeDatabase& there : databases)
      if (there.name == database.name) {
        database.id = there.id;
        database.owner = there.owner;
        return false;
      }
    return true;
  });
}

// A read-only compute shows its branch as it was when it was started; every start brings it anew.
void EngineCore::bring_up_reader(const EndpointRecord& endpoint, const Run& run) {
  BranchRecord branch;
  {
    auto lock = state_->lock();
    branch = state_->tables().branches.at(endpoint.shown.branch_id);
  }
  ComputeSettings settings = compute_settings(endpoint, endpoint.shown.id);
  auto compute = computes_->make(settings);
  if (compute->state() == ComputeState::running) return;
  std::optional<Pin> pin;
  {
    std::shared_lock history(history_);
    pin.emplace(*this, head_of(branch));
  }
  compute->remove();
  make_folders(settings.folder);
  BroughtFolder brought = storage_->bring(pin->point(), settings.folder + "/data", run);
  std::vector<RoleRecord> roles = branch.roles;
  for (RoleRecord& role : roles) role.password = password_of(branch, role);
  compute->first_start(brought, known_passwords(roles), run);
}

EngineCore::Effects EngineCore::do_start(const OperationRecord& operation, const Run& run) {
  EndpointRecord endpoint;
  std::string line;
  {
    auto lock = state_->lock();
    const EndpointRecord* found = state_->tables().endpoint(operation.shown.endpoint_id.value());
    const BranchRecord* branch = state_->tables().branch(operation.shown.branch_id.value());
    if (!found || !branch) return {};  // deleted meanwhile
    endpoint = *found;
    line = branch->line;
  }
  if (endpoint.source)
    source_->start(run);
  else if (endpoint.shown.type == "read_only")
    bring_up_reader(endpoint, run);
  else
    bring_up(endpoint.shown.branch_id, compute_settings(endpoint, line), run);

  return [this, id = endpoint.shown.id, branch_id = endpoint.shown.branch_id](Change& change) {
    UtcTime now = clock_.now();
    auto found = state_->tables().endpoints.find(id);
    if (found == state_->tables().endpoints.end()) return;
    EndpointRecord started = found->second;
    if (started.shown.current_state != "active" || !started.shown.started_at)
      started.shown.started_at = started.shown.last_active = now;
    started.shown.current_state = "active";
    started.shown.updated_at = now;
    if (started.shown.pending_state == "active") started.shown.pending_state.reset();
    change.put(std::move(started));
    if (const BranchRecord* branch = state_->tables().branch(branch_id);
        branch && branch->shown.current_state == "resetting") {
      BranchRecord ready = *branch;
      ready.shown.current_state = "ready";
      ready.shown.state_changed_at = now;
      change.put(std::move(ready));
    }
  };
}

// What a compute has run for is counted when it stops.
void EngineCore::end_active(const Tables& tables, EndpointRecord& endpoint, UtcTime now,
                            Change& change) {
  auto found = tables.branches.find(endpoint.shown.branch_id);
  if (endpoint.shown.current_state != "active" || !endpoint.shown.started_at || endpoint.source ||
      found == tables.branches.end())
    return;
  auto ran = std::chrono::duration_cast<std::chrono::seconds>(now - *endpoint.shown.started_at);
  BranchRecord branch = found->second;
  branch.shown.active_time_seconds += ran.count();
  branch.shown.compute_time_seconds += static_cast<int64_t>(
      static_cast<double>(ran.count()) * endpoint.shown.autoscaling_limit_max_cu);
  change.put(std::move(branch));
}

// With a `line`: stops what runs in that folder, which is no longer its branch's (a restore).
EngineCore::Effects EngineCore::do_suspend(const OperationRecord& operation, const Run& run) {
  EndpointRecord endpoint;
  std::string line = operation.argument("line");
  {
    auto lock = state_->lock();
    const Tables& tables = state_->tables();
    auto found = tables.endpoints.find(operation.shown.endpoint_id.value_or(""));
    if (found != tables.endpoints.end()) endpoint = found->second;
    if (line.empty()) {
      auto branch = tables.branches.find(operation.shown.branch_id.value());
      if (branch == tables.branches.end() || found == tables.endpoints.end()) return {};
      line = endpoint.shown.type == "read_only" ? endpoint.shown.id : branch->second.line;
    }
  }
  if (endpoint.source) {
    source_->stop(run);
  } else {
    auto compute = computes_->make(compute_settings(endpoint, line));
    if (compute->state() != ComputeState::absent) compute->stop(run);
    if (operation.argument("erase") == "yes" && endpoint.shown.type == "read_only")
      compute->remove();
  }
  return
      [this, id = endpoint.shown.id, erase = operation.argument("erase") == "yes"](Change& change) {
        UtcTime now = clock_.now();
        auto found = state_->tables().endpoints.find(id);
        if (found == state_->tables().endpoints.end()) return;
        EndpointRecord stopped = found->second;
        end_active(state_->tables(), stopped, now, change);
        if (erase) {
          change.erase(RecordKind::endpoint, id);
          return;
        }
        stopped.shown.current_state = "idle";
        stopped.shown.suspended_at = stopped.shown.updated_at = now;
        if (stopped.shown.pending_state == "idle") stopped.shown.pending_state.reset();
        change.put(std::move(stopped));
      };
}

// A line that nothing needs any more, and with it, where one is named, its deleted branch.
EngineCore::Effects EngineCore::do_remove(const OperationRecord& operation) {
  std::string line = operation.argument("line"), branch_id = operation.argument("branch");
  std::vector<EndpointRecord> endpoints;
  std::string kept_folder;
  {
    auto lock = state_->lock();
    for (const auto& [id, endpoint] : state_->tables().endpoints)
      if (!branch_id.empty() && endpoint.shown.branch_id == branch_id)
        endpoints.push_back(endpoint);
    auto branch = state_->tables().branches.find(branch_id);
    if (branch != state_->tables().branches.end()) kept_folder = branch->second.kept_folder;
  }
  EndpointRecord nobody;
  computes_->make(compute_settings(nobody, line))->remove();
  for (const EndpointRecord& endpoint : endpoints)
    if (endpoint.shown.type == "read_only")
      computes_->make(compute_settings(endpoint, endpoint.shown.id))->remove();
  try {
    storage_->remove_line(line);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found) throw;  // it never had a state of its own
  }
  if (!kept_folder.empty()) remove_tree(kept_folder);
  return [branch_id, endpoints](Change& change) {
    for (const EndpointRecord& endpoint : endpoints)
      change.erase(RecordKind::endpoint, endpoint.shown.id);
    if (!branch_id.empty()) change.erase(RecordKind::branch, branch_id);
  };
}

EngineCore::Effects EngineCore::do_snapshot(const OperationRecord& operation, const Run& run) {
  SnapshotInfo taken = storage_->take_snapshot(run);
  return [this, id = operation.argument("snapshot"), taken](Change& change) {
    auto found = state_->tables().snapshots.find(id);
    if (found == state_->tables().snapshots.end()) return;
    SnapshotRecord snapshot = found->second;
    snapshot.shown.full_size = static_cast<int64_t>(taken.bytes);
    change.put(std::move(snapshot));
  };
}

}  // namespace holdfast
