// For tests and fuzzers: an Engine without PostgreSQL, which keeps what it is told in memory. It
// has the API's visible rules (names that exist, things that do not, what is gone already), so that
// handlers, server and stock clients can be tried on it.
//
// Special branch names make calls fail or take long: "slow" waits `slow_ms`, "busy", "full" and
// "broken" throw busy, BRANCHES_LIMIT_EXCEEDED and something that is no Error. Thread-safe.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "base/error.h"
#include "engine/engine.h"

namespace holdfast {

template <typename List>
auto& fake_find(List& list, const std::string& id, const char* what) {
  for (auto& one : list)
    if (one.id == id) return one;
  throw Error(ErrorCode::not_found, std::string(what) + " not found");
}

class FakeEngine final : public Engine {
 public:
  int slow_ms = 200;
  std::map<std::string, std::string> schemas;  // by branch id

  FakeEngine() {
    neon::Branch main = new_branch("main");
    main.is_default = true;
    main_id_ = main.id;
    branches_.push_back(main);
    endpoints_.push_back(new_endpoint(main.id));
  }

  const std::string& main_id() const { return main_id_; }

  neon::Project project() const override {
    std::lock_guard lock(mutex_);
    return project_;
  }
  neon::Project update_project(const std::optional<std::string>& name,
                               const std::optional<int64_t>& seconds) override {
    std::lock_guard lock(mutex_);
    if (name) project_.name = *name;
    if (seconds) project_.history_retention_seconds = *seconds;
    return project_;
  }
  StorageHealth health() const override {
    StorageHealth health;
    health.receiving = true;
    health.slot = "holdfast";
    return health;
  }
  std::vector<Window> windows() const override {
    return {{kMainLine, 1, {0x1000028}, {0x2000000}, kNow, kNow + std::chrono::hours(1)}};
  }

  BranchPage branches(const BranchQuery& query) const override {
    std::lock_guard lock(mutex_);
    BranchPage page;
    for (const neon::Branch& branch : branches_)
      if (branch.name.find(query.search) != std::string::npos) page.branches.push_back(branch);
    std::sort(page.branches.begin(), page.branches.end(),
              [&](const neon::Branch& a, const neon::Branch& b) {
                return query.ascending ? a.name < b.name : b.name < a.name;
              });
    size_t from = 0;
    if (!query.cursor.empty()) {
      while (from < page.branches.size() && page.branches[from].id != query.cursor) ++from;
      from = std::min(page.branches.size(), from + 1);
    }
    page.branches.erase(page.branches.begin(),
                        page.branches.begin() + static_cast<ptrdiff_t>(from));
    if (query.limit != 0 && page.branches.size() > query.limit) {
      page.branches.resize(query.limit);
      page.next = page.branches.back().id;
    }
    return page;
  }
  size_t branch_count(const std::string& search) const override {
    BranchQuery query;
    query.search = search;
    return branches(query).branches.size();
  }
  neon::Branch branch(const std::string& id) const override {
    std::lock_guard lock(mutex_);
    return fake_find(branches_, id, "branch");
  }
  neon::Changed create_branch(const neon::BranchCreateRequest& request) override {
    std::string name = request.name.value_or("");
    if (name == "slow") std::this_thread::sleep_for(std::chrono::milliseconds(slow_ms));
    if (name == "busy")
      throw Error(ErrorCode::busy, "project already has running operations", "wait");
    if (name == "full")
      throw Error(ErrorCode::violated, "BRANCHES_LIMIT_EXCEEDED: there are 10 branches already");
    if (name == "broken") throw std::runtime_error("an inner secret of the program");
    std::lock_guard lock(mutex_);
    for (const neon::Branch& branch : branches_)
      if (branch.name == name) throw Error(ErrorCode::exists, "branch already exists");
    neon::Branch branch = new_branch(name);
    if (name.empty()) branch.name = branch.id;
    branch.parent_id = request.parent_id.value_or(branches_.front().id);
    fake_find(branches_, *branch.parent_id, "branch");
    branch.parent_lsn = request.parent_lsn.value_or("0/2000000");
    branch.parent_timestamp = request.parent_timestamp.value_or(kNow);
    branch.expires_at = request.expires_at;
    branch.is_protected = request.is_protected;
    branch.annotation = request.annotation;
    branches_.push_back(branch);
    neon::Changed changed = changed_with("create_branch", branch.id);
    changed.branch = branch;
    if (!request.endpoints.empty()) {
      endpoints_.push_back(new_endpoint(branch.id));
      changed.endpoints.push_back(endpoints_.back());
      changed.connection_uris.push_back(uri_of(endpoints_.back(), "care", "owner"));
    }
    return changed;
  }
  neon::Changed update_branch(const std::string& id,
                              const neon::BranchUpdateRequest& request) override {
    std::lock_guard lock(mutex_);
    neon::Branch& branch = fake_find(branches_, id, "branch");
    if (request.name) branch.name = *request.name;
    if (request.is_protected) branch.is_protected = *request.is_protected;
    if (request.has_expires_at) branch.expires_at = request.expires_at;
    return with_branch(branch);
  }
  std::optional<neon::Changed> delete_branch(const std::string& id) override {
    std::lock_guard lock(mutex_);
    for (auto branch = branches_.begin(); branch != branches_.end(); ++branch) {
      if (branch->id != id) continue;
      if (branch->is_default)
        throw Error(ErrorCode::unsupported, "the default branch cannot be deleted");
      neon::Changed changed = changed_with("delete_timeline", id);
      changed.branch = *branch;
      branches_.erase(branch);
      return changed;
    }
    return std::nullopt;
  }
  neon::Changed set_default_branch(const std::string& id) override {
    std::lock_guard lock(mutex_);
    neon::Branch& chosen = fake_find(branches_, id, "branch");
    for (neon::Branch& branch : branches_) branch.is_default = branch.id == id;
    return with_branch(chosen);
  }
  neon::Changed restore_branch(const std::string& id,
                               const neon::BranchRestoreRequest& request) override {
    std::lock_guard lock(mutex_);
    neon::Branch& branch = fake_find(branches_, id, "branch");
    fake_find(branches_, request.source_branch_id, "branch");
    if (request.source_branch_id == id && !request.preserve_under_name)
      throw Error(ErrorCode::invalid, "preserve_under_name is required");
    if (request.preserve_under_name) {
      neon::Branch old = new_branch(*request.preserve_under_name);
      branch.parent_id = old.id;
      branches_.push_back(old);
    }
    neon::Branch& same = fake_find(branches_, id, "branch");
    same.last_reset_at = kNow;
    neon::Changed changed = changed_with("create_timeline", id);
    changed.branch = same;
    return changed;
  }
  std::string schema(const std::string& id, const std::string& database,
                     const std::optional<std::string>&, const std::optional<UtcTime>&) override {
    std::lock_guard lock(mutex_);
    fake_find(branches_, id, "branch");
    if (database != "care") throw Error(ErrorCode::not_found, "database not found");
    return schemas[id];
  }

  std::vector<neon::Endpoint> endpoints(const std::optional<std::string>& branch) const override {
    std::lock_guard lock(mutex_);
    if (branch) fake_find(branches_, *branch, "branch");
    std::vector<neon::Endpoint> found;
    for (const neon::Endpoint& endpoint : endpoints_)
      if (!branch || endpoint.branch_id == *branch) found.push_back(endpoint);
    return found;
  }
  neon::Endpoint endpoint(const std::string& id) const override {
    std::lock_guard lock(mutex_);
    return fake_find(endpoints_, id, "endpoint");
  }
  neon::Changed create_endpoint(const neon::EndpointRequest& request) override {
    std::lock_guard lock(mutex_);
    fake_find(branches_, request.branch_id, "branch");
    endpoints_.push_back(new_endpoint(request.branch_id));
    endpoints_.back().type = request.type;
    endpoints_.back().name = request.name;
    return with_endpoint(endpoints_.back(), "create_compute");
  }
  neon::Changed update_endpoint(const std::string& id,
                                const neon::EndpointRequest& request) override {
    std::lock_guard lock(mutex_);
    neon::Endpoint& endpoint = fake_find(endpoints_, id, "endpoint");
    if (request.suspend_timeout_seconds)
      endpoint.suspend_timeout_seconds = *request.suspend_timeout_seconds;
    return with_endpoint(endpoint, "apply_config");
  }
  std::optional<neon::Changed> delete_endpoint(const std::string& id) override {
    std::lock_guard lock(mutex_);
    for (auto endpoint = endpoints_.begin(); endpoint != endpoints_.end(); ++endpoint) {
      if (endpoint->id != id) continue;
      neon::Changed changed = with_endpoint(*endpoint, "suspend_compute");
      endpoints_.erase(endpoint);
      return changed;
    }
    return std::nullopt;
  }
  neon::Changed start_endpoint(const std::string& id) override { return set_state(id, "active"); }
  neon::Changed suspend_endpoint(const std::string& id) override { return set_state(id, "idle"); }
  neon::Changed restart_endpoint(const std::string& id) override { return set_state(id, "active"); }

  std::vector<neon::Role> roles(const std::string& branch) override {
    std::lock_guard lock(mutex_);
    fake_find(branches_, branch, "branch");
    return {role_of(branch, "owner")};
  }
  neon::Role role(const std::string& branch, const std::string& name) override {
    if (name != "owner") throw Error(ErrorCode::not_found, "role not found");
    return roles(branch).front();
  }
  neon::Changed create_role(const std::string& branch, const std::string& name, bool) override {
    if (name == "owner") throw Error(ErrorCode::exists, "role already exists");
    return with_role(branch, name);
  }
  std::optional<neon::Changed> delete_role(const std::string& branch,
                                           const std::string& name) override {
    if (name != "owner") return std::nullopt;
    return with_role(branch, name);
  }
  std::optional<Secret> reveal_password(const std::string& branch,
                                        const std::string& name) override {
    if (name == "forgotten") return std::nullopt;
    role(branch, name);
    return Secret("pass word");
  }
  neon::Changed reset_password(const std::string& branch, const std::string& name) override {
    return with_role(branch, name);
  }

  std::vector<neon::Database> databases(const std::string& branch) override {
    std::lock_guard lock(mutex_);
    fake_find(branches_, branch, "branch");
    return {database_of(branch, "care")};
  }
  neon::Database database(const std::string& branch, const std::string& name) override {
    if (name != "care") throw Error(ErrorCode::not_found, "database not found");
    return databases(branch).front();
  }
  neon::Changed create_database(const std::string& branch, const std::string& name,
                                const std::string&) override {
    if (name == "care") throw Error(ErrorCode::exists, "database already exists");
    return with_database(branch, name);
  }
  neon::Changed update_database(const std::string& branch, const std::string& name,
                                const std::optional<std::string>& new_name,
                                const std::optional<std::string>&) override {
    database(branch, name);
    return with_database(branch, new_name.value_or(name));
  }
  std::optional<neon::Changed> delete_database(const std::string& branch,
                                               const std::string& name) override {
    if (name != "care") return std::nullopt;
    return with_database(branch, name);
  }
  neon::ConnectionUri connection_uri(const std::optional<std::string>& branch,
                                     const std::optional<std::string>& endpoint_id,
                                     const std::string& database_name,
                                     const std::string& role_name) override {
    neon::Endpoint found =
        endpoint_id ? endpoint(*endpoint_id) : endpoints(branch ? *branch : main_id()).at(0);
    return uri_of(found, database_name, role_name);
  }

  std::vector<neon::Snapshot> snapshots() const override {
    std::lock_guard lock(mutex_);
    return snapshots_;
  }
  neon::Changed create_snapshot(const std::string& branch,
                                const SnapshotRequest& request) override {
    std::lock_guard lock(mutex_);
    fake_find(branches_, branch, "branch");
    neon::Snapshot snapshot;
    snapshot.id = fmt::format("snap-calm-lake-{:08}", ++last_number_);
    snapshot.name = request.name.value_or(snapshot.id);
    snapshot.created_at = kNow;
    snapshot.timestamp = request.timestamp;
    snapshot.lsn = request.lsn;
    snapshot.source_branch_id = branch;
    snapshot.expires_at = request.expires_at;
    snapshots_.push_back(snapshot);
    neon::Changed changed = changed_with("create_timeline", branch);
    changed.snapshot = snapshot;
    return changed;
  }
  neon::Snapshot update_snapshot(const std::string& id, const std::optional<std::string>& name,
                                 bool has_expires_at,
                                 const std::optional<UtcTime>& expires_at) override {
    std::lock_guard lock(mutex_);
    neon::Snapshot& snapshot = fake_find(snapshots_, id, "snapshot");
    if (name) snapshot.name = *name;
    if (has_expires_at) snapshot.expires_at = expires_at;
    return snapshot;
  }
  neon::Changed delete_snapshot(const std::string& id) override {
    std::lock_guard lock(mutex_);
    fake_find(snapshots_, id, "snapshot");
    std::erase_if(snapshots_, [&](const neon::Snapshot& one) { return one.id == id; });
    return changed_with("delete_timeline", branches_.front().id);
  }
  neon::Changed restore_snapshot(const std::string& id, const std::optional<std::string>& name,
                                 const std::optional<std::string>& target, bool) override {
    std::lock_guard lock(mutex_);
    fake_find(snapshots_, id, "snapshot");
    if (target) fake_find(branches_, *target, "branch");
    branches_.push_back(new_branch(name.value_or("restored")));
    neon::Changed changed = changed_with("create_branch", branches_.back().id);
    changed.branch = branches_.back();
    return changed;
  }
  neon::Changed finalize_restore(const std::string& branch,
                                 const std::optional<std::string>&) override {
    std::lock_guard lock(mutex_);
    fake_find(branches_, branch, "branch");
    return changed_with("swap_binding_id", branch);
  }
  std::vector<neon::ScheduleItem> schedule(const std::string& branch) const override {
    std::lock_guard lock(mutex_);
    fake_find(branches_, branch, "branch");
    return schedule_;
  }
  void set_schedule(const std::string& branch,
                    const std::vector<neon::ScheduleItem>& items) override {
    std::lock_guard lock(mutex_);
    fake_find(branches_, branch, "branch");
    schedule_ = items;
  }

  std::vector<neon::Operation> operations(size_t limit, const std::string& cursor) const override {
    std::lock_guard lock(mutex_);
    std::vector<neon::Operation> found;
    bool seen = cursor.empty();
    for (auto operation = operations_.rbegin(); operation != operations_.rend(); ++operation) {
      if (seen && found.size() < limit) found.push_back(*operation);
      seen = seen || operation->id == cursor;
    }
    return found;
  }
  neon::Operation operation(const std::string& id) const override {
    std::lock_guard lock(mutex_);
    return fake_find(operations_, id, "operation");
  }
  std::vector<neon::Operation> wait(const std::vector<neon::Operation>& operations,
                                    std::chrono::milliseconds) override {
    return operations;
  }

 private:
  static constexpr UtcTime kNow{std::chrono::milliseconds(1'794'321'000'123)};  // 2026-11-10

  neon::Branch new_branch(const std::string& name) {
    neon::Branch branch;
    branch.id = fmt::format("br-quiet-sun-{:08}", ++last_number_);
    branch.project_id = project_.id;
    branch.name = name;
    branch.created_at = branch.updated_at = branch.state_changed_at = kNow;
    return branch;
  }
  neon::Endpoint new_endpoint(const std::string& branch) {
    neon::Endpoint endpoint;
    endpoint.id = fmt::format("ep-cold-hill-{:08}", ++last_number_);
    endpoint.host = "127.0.0.1:15500";
    endpoint.project_id = project_.id;
    endpoint.branch_id = branch;
    endpoint.region_id = project_.region_id;
    endpoint.created_at = endpoint.updated_at = kNow;
    return endpoint;
  }
  neon::Changed changed_with(const char* action, const std::string& branch) {
    constexpr size_t kKeptMax = 1000;
    neon::Operation operation;
    operation.id = fmt::format("00000000-0000-4000-8000-{:012}", ++last_number_);
    operation.project_id = project_.id;
    operation.action = action;
    operation.status = "finished";
    operation.branch_id = branch;
    operation.created_at = operation.updated_at = kNow;
    if (operations_.size() == kKeptMax) operations_.erase(operations_.begin());
    operations_.push_back(operation);
    neon::Changed changed;
    changed.operations.push_back(operation);
    return changed;
  }
  neon::Changed with_branch(const neon::Branch& branch) {
    neon::Changed changed;
    changed.branch = branch;
    return changed;
  }
  neon::Changed with_endpoint(const neon::Endpoint& endpoint, const char* action) {
    neon::Changed changed = changed_with(action, endpoint.branch_id);
    changed.endpoints.push_back(endpoint);
    return changed;
  }
  neon::Changed set_state(const std::string& id, const char* state) {
    std::lock_guard lock(mutex_);
    neon::Endpoint& endpoint = fake_find(endpoints_, id, "endpoint");
    endpoint.current_state = state;
    return with_endpoint(endpoint, "start_compute");
  }
  neon::Role role_of(const std::string& branch, const std::string& name) const {
    neon::Role role;
    role.branch_id = branch;
    role.name = name;
    role.created_at = role.updated_at = kNow;
    return role;
  }
  neon::Database database_of(const std::string& branch, const std::string& name) const {
    return {16384, branch, name, "owner", kNow, kNow};
  }
  neon::Changed with_role(const std::string& branch, const std::string& name) {
    std::lock_guard lock(mutex_);
    fake_find(branches_, branch, "branch");
    neon::Changed changed = changed_with("apply_config", branch);
    changed.roles.push_back(role_of(branch, name));
    changed.roles.back().password = Secret("pass word");
    return changed;
  }
  neon::Changed with_database(const std::string& branch, const std::string& name) {
    std::lock_guard lock(mutex_);
    fake_find(branches_, branch, "branch");
    neon::Changed changed = changed_with("apply_config", branch);
    changed.databases.push_back(database_of(branch, name));
    return changed;
  }
  neon::ConnectionUri uri_of(const neon::Endpoint& endpoint, const std::string& database,
                             const std::string& role) const {
    std::string uri = fmt::format("postgresql://{}:pass%20word@{}/{}?sslmode=require", role,
                                  endpoint.host, database);
    return {Secret(uri), database, role, endpoint.host, endpoint.host, Secret("pass word")};
  }

  static neon::Project new_project() {
    neon::Project project;
    project.id = "holdfast-fake-00000001";
    project.platform_id = project.region_id = "self-hosted";
    project.name = "holdfast";
    project.proxy_host = "127.0.0.1";
    project.owner_id = "holdfast";
    project.pg_version = 15;
    project.created_at = project.updated_at = kNow;
    return project;
  }

  mutable std::mutex mutex_;
  int last_number_ = 0;
  std::string main_id_;  // never changes
  neon::Project project_ = new_project();
  std::vector<neon::Branch> branches_;
  std::vector<neon::Endpoint> endpoints_;
  std::vector<neon::Operation> operations_;
  std::vector<neon::Snapshot> snapshots_;
  std::vector<neon::ScheduleItem> schedule_;
};

}  // namespace holdfast
