#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "engine/core.h"
#include "engine/ids.h"

namespace holdfast {
namespace {

// How long a call waits for what it set going: connecting right away then works where the compute
// is quick, and clients (the shortest patience known is 10 s) do not give up.
constexpr std::chrono::days kExpiryMax{30};  // as the API has it
constexpr size_t kBranchNameBytesMax = 256;
constexpr size_t kEndpointsMax = 8;  // of one create call

bool matches(const neon::Branch& branch, const std::string& search) {
  return search.empty() || lower(branch.name).find(search) != std::string::npos ||
         branch.id.find(search) != std::string::npos;
}

// What a branch is sorted by; the id makes it unique.
std::string sort_key(const neon::Branch& branch, const std::string& sort_by) {
  if (sort_by == "name") return branch.name + '\0' + branch.id;
  UtcTime time = sort_by == "created_at" ? branch.created_at : branch.updated_at;
  return fmt::format("{:020}", time.time_since_epoch().count()) + '\0' + branch.id;
}

}  // namespace

BranchPage EngineCore::branches(const BranchQuery& query) const {
  if (query.sort_by != "name" && query.sort_by != "created_at" && query.sort_by != "updated_at")
    throw Error(ErrorCode::invalid, "sort_by is one of name, created_at, updated_at");
  std::string search = lower(query.search), after = from_hex(query.cursor);
  if (!query.cursor.empty() && after.empty())
    throw Error(ErrorCode::invalid, "the cursor is not one of this list");

  auto lock = state_->lock();
  std::vector<std::pair<std::string, const neon::Branch*>> found;
  for (const auto& [id, branch] : state_->tables().branches) {
    if (branch.deleted || !matches(branch.shown, search)) continue;
    std::string key = sort_key(branch.shown, query.sort_by);
    if (!after.empty() && (query.ascending ? key <= after : key >= after)) continue;
    found.emplace_back(std::move(key), &branch.shown);
  }
  std::sort(found.begin(), found.end(), [&](const auto& a, const auto& b) {
    return query.ascending ? a.first < b.first : a.first > b.first;
  });
  BranchPage page;
  size_t count = query.limit == 0 ? found.size() : std::min(query.limit, found.size());
  page.branches.reserve(count);
  for (size_t i = 0; i < count; ++i) page.branches.push_back(*found[i].second);
  if (count < found.size()) page.next = to_hex(as_bytes(found[count - 1].first));
  return page;
}

size_t EngineCore::branch_count(const std::string& search) const {
  auto lock = state_->lock();
  std::string wanted = lower(search);
  return static_cast<size_t>(std::count_if(
      state_->tables().branches.begin(), state_->tables().branches.end(), [&](const auto& entry) {
        return !entry.second.deleted && matches(entry.second.shown, wanted);
      }));
}

neon::Branch EngineCore::branch(const std::string& id) const {
  auto lock = state_->lock();
  return need_branch(state_->tables(), id).shown;
}

void EngineCore::check_name(const Tables& tables, const std::string& name,
                            const std::string& own_id) const {
  if (name.empty() || name.size() > kBranchNameBytesMax ||
      printable(name, kBranchNameBytesMax) != name)
    throw Error(ErrorCode::invalid,
                fmt::format("a branch's name has 1 to {} bytes and no control characters",
                            kBranchNameBytesMax));
  for (const auto& [id, branch] : tables.branches)
    if (!branch.deleted && id != own_id && branch.shown.name == name)
      throw Error(ErrorCode::exists, fmt::format("branch with name \"{}\" already exists", name),
                  "choose another name, or delete that branch first");
}

void EngineCore::check_expiry(const std::optional<UtcTime>& expires_at) const {
  if (!expires_at) return;
  if (*expires_at <= clock_.now()) throw Error(ErrorCode::invalid, "expires_at is in the past");
  if (*expires_at > clock_.now() + kExpiryMax)
    throw Error(ErrorCode::invalid, "expires_at is more than 30 days away");
}

void EngineCore::check_branches_left(const Tables& tables) const {
  size_t count = 0;
  for (const auto& [id, branch] : tables.branches) count += branch.deleted ? 0 : 1;
  if (count >= settings_.branches_max)
    throw Error(ErrorCode::violated,
                fmt::format("BRANCHES_LIMIT_EXCEEDED: there are {} branches, and no more than that "
                            "are allowed",
                            count),
                "delete branches, or raise branches_max");
}

// By record, or because its data begins on this branch's line.
bool EngineCore::has_children(const Tables& tables, const BranchRecord& branch, bool also_deleted) {
  return std::any_of(tables.branches.begin(), tables.branches.end(), [&](const auto& entry) {
    const BranchRecord& other = entry.second;
    return other.shown.id != branch.shown.id && !other.source && (also_deleted || !other.deleted) &&
           ((!other.deleted && other.shown.parent_id == branch.shown.id) ||
            (!branch.source && other.point.line == branch.line));
  });
}

// A branch has the roles and databases that its parent has listed, each role with a password of
// its own. Those that are not at the point yet go when its compute has been started.
void EngineCore::inherit_names(const BranchRecord& parent, BranchRecord& child) const {
  UtcTime now = clock_.now();
  child.databases = parent.databases;
  child.roles = parent.roles;
  for (RoleRecord& role : child.roles) {
    if (role.login) role.password = make_password();
    role.updated_at = now;
  }
}

BranchRecord EngineCore::new_branch(const Tables& tables, const std::string& name,
                                    const BranchRecord& parent, const ResolvedPoint& at) {
  BranchRecord branch;
  neon::Branch& shown = branch.shown;
  shown.id = new_id("br");
  shown.project_id = tables.project.shown.id;
  shown.name = name.empty() ? shown.id : name;
  shown.parent_id = parent.shown.id;
  shown.parent_lsn = format_lsn(at.point.end);
  shown.parent_timestamp = at.time;
  shown.logical_size = parent.shown.logical_size;
  shown.created_at = shown.updated_at = shown.state_changed_at = clock_.now();
  branch.line = shown.id;
  branch.point = at.point;
  inherit_names(parent, branch);
  return branch;
}

neon::Changed EngineCore::create_branch(const neon::BranchCreateRequest& request) {
  if (request.init_source && *request.init_source != "parent-data")
    throw Error(ErrorCode::unsupported,
                fmt::format("init_source {} is not supported: a branch has its parent's data",
                            printable(*request.init_source, 40)),
                "create the branch with its data, and delete what is not wanted there");
  if (request.archived)
    throw Error(ErrorCode::unsupported, "archived branches are not supported",
                "a branch without a compute takes no space of its own");
  if (request.endpoints.size() > kEndpointsMax)
    throw Error(ErrorCode::invalid, fmt::format("at most {} endpoints at once", kEndpointsMax));
  check_expiry(request.expires_at);
  if (request.expires_at && request.is_protected)
    throw Error(ErrorCode::violated, "a protected branch cannot expire");

  // The name is looked at before the history: that takes longer, and is for nothing if it is taken.
  BranchRecord parent;
  {
    auto lock = state_->lock();
    const Tables& tables = state_->tables();
    if (request.parent_id) {
      parent = need_branch(tables, *request.parent_id);
    } else {
      for (const auto& [id, branch] : tables.branches)
        if (branch.shown.is_default && !branch.deleted) parent = branch;
    }
    if (request.name) check_name(tables, *request.name, {});
    check_branches_left(tables);
  }
  std::shared_lock history(history_);
  ResolvedPoint at = resolve(parent, request.parent_lsn, request.parent_timestamp);

  Draft draft = this->draft();
  const Tables& tables = state_->tables();
  const BranchRecord& now = need_branch(tables, parent.shown.id);
  if (now.line != parent.line)
    throw Error(ErrorCode::busy, "the parent branch was restored meanwhile", "try again");
  if (now.shown.expires_at)
    throw Error(ErrorCode::violated, "a branch that expires cannot have children",
                "take its expires_at away first");
  if (request.name) check_name(tables, *request.name, {});
  check_branches_left(tables);
  check_computes_left(tables, request.endpoints.size());

  BranchRecord branch = new_branch(tables, request.name.value_or(""), now, at);
  branch.shown.is_protected = request.is_protected;
  branch.shown.expires_at = request.expires_at;
  branch.shown.annotation = request.annotation;
  branch.shown.init_source = "parent-data";
  neon::Changed changed;
  const std::string id = branch.shown.id;
  changed.operations.push_back(queue_->add_finished(draft.change, draft.project,
                                                    {.action = "create_timeline",
                                                     .branch_id = id,
                                                     .endpoint_id = {},
                                                     .queues = {id},
                                                     .arguments = {}}));
  std::set<int> ports;
  bool has_writer = false;
  for (const neon::EndpointRequest& wanted : request.endpoints) {
    if (wanted.type == "read_write" && std::exchange(has_writer, true))
      throw Error(ErrorCode::exists, "read_write endpoint already exists");
    EndpointRecord endpoint = new_endpoint(draft, wanted, id, ports);
    if (!endpoint.shown.disabled) {
      changed.operations.push_back(start_operation(draft, endpoint));
      endpoint.shown.pending_state = "active";
    }
    changed.endpoints.push_back(shown(endpoint));
    if (branch.roles.size() == 1 && branch.databases.size() == 1)
      changed.connection_uris.push_back(
          uri_of(branch, endpoint, branch.databases[0].name, branch.roles[0]));
  }
  changed.branch = branch.shown;
  for (const RoleRecord& role : branch.roles)
    changed.roles.push_back({.branch_id = id,
                             .name = role.name,
                             .password = {},
                             .is_protected = false,
                             .authentication_method = role.login ? "password" : "no_login",
                             .created_at = role.created_at,
                             .updated_at = role.updated_at});
  for (const DatabaseRecord& database : branch.databases)
    changed.databases.push_back(
        {database.id, id, database.name, database.owner, database.created_at, database.updated_at});
  draft.change.put(std::move(branch));
  draft.change.put(draft.project);
  commit(draft);
  history.unlock();
  if (changed.endpoints.empty()) return changed;
  return settle(std::move(changed), kCreatePatience);
}

neon::Changed EngineCore::update_branch(const std::string& id,
                                        const neon::BranchUpdateRequest& request) {
  if (request.has_expires_at) check_expiry(request.expires_at);
  Draft draft = this->draft();
  const Tables& tables = state_->tables();
  BranchRecord branch = need_branch(tables, id);
  if (request.name && *request.name != branch.shown.name) {
    check_name(tables, *request.name, id);
    branch.shown.name = *request.name;
  }
  if (request.is_protected) branch.shown.is_protected = *request.is_protected;
  if (request.has_expires_at) branch.shown.expires_at = request.expires_at;
  if (branch.shown.expires_at && (branch.shown.is_protected || branch.shown.is_default ||
                                  branch.source || has_children(tables, branch)))
    throw Error(ErrorCode::violated,
                "a branch that is protected, the default or a parent cannot expire",
                "take its expires_at, or its protection, away");
  branch.shown.updated_at = clock_.now();
  neon::Changed changed;
  changed.branch = branch.shown;
  draft.change.put(std::move(branch));
  commit(draft);
  return changed;
}

neon::Changed EngineCore::set_default_branch(const std::string& id) {
  Draft draft = this->draft();
  const Tables& tables = state_->tables();
  BranchRecord branch = need_branch(tables, id);
  if (branch.shown.expires_at)
    throw Error(ErrorCode::violated, "a branch that expires cannot be the default",
                "take its expires_at away first");
  UtcTime now = clock_.now();
  for (const auto& [other_id, other] : tables.branches) {
    if (!other.shown.is_default || other_id == id) continue;
    BranchRecord before = other;
    before.shown.is_default = false;
    before.shown.updated_at = now;
    draft.change.put(std::move(before));
  }
  branch.shown.is_default = true;
  branch.shown.updated_at = now;
  neon::Changed changed;
  changed.branch = branch.shown;
  draft.change.put(std::move(branch));
  commit(draft);
  return changed;
}

std::optional<neon::Changed> EngineCore::delete_branch(const std::string& id) {
  Draft draft = this->draft();
  const Tables& tables = state_->tables();
  if (!tables.branch(id) && (tables.gone.contains(id) || tables.branches.contains(id)))
    return std::nullopt;
  const BranchRecord& branch = need_branch(tables, id);
  if (branch.source)
    throw Error(
        ErrorCode::violated,
        fmt::format("branch {} is the source itself and cannot be deleted", branch.shown.name));
  if (branch.shown.is_default)
    throw Error(ErrorCode::violated, "the default branch cannot be deleted",
                "make another branch the default first");
  if (branch.shown.is_protected)
    throw Error(ErrorCode::violated, "a protected branch cannot be deleted",
                "take its protection away first");
  if (has_children(tables, branch, false))
    throw Error(ErrorCode::violated, "a branch with children cannot be deleted",
                "delete its children first");
  if (has_children(tables, branch))
    throw Error(ErrorCode::busy, "a child of the branch is still being deleted", "try again later");
  for (const auto& [snapshot_id, snapshot] : tables.snapshots)
    if (snapshot.point.line == branch.line)
      throw Error(ErrorCode::violated,
                  fmt::format("snapshot {} is of this branch, which therefore cannot be deleted",
                              snapshot_id),
                  "delete the snapshot first");
  for (const auto& [journal_id, journal] : tables.journals)
    if (journal.preserved_id == id)
      throw Error(ErrorCode::busy, "the branch is being made by a restore", "try again later");
  neon::Changed changed;
  changed.branch = branch.shown;
  remove_branch(draft, branch);
  changed.operations = draft.operations;
  commit(draft);
  return changed;
}

// The branch and its endpoints are gone for everybody at once; an operation removes what they had.
void EngineCore::remove_branch(Draft& draft, const BranchRecord& branch) {
  const std::string& id = branch.shown.id;
  UtcTime now = clock_.now();
  queue_->cancel(id, draft.change);
  BranchRecord removed = branch;
  removed.deleted = true;
  draft.change.put(GoneRecord{id, now});
  for (const auto& [endpoint_id, endpoint] : state_->tables().endpoints) {
    if (endpoint.shown.branch_id != id || endpoint.deleted) continue;
    EndpointRecord stopped = endpoint;
    stopped.deleted = true;
    draft.change.put(GoneRecord{endpoint_id, now});
    draft.change.put(std::move(stopped));
  }
  draft.change.put(std::move(removed));
  remove_operation(draft, branch);
}

void EngineCore::remove_operation(Draft& draft, const BranchRecord& branch) {
  const std::string& id = branch.shown.id;
  enqueue(draft, {.action = "delete_timeline",
                  .branch_id = id,
                  .endpoint_id = {},
                  .queues = {id},
                  .arguments = {{"line", branch.line}, {"branch", id}}});
}

}  // namespace holdfast
