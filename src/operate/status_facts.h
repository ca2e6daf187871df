// What `holdfast status` is computed from: everything that was seen of one source's backups, and
// nothing that was assumed. Plain values, gathered by the command line (cli/status.cc) and by
// tests; objectives.h makes the report of them.
//
// What was not looked at is absent (nullopt, `unreachable`), never a zero.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "operate/drill_record.h"
#include "policy/prune.h"
#include "policy/retention.h"

namespace holdfast {

enum class BackupKind { dump, branch };
// Of the proof that counts (dump/catalog.h).
enum class ProofState { none, passed, failed, inconclusive };

std::string_view backup_kind_name(BackupKind kind);
std::string_view proof_state_name(ProofState state);  // "none", "passed", "failed", "inconclusive"

// One backup in one place.
struct BackupFacts {
  std::string id;
  UtcTime created_at{};  // the moment that it holds
  bool damaged = false;  // its manifest or record does not read
  ProofState proof = ProofState::none;
  std::optional<uint64_t> bytes{};  // nothing: not known, as of a branch
  bool held = false;
  std::optional<UtcTime> locked_until{};  // where the store was asked for it

  bool broken() const { return damaged || proof == ProofState::failed; }
  bool proven() const { return !damaged && proof == ProofState::passed; }
};

enum class PlaceKind { folder, bucket, api };

// Where backups of one kind are: dumps in a store, branches at the API that made them.
struct PlaceFacts {
  std::string name;      // the store's; of branches the API's host
  std::string location;  // for people: "/var/backups/care", "s3://care/backups"
  PlaceKind kind = PlaceKind::folder;
  std::string host;  // of the bucket's server or the API, with its port; empty: this machine
  // "governance" or "compliance": objects are to be locked; empty: they are not.
  std::string lock_mode;
  bool expected = true;     // backups of its kind are made into it
  std::string unreachable;  // why nothing is known of it; empty: it was looked at
  std::vector<BackupFacts> backups{};

  BackupKind backup_kind() const {
    return kind == PlaceKind::api ? BackupKind::branch : BackupKind::dump;
  }
};

// What is promised. Seconds.
struct ObjectiveTargets {
  int64_t rpo_seconds = 24 * 3600;
  int64_t rto_seconds = 4 * 3600;
  int64_t drill_every_seconds = 31 * 86400;
  int64_t stale_after_seconds = 25 * 3600;     // older than this: a warning
  int64_t stale_critical_seconds = 48 * 3600;  // this old: critical
};

struct ScheduledRun {
  std::string job;                // "backup", "drill", …
  std::string schedule;           // "0 2 * * *"
  std::optional<UtcTime> next{};  // nothing: never
};

struct StatusFacts {
  std::string source, database;
  UtcTime now{};
  ObjectiveTargets targets;
  RetentionPolicy retention;
  std::vector<PlaceFacts> places;
  std::vector<DrillRecord> drills;          // each once, in any order
  std::vector<std::string> damaged_drills;  // what is wrong with a record that does not read
  std::vector<PolicyProblem> policy;        // of the places that were looked at (check_policy)
  std::vector<ScheduledRun> schedule;
  // The host of the source's database; "" is this machine, nothing: no database is configured.
  std::optional<std::string> source_host;
  // For how long the source's own history can be gone back into (Neon, the engine); nothing: not
  // known. It is lost with the source, so it is told and never counted.
  std::optional<int64_t> history_seconds;
};

}  // namespace holdfast
