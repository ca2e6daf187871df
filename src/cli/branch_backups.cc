#include "cli/branch_backups.h"

#include "cli/backup_told.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "cli/api.h"
#include "dump/names.h"

namespace holdfast {
namespace {

std::string without_record_suffix(const std::string& said) {
  for (std::string_view suffix : {kBranchSuffix, kTablesSuffix})
    if (said.ends_with(suffix)) return said.substr(0, said.size() - suffix.size());
  return said;
}

std::vector<BranchBackup> merged(const std::vector<LocatedBranch>& branches) {
  std::vector<BranchBackup> backups;
  for (const LocatedBranch& located : branches) backups.push_back(located.backup());
  return backups;
}

// What is written to one of several stores must not fail because of another.
template <typename Write>
void write_everywhere(const std::vector<OpenStore>& stores, const LocatedBranch& located,
                      const std::string& what, const Run& run, Write write) {
  for (const BranchCopy& copy : located.copies) {
    try {
      write(*stores[copy.store].store);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      run.log.warning(fmt::format("store {}: {} of {} could not be recorded: {}",
                                  stores[copy.store].name, what, located.id, error.what()));
    }
  }
}

// Of any store, whether it shows a record or not: one that cannot be listed may hold the backup.
// Throws Error then, where the reading of one object would only not find it.
std::optional<Hold> hold_in(ObjectStore& store, const std::string& id) {
  return store.list(hold_name(id)).empty() ? std::nullopt : read_hold(store, id);
}

}  // namespace

BranchBackup LocatedBranch::backup() const {
  BranchBackup merged = copies.front().backup;
  for (const BranchCopy& copy : copies) {
    const BranchBackup& other = copy.backup;
    if (!merged.record && other.record) {
      merged.record = other.record;
      merged.damage.clear();
    }
    if (other.proof && (!merged.proof || other.proof->at > merged.proof->at))
      merged.proof = other.proof;
    if (!merged.hold) merged.hold = other.hold;
  }
  return merged;
}

BranchBackupView view_of(const LocatedBranch& located, const std::vector<OpenStore>& stores) {
  BranchBackupView view{located.backup(), {}, {}};
  for (const BranchCopy& copy : located.copies) {
    view.stores.push_back(stores[copy.store].name);
    view.locations.push_back(stores[copy.store].store->location());
  }
  return view;
}

std::optional<BranchTables> known_tables(const std::vector<OpenStore>& stores,
                                         const LocatedBranch& located, const Run& run) {
  std::optional<BranchTables> found;
  for (const BranchCopy& copy : located.copies) {
    if (found) break;
    try {
      found = read_tables_of_branch(*stores[copy.store].store, located.id);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      run.log.warning(fmt::format("store {}: {}", stores[copy.store].name, error.what()));
    }
  }
  return found;
}

std::vector<LocatedBranch> list_branches_everywhere(const std::vector<OpenStore>& stores,
                                                    const std::string& database, const Run& run) {
  std::map<std::string, LocatedBranch> by_id;
  ask_all(stores, run, [&](size_t i) {
    for (BranchBackup& backup : list_branch_backups(*stores[i].store, database)) {
      LocatedBranch& located = by_id[backup.id];
      located.id = backup.id;
      located.copies.push_back({i, std::move(backup)});
    }
  });
  std::vector<LocatedBranch> all;
  for (auto& [id, located] : by_id) all.push_back(std::move(located));
  std::reverse(all.begin(), all.end());  // ids are times
  return all;
}

std::optional<LocatedBranch> find_branch_everywhere(const std::vector<OpenStore>& stores,
                                                    const std::string& said, const Run& run) {
  std::string wanted = without_record_suffix(said);
  if (!wanted.starts_with(kBranchIdBeginning)) return std::nullopt;
  std::vector<LocatedBranch> matching;
  for (LocatedBranch& located : list_branches_everywhere(stores, "", run)) {
    if (located.id == wanted) return std::move(located);
    if (located.id.starts_with(wanted)) matching.push_back(std::move(located));
  }
  if (matching.empty()) return std::nullopt;
  if (matching.size() == 1) return std::move(matching.front());
  throw Error(ErrorCode::invalid,
              fmt::format("'{}' stands for {} branch backups", printable(said), matching.size()),
              fmt::format("name one of them: {}, {}{}", matching[0].id, matching[1].id,
                          matching.size() > 2 ? ", …" : ""));
}

void refuse_branch_backup(const std::vector<OpenStore>& stores, const std::string& said,
                          const std::string& command, const std::string& hint, const Run& run) {
  std::optional<LocatedBranch> branch = find_branch_everywhere(stores, said, run);
  if (!branch) return;
  throw Error(ErrorCode::unsupported,
              fmt::format("{}: {} is a branch, not a dump", command, branch->id), hint);
}

BranchLegConfigured branch_leg_configured(const Config& config) {
  bool key = config.given("neon_api_key") || config.given("neon_api_key_file");
  bool project = config.given("neon_project_id");
  // An engine has one project: that of the key. In the cloud a key may see projects to come.
  if (key && (project || config.given("neon_api_host"))) return {BranchLegState::configured, ""};
  if (!key && !project) return {BranchLegState::none, ""};
  return {BranchLegState::half, key ? "NEON_PROJECT_ID" : "NEON_API_KEY"};
}

BranchBackupSettings branch_backup_settings(const Config& config) {
  BranchBackupSettings settings;
  settings.database = configured_database(config);
  settings.source = config.source_name();
  settings.parent = config.text("neon_branch");
  return settings;
}

BranchVerifyOptions branch_verify_options(const Config& config, VerifyLevel level) {
  BranchVerifyOptions options;
  options.level = level;
  options.login = login_choice(config);
  if (config.has_database()) {  // as the source's own user: it is the one that may read everything
    options.login.database = config.source_conninfo().dbname();
    options.login.preferred_role = config.source_conninfo().user();
  }
  options.critical_tables = config.list("critical_tables");
  options.jobs = static_cast<int>(config.number("jobs"));
  return options;
}

VerifyReport prove_branch(neon::Client& client, const std::vector<OpenStore>& stores,
                          const LocatedBranch& located, const BranchVerifyOptions& options,
                          const Run& run) {
  BranchBackup backup = located.backup();
  if (!backup.record) {
    VerifyReport report;
    report.id = located.id;
    report.level = options.level;
    report.verdict = Verdict::fail;
    report.problems.push_back({manifest_name(located.id), backup.damage});
    return report;
  }
  std::optional<BranchTables> before = known_tables(stores, located, run);
  BranchTables read;
  VerifyReport report = verify_branch_backup(client, *backup.record, before, options, read, run);
  if (report.ok() && !before && !read.tables.empty()) {
    read.partial = !options.critical_tables.empty();
    store_branch_tables(stores, located, read, run);
  }
  write_everywhere(stores, located, "the proof", run, [&](ObjectStore& store) {
    record_proof(store, located.id, proof_of(report, run.clock));
  });
  return report;
}

void store_branch_tables(const std::vector<OpenStore>& stores, const LocatedBranch& located,
                         const BranchTables& tables, const Run& run) {
  std::string document = write_branch_tables(located.id, tables);
  write_everywhere(stores, located, "what its tables hold", run, [&](ObjectStore& store) {
    try {
      write_object(store, tables_name(located.id), as_bytes(document));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::exists) throw;
    }
  });
}

RetentionPolicy branch_retention_policy(const Config& config, const BranchRoom& room, size_t ours) {
  RetentionPolicy policy = retention_policy(config);
  int most = static_cast<int>(config.number("branch_backups_max"));
  int fits = room.for_backups(ours);
  policy.count_max = most == 0 ? fits : fits == 0 ? most : std::min(most, fits);
  return policy;
}

std::optional<Hold> remove_branch_backup(neon::Client& client, const std::vector<OpenStore>& stores,
                                         const LocatedBranch& located, const std::string& machine) {
  BranchBackup backup = located.backup();
  // Once the first record is claimed, nobody can hold the backup any more unseen; the branch goes
  // before its records, so that a crash leaves records of nothing, never a branch that no record
  // tells of.
  std::optional<Hold> held_elsewhere;
  auto delete_branch = [&] {
    for (const OpenStore& store : stores)
      if (!held_elsewhere) held_elsewhere = hold_in(*store.store, located.id);
    if (held_elsewhere) throw Error(ErrorCode::busy, "held");
    if (backup.record) delete_branch_backup(client, *backup.record);
  };
  for (size_t i = 0; i < located.copies.size(); ++i) {
    ObjectStore& store = *stores[located.copies[i].store].store;
    try {
      std::optional<Hold> hold = remove_backup(
          store, located.id, machine, i == 0 ? std::function<void()>(delete_branch) : nullptr);
      if (hold && i == 0) return hold;
    } catch (const Error&) {
      if (held_elsewhere) return held_elsewhere;
      throw;
    }
  }
  return std::nullopt;
}

PrunePlan prune_branches(neon::Client& client, const Config& config,
                         const std::vector<OpenStore>& stores,
                         const std::vector<LocatedBranch>& branches, bool dry_run, const Run& run,
                         Operation* operation) {
  PrunePlan plan;
  try {
    BranchRoom room = branch_room(client);
    plan = plan_branch_prune(
        merged(branches), branch_retention_policy(config, room, branches.size()), run.clock.now());
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    plan.failure = error;
  }
  if (dry_run || plan.failure) return plan;
  std::map<std::string, const LocatedBranch*> by_id;
  for (const LocatedBranch& located : branches) by_id[located.id] = &located;
  apply_prune(
      plan,
      [&](const std::string& id) {
        std::optional<Hold> hold =
            remove_branch_backup(client, stores, *by_id.at(id), machine_name(config));
        if (!hold) record_removal(*operation, kBranchesPlace, plan, id);
        return hold;
      },
      run);
  return plan;
}

}  // namespace holdfast
