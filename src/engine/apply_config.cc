// Changes to roles and databases, on the source or on a branch's compute, and to a compute's
// settings.
#include <fmt/format.h>

#include <algorithm>

#include "engine/core.h"

namespace holdfast {
namespace {

// Runs `work`; that it was done already is as good.
template <typename Work>
void unless(ErrorCode done_already, Work&& work) {
  try {
    work();
  } catch (const Error& error) {
    if (error.code() != done_already) throw;
  }
}

// The same statements for the source and for computes: both have these functions.
template <typename Server>
void apply_change(const OperationRecord& operation, Server& server) {
  std::string what = operation.argument("what"), name = operation.argument("name");
  Secret password(operation.argument("password"));
  if (what == "create_role") {
    unless(ErrorCode::exists,
           [&] { server.create_role(name, password, operation.argument("login") == "yes"); });
    if (!password.empty()) server.set_password(name, password);
  } else if (what == "reset_password") {
    server.set_password(name, password);
  } else if (what == "drop_role") {
    unless(ErrorCode::not_found, [&] { server.drop_role(name); });
  } else if (what == "create_database") {
    unless(ErrorCode::exists, [&] { server.create_database(name, operation.argument("owner")); });
  } else if (what == "update_database") {
    // Where the old name is gone, a run before this one did it.
    unless(ErrorCode::not_found, [&] {
      server.update_database(name, operation.argument("new_name"), operation.argument("owner"));
    });
  } else if (what == "drop_database") {
    unless(ErrorCode::not_found, [&] { server.drop_database(name); });
  } else {
    throw Error(ErrorCode::internal, fmt::format("no change is called {}", what));
  }
}

// What the change makes of the branch's lists.
void list_change(const OperationRecord& operation, BranchRecord& branch, UtcTime now) {
  std::string what = operation.argument("what"), name = operation.argument("name");
  auto named = [&](const auto& thing) { return thing.name == name; };
  if (what == "create_role") {
    std::erase_if(branch.roles, named);
    branch.roles.push_back({name, Secret(operation.argument("password")),
                            operation.argument("login") == "yes", now, now});
  } else if (what == "reset_password") {
    for (RoleRecord& role : branch.roles)
      if (role.name == name) {
        role.password = Secret(operation.argument("password"));
        role.updated_at = now;
      }
  } else if (what == "drop_role") {
    std::erase_if(branch.roles, named);
  } else if (what == "create_database") {
    std::erase_if(branch.databases, named);
    branch.databases.push_back(
        {std::stoll(operation.argument("number")), name, operation.argument("owner"), now, now});
  } else if (what == "update_database") {
    for (DatabaseRecord& database : branch.databases)
      if (database.name == name) {
        database.name = operation.argument("new_name");
        database.owner = operation.argument("owner");
        database.updated_at = now;
        break;
      }
  } else if (what == "drop_database") {
    std::erase_if(branch.databases, named);
  }
}

}  // namespace

// A change to roles or databases: on the source, or on the branch's compute, which is started for
// it if it does not run.
EngineCore::Effects EngineCore::do_apply(const OperationRecord& operation, const Run& run) {
  BranchRecord branch;
  std::optional<EndpointRecord> endpoint;
  {
    auto lock = state_->lock();
    const BranchRecord* found = state_->tables().branch(operation.shown.branch_id.value());
    if (!found) return {};
    branch = *found;
    if (const EndpointRecord* writer = writer_of(state_->tables(), branch.shown.id))
      endpoint = *writer;
  }
  if (operation.argument("what") == "restart") return do_reconfigure(operation, run);
  if (branch.source) {
    apply_change(operation, *source_);
  } else {
    std::optional<LentPort> port;
    if (!endpoint) {
      port.emplace(*this);
      endpoint.emplace().port = port->number();
    }
    ComputeSettings settings = compute_settings(*endpoint, branch.line);
    auto compute = computes_->make(settings);
    bool ran = compute->state() == ComputeState::running;
    bring_up(branch.shown.id, settings, run);
    apply_change(operation, *compute);
    if (!ran) compute->stop(run);
  }
  return [this, operation](Change& change) {
    const BranchRecord* found = state_->tables().branch(operation.shown.branch_id.value());
    if (!found) return;
    BranchRecord listed = *found;
    list_change(operation, listed, clock_.now());
    change.put(std::move(listed));
  };
}

// New sizes and settings of a running compute.
EngineCore::Effects EngineCore::do_reconfigure(const OperationRecord& operation, const Run& run) {
  EndpointRecord endpoint;
  std::string line;
  {
    auto lock = state_->lock();
    const EndpointRecord* found =
        state_->tables().endpoint(operation.shown.endpoint_id.value_or(""));
    const BranchRecord* branch = state_->tables().branch(operation.shown.branch_id.value());
    if (!found || !branch) return {};
    endpoint = *found;
    line = endpoint.shown.type == "read_only" ? endpoint.shown.id : branch->line;
  }
  auto compute = computes_->make(compute_settings(endpoint, line));
  if (compute->state() != ComputeState::running) return {};
  compute->stop(run);
  compute->start(run);
  return {};
}

}  // namespace holdfast
