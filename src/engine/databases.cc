#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "engine/core.h"
#include "pg/connection.h"

namespace holdfast {
namespace {

constexpr size_t kDatabasesMax = 500;  // as at Neon

neon::Database shown_database(const std::string& branch_id, const DatabaseRecord& database) {
  return {database.id,    branch_id,           database.name,
          database.owner, database.created_at, database.updated_at};
}

const DatabaseRecord* find_database(const BranchRecord& branch, const std::string& name) {
  for (const DatabaseRecord& database : branch.databases)
    if (database.name == name) return &database;
  return nullptr;
}

void check_database_name(const std::string& name) {
  if (name.empty() || name.size() > kSqlNameBytesMax || printable(name, kSqlNameBytesMax) != name)
    throw Error(ErrorCode::invalid,
                fmt::format("a database's name has 1 to {} bytes and no control characters",
                            kSqlNameBytesMax));
}

void check_owner(const BranchRecord& branch, const std::string& owner) {
  if (std::none_of(branch.roles.begin(), branch.roles.end(),
                   [&](const RoleRecord& role) { return role.name == owner; }))
    throw Error(ErrorCode::not_found, "role not found: the database's owner must be one",
                "roles are listed by `roles list`");
}

}  // namespace

std::vector<std::string> EngineCore::listed_databases() const {
  return settings_.databases.empty() ? std::vector{settings_.source.dbname()} : settings_.databases;
}

std::vector<SourceDatabase> EngineCore::real_databases(const BranchRecord& branch) {
  if (branch.source) return source_->databases();
  std::vector<SourceDatabase> databases;
  if (auto compute = running_compute(branch))
    for (const ComputeDatabase& database : compute->databases())
      databases.push_back({database.id, database.name, database.owner});
  return databases;
}

std::vector<neon::Database> EngineCore::databases(const std::string& branch_id) {
  bool source;
  {
    auto lock = state_->lock();
    source = need_branch(state_->tables(), branch_id).source;
  }
  if (source) look_at_source();
  auto lock = state_->lock();
  std::vector<neon::Database> result;
  for (const DatabaseRecord& database : need_branch(state_->tables(), branch_id).databases)
    result.push_back(shown_database(branch_id, database));
  return result;
}

neon::Database EngineCore::database(const std::string& branch_id, const std::string& name) {
  for (neon::Database& database : databases(branch_id))
    if (database.name == name) return database;
  throw Error(ErrorCode::not_found, "database not found",
              "databases are listed by `databases list`");
}

neon::Changed EngineCore::create_database(const std::string& branch_id, const std::string& name,
                                          const std::string& owner) {
  check_database_name(name);
  BranchRecord branch;
  {
    auto lock = state_->lock();
    branch = need_branch(state_->tables(), branch_id);
  }
  check_owner(branch, owner);
  std::vector<SourceDatabase> there = real_databases(branch);
  if (find_database(branch, name) ||
      std::any_of(there.begin(), there.end(),
                  [&](const SourceDatabase& d) { return d.name == name; }))
    throw Error(ErrorCode::exists, fmt::format("database \"{}\" already exists", name));
  if (branch.databases.size() >= kDatabasesMax)
    throw Error(ErrorCode::violated,
                fmt::format("DATABASES_LIMIT_EXCEEDED: a branch lists at most {} databases",
                            kDatabasesMax));
  neon::Changed changed;
  changed.operations =
      apply(branch_id, {{"what", "create_database"}, {"name", name}, {"owner", owner}});
  UtcTime now = clock_.now();
  DatabaseRecord made{0, name, owner, now, now};
  auto lock = state_->lock();
  if (const BranchRecord* record = state_->tables().branch(branch_id))
    if (const DatabaseRecord* listed = find_database(*record, name)) made = *listed;
  changed.databases.push_back(shown_database(branch_id, made));
  return changed;
}

neon::Changed EngineCore::update_database(const std::string& branch_id, const std::string& name,
                                          const std::optional<std::string>& new_name,
                                          const std::optional<std::string>& new_owner) {
  if (new_name) check_database_name(*new_name);
  BranchRecord branch;
  {
    auto lock = state_->lock();
    branch = need_branch(state_->tables(), branch_id);
  }
  const DatabaseRecord* found = find_database(branch, name);
  if (!found)
    throw Error(ErrorCode::not_found, "database not found",
                "databases are listed by `databases list`");
  if (new_owner) check_owner(branch, *new_owner);
  DatabaseRecord updated = *found;
  updated.name = new_name.value_or(name);
  updated.owner = new_owner.value_or(found->owner);
  if (updated.name != name && find_database(branch, updated.name))
    throw Error(ErrorCode::exists, fmt::format("database \"{}\" already exists", updated.name));
  neon::Changed changed;
  changed.operations = apply(branch_id, {{"what", "update_database"},
                                         {"name", name},
                                         {"new_name", updated.name},
                                         {"owner", updated.owner}});
  updated.updated_at = clock_.now();
  changed.databases.push_back(shown_database(branch_id, updated));
  return changed;
}

std::optional<neon::Changed> EngineCore::delete_database(const std::string& branch_id,
                                                         const std::string& name) {
  BranchRecord branch;
  {
    auto lock = state_->lock();
    branch = need_branch(state_->tables(), branch_id);
  }
  const DatabaseRecord* found = find_database(branch, name);
  if (!found) return std::nullopt;
  if (branch.source && name == settings_.source.dbname())
    throw Error(ErrorCode::violated, "the database that the engine logs in to cannot be deleted");
  neon::Changed changed;
  changed.databases.push_back(shown_database(branch_id, *found));
  changed.operations = apply(branch_id, {{"what", "drop_database"}, {"name", name}});
  return changed;
}

}  // namespace holdfast
