#include "operate/objectives.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "base/duration.h"
#include "base/text.h"
#include "operate/resilience.h"

namespace holdfast {
namespace {

constexpr size_t kIdsNamed = 3;
constexpr size_t kTrendBackupsMin = 3;   // two points make any line
constexpr double kTrendSpanDaysMin = 2;  // of backups within minutes, none

double seconds_between(UtcTime from, UtcTime to) {
  return std::max(0.0, std::chrono::duration<double>(to - from).count());
}

bool of_the_future(const BackupFacts& backup, UtcTime now) {
  return backup.created_at > now + kClockTolerance;
}

// The newest one that counts; of one moment, the one with the greater id.
template <typename Counts>
const BackupFacts* newest(const std::vector<BackupFacts>& backups, UtcTime now, Counts counts) {
  const BackupFacts* found = nullptr;
  for (const BackupFacts& backup : backups) {
    if (of_the_future(backup, now) || !counts(backup)) continue;
    if (found == nullptr ||
        std::pair(backup.created_at, backup.id) > std::pair(found->created_at, found->id))
      found = &backup;
  }
  return found;
}

std::optional<BackupPoint> point_of(const BackupFacts* backup, UtcTime now) {
  if (backup == nullptr) return std::nullopt;
  return BackupPoint{backup->id, backup->created_at, seconds_between(backup->created_at, now),
                     backup->proof, backup->bytes};
}

std::optional<ViolationSeverity> staleness_of(const PlaceFacts& place, const PlaceStatus& status,
                                              const ObjectiveTargets& targets) {
  if (!status.reachable()) return std::nullopt;
  if (!status.last) {
    if (!place.expected && place.backups.empty()) return std::nullopt;
    return ViolationSeverity::critical;
  }
  if (status.last->age_seconds >= double(targets.stale_critical_seconds))
    return ViolationSeverity::critical;
  if (status.last->age_seconds > double(targets.stale_after_seconds))
    return ViolationSeverity::warning;
  return std::nullopt;
}

PlaceStatus place_status(const PlaceFacts& place, const StatusFacts& facts) {
  PlaceStatus status;
  status.kind = place.backup_kind();
  status.name = place.name;
  status.location = place.location;
  status.unreachable = place.unreachable;
  if (!status.reachable()) return status;
  for (const BackupFacts& backup : place.backups) {
    ++status.count;
    status.proven += backup.proven();
    status.broken += backup.broken();
    status.held += backup.held;
    if (backup.bytes) status.bytes = status.bytes.value_or(0) + *backup.bytes;
  }
  if (status.kind == BackupKind::dump && !status.bytes) status.bytes = 0;
  status.last =
      point_of(newest(place.backups, facts.now, [](const BackupFacts& b) { return !b.broken(); }),
               facts.now);
  status.last_proven = point_of(
      newest(place.backups, facts.now, [](const BackupFacts& b) { return b.proven(); }), facts.now);
  status.stale = staleness_of(place, status, facts.targets);
  return status;
}

std::string some_ids(const std::vector<std::string>& ids) {
  std::vector<std::string> named(ids.begin(),
                                 ids.begin() + ptrdiff_t(std::min(ids.size(), kIdsNamed)));
  return fmt::format(
      "{}{}", fmt::join(named, ", "),
      ids.size() > kIdsNamed ? fmt::format(" and {} more", ids.size() - kIdsNamed) : "");
}

// --- the two objectives

ObjectiveStatus recovery_point(const StatusReport& report) {
  ObjectiveStatus status;
  status.target_seconds = report.targets.rpo_seconds;
  const BackupPoint* best = nullptr;
  for (const PlaceStatus& place : report.places)
    if (place.last_proven && (best == nullptr || place.last_proven->created_at > best->created_at))
      best = &*place.last_proven;
  if (best == nullptr) {
    bool none = std::all_of(report.places.begin(), report.places.end(),
                            [](const PlaceStatus& place) { return place.count == 0; });
    status.why =
        none ? "there is no backup (holdfast backup)" : "no backup is proven (holdfast verify)";
    return status;
  }
  status.actual_seconds = best->age_seconds;
  status.by = best->id;
  std::vector<std::string> where;
  for (const PlaceStatus& place : report.places)
    if (place.last_proven && place.last_proven->id == best->id) where.push_back(place.name);
  status.why = fmt::format("{} in {}", best->id, fmt::join(where, ", "));
  return status;
}

// The slowest drill that passed within the interval of drills; else the newest that ever passed.
ObjectiveStatus recovery_time(const StatusFacts& facts) {
  ObjectiveStatus status;
  status.target_seconds = facts.targets.rto_seconds;
  const DrillRecord* measure = nullptr;
  auto recent = [&](const DrillRecord& drill) {
    return seconds_between(drill.ended_at, facts.now) <= double(facts.targets.drill_every_seconds);
  };
  for (const DrillRecord& drill : facts.drills) {
    if (drill.verdict != DrillVerdict::passed) continue;
    if (drill.ended_at > facts.now + kClockTolerance) continue;
    auto rank = [&](const DrillRecord& d) {
      bool is_recent = recent(d);
      return std::tuple(is_recent, is_recent ? d.rto_seconds : 0, d.ended_at, d.id);
    };
    if (measure == nullptr || rank(drill) > rank(*measure)) measure = &drill;
  }
  if (measure == nullptr) {
    status.why = "no drill has passed (holdfast drill)";
    return status;
  }
  status.actual_seconds = measure->rto_seconds;
  status.by = measure->id;
  status.why =
      fmt::format("{} of {}, {} ago", recent(*measure) ? "the slowest drill" : "the drill",
                  measure->backup, human_age(seconds_between(measure->ended_at, facts.now)));
  return status;
}

// --- drills

DrillMoment moment_of(const DrillRecord& drill, UtcTime now) {
  return {drill.id,          drill.backup, drill.ended_at, seconds_between(drill.ended_at, now),
          drill.rto_seconds, drill.verdict};
}

// The oldest backup of the kind, as long as it has been there to be drilled.
double oldest_age(const StatusFacts& facts, BackupKind kind) {
  double age = 0;
  for (const PlaceFacts& place : facts.places)
    if (place.backup_kind() == kind)
      for (const BackupFacts& backup : place.backups)
        age = std::max(age, seconds_between(backup.created_at, facts.now));
  return age;
}

bool has_backups(const StatusFacts& facts, BackupKind kind) {
  return std::any_of(facts.places.begin(), facts.places.end(), [&](const PlaceFacts& place) {
    return place.backup_kind() == kind && (place.expected || !place.backups.empty());
  });
}

DrillStatus drill_status(const StatusFacts& facts, BackupKind kind) {
  DrillStatus status;
  status.kind = kind;
  DrillKind drilled = kind == BackupKind::dump ? DrillKind::dump : DrillKind::branch;
  for (const DrillRecord& drill : facts.drills) {
    if (drill.kind != drilled || drill.ended_at > facts.now + kClockTolerance) continue;
    DrillMoment moment = moment_of(drill, facts.now);
    auto take = [&](std::optional<DrillMoment>& best) {
      if (!best || std::pair(moment.at, moment.id) > std::pair(best->at, best->id)) best = moment;
    };
    take(status.last);
    if (drill.verdict == DrillVerdict::passed) take(status.last_passed);
  }
  // A dump is what is left when the source's provider is not; so where dumps are made, they are
  // what has to be drilled.
  bool wanted = has_backups(facts, kind) &&
                (kind == BackupKind::dump || !has_backups(facts, BackupKind::dump));
  double silence = status.last_passed ? status.last_passed->age_seconds : oldest_age(facts, kind);
  status.overdue = wanted && silence > double(facts.targets.drill_every_seconds);
  return status;
}

// --- window and trend

RecoveryWindow window_of(const StatusFacts& facts) {
  std::map<std::string, UtcTime> points;
  for (const PlaceFacts& place : facts.places)
    for (const BackupFacts& backup : place.backups)
      if (backup.proven() && !of_the_future(backup, facts.now))
        points.emplace(backup.id, backup.created_at);
  RecoveryWindow window;
  window.points = points.size();
  for (const auto& [id, at] : points) {
    if (!window.oldest || at < *window.oldest) window.oldest = at;
    if (!window.newest || at > *window.newest) window.newest = at;
  }
  return window;
}

SizeTrend trend_of(const StatusFacts& facts) {
  std::map<std::string, std::pair<double, double>> by_id;  // days before now (negative), bytes
  for (const PlaceFacts& place : facts.places)
    for (const BackupFacts& backup : place.backups) {
      if (place.kind == PlaceKind::api || backup.broken() || !backup.bytes) continue;
      if (of_the_future(backup, facts.now) || backup.created_at < facts.now - kTrendDays) continue;
      by_id[backup.id] = {-seconds_between(backup.created_at, facts.now) / 86400,
                          double(*backup.bytes)};
    }
  SizeTrend trend;
  trend.backups = by_id.size();
  if (by_id.size() < kTrendBackupsMin) return trend;
  double count = double(by_id.size()), mean_day = 0, mean_bytes = 0, first = 0, last = -1e9;
  for (const auto& [id, point] : by_id) {
    mean_day += point.first / count;
    mean_bytes += point.second / count;
    first = std::min(first, point.first);
    last = std::max(last, point.first);
  }
  if (last - first < kTrendSpanDaysMin) return trend;
  double spread = 0, together = 0;
  for (const auto& [id, point] : by_id) {
    spread += (point.first - mean_day) * (point.first - mean_day);
    together += (point.first - mean_day) * (point.second - mean_bytes);
  }
  double slope = together / spread;
  double projected = mean_bytes + slope * (double(kTrendDays.count()) - mean_day);
  trend.bytes_per_day = slope;
  trend.bytes_projected = projected > 0 ? uint64_t(projected) : 0;
  return trend;
}

// --- violations

class ViolationList {
 public:
  ViolationList(const StatusFacts& facts, StatusReport& report) : facts_(facts), report_(report) {}

  void judge() {
    judge_objectives();
    for (size_t i = 0; i < facts_.places.size(); ++i)
      judge_place(facts_.places[i], report_.places[i]);
    judge_drills();
    for (const PolicyProblem& problem : facts_.policy) {
      std::string store = problem.where.substr(0, problem.where.find(','));
      add(ViolationKind::policy, ViolationSeverity::warning,
          fmt::format("{}: {}", problem.where, problem.what), store);
    }
    std::stable_sort(
        report_.violations.begin(), report_.violations.end(),
        [](const Violation& a, const Violation& b) { return a.severity > b.severity; });
  }

 private:
  void add(ViolationKind kind, ViolationSeverity severity, std::string what, std::string store = {},
           std::optional<double> measured = {}, std::optional<double> target = {}) {
    report_.violations.push_back(
        {kind, severity, std::move(what), facts_.source, std::move(store), measured, target});
  }

  void judge_objectives() {
    const ObjectiveStatus &rpo = report_.rpo, &rto = report_.rto;
    if (!rpo.met())
      add(ViolationKind::rpo, ViolationSeverity::critical,
          rpo.measured() ? fmt::format("the newest proven backup is {} old, of at most {}: {}",
                                       human_age(*rpo.actual_seconds),
                                       human_age(double(rpo.target_seconds)), rpo.why)
                         : rpo.why,
          "", rpo.actual_seconds, double(rpo.target_seconds));
    // Without a drill there is nothing to hold against the target; that a drill is missing is a
    // violation of its own once it is overdue.
    if (rto.measured() && !rto.met())
      add(ViolationKind::rto, ViolationSeverity::critical,
          fmt::format("a recovery took {}, of at most {}: {}", human_age(*rto.actual_seconds),
                      human_age(double(rto.target_seconds)), rto.why),
          "", rto.actual_seconds, double(rto.target_seconds));
  }

  void judge_place(const PlaceFacts& place, const PlaceStatus& status) {
    if (!status.reachable()) {
      add(ViolationKind::store,
          report_.looked_at() ? ViolationSeverity::warning : ViolationSeverity::critical,
          fmt::format("{} could not be looked at: {}", place.name, place.unreachable), place.name);
      return;
    }
    judge_staleness(place, status);
    std::vector<std::string> broken, future;
    for (const BackupFacts& backup : place.backups) {
      if (backup.broken()) broken.push_back(backup.id);
      if (of_the_future(backup, facts_.now)) future.push_back(backup.id);
    }
    if (!broken.empty())
      add(ViolationKind::store, ViolationSeverity::critical,
          fmt::format("{}: {} damaged: {} (holdfast verify ID)", place.name,
                      plural(broken.size(), "backup"), some_ids(broken)),
          place.name);
    if (!future.empty())
      add(ViolationKind::policy, ViolationSeverity::warning,
          fmt::format("{}: {} of the future: {} (a clock is wrong)", place.name,
                      plural(future.size(), "backup"), some_ids(future)),
          place.name);
  }

  void judge_staleness(const PlaceFacts& place, const PlaceStatus& status) {
    if (!status.stale) return;
    std::string_view kind = backup_kind_name(status.kind);
    const ObjectiveTargets& targets = facts_.targets;
    double limit =
        double(*status.stale == ViolationSeverity::critical ? targets.stale_critical_seconds
                                                            : targets.stale_after_seconds);
    if (!status.last)
      add(ViolationKind::staleness, *status.stale,
          fmt::format("{}: there is no {} that could be restored", place.name, kind), place.name,
          {}, double(targets.stale_after_seconds));
    else
      add(ViolationKind::staleness, *status.stale,
          fmt::format("{}: the last {} is {} old (is the schedule running?)", place.name, kind,
                      human_age(status.last->age_seconds)),
          place.name, status.last->age_seconds, limit);
  }

  void judge_drills() {
    for (const DrillStatus& drill : report_.drills) {
      std::string_view kind = backup_kind_name(drill.kind);
      if (drill.last && drill.last->verdict == DrillVerdict::failed)
        add(ViolationKind::drill, ViolationSeverity::critical,
            fmt::format("the last drill of a {} failed: {} of {}", kind, drill.last->id,
                        drill.last->backup));
      if (!drill.overdue) continue;
      std::string every = human_age(double(facts_.targets.drill_every_seconds));
      std::optional<double> age;
      if (drill.last_passed) age = drill.last_passed->age_seconds;
      add(ViolationKind::drill, ViolationSeverity::warning,
          age ? fmt::format("the last drill of a {} that passed was {} ago, of at most {}", kind,
                            human_age(*age), every)
              : fmt::format("no drill of a {} has passed, and one is due every {}", kind, every),
          "", age, double(facts_.targets.drill_every_seconds));
    }
    for (const std::string& damaged : facts_.damaged_drills)
      add(ViolationKind::drill, ViolationSeverity::warning, damaged);
  }

  const StatusFacts& facts_;
  StatusReport& report_;
};

}  // namespace

std::string_view backup_kind_name(BackupKind kind) {
  return kind == BackupKind::dump ? "dump" : "branch";
}

std::string_view proof_state_name(ProofState state) {
  switch (state) {
    case ProofState::passed:
      return "passed";
    case ProofState::failed:
      return "failed";
    case ProofState::inconclusive:
      return "inconclusive";
    case ProofState::none:
      break;
  }
  return "none";
}

std::string_view violation_kind_name(ViolationKind kind) {
  constexpr std::string_view kNames[] = {"rpo", "rto", "policy", "drill", "staleness", "store"};
  return kNames[size_t(kind)];
}

std::string_view violation_severity_name(ViolationSeverity severity) {
  return severity == ViolationSeverity::critical ? "critical" : "warning";
}

bool StatusReport::looked_at() const {
  return std::any_of(places.begin(), places.end(),
                     [](const PlaceStatus& place) { return place.reachable(); });
}

size_t StatusReport::rules_met() const {
  return size_t(std::count_if(rules.begin(), rules.end(), [](const RuleStatus& rule) {
    return rule.verdict == RuleVerdict::yes;
  }));
}

size_t StatusReport::count(ViolationKind kind, ViolationSeverity severity) const {
  return size_t(std::count_if(violations.begin(), violations.end(), [&](const Violation& v) {
    return v.kind == kind && v.severity == severity;
  }));
}

StatusReport measure_objectives(const StatusFacts& facts) {
  StatusReport report;
  report.source = facts.source;
  report.database = facts.database;
  report.now = facts.now;
  report.targets = facts.targets;
  report.retention = facts.retention;
  report.history_seconds = facts.history_seconds;
  report.schedule = facts.schedule;
  for (const PlaceFacts& place : facts.places) report.places.push_back(place_status(place, facts));
  report.rpo = recovery_point(report);
  report.rto = recovery_time(facts);
  for (BackupKind kind : {BackupKind::dump, BackupKind::branch})
    report.drills.push_back(drill_status(facts, kind));
  report.window = window_of(facts);
  report.trend = trend_of(facts);
  report.rules = rules_32110(facts, report.drills);
  ViolationList(facts, report).judge();
  return report;
}

}  // namespace holdfast
