// What `status --alert` makes of a report: which incident a violation is, and what it may end.
#include "cli/status_alerts.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using std::chrono::hours;

const UtcTime kStatusNow = parse_rfc3339("2026-11-29T12:00:00.000Z");

PlaceStatus place_of(const std::string& name, bool stale, size_t count = 1) {
  PlaceStatus place;
  place.name = name;
  place.count = count;
  if (count > 0) place.last = BackupPoint{};
  if (stale) place.stale = ViolationSeverity::critical;
  return place;
}

Violation violation_of(ViolationKind kind, const std::string& store = "") {
  Violation violation;
  violation.kind = kind;
  violation.store = store;
  return violation;
}

DrillStatus drill_of(DrillVerdict verdict, bool overdue) {
  DrillStatus drill;
  drill.last = DrillMoment{};
  drill.last->at = kStatusNow - hours(1);
  drill.last->verdict = verdict;
  if (verdict == DrillVerdict::passed) drill.last_passed = drill.last;
  drill.overdue = overdue;
  return drill;
}

TEST(StatusAlerts, AnOnlyStoreThatIsStaleIsTheSourcesRecoveryPoint) {
  StatusReport report;
  report.places = {place_of("local", true)};
  StatusTrouble source{IncidentKind::rpo, ""};
  EXPECT_EQ(trouble_of(violation_of(ViolationKind::staleness, "local"), report), source);
  EXPECT_EQ(trouble_of(violation_of(ViolationKind::rpo), report), source);
  // Nothing was seen that would end an incident of the store's own.
  EXPECT_EQ(seen_by_status(report).count({IncidentKind::rpo, "local"}), 0u);
}

TEST(StatusAlerts, AStaleStoreBesideAFreshOneIsItsOwnIncident) {
  StatusReport report;
  report.places = {place_of("local", false), place_of("nas", true)};
  StatusTrouble nas{IncidentKind::rpo, "nas"};
  EXPECT_EQ(trouble_of(violation_of(ViolationKind::staleness, "nas"), report), nas);
  EXPECT_EQ(seen_by_status(report).count(nas), 0u);
  EXPECT_EQ(seen_by_status(report).count({IncidentKind::rpo, "local"}), 1u);
}

TEST(StatusAlerts, PolicyIsNotSeenToBeGoodWhereNothingIsOrNotAllWasLookedAt) {
  StatusReport report;
  StatusTrouble policy{IncidentKind::policy, ""};
  report.places = {place_of("local", false)};
  EXPECT_EQ(seen_by_status(report).count(policy), 1u);
  report.places = {place_of("local", true, 0)};
  EXPECT_EQ(seen_by_status(report).count(policy), 0u);
  report.places = {place_of("local", false), place_of("nas", false)};
  report.places[1].unreachable = "/nas is not there";
  EXPECT_EQ(seen_by_status(report).count(policy), 0u);
}

TEST(StatusAlerts, ADrillIsSeenToBeGoodOnlyIfTheLastOnePassedAndNoneIsDue) {
  StatusReport report;
  report.places = {place_of("local", false)};
  StatusTrouble drill{IncidentKind::drill, ""};
  EXPECT_EQ(seen_by_status(report).count(drill), 0u);  // there was none
  report.drills = {drill_of(DrillVerdict::passed, false), DrillStatus{}};
  EXPECT_EQ(seen_by_status(report).count(drill), 1u);
  report.drills = {drill_of(DrillVerdict::passed, true), DrillStatus{}};
  EXPECT_EQ(seen_by_status(report).count(drill), 0u);
  report.drills = {drill_of(DrillVerdict::failed, false)};
  EXPECT_EQ(seen_by_status(report).count(drill), 0u);
}

}  // namespace
}  // namespace holdfast
