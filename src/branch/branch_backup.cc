#include "branch/branch_backup.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "dump/names.h"
#include "dump/table_sums.h"

namespace holdfast {
namespace {

constexpr const char* kDatabaseAnnotation = "holdfast-database";
constexpr const char* kSourceAnnotation = "holdfast-source";

std::string annotation_of(const neon::Branch& branch, const char* name) {
  auto found = branch.annotation.find(name);
  return found == branch.annotation.end() ? std::string() : found->second;
}

// A plan without protected branches, or whose few are used up, refuses with different words.
bool is_about_protection(const Error& error) {
  return (error.code() == ErrorCode::unsupported || error.code() == ErrorCode::invalid ||
          error.code() == ErrorCode::denied) &&
         lower(error.what()).find("protect") != std::string::npos;
}

BranchBackupRecord record_of(neon::Client& client, const neon::Branch& branch,
                             const std::string& parent_name) {
  BranchBackupRecord record;
  record.id = branch.name;
  record.database = annotation_of(branch, kDatabaseAnnotation);
  record.source = annotation_of(branch, kSourceAnnotation);
  record.created_at = branch.parent_timestamp.value_or(parse_backup_id(branch.name)->at);
  record.host = client.host();
  record.project_id = client.project_id();
  record.branch_id = branch.id;
  record.parent_id = branch.parent_id.value_or("");
  record.parent_name = parent_name;
  record.lsn = branch.parent_lsn.value_or("");
  record.is_protected = branch.is_protected;
  record.holdfast_version = HOLDFAST_VERSION;
  return record;
}

// Asks for the branch, under the next free name. Protected, unless that is refused.
neon::Changed create_backup_branch(neon::Client& client, const BranchBackupSettings& settings,
                                   const neon::Branch& parent, std::vector<std::string>& notes,
                                   const Run& run) {
  neon::BranchCreateRequest request;
  request.parent_id = parent.id;
  request.is_protected = true;
  request.annotation = {{kPurposeAnnotation, kOfBackup},
                        {kDatabaseAnnotation, settings.database},
                        {kSourceAnnotation, settings.source}};
  UtcTime at = run.clock.now();
  for (int tried = 1;; ++tried) {
    request.name = branch_backup_id(at);
    try {
      return client.create_branch(request);
    } catch (const Error& error) {
      if (request.is_protected && is_about_protection(error)) {
        request.is_protected = false;
        notes.push_back(
            "the plan has no protected branch left: this backup's can be deleted by "
            "anybody with a key");
        continue;
      }
      if (error.code() != ErrorCode::exists || tried == kNamesTried) throw;
      at += std::chrono::milliseconds(1);  // another source's backup of the same instant
    }
  }
}

// A protected branch cannot be deleted: the protection goes first.
void delete_unprotected(neon::Client& client, const neon::Branch& branch) {
  if (branch.is_protected) {
    neon::BranchUpdateRequest unprotect;
    unprotect.is_protected = false;
    client.finish(client.update_branch(branch.id, unprotect));
  }
  client.delete_branch(branch.id);
}

// Half-made, it must not stay: nothing knows of it yet.
void remove_half_made(neon::Client& client, const neon::Branch& branch, const Run& run) {
  neon::Client::ToTheEnd even_if_stopped(client);
  try {
    delete_unprotected(client, branch);
  } catch (const Error& error) {
    run.log.warning(fmt::format("branch {} is left over: {}", branch.name, error.what()));
  }
}

// The branch, if it is still the one that the backup made. Throws Error(denied) for what is
// another.
std::optional<neon::Branch> branch_of_backup(neon::Client& client,
                                             const BranchBackupRecord& record) {
  if (record.project_id != client.project_id())
    throw Error(ErrorCode::denied,
                fmt::format("{} is in project {}, and the configured one is {}", record.id,
                            printable(record.project_id, 60), printable(client.project_id(), 60)),
                "set NEON_PROJECT_ID (and the key) to those of that project");
  try {
    return client.branch(record.branch_id);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found) throw;
    client.project();  // to a key that does not see the project, everything looks gone
    return std::nullopt;
  }
}

bool has_children(neon::Client& client, const neon::Branch& branch) {
  std::vector<neon::Branch> all = client.branches();
  return std::any_of(all.begin(), all.end(),
                     [&](const neon::Branch& other) { return other.parent_id == branch.id; });
}

// --- proof

std::string table_difference(const RowChecksum& found, const RowChecksum& before) {
  if (found.rows != before.rows)
    return fmt::format("{} instead of {}", plural(found.rows, "row"), before.rows);
  if (found == before) return {};
  return fmt::format("its rows are not those that were there (checksum {} instead of {})",
                     found.sum_hex(), before.sum_hex());
}

class BranchVerification {
 public:
  BranchVerification(neon::Client& client, const BranchBackupRecord& record,
                     const BranchVerifyOptions& options, const Run& run)
      : client_(client), record_(record), options_(options), run_(run) {
    report_.id = record.id;
    report_.level = options.level;
  }

  VerifyReport verify(const std::optional<BranchTables>& before, BranchTables& read) {
    double begin = run_.clock.monotonic_seconds();
    try {
      std::optional<neon::Branch> branch = branch_of_backup(client_, record_);
      if (!branch)
        problem("the branch is gone from " + record_.host);
      else
        look_at(*branch);
      if (branch && report_.problems.empty() && options_.level != VerifyLevel::quick)
        read_tables(*branch, before, read);
      report_.verdict = !report_.problems.empty() ? Verdict::fail
                        : report_.notes.empty()   ? Verdict::pass
                                                  : Verdict::pass_with_notes;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      report_.notes.push_back(error.in_one_line());
      report_.verdict = report_.problems.empty() ? Verdict::inconclusive : Verdict::fail;
    }
    report_.seconds = run_.clock.monotonic_seconds() - begin;
    return std::move(report_);
  }

 private:
  void problem(const std::string& what, const std::string& where = {}) {
    report_.problems.push_back({where.empty() ? "branch " + record_.id : where, what});
  }

  void look_at(const neon::Branch& branch) {
    if (branch.name != record_.id)
      report_.notes.push_back(
          fmt::format("the branch is called {} now", printable(branch.name, 80)));
    if (!record_.lsn.empty() && branch.parent_lsn && *branch.parent_lsn != record_.lsn)
      problem(fmt::format("it stands at {} instead of {}", printable(*branch.parent_lsn, 40),
                          record_.lsn));
    if (branch.last_reset_at) problem("it was reset or restored over after it was made");
    if (branch.expires_at)
      report_.notes.push_back("it expires by itself at " + format_rfc3339(*branch.expires_at));
  }

  void read_tables(const neon::Branch& branch, const std::optional<BranchTables>& before,
                   BranchTables& read) {
    run_.progress.phase("starting a compute on " + record_.id);
    ComputeAccess access(client_, branch, options_.login, run_);
    run_.progress.phase("reading the tables of " + record_.id);
    TableSumOptions wanted;
    wanted.tables = options_.critical_tables;
    wanted.missing_allowed = true;
    wanted.jobs = options_.jobs;
    TableSums sums = sum_tables(access.conninfo(), wanted, run_);
    read.tables = std::move(sums.tables);
    for (const std::string& name : sums.missing) problem("it is not there", "table " + name);
    for (const TableSum& table : read.tables) report_.rows += table.sum.rows;
    compare(before, read);
    if (!before)
      report_.notes.push_back("read for the first time: later proofs are compared with it");
    report_.compared = before.has_value();
    stop_compute(access);
  }

  // What was read stays read; if the compute still runs after a second attempt, the log says so.
  void stop_compute(ComputeAccess& access) {
    try {
      access.close();
    } catch (const Error& error) {
      report_.notes.push_back(fmt::format("its compute did not stop at once: {}", error.what()));
    }
  }

  void compare(const std::optional<BranchTables>& before, const BranchTables& read) {
    std::map<std::string, const RowChecksum*> expected;
    if (before)
      for (const TableSum& table : before->tables) expected[table.name] = &table.sum;
    for (const TableSum& table : read.tables) {
      auto found = expected.find(table.name);
      std::string difference;
      if (found != expected.end())
        difference = table_difference(table.sum, *found->second);
      else if (before && options_.critical_tables.empty() && !before->partial)
        difference = "it was not there when the branch was made";
      report_.tables.push_back({table.name, table.sum.rows, difference.empty()});
      if (!difference.empty()) problem(difference, "table " + table.name);
      if (found != expected.end()) expected.erase(found);
    }
    if (!options_.critical_tables.empty()) return;  // the others were not asked for
    for (const auto& [name, sum] : expected) problem("it is gone", "table " + name);
  }

  neon::Client& client_;
  const BranchBackupRecord& record_;
  const BranchVerifyOptions& options_;
  const Run& run_;
  VerifyReport report_;
};

}  // namespace

neon::Branch live_branch(neon::Client& client, const std::string& said) {
  return said.empty() ? client.default_branch() : client.find_branch(said);
}

bool is_branch_backup(const neon::Branch& branch) {
  return annotation_of(branch, kPurposeAnnotation) == kOfBackup;
}

BranchBackupRecord make_branch_backup(neon::Client& client, const BranchBackupSettings& settings,
                                      std::vector<std::string>& notes, const Run& run) {
  neon::Branch parent = live_branch(client, settings.parent);
  neon::Changed made = create_backup_branch(client, settings, parent, notes, run);
  if (!made.branch)
    throw Error(ErrorCode::internal, fmt::format("{} made no branch", client.host()));
  try {
    client.finish(made);
    // Point and time of the branch are final only now.
    return record_of(client, client.branch(made.branch->id), parent.name);
  } catch (const Error& error) {
    remove_half_made(client, *made.branch, run);
    throw;
  }
}

std::vector<BranchBackupRecord> unrecorded_branch_backups(neon::Client& client,
                                                          const BranchBackupSettings& settings,
                                                          const std::set<std::string>& known) {
  std::vector<BranchBackupRecord> records;
  for (const neon::Branch& listed : client.branches(std::string(kBranchIdBeginning))) {
    std::optional<BackupId> id = parse_backup_id(listed.name);
    if (!id || !id->is_branch || known.count(listed.name) > 0) continue;
    try {
      neon::Branch branch = client.branch(listed.id);  // lists may come without annotations
      if (is_branch_backup(branch) &&
          annotation_of(branch, kDatabaseAnnotation) == settings.database)
        records.push_back(record_of(client, branch, ""));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::not_found) throw;  // gone since it was listed
    }
  }
  return records;
}

void delete_branch_backup(neon::Client& client, const BranchBackupRecord& record) {
  std::optional<neon::Branch> branch = branch_of_backup(client, record);
  if (!branch) return;
  auto refuse = [&](const std::string& why) {
    return Error(ErrorCode::denied, fmt::format("branch {} is left alone: {}", record.id, why),
                 "delete it by hand when it is no longer needed: holdfast branch delete " +
                     record.branch_id);
  };
  if (branch->name != record.id)
    throw refuse(fmt::format("it was renamed to {}", printable(branch->name, 80)));
  if (!is_branch_backup(*branch)) throw refuse("it does not carry the mark of a backup");
  if (branch->is_default) throw refuse("it is the project's default branch now");
  // Asked before the protection goes, which a refusal of the API would leave off.
  if (has_children(client, *branch)) throw refuse("other branches were made from it");
  delete_unprotected(client, *branch);
}

VerifyReport verify_branch_backup(neon::Client& client, const BranchBackupRecord& record,
                                  const std::optional<BranchTables>& before,
                                  const BranchVerifyOptions& options, BranchTables& read,
                                  const Run& run) {
  return BranchVerification(client, record, options, run).verify(before, read);
}

int BranchRoom::for_backups(size_t ours) const {
  if (limit <= 0) return 0;
  int64_t others = std::max<int64_t>(0, count - static_cast<int64_t>(ours));
  return static_cast<int>(std::max<int64_t>(1, limit - others - 1));
}

BranchRoom branch_room(neon::Client& client) {
  BranchRoom room;
  if (std::optional<neon::Account> account = client.account()) {
    room.limit = account->branches_limit;
    room.plan = account->plan;
  }
  room.count = static_cast<int64_t>(client.branch_count());
  return room;
}

}  // namespace holdfast
