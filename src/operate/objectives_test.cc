#include "operate/objectives.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstdlib>

#include "operate/status_samples.h"

namespace holdfast {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Kinds = std::vector<ViolationKind>;

Kinds kinds_of(const StatusReport& report) {
  Kinds kinds;
  for (const Violation& violation : report.violations)
    if (std::find(kinds.begin(), kinds.end(), violation.kind) == kinds.end())
      kinds.push_back(violation.kind);
  std::sort(kinds.begin(), kinds.end());
  return kinds;
}

const Violation& violation_of(const StatusReport& report, ViolationKind kind) {
  auto found = std::find_if(report.violations.begin(), report.violations.end(),
                            [&](const Violation& v) { return v.kind == kind; });
  if (found == report.violations.end())
    throw Error(ErrorCode::not_found, std::string(violation_kind_name(kind)));
  return *found;
}

// One store with one backup of this age.
StatusFacts one_backup(milliseconds age) {
  StatusFacts facts = sample_facts();
  facts.places = {sample_place("local", PlaceKind::folder, "", 0)};
  facts.places[0].backups = {sample_backup(BackupKind::dump, facts.now - age)};
  return facts;
}

TEST(Objectives, AGoodMonth) {
  StatusReport report = measure_objectives(sample_facts());
  EXPECT_THAT(report.violations, IsEmpty());
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.rpo.actual_seconds, 10 * 3600);
  EXPECT_EQ(report.rpo.by, "care_2026-11-28T02-00-00-000Z");
  EXPECT_THAT(report.rpo.why, HasSubstr("in local, s3"));
  EXPECT_EQ(report.rto.actual_seconds, 600);
  ASSERT_EQ(report.places.size(), 2u);
  EXPECT_EQ(report.places[0].count, 30u);
  EXPECT_EQ(report.places[0].proven, 30u);
  EXPECT_EQ(report.places[0].bytes, 30u * 1'000'000 - 1000 * (29 * 30 / 2));
  EXPECT_EQ(report.window.points, 30u);
  EXPECT_EQ(format_rfc3339(*report.window.oldest), "2026-10-30T02:00:00.000Z");
}

TEST(Objectives, NoBackupsAtAll) {
  StatusFacts facts = sample_facts();
  for (PlaceFacts& place : facts.places) place.backups.clear();
  facts.drills.clear();
  StatusReport report = measure_objectives(facts);
  EXPECT_FALSE(report.rpo.measured());
  EXPECT_FALSE(report.rpo.met());
  EXPECT_FALSE(report.rto.measured());
  EXPECT_FALSE(report.window.oldest);
  EXPECT_FALSE(report.trend.bytes_per_day);
  EXPECT_EQ(kinds_of(report), (Kinds{ViolationKind::rpo, ViolationKind::staleness}));
  EXPECT_EQ(report.count(ViolationKind::staleness, ViolationSeverity::critical), 2u);
  EXPECT_THAT(violation_of(report, ViolationKind::rpo).what, HasSubstr("no backup"));
}

TEST(Objectives, OnlyUnprovenBackupsGiveNoRecoveryPoint) {
  StatusFacts facts = sample_facts();
  for (PlaceFacts& place : facts.places)
    for (BackupFacts& backup : place.backups) backup.proof = ProofState::none;
  facts.places[0].backups.back().proof = ProofState::inconclusive;
  StatusReport report = measure_objectives(facts);
  EXPECT_FALSE(report.rpo.measured());
  EXPECT_EQ(kinds_of(report), Kinds{ViolationKind::rpo});  // they are there, so nothing is stale
  EXPECT_THAT(violation_of(report, ViolationKind::rpo).what, HasSubstr("no backup is proven"));
  EXPECT_FALSE(violation_of(report, ViolationKind::rpo).measured);
}

TEST(Objectives, ADamagedNewestOneGivesWayToTheProvenOneBeforeIt) {
  for (bool damaged : {false, true}) {
    StatusFacts facts = sample_facts();
    for (PlaceFacts& place : facts.places) {
      if (damaged)
        place.backups.back().damaged = true;
      else
        place.backups.back().proof = ProofState::failed;
    }
    StatusReport report = measure_objectives(facts);
    EXPECT_EQ(report.rpo.actual_seconds, 34 * 3600);
    EXPECT_EQ(report.places[0].last->id, "care_2026-11-27T02-00-00-000Z");
    EXPECT_EQ(kinds_of(report),
              (Kinds{ViolationKind::rpo, ViolationKind::staleness, ViolationKind::store}));
    EXPECT_THAT(violation_of(report, ViolationKind::store).what,
                HasSubstr("1 backup damaged: care_2026-11-28T02-00-00-000Z"));
  }
  // In one store alone: the other one's copy counts, and the damage is told all the same.
  StatusFacts facts = sample_facts();
  facts.places[1].backups.back().damaged = true;
  StatusReport report = measure_objectives(facts);
  EXPECT_TRUE(report.rpo.met());
  EXPECT_THAT(report.rpo.why, HasSubstr("in local"));
  EXPECT_EQ(violation_of(report, ViolationKind::store).store, "s3");
}

TEST(Objectives, MetExactlyAtTheLimit) {
  StatusFacts facts = one_backup(hours(24));
  EXPECT_TRUE(measure_objectives(facts).rpo.met());
  EXPECT_THAT(measure_objectives(facts).violations, IsEmpty());
  facts = one_backup(hours(24) + milliseconds(1));
  EXPECT_FALSE(measure_objectives(facts).rpo.met());
  EXPECT_EQ(kinds_of(measure_objectives(facts)), Kinds{ViolationKind::rpo});

  facts = one_backup(hours(1));
  facts.drills = {sample_drill(DrillVerdict::passed, 1, 4 * 3600)};
  EXPECT_TRUE(measure_objectives(facts).ok());
  facts.drills[0].rto_seconds += 0.001;
  EXPECT_EQ(kinds_of(measure_objectives(facts)), Kinds{ViolationKind::rto});
}

TEST(Objectives, StaleAbove25HoursCriticalFrom48) {
  auto stale = [](milliseconds age) { return measure_objectives(one_backup(age)).places[0].stale; };
  EXPECT_EQ(stale(hours(25)), std::nullopt);
  EXPECT_EQ(stale(hours(25) + milliseconds(1)), ViolationSeverity::warning);
  EXPECT_EQ(stale(hours(48) - milliseconds(1)), ViolationSeverity::warning);
  EXPECT_EQ(stale(hours(48)), ViolationSeverity::critical);
  StatusReport report = measure_objectives(one_backup(hours(50)));
  const Violation& found = violation_of(report, ViolationKind::staleness);
  EXPECT_EQ(found.store, "local");
  EXPECT_EQ(found.source, "care");
  EXPECT_EQ(found.measured, 50 * 3600);
  EXPECT_EQ(found.target, 48 * 3600);
}

TEST(Objectives, AClockInTheFutureProvesNothing) {
  StatusFacts facts = one_backup(hours(30));
  facts.places[0].backups.push_back(sample_backup(BackupKind::dump, facts.now + hours(1)));
  StatusReport report = measure_objectives(facts);
  EXPECT_EQ(report.rpo.actual_seconds, 30 * 3600);
  EXPECT_EQ(report.window.points, 1u);
  EXPECT_THAT(violation_of(report, ViolationKind::policy).what,
              HasSubstr("1 backup of the future"));
  // What two clocks may differ by is no future, and no age below zero either.
  facts = one_backup(-minutes(5));
  report = measure_objectives(facts);
  EXPECT_EQ(report.rpo.actual_seconds, 0);
  EXPECT_TRUE(report.ok());
  // A drill of the future measures nothing.
  facts.drills = {sample_drill(DrillVerdict::passed, -1, 5)};
  EXPECT_FALSE(measure_objectives(facts).rto.measured());
}

TEST(Objectives, AStoreThatIsDownIsToldAndCountsForNothing) {
  StatusFacts facts = sample_facts();
  facts.places[1].unreachable = "connection refused";
  facts.places[1].backups.clear();
  StatusReport report = measure_objectives(facts);
  EXPECT_TRUE(report.looked_at());
  EXPECT_TRUE(report.rpo.met());
  EXPECT_EQ(kinds_of(report), Kinds{ViolationKind::store});
  EXPECT_EQ(report.violations[0].severity, ViolationSeverity::warning);
  EXPECT_EQ(report.violations[0].store, "s3");
  facts.places[0].unreachable = "no such folder";
  facts.places[0].backups.clear();
  report = measure_objectives(facts);
  EXPECT_FALSE(report.looked_at());
  EXPECT_FALSE(report.rpo.measured());
  EXPECT_EQ(report.count(ViolationKind::store, ViolationSeverity::critical), 2u);
  EXPECT_EQ(report.count(ViolationKind::staleness, ViolationSeverity::critical), 0u);
}

TEST(Objectives, WithoutADrillTheRecoveryTimeIsNotMeasured) {
  StatusFacts facts = sample_facts();
  facts.drills = {sample_drill(DrillVerdict::inconclusive, 1, 5)};
  StatusReport report = measure_objectives(facts);
  EXPECT_FALSE(report.rto.measured());
  EXPECT_FALSE(report.rto.met());
  EXPECT_TRUE(report.ok()) << "none is due: the first backup is 29 days old";
  facts.places[0].backups.insert(facts.places[0].backups.begin(),
                                 sample_backup(BackupKind::dump, facts.now - days(32)));
  report = measure_objectives(facts);
  EXPECT_EQ(kinds_of(report), Kinds{ViolationKind::drill});
  EXPECT_THAT(report.violations[0].what, HasSubstr("no drill of a dump has passed"));
}

TEST(Objectives, TheSlowestRecentDrillMeasuresTheRecoveryTime) {
  StatusFacts facts = sample_facts();
  facts.drills = {sample_drill(DrillVerdict::passed, 1, 300),
                  sample_drill(DrillVerdict::passed, 31, 900),
                  sample_drill(DrillVerdict::passed, 32, 5000),
                  sample_drill(DrillVerdict::inconclusive, 2, 9000)};
  StatusReport report = measure_objectives(facts);
  EXPECT_EQ(report.rto.actual_seconds, 900);
  EXPECT_EQ(report.rto.by, facts.drills[1].id);
  // None is recent: the newest, and that it is old is a violation.
  facts.drills = {sample_drill(DrillVerdict::passed, 90, 9000),
                  sample_drill(DrillVerdict::passed, 40, 300)};
  report = measure_objectives(facts);
  EXPECT_EQ(report.rto.actual_seconds, 300);
  EXPECT_EQ(kinds_of(report), Kinds{ViolationKind::drill});
  EXPECT_EQ(report.violations[0].measured, 40 * 86400);
}

TEST(Objectives, AFailedDrillIsCriticalUntilOnePasses) {
  StatusFacts facts = sample_facts();
  facts.drills.push_back(sample_drill(DrillVerdict::failed, 2, 0));
  StatusReport report = measure_objectives(facts);
  EXPECT_EQ(violation_of(report, ViolationKind::drill).severity, ViolationSeverity::critical);
  EXPECT_EQ(report.rto.actual_seconds, 600);
  facts.drills.push_back(sample_drill(DrillVerdict::passed, 1, 700));
  EXPECT_TRUE(measure_objectives(facts).ok());
}

TEST(Objectives, WhereDumpsAreMadeDumpsAreDrilled) {
  StatusFacts facts = sample_facts();
  facts.places.push_back(
      sample_place("console.neon.tech", PlaceKind::api, "console.neon.tech", 40));
  EXPECT_FALSE(measure_objectives(facts).drills[1].overdue);
  facts.places.erase(facts.places.begin(), facts.places.begin() + 2);
  StatusReport report = measure_objectives(facts);
  EXPECT_TRUE(report.drills[1].overdue);
  EXPECT_FALSE(report.drills[0].overdue);
}

TEST(Objectives, BranchesGiveARecoveryPointOfTheirOwn) {
  StatusFacts facts = sample_facts();
  PlaceFacts api = sample_place("console.neon.tech", PlaceKind::api, "console.neon.tech", 1);
  api.backups = {sample_backup(BackupKind::branch, facts.now - hours(1))};
  facts.places.push_back(api);
  StatusReport report = measure_objectives(facts);
  EXPECT_EQ(report.rpo.actual_seconds, 3600);
  EXPECT_EQ(report.places[2].kind, BackupKind::branch);
  EXPECT_FALSE(report.places[2].bytes);
  EXPECT_EQ(report.window.points, 31u);
  // A leg that is configured and never made a branch is missed.
  facts.places[2].backups.clear();
  EXPECT_EQ(kinds_of(measure_objectives(facts)), Kinds{ViolationKind::staleness});
  facts.places[2].expected = false;
  EXPECT_TRUE(measure_objectives(facts).ok());
}

TEST(Objectives, WhatThePolicyFoundIsAViolation) {
  StatusFacts facts = sample_facts();
  facts.policy = {{"s3, database care", "backups of only 3 days, of at least 7"}};
  facts.damaged_drills = {"s3: drills/x.json: its bytes do not match its own hash"};
  StatusReport report = measure_objectives(facts);
  EXPECT_EQ(kinds_of(report), (Kinds{ViolationKind::policy, ViolationKind::drill}));
  EXPECT_EQ(violation_of(report, ViolationKind::policy).store, "s3");
}

TEST(Objectives, TheTrendIsALineThroughTheSizes) {
  StatusReport report = measure_objectives(sample_facts());
  EXPECT_EQ(report.trend.backups, 30u);
  EXPECT_NEAR(*report.trend.bytes_per_day, 1000, 0.01);
  // 10 hours after the last backup of 1,000,000 bytes, 30 days on.
  EXPECT_NEAR(double(*report.trend.bytes_projected), 1'000'000 + 1000 * (30 + 10.0 / 24), 1);
  StatusFacts facts = sample_facts();
  for (PlaceFacts& place : facts.places) place.backups.resize(2);
  EXPECT_FALSE(measure_objectives(facts).trend.bytes_per_day);
  // Many, but all of one hour.
  facts.places.resize(1);
  facts.places[0].backups.clear();
  for (int i = 0; i < 5; ++i)
    facts.places[0].backups.push_back(
        sample_backup(BackupKind::dump, facts.now - minutes(i), uint64_t(i) * 1000));
  EXPECT_FALSE(measure_objectives(facts).trend.bytes_per_day);
  // One that shrinks to nothing is not projected below that.
  facts = sample_facts();
  for (PlaceFacts& place : facts.places)
    for (size_t i = 0; i < place.backups.size(); ++i) place.backups[i].bytes = 30'000 - 1000 * i;
  EXPECT_EQ(measure_objectives(facts).trend.bytes_projected, 0u);
}

TEST(Objectives, TheCriticalComeFirst) {
  StatusFacts facts = one_backup(hours(72));
  facts.policy = {{"local, database care", "x"}};
  StatusReport report = measure_objectives(facts);
  EXPECT_TRUE(std::is_sorted(
      report.violations.begin(), report.violations.end(),
      [](const Violation& a, const Violation& b) { return a.severity > b.severity; }));
  EXPECT_EQ(report.violations.back().kind, ViolationKind::policy);
}

// --- whatever the facts are

// Thousands of histories per property; read by rapidcheck when the first one runs.
[[maybe_unused]] const int kConfigured = ::setenv("RC_PARAMS", "max_success=2000", 0);

int any_of(int low, int high) {
  return *rc::gen::resize(1000, rc::gen::inRange(low, high));
}

StatusFacts any_facts() {
  StatusFacts facts = sample_facts();
  facts.places.clear();
  facts.drills.clear();
  int places = any_of(0, 4);
  for (int i = 0; i < places; ++i) {
    auto kind = PlaceKind(any_of(0, 3));
    PlaceFacts place = sample_place("p" + std::to_string(i), kind, any_of(0, 2) ? "" : "a.b", 0);
    if (any_of(0, 4) == 0) place.unreachable = "down";
    int backups = place.unreachable.empty() ? any_of(0, 8) : 0;
    for (int b = 0; b < backups; ++b) {
      BackupFacts backup =
          sample_backup(place.backup_kind(), facts.now + minutes(any_of(-90 * 1440, 1440)),
                        uint64_t(any_of(0, 1'000'000)));
      backup.proof = ProofState(any_of(0, 4));
      backup.damaged = any_of(0, 6) == 0;
      backup.id += "-" + std::to_string(b);  // a store has each id once
      place.backups.push_back(backup);
    }
    facts.places.push_back(place);
  }
  int drills = any_of(0, 5);
  for (int i = 0; i < drills; ++i) {
    facts.drills.push_back(sample_drill(DrillVerdict(any_of(0, 3)), any_of(-2, 100),
                                        any_of(0, 20'000), DrillKind(any_of(0, 2))));
    facts.drills.back().id += "-" + std::to_string(i);
  }
  return facts;
}

TEST(Objectives, NothingIsClaimedThatWasNotSeen) {
  EXPECT_TRUE(rc::check("every number has its backup or drill", [] {
    StatusFacts facts = any_facts();
    StatusReport report = measure_objectives(facts);
    // The recovery point is the youngest of the proven, by a plain look at all of them.
    std::optional<double> age;
    for (const PlaceFacts& place : facts.places)
      for (const BackupFacts& backup : place.backups)
        if (backup.proven() && backup.created_at <= facts.now + kClockTolerance) {
          double own =
              std::max(0.0, std::chrono::duration<double>(facts.now - backup.created_at).count());
          age = age ? std::min(*age, own) : own;
        }
    RC_ASSERT(report.rpo.actual_seconds == age);
    RC_ASSERT(report.rpo.met() == (age && *age <= 86400));
    bool passed = std::any_of(facts.drills.begin(), facts.drills.end(), [&](const DrillRecord& d) {
      return d.verdict == DrillVerdict::passed && d.ended_at <= facts.now + kClockTolerance;
    });
    RC_ASSERT(report.rto.measured() == passed);
    if (report.ok()) {
      RC_ASSERT(report.rpo.met());
      for (const PlaceStatus& place : report.places) RC_ASSERT(place.broken == 0u);
    }
    RC_ASSERT(report.rules.size() == 5u);
    size_t counted = 0;
    for (ViolationKind kind : kViolationKinds)
      for (auto severity : {ViolationSeverity::warning, ViolationSeverity::critical})
        counted += report.count(kind, severity);
    RC_ASSERT(counted == report.violations.size());
  }));
}

TEST(Objectives, OneMoreProvenBackupNeverMakesItWorse) {
  EXPECT_TRUE(rc::check("the recovery point only gets younger", [] {
    StatusFacts facts = any_facts();
    if (facts.places.empty() || !facts.places[0].unreachable.empty()) return;
    StatusReport before = measure_objectives(facts);
    facts.places[0].backups.push_back(
        sample_backup(facts.places[0].backup_kind(), facts.now - minutes(any_of(0, 90 * 1440))));
    StatusReport after = measure_objectives(facts);
    RC_ASSERT(after.rpo.measured());
    RC_ASSERT(!before.rpo.measured() || *after.rpo.actual_seconds <= *before.rpo.actual_seconds);
  }));
}

TEST(Objectives, TheOrderOfWhatIsSeenDoesNotMatter) {
  EXPECT_TRUE(rc::check("reversed facts give the same measures", [] {
    StatusFacts facts = any_facts();
    StatusReport before = measure_objectives(facts);
    std::reverse(facts.drills.begin(), facts.drills.end());
    for (PlaceFacts& place : facts.places) std::reverse(place.backups.begin(), place.backups.end());
    StatusReport after = measure_objectives(facts);
    RC_ASSERT(before.rpo.actual_seconds == after.rpo.actual_seconds);
    RC_ASSERT(before.rpo.by == after.rpo.by);
    RC_ASSERT(before.rto.actual_seconds == after.rto.actual_seconds);
    RC_ASSERT(before.violations.size() == after.violations.size());
    RC_ASSERT(before.window.points == after.window.points);
    RC_ASSERT(before.rules_met() == after.rules_met());
  }));
}

}  // namespace
}  // namespace holdfast
