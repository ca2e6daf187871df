#include "cli/status_alerts.h"

#include <map>
#include <set>
#include <utility>

namespace holdfast {
namespace {

// What an incident is about: its kind, and the store or "".
using Trouble = std::pair<IncidentKind, std::string>;

Trouble trouble_of(const Violation& violation) {
  switch (violation.kind) {
    case ViolationKind::rpo:
      return {IncidentKind::rpo, ""};
    case ViolationKind::rto:
      return {IncidentKind::rto, ""};
    case ViolationKind::drill:
      return {IncidentKind::drill, ""};
    case ViolationKind::staleness:
      return {IncidentKind::rpo, violation.store};
    case ViolationKind::policy:  // as `verify` tells it: of all stores together
      return {IncidentKind::policy, ""};
    case ViolationKind::store:
      break;
  }
  return {IncidentKind::policy, violation.store};
}

// What could be seen to be well, had it been.
std::set<Trouble> looked_at(const StatusReport& report) {
  std::set<Trouble> seen;
  if (!report.looked_at()) return seen;
  if (report.rpo.measured()) seen.insert({IncidentKind::rpo, ""});
  if (report.rto.measured()) seen.insert({IncidentKind::rto, ""});
  seen.insert({IncidentKind::policy, ""});
  std::set<std::string> unreachable;
  for (const PlaceStatus& place : report.places)
    if (!place.reachable()) unreachable.insert(place.name);
  for (const PlaceStatus& place : report.places) {
    if (unreachable.count(place.name) > 0) continue;
    seen.insert({IncidentKind::rpo, place.name});
    seen.insert({IncidentKind::policy, place.name});
  }
  return seen;
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

void tell_status(CommandAlerts& alerts, const StatusReport& report) {
  std::map<Trouble, WorstViolation> found;
  for (const Violation& violation : report.violations) add(found[trouble_of(violation)], violation);
  for (const auto& [trouble, worst] : found)
    alerts.failed(trouble.first, trouble.second, worst.severity, worst.facts);
  for (const Trouble& good : looked_at(report))
    if (found.count(good) == 0) alerts.good(good.first, good.second);
}

}  // namespace holdfast
