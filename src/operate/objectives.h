// Whether the backups are as good as promised: recovery point and recovery time as they were
// measured, held against their targets, and everything else that a recovery hangs on.
//
// The rule of this file: a number stands here only if something was seen that gives it. The
// recovery point is the age of the newest backup whose proof succeeded; the recovery time is that
// of a drill that passed. What was not measured is absent, and never counts as met. A target is met
// at its limit exactly.
//
// Backups dated more than kClockTolerance after now tell of a wrong clock: they are reported, and
// nothing is concluded from them. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "operate/status_facts.h"

namespace holdfast {

constexpr std::chrono::minutes kClockTolerance{5};  // what two machines' clocks may differ by
constexpr std::chrono::days kTrendDays{30};         // of sizes: looked back at, and projected

enum class ViolationKind { rpo, rto, policy, drill, staleness, store };
enum class ViolationSeverity { warning, critical };

// Something that is not as promised.
struct Violation {
  ViolationKind kind = ViolationKind::rpo;
  ViolationSeverity severity = ViolationSeverity::critical;
  std::string what;                            // for people; no secret, no data
  std::string source, store;                   // store: of one alone, else empty
  std::optional<double> measured{}, target{};  // seconds, where the kind has them
};

std::string_view violation_kind_name(ViolationKind kind);
std::string_view violation_severity_name(ViolationSeverity severity);
constexpr ViolationKind kViolationKinds[] = {ViolationKind::rpo,       ViolationKind::rto,
                                             ViolationKind::policy,    ViolationKind::drill,
                                             ViolationKind::staleness, ViolationKind::store};

struct ObjectiveStatus {
  int64_t target_seconds = 0;
  std::optional<double> actual_seconds;  // nothing: not measured
  std::string by;                        // the backup or the drill that it was measured by
  std::string why;                       // for people: where that is, or why there is no measure

  bool measured() const { return actual_seconds.has_value(); }
  bool met() const { return measured() && *actual_seconds <= double(target_seconds); }
};

struct BackupPoint {
  std::string id;
  UtcTime created_at{};
  double age_seconds = 0;  // never below 0
  ProofState proof = ProofState::none;
  std::optional<uint64_t> bytes;
};

struct PlaceStatus {
  BackupKind kind = BackupKind::dump;
  std::string name, location;
  std::string unreachable;  // then the rest is not known
  size_t count = 0, proven = 0, broken = 0, held = 0;
  std::optional<uint64_t> bytes;    // of all that is there
  std::optional<BackupPoint> last;  // the newest one that is not known to be broken
  std::optional<BackupPoint> last_proven;
  std::optional<ViolationSeverity> stale;

  bool reachable() const { return unreachable.empty(); }
};

struct DrillMoment {
  std::string id, backup;
  UtcTime at{};  // its end
  double age_seconds = 0, rto_seconds = 0;
  DrillVerdict verdict = DrillVerdict::inconclusive;
};
struct DrillStatus {
  BackupKind kind = BackupKind::dump;
  std::optional<DrillMoment> last, last_passed;
  bool overdue = false;
};

// From when to when there are proven backups.
struct RecoveryWindow {
  std::optional<UtcTime> oldest, newest;
  size_t points = 0;
};

// How the size of dumps goes, by the line that fits those of kTrendDays best.
struct SizeTrend {
  size_t backups = 0;
  std::optional<double> bytes_per_day;      // nothing: too few to tell
  std::optional<uint64_t> bytes_projected;  // of one dump, in kTrendDays
};

enum class RuleVerdict { yes, no, not_measured };
std::string_view rule_verdict_name(RuleVerdict verdict);

// One figure of 3-2-1-1-0.
struct RuleStatus {
  std::string name;  // "copies", "providers", "off-site", "immutable", "errors"
  std::string rule;  // "3 copies"
  RuleVerdict verdict = RuleVerdict::not_measured;
  std::string why;
};

struct StatusReport {
  std::string source, database;
  UtcTime now{};
  ObjectiveTargets targets;
  RetentionPolicy retention;
  ObjectiveStatus rpo, rto;
  std::vector<PlaceStatus> places;
  std::vector<DrillStatus> drills;  // dump, branch
  RecoveryWindow window;
  std::optional<int64_t> history_seconds;
  SizeTrend trend;
  std::vector<RuleStatus> rules;  // 3-2-1-1-0, in this order
  std::vector<ScheduledRun> schedule;
  std::vector<Violation> violations;  // the critical ones first

  bool ok() const { return violations.empty(); }
  // Whether anything could be looked at.
  bool looked_at() const;
  size_t rules_met() const;
  size_t count(ViolationKind kind, ViolationSeverity severity) const;
};

StatusReport measure_objectives(const StatusFacts& facts);

}  // namespace holdfast
