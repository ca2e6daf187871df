#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "engine/core.h"
#include "engine/ids.h"
#include "pg/connection.h"

namespace holdfast {
namespace {

constexpr std::chrono::seconds kApplyPatience{8};
constexpr size_t kRolesMax = 500;  // as at Neon

neon::Role shown_role(const std::string& branch_id, const RoleRecord& role, bool is_protected) {
  neon::Role shown;
  shown.branch_id = branch_id;
  shown.name = role.name;
  shown.is_protected = is_protected;
  shown.authentication_method = role.login ? "password" : "no_login";
  shown.created_at = role.created_at;
  shown.updated_at = role.updated_at;
  return shown;
}

const RoleRecord* find_role(const BranchRecord& branch, const std::string& name) {
  for (const RoleRecord& role : branch.roles)
    if (role.name == name) return &role;
  return nullptr;
}

const RoleRecord& need_role(const BranchRecord& branch, const std::string& name) {
  if (const RoleRecord* role = find_role(branch, name)) return *role;
  throw Error(ErrorCode::not_found, "role not found", "roles are listed by `roles list`");
}

// `text` where a URL takes a user, password or database.
std::string url_encoded(const std::string& text) {
  std::string result;
  for (char c : text)
    if (std::isalnum(static_cast<unsigned char>(c)) ||
        std::string_view("-._~").find(c) != std::string_view::npos)
      result += c;
    else
      result += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  return result;
}

}  // namespace

std::vector<std::string> EngineCore::listed_roles() const {
  return settings_.roles.empty() ? std::vector{settings_.source.user()} : settings_.roles;
}

// The source's own list, as it is now: those that are to be shown or were made by the engine, and
// are there.
void EngineCore::look_at_source() {
  std::vector<SourceRole> roles;
  std::vector<SourceDatabase> databases;
  try {
    roles = source_->roles();
    databases = source_->databases();
  } catch (const Error& error) {
    log_.debug(fmt::format("the source's roles cannot be listed: {}", error.what()));
    return;
  }
  std::vector<std::string> role_names = listed_roles(), database_names = listed_databases();
  Draft draft = this->draft();
  BranchRecord main = source_branch(state_->tables());
  UtcTime now = clock_.now();
  BranchRecord before = main;
  main.roles.clear();
  main.databases.clear();
  for (const SourceRole& there : roles) {
    if (const RoleRecord* known = find_role(before, there.name))
      main.roles.push_back(*known);
    else if (std::find(role_names.begin(), role_names.end(), there.name) != role_names.end())
      main.roles.push_back({there.name, {}, there.login, now, now});
  }
  for (const SourceDatabase& there : databases) {
    auto known = std::find_if(before.databases.begin(), before.databases.end(),
                              [&](const DatabaseRecord& d) { return d.name == there.name; });
    bool listed =
        std::find(database_names.begin(), database_names.end(), there.name) != database_names.end();
    if (known != before.databases.end())
      main.databases.push_back(
          {there.id, there.name, there.owner, known->created_at, known->updated_at});
    else if (listed)
      main.databases.push_back({there.id, there.name, there.owner, now, now});
  }
  if (record_text(main) == record_text(before)) return;
  draft.change.put(std::move(main));
  commit(draft);
}

std::unique_ptr<ComputeControl> EngineCore::running_compute(const BranchRecord& branch) {
  EndpointRecord endpoint;
  {
    auto lock = state_->lock();
    const EndpointRecord* found = writer_of(state_->tables(), branch.shown.id);
    if (!found) return nullptr;
    endpoint = *found;
  }
  if (!branch.started) return nullptr;
  auto compute = computes_->make(compute_settings(endpoint, branch.line));
  return compute->state() == ComputeState::running ? std::move(compute) : nullptr;
}

// All that are there, where that can be found out at once; else none.
std::vector<SourceRole> EngineCore::real_roles(const BranchRecord& branch) {
  if (branch.source) return source_->roles();
  std::vector<SourceRole> roles;
  if (auto compute = running_compute(branch))
    for (const ComputeRole& role : compute->roles()) roles.push_back({role.name, role.login});
  return roles;
}

std::vector<neon::Role> EngineCore::roles(const std::string& branch_id) {
  bool source;
  {
    auto lock = state_->lock();
    source = need_branch(state_->tables(), branch_id).source;
  }
  if (source) look_at_source();
  auto lock = state_->lock();
  const BranchRecord& branch = need_branch(state_->tables(), branch_id);
  std::vector<neon::Role> result;
  for (const RoleRecord& role : branch.roles)
    result.push_back(shown_role(branch_id, role, source && role.name == settings_.source.user()));
  return result;
}

neon::Role EngineCore::role(const std::string& branch_id, const std::string& name) {
  for (neon::Role& role : roles(branch_id))
    if (role.name == name) return role;
  throw Error(ErrorCode::not_found, "role not found", "roles are listed by `roles list`");
}

std::vector<neon::Operation> EngineCore::apply(const std::string& branch_id,
                                               std::map<std::string, std::string> arguments) {
  std::vector<neon::Operation> operations;
  {
    Draft draft = this->draft();
    const BranchRecord& branch = need_branch(state_->tables(), branch_id);
    arguments["number"] = std::to_string(draft.project.next_number++);
    std::optional<std::string> endpoint_id;
    if (const EndpointRecord* endpoint = writer_of(state_->tables(), branch.shown.id))
      endpoint_id = endpoint->shown.id;
    operations.push_back(enqueue(draft, {.action = "apply_config",
                                         .branch_id = branch_id,
                                         .endpoint_id = endpoint_id,
                                         .queues = {branch_id},
                                         .arguments = std::move(arguments)}));
    commit(draft);
  }
  operations = queue_->wait(operations, kApplyPatience);
  if (operations[0].failed())
    throw Error(ErrorCode::violated, operations[0].error.value_or("the change failed"));
  return operations;
}

neon::Changed EngineCore::create_role(const std::string& branch_id, const std::string& name,
                                      bool login) {
  if (name.empty() || name.size() > kSqlNameBytesMax || printable(name, kSqlNameBytesMax) != name ||
      name.starts_with("pg_"))
    throw Error(ErrorCode::invalid,
                fmt::format("a role's name has 1 to {} bytes and does not begin with pg_",
                            kSqlNameBytesMax));
  BranchRecord branch;
  {
    auto lock = state_->lock();
    branch = need_branch(state_->tables(), branch_id);
  }
  std::vector<SourceRole> there = real_roles(branch);
  if (find_role(branch, name) ||
      std::any_of(there.begin(), there.end(), [&](const SourceRole& r) { return r.name == name; }))
    throw Error(ErrorCode::exists, fmt::format("role \"{}\" already exists", name));
  if (branch.roles.size() >= kRolesMax)
    throw Error(ErrorCode::violated,
                fmt::format("ROLES_LIMIT_EXCEEDED: a branch lists at most {} roles", kRolesMax));
  Secret password = login ? make_password() : Secret();
  neon::Changed changed;
  changed.operations = apply(branch_id, {{"what", "create_role"},
                                         {"name", name},
                                         {"password", password.reveal()},
                                         {"login", login ? "yes" : "no"}});
  UtcTime now = clock_.now();
  changed.roles.push_back(shown_role(branch_id, {name, {}, login, now, now}, false));
  if (login) changed.roles[0].password = password;
  return changed;
}

std::optional<neon::Changed> EngineCore::delete_role(const std::string& branch_id,
                                                     const std::string& name) {
  BranchRecord branch;
  {
    auto lock = state_->lock();
    branch = need_branch(state_->tables(), branch_id);
  }
  const RoleRecord* role = find_role(branch, name);
  if (!role) return std::nullopt;
  if (branch.source && name == settings_.source.user())
    throw Error(ErrorCode::violated, "the engine's own login at the source cannot be deleted");
  neon::Changed changed;
  changed.roles.push_back(shown_role(branch_id, *role, false));
  changed.operations = apply(branch_id, {{"what", "drop_role"}, {"name", name}});
  return changed;
}

Secret EngineCore::password_of(const BranchRecord& branch, const RoleRecord& role) const {
  if (branch.source && role.password.empty() && role.name == settings_.source.user())
    return settings_.source.password();
  return role.password;
}

std::optional<Secret> EngineCore::reveal_password(const std::string& branch_id,
                                                  const std::string& name) {
  {
    auto lock = state_->lock();
    need_role(need_branch(state_->tables(), branch_id), name);
  }
  wake(branch_id);
  auto lock = state_->lock();
  const BranchRecord& branch = need_branch(state_->tables(), branch_id);
  Secret password = password_of(branch, need_role(branch, name));
  if (password.empty()) return std::nullopt;
  return password;
}

neon::Changed EngineCore::reset_password(const std::string& branch_id, const std::string& name) {
  BranchRecord branch;
  {
    auto lock = state_->lock();
    branch = need_branch(state_->tables(), branch_id);
  }
  const RoleRecord& role = need_role(branch, name);
  if (!role.login) throw Error(ErrorCode::violated, "a role without login has no password");
  if (branch.source && name == settings_.source.user())
    throw Error(
        ErrorCode::violated,
        "the password of the engine's own login at the source is not the engine's to change",
        "change it there, and in the configuration");
  Secret password = make_password();
  neon::Changed changed;
  changed.operations = apply(
      branch_id, {{"what", "reset_password"}, {"name", name}, {"password", password.reveal()}});
  changed.roles.push_back(shown_role(branch_id, role, false));
  changed.roles[0].password = password;
  changed.roles[0].updated_at = clock_.now();
  return changed;
}

neon::ConnectionUri EngineCore::uri_of(const BranchRecord& branch, const EndpointRecord& endpoint,
                                       const std::string& database, const RoleRecord& role) const {
  neon::ConnectionUri uri;
  uri.database = database;
  uri.role = role.name;
  uri.host = uri.pooler_host = endpoint.shown.host;
  uri.password = password_of(branch, role);
  std::string parameters = "?sslmode=require&channel_binding=require";
  if (endpoint.source) {
    // The source has the TLS that it has.
    std::string mode = settings_.source.get("sslmode");
    parameters = mode.empty() ? "" : "?sslmode=" + mode;
  }
  uri.uri = Secret(fmt::format("postgresql://{}{}@{}/{}{}", url_encoded(role.name),
                               uri.password.empty() ? "" : ":" + url_encoded(uri.password.reveal()),
                               uri.host, url_encoded(database), parameters));
  return uri;
}

neon::ConnectionUri EngineCore::connection_uri(const std::optional<std::string>& branch_id,
                                               const std::optional<std::string>& endpoint_id,
                                               const std::string& database,
                                               const std::string& role) {
  std::string id;
  auto find_endpoint = [&](const Tables& tables) -> const EndpointRecord& {
    if (endpoint_id) return need_endpoint(tables, *endpoint_id);
    if (const EndpointRecord* writer = writer_of(tables, id)) return *writer;
    for (const auto& [other, endpoint] : tables.endpoints)
      if (!endpoint.deleted && endpoint.shown.branch_id == id) return endpoint;
    throw Error(ErrorCode::not_found, "the branch has no endpoint", "create one first");
  };
  {
    auto lock = state_->lock();
    const Tables& tables = state_->tables();
    if (endpoint_id) id = need_endpoint(tables, *endpoint_id).shown.branch_id;
    if (branch_id && endpoint_id && id != *branch_id)
      throw Error(ErrorCode::invalid, "the endpoint is another branch's");
    if (branch_id) id = *branch_id;
    if (id.empty())
      for (const auto& [other, branch] : tables.branches)
        if (branch.shown.is_default && !branch.deleted) id = other;
    need_role(need_branch(tables, id), role);
    find_endpoint(tables);
  }
  wake(id);
  auto lock = state_->lock();
  const Tables& tables = state_->tables();
  const BranchRecord& branch = need_branch(tables, id);
  if (std::none_of(branch.databases.begin(), branch.databases.end(),
                   [&](const DatabaseRecord& d) { return d.name == database; }))
    throw Error(ErrorCode::not_found, "database not found",
                "databases are listed by `databases list`");
  return uri_of(branch, find_endpoint(tables), database, need_role(branch, role));
}

}  // namespace holdfast
