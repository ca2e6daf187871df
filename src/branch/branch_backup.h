// Backups that are branches: made through the Neon API, at Neon's cloud and at an engine alike.
//
// A backup branch has no compute (it costs what it differs), is protected where the plan allows it,
// and carries in its annotation what its record says, so that a record that was lost, or never
// written because a run died, is made again from it. Only branches that carry this mark, under the
// name that they were made with, are ever deleted here.
//
// Throws Error; its hint is the next step.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/run.h"
#include "branch/compute_access.h"
#include "dump/branch_record.h"
#include "dump/verify.h"
#include "neon/client.h"

namespace holdfast {

// The branch that applications work on: `said` by name or id, else the project's default one.
neon::Branch live_branch(neon::Client& client, const std::string& said);

// Whether it carries the mark of a backup. Asked of branches with their annotation
// (Client::branch): lists may come without.
bool is_branch_backup(const neon::Branch& branch);

struct BranchBackupSettings {
  std::string database, source;  // as the record names them
  std::string parent;            // name or id of the branch to back up; empty: the default one
};

// Makes the branch, and returns when it stands. Its record is still to be stored. Appends what the
// user should know to `notes`.
BranchBackupRecord make_branch_backup(neon::Client& client, const BranchBackupSettings& settings,
                                      std::vector<std::string>& notes, const Run& run);

// Records of this database's backup branches at the API that are not among `known` (ids).
std::vector<BranchBackupRecord> unrecorded_branch_backups(neon::Client& client,
                                                          const BranchBackupSettings& settings,
                                                          const std::set<std::string>& known);

// Deletes the branch of a backup; harmless when it is gone already. Throws Error(denied) if it is
// not, or no longer, one that only this backup uses: renamed, made the default one, somebody
// else's, the parent of others, or in another project than the configured one.
void delete_branch_backup(neon::Client& client, const BranchBackupRecord& record);

struct BranchVerifyOptions {
  VerifyLevel level = VerifyLevel::deep;
  LoginChoice login;
  std::vector<std::string> critical_tables;  // empty: all
  int jobs = 0;
};

// Proves a backup branch.
//   quick          it is there, as the record says: name, point
//   deep, restore  a compute is started on it, the critical tables are read, counted and summed,
//                  and compared with `before`, if it was read before; then the compute goes again
// Fills `read` with what was read. What cannot be reached is INCONCLUSIVE, never PASS.
VerifyReport verify_branch_backup(neon::Client& client, const BranchBackupRecord& record,
                                  const std::optional<BranchTables>& before,
                                  const BranchVerifyOptions& options, BranchTables& read,
                                  const Run& run);

// How many branches the plan allows, and how many there are.
struct BranchRoom {
  int64_t limit = 0;  // 0: none, or not known
  int64_t count = 0;
  std::string plan;
  // The most backup branches that fit if `ours` of the branches are backups, with one place left
  // for the next one; 0: any number.
  int for_backups(size_t ours) const;
};
BranchRoom branch_room(neon::Client& client);

}  // namespace holdfast
