#include "cli/status_alerts.h"

#include <algorithm>
#include <map>

namespace holdfast {
namespace {

bool any_fresh(const StatusReport& report) {
  return std::any_of(report.places.begin(), report.places.end(), [](const PlaceStatus& place) {
    return place.reachable() && place.last && !place.stale;
  });
}

// The newest drill of each kind passed, and none is due: when the last of them did.
std::optional<UtcTime> drills_good_at(const StatusReport& report) {
  std::optional<UtcTime> newest;
  for (const DrillStatus& drill : report.drills) {
    if (drill.overdue) return std::nullopt;
    if (!drill.last) continue;
    if (drill.last->verdict != DrillVerdict::passed) return std::nullopt;
    newest = std::max(newest.value_or(drill.last->at), drill.last->at);
  }
  return newest;
}

struct WorstViolation {
  Severity severity = Severity::warning;
  FailureFacts facts;
};

void add(WorstViolation& worst, const Violation& violation) {
  if (violation.severity == ViolationSeverity::critical) worst.severity = Severity::critical;
  worst.facts.problems = worst.facts.problems.value_or(0) + 1;
  if (violation.measured) worst.facts.measured_seconds = static_cast<int64_t>(*violation.measured);
  if (violation.target) worst.facts.target_seconds = static_cast<int64_t>(*violation.target);
}

}  // namespace

StatusTrouble trouble_of(const Violation& violation, const StatusReport& report) {
  switch (violation.kind) {
    case ViolationKind::rpo:
      return {IncidentKind::rpo, ""};
    case ViolationKind::rto:
      return {IncidentKind::rto, ""};
    case ViolationKind::drill:
      return {IncidentKind::drill, ""};
    case ViolationKind::staleness:
      return {IncidentKind::rpo, any_fresh(report) ? violation.store : ""};
    case ViolationKind::policy:  // as `verify` tells it: of all stores together
      return {IncidentKind::policy, ""};
    case ViolationKind::store:
      break;
  }
  return {IncidentKind::policy, violation.store};
}

std::set<StatusTrouble> seen_by_status(const StatusReport& report) {
  std::set<StatusTrouble> seen;
  if (!report.looked_at()) return seen;
  if (report.rpo.measured()) seen.insert({IncidentKind::rpo, ""});
  if (report.rto.measured()) seen.insert({IncidentKind::rto, ""});
  if (drills_good_at(report)) seen.insert({IncidentKind::drill, ""});
  size_t backups = 0;
  std::set<std::string> unreachable;
  for (const PlaceStatus& place : report.places) {
    backups += place.count;
    if (!place.reachable()) unreachable.insert(place.name);
  }
  if (unreachable.empty() && backups > 0) seen.insert({IncidentKind::policy, ""});
  for (const PlaceStatus& place : report.places) {
    if (unreachable.count(place.name) > 0) continue;
    if (!place.stale) seen.insert({IncidentKind::rpo, place.name});
    seen.insert({IncidentKind::policy, place.name});
  }
  return seen;
}

void tell_status(CommandAlerts& alerts, const StatusReport& report) {
  std::map<StatusTrouble, WorstViolation> found;
  for (const Violation& violation : report.violations)
    add(found[trouble_of(violation, report)], violation);
  for (const auto& [trouble, worst] : found)
    alerts.failed(trouble.first, trouble.second, worst.severity, worst.facts);
  for (const StatusTrouble& good : seen_by_status(report)) {
    if (found.count(good) > 0) continue;
    bool drill = good.first == IncidentKind::drill;
    alerts.good(good.first, good.second, drill ? drills_good_at(report) : std::nullopt);
  }
}

}  // namespace holdfast
