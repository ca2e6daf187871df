// What a store holds: backups by their manifests, and what was proven of them.
//
// A backup counts when its manifest is there. A manifest that does not read is listed as damaged,
// never hidden. Objects of other makers are never touched. Names and order of writing are in
// docs/format/store.md.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/run.h"
#include "dump/branch_record.h"
#include "dump/hold.h"
#include "dump/manifest.h"
#include "store/object_store.h"

namespace holdfast {

struct Proof {
  std::string level;  // quick, deep, restore
  bool ok = false;
  std::string verdict;  // PASS, PASS WITH NOTES, FAIL, INCONCLUSIVE
  UtcTime at{};
  double seconds = 0;
};

// Of several proofs of a backup one counts: a failure, until a proof of at least its level succeeds
// after it; else the success of the strongest level; else the newest inconclusive one. A proof that
// does not read is inconclusive.
struct Backup {
  std::string id;
  std::optional<Manifest> manifest;  // empty: damaged
  std::string damage;                // why it is empty
  std::optional<Proof> proof;        // the one that counts, see below
  std::optional<Hold> hold{};
};

// A backup that is a branch, as a store knows it.
struct BranchBackup {
  std::string id;
  std::optional<BranchBackupRecord> record;  // empty: damaged
  std::string damage;                        // why it is empty
  std::optional<Proof> proof;                // the one that counts, as of a Backup
  std::optional<Hold> hold{};

  // By the record; of a damaged one by its name.
  UtcTime created_at() const;
};

// Dumps, newest first (by the manifest's time; damaged ones by their name's). `database` empty:
// all. A store that cannot be read throws; a manifest that cannot is damage.
std::vector<Backup> list_backups(ObjectStore& store, const std::string& database);

// Branch backups, newest first, of one source's database or of all; damaged ones are of any.
std::vector<BranchBackup> list_branch_backups(ObjectStore& store, const std::string& database);

// What its tables held when they were read first; nothing if they never were.
// Throws Error(corrupt) for a document that does not read.
std::optional<BranchTables> read_tables_of_branch(ObjectStore& store, const std::string& id);

// The ids of the dumps that have a manifest, sound or not, in no order. `database` empty: all.
std::vector<std::string> list_backup_ids(ObjectStore& store, const std::string& database);

// What `said` means among `ids`, as find_backup does; `where` is for its errors.
std::string choose_backup_id(const std::vector<std::string>& ids, const std::string& said,
                             const std::string& where, const std::string& database);

// By id, by the name of one of its objects, by a unique beginning or end of an id, or "latest" (by
// the time in the names). Throws Error(not_found) with the nearest id as hint, Error(invalid) if
// several match. Reads one manifest only. The backup found may be a damaged one.
Backup find_backup(ObjectStore& store, const std::string& database, const std::string& id);

// Records a proof beside the backup; older ones of the same level are removed (by an inconclusive
// one only inconclusive ones: it says nothing against them).
void record_proof(ObjectStore& store, const std::string& id, const Proof& proof);

// Whose unfinished runs may be cleared. A folder is held by one run alone: everybody's. In a bucket
// other machines may be at work: those that `machine` began, and what was begun too long ago to be
// still running.
struct ReapScope {
  std::string machine;  // empty: everybody's
  UtcTime now{};
};
constexpr std::chrono::hours kClaimLifetime{7 * 24};  // no dump takes longer

// Removes a backup: its manifest first, so that what is left no longer counts, then all that is
// named after it. A crash in between leaves a claim, and the next run takes the rest. Throws
// Error(denied) if the store has it locked, and returns the hold if it is held; then it is as
// before. `first` is done once it is sure that nobody holds it: what it throws ends the removal.
std::optional<Hold> remove_backup(ObjectStore& store, const std::string& id,
                                  const std::string& machine,
                                  const std::function<void()>& first = {});

// Clears what crashed runs left: half-written objects, and what a claim names that never got its
// manifest. Only with the run lock held. Returns lines that say what was removed.
std::vector<std::string> reap_crashed_runs(ObjectStore& store, const ReapScope& scope);

// What a claim says: the backup, and the machine that makes it.
std::string claim_content(const std::string& id, const std::string& machine);

}  // namespace holdfast
