#include "policy/retention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "dump/names.h"

namespace holdfast {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::sys_days;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Backups = std::vector<RetentionFacts>;

constexpr RetentionPolicy kDefault;

RetentionFacts nightly(const std::string& date, bool proven = true) {
  RetentionFacts facts;
  facts.id = date;
  facts.created_at = parse_rfc3339(date + "T02:00:00.000Z");
  facts.proven = proven;
  return facts;
}

// One backup a night, from the first day to the last.
Backups nights(const std::string& first, const std::string& last) {
  Backups backups;
  for (UtcTime at = nightly(first).created_at; at <= nightly(last).created_at; at += days(1))
    backups.push_back(nightly(format_rfc3339(at).substr(0, 10)));
  return backups;
}

std::map<std::string, RetentionDecision> by_id(const std::vector<RetentionDecision>& decisions) {
  std::map<std::string, RetentionDecision> result;
  for (const RetentionDecision& decision : decisions) result[decision.id] = decision;
  return result;
}

std::set<std::string> kept(const Backups& backups, const RetentionPolicy& policy, UtcTime now) {
  std::set<std::string> ids;
  for (const RetentionDecision& decision : decide_retention(backups, policy, now))
    if (decision.action != RetentionAction::remove) ids.insert(decision.id);
  return ids;
}

TEST(Retention, ThirtyDaysAndTheFirstOfTwelveMonths) {
  UtcTime now = parse_rfc3339("2026-11-23T02:10:00.000Z");
  auto decisions = by_id(decide_retention(nights("2025-01-01", "2026-11-23"), kDefault, now));
  EXPECT_THAT(decisions["2026-11-23"].reason, HasSubstr("today"));
  EXPECT_THAT(decisions["2026-10-24"].reason, HasSubstr("daily: 30 days old"));
  EXPECT_EQ(decisions["2026-10-23"].action, RetentionAction::remove);
  EXPECT_EQ(decisions["2026-10-23"].reason, "older than 30 days, and another stands for 2026-10");
  EXPECT_EQ(decisions["2026-10-01"].reason, "monthly: stands for 2026-10");
  EXPECT_EQ(decisions["2025-11-01"].reason, "monthly: stands for 2025-11");
  EXPECT_EQ(decisions["2025-10-01"].action, RetentionAction::remove);
  EXPECT_THAT(decisions["2025-10-01"].reason, HasSubstr("12 months"));
  auto count = std::count_if(decisions.begin(), decisions.end(), [](const auto& entry) {
    return entry.second.action == RetentionAction::keep;
  });
  EXPECT_EQ(count, 31 + 12);  // and one month's first is among the dailies of none
}

TEST(Retention, AMonthsFirstProvenOneStandsForIt) {
  Backups backups = nights("2026-03-01", "2026-08-01");
  for (RetentionFacts& backup : backups) {
    if (backup.id == "2026-04-01") backup.proven = false;
    if (backup.id == "2026-04-02") backup.proven = false, backup.broken = true;
    if (backup.id.starts_with("2026-05")) backup.proven = false;
  }
  auto decisions = by_id(decide_retention(backups, kDefault, nightly("2026-08-01").created_at));
  EXPECT_EQ(decisions["2026-04-01"].action, RetentionAction::remove);
  EXPECT_THAT(decisions["2026-04-02"].reason, HasSubstr("damaged"));
  EXPECT_EQ(decisions["2026-04-03"].reason, "monthly: stands for 2026-04");
  EXPECT_EQ(decisions["2026-05-01"].reason, "monthly: stands for 2026-05");
  EXPECT_EQ(decisions["2026-05-02"].action, RetentionAction::remove);
}

// Defect 2 of the original: 30 days of failures deleted the last good copy.
TEST(Retention, AfterYearsOfSilenceTheLastOnesStay) {
  UtcTime now = parse_rfc3339("2029-01-01T00:00:00.000Z");
  std::set<std::string> ids = kept(nights("2026-01-01", "2026-03-31"), kDefault, now);
  EXPECT_THAT(ids, ElementsAre("2026-03-25", "2026-03-26", "2026-03-27", "2026-03-28", "2026-03-29",
                               "2026-03-30", "2026-03-31"));
}

TEST(Retention, NothingGoesWhileTheNewestIsNotProven) {
  UtcTime now = parse_rfc3339("2026-11-23T03:00:00.000Z");
  Backups backups = nights("2026-01-01", "2026-11-23");
  backups.back().proven = false;
  EXPECT_EQ(kept(backups, kDefault, now).size(), backups.size());
  backups.back().broken = true;
  EXPECT_EQ(kept(backups, kDefault, now).size(), backups.size());
  EXPECT_THAT(by_id(decide_retention(backups, kDefault, now))["2026-03-02"].reason,
              HasSubstr("(2026-11-23) is not proven"));
}

TEST(Retention, HeldLockedAndFutureOnesStay) {
  UtcTime now = parse_rfc3339("2026-11-23T03:00:00.000Z");
  Backups backups = nights("2026-01-01", "2026-11-23");
  backups[40].held = "audit 2026 (anna@db1)";
  backups[41].locked_until = now + hours(1);
  backups[42].locked_until = now - hours(1);
  backups.push_back(nightly("2027-02-01", false));
  auto decisions = by_id(decide_retention(backups, kDefault, now));
  EXPECT_EQ(decisions[backups[40].id].reason, "held: audit 2026 (anna@db1)");
  EXPECT_EQ(decisions[backups[41].id].action, RetentionAction::not_yet);
  EXPECT_EQ(decisions[backups[41].id].reason, "locked until 2026-11-23T04:00:00.000Z");
  EXPECT_EQ(decisions[backups[42].id].action, RetentionAction::remove);
  EXPECT_THAT(decisions["2027-02-01"].reason, HasSubstr("future"));
}

TEST(Retention, TheDateOfALockCoversTheTier) {
  UtcTime first = nightly("2026-03-01").created_at, later = nightly("2026-03-02").created_at;
  EXPECT_EQ(format_rfc3339(retention_date({}, first, kDefault)), "2027-04-01T00:00:00.000Z");
  EXPECT_EQ(format_rfc3339(retention_date({first}, later, kDefault)), "2026-04-02T00:00:00.000Z");
  EXPECT_EQ(format_rfc3339(retention_date({later}, first, kDefault)), "2027-04-01T00:00:00.000Z");
}

// --- properties over random histories ---

RetentionPolicy any_policy() {
  return {*rc::gen::inRange(1, 40), *rc::gen::inRange(0, 15), *rc::gen::inRange(1, 10)};
}

// Nights with gaps, several a day, clock jumps, failures, unproven ones, holds and locks.
Backups any_history(UtcTime begin) {
  Backups backups;
  UtcTime at = begin;
  int count = *rc::gen::inRange(1, 160);
  for (int i = 0; i < count; ++i) {
    // Mostly a night (an hour less or more where daylight saving is scheduled by local time).
    int step = *rc::gen::weightedElement<int>(
        {{20, 24}, {1, 23}, {1, 25}, {2, 1}, {2, 24 * 9}, {1, 24 * 70}, {1, -24 * 3}});
    at += hours(step) + milliseconds(*rc::gen::inRange(0, 999));
    RetentionFacts facts;
    facts.id = backup_id("care", at) + "#" + std::to_string(i);
    facts.created_at = at;
    int kind = *rc::gen::weightedElement<int>({{12, 0}, {2, 1}, {2, 2}});
    facts.proven = kind == 0;
    facts.broken = kind == 1;
    if (*rc::gen::weightedElement<int>({{20, 0}, {1, 1}}) == 1) facts.held = "test";
    if (*rc::gen::weightedElement<int>({{20, 0}, {1, 1}}) == 1)
      facts.locked_until = at + hours(24 * *rc::gen::inRange(0, 500));
    backups.push_back(facts);
  }
  return backups;
}

UtcTime newest(const Backups& backups) {
  UtcTime time = backups.front().created_at;
  for (const RetentionFacts& backup : backups) time = std::max(time, backup.created_at);
  return time;
}

const RetentionFacts* last_proven(const Backups& backups, UtcTime now) {
  const RetentionFacts* last = nullptr;
  for (const RetentionFacts& backup : backups)
    if (backup.proven && backup.created_at <= now &&
        (last == nullptr ||
         std::pair(backup.created_at, backup.id) > std::pair(last->created_at, last->id)))
      last = &backup;
  return last;
}

std::chrono::year_month month(UtcTime time) {
  std::chrono::year_month_day date{std::chrono::floor<days>(time)};
  return date.year() / date.month();
}

TEST(Retention, RoomForFewKeepsTheNewestAndTheMinimum) {
  UtcTime now = parse_rfc3339("2026-11-23T02:10:00.000Z");
  RetentionPolicy policy;
  policy.count_max = 9;
  Backups backups = nights("2025-01-01", "2026-11-23");
  auto decisions = by_id(decide_retention(backups, policy, now));
  EXPECT_EQ(kept(backups, policy, now).size(), 9u);
  EXPECT_EQ(decisions["2026-11-15"].action, RetentionAction::keep);
  EXPECT_EQ(decisions["2026-11-14"].reason, "there is room for 9 only");
  EXPECT_EQ(decisions["2026-10-01"].action, RetentionAction::remove);
  policy.count_max = 2;  // the minimum of seven days is promised all the same
  EXPECT_EQ(kept(backups, policy, now).size(), 7u);
  backups.back().proven = false;  // and nothing goes while the newest is not proven
  policy.count_max = 9;
  EXPECT_EQ(kept(backups, policy, now).size(), kept(backups, kDefault, now).size());
}

// What must hold of any decision, said independently of how it is made.
void check_promises(const Backups& backups, const RetentionPolicy& policy, UtcTime now) {
  auto decisions = by_id(decide_retention(backups, policy, now));
  RC_ASSERT(decisions.size() == backups.size());
  auto stays = [&](const RetentionFacts& backup) {
    return decisions[backup.id].action != RetentionAction::remove;
  };
  std::map<std::chrono::year_month, std::pair<int, int>> months;  // proven ones: all, staying
  std::set<sys_days> days_all, days_kept;
  for (const RetentionFacts& backup : backups) {
    RC_ASSERT(!decisions[backup.id].reason.empty());
    if (backup.held) RC_ASSERT(stays(backup));
    if (backup.locked_until && *backup.locked_until > now) RC_ASSERT(stays(backup));
    if (backup.created_at > now) RC_ASSERT(stays(backup));
    if (now - backup.created_at <= hours(24) * policy.days) RC_ASSERT(stays(backup));
    if (!backup.proven || backup.created_at > now) continue;
    auto& [all, staying] = months[month(backup.created_at)];
    ++all, staying += stays(backup) ? 1 : 0;
    days_all.insert(std::chrono::floor<days>(backup.created_at));
    if (stays(backup)) days_kept.insert(std::chrono::floor<days>(backup.created_at));
  }
  for (const auto& [when, counts] : months)
    if ((month(now) - when).count() <= policy.months) RC_ASSERT(counts.second >= 1);
  RC_ASSERT(days_kept.size() >= std::min(days_all.size(), static_cast<size_t>(policy.dailies_min)));
  if (const RetentionFacts* last = last_proven(backups, now))
    RC_ASSERT(stays(*last));
  else
    RC_ASSERT(kept(backups, policy, now).size() == backups.size());
}

// Thousands of histories per property; read by rapidcheck when the first one runs.
[[maybe_unused]] const int kConfigured = ::setenv("RC_PARAMS", "max_success=3000", 0);

TEST(RetentionProperty, KeepsWhatIsPromised) {
  EXPECT_TRUE(rc::check("promises", [] {
    Backups backups = any_history(parse_rfc3339("2023-11-01T01:30:00.000Z"));
    check_promises(backups, any_policy(),
                   newest(backups) + hours(*rc::gen::inRange(-24 * 40, 24 * 400)));
  }));
}

// However little room there is: what others hold, the last proven one and the minimum stay; and
// with room for all, it is as if there were no limit.
TEST(RetentionProperty, RoomTakesOnlyFromDailiesAndMonthlies) {
  EXPECT_TRUE(rc::check("room", [] {
    Backups backups = any_history(parse_rfc3339("2023-11-01T01:30:00.000Z"));
    RetentionPolicy policy = any_policy();
    UtcTime now = newest(backups) + hours(*rc::gen::inRange(0, 24 * 100));
    std::set<std::string> unlimited = kept(backups, policy, now);
    policy.count_max = *rc::gen::inRange(1, 40);
    std::set<std::string> limited = kept(backups, policy, now);
    RC_ASSERT(std::includes(unlimited.begin(), unlimited.end(), limited.begin(), limited.end()));
    if (unlimited.size() <= static_cast<size_t>(policy.count_max)) RC_ASSERT(limited == unlimited);
    for (const RetentionFacts& backup : backups)
      if (backup.held || backup.created_at > now ||
          (backup.locked_until && *backup.locked_until > now))
        RC_ASSERT(limited.count(backup.id) > 0);
    if (const RetentionFacts* last = last_proven(backups, now))
      RC_ASSERT(limited.count(last->id) > 0);
    RetentionPolicy least = policy;  // what the minimum alone keeps
    least.days = 1, least.months = 0, least.count_max = 1;
    for (const RetentionDecision& decision : decide_retention(backups, least, now))
      if (decision.reason.starts_with("minimum")) RC_ASSERT(limited.count(decision.id) > 0);
  }));
}

TEST(RetentionProperty, DecidingTwiceRemovesNothingMore) {
  EXPECT_TRUE(rc::check("idempotent", [] {
    Backups backups = any_history(parse_rfc3339("2024-02-20T23:30:00.000Z"));
    RetentionPolicy policy = any_policy();
    UtcTime now = newest(backups) + hours(*rc::gen::inRange(0, 24 * 100));
    std::set<std::string> ids = kept(backups, policy, now);
    Backups left;
    std::copy_if(backups.begin(), backups.end(), std::back_inserter(left),
                 [&](const RetentionFacts& backup) { return ids.count(backup.id) > 0; });
    RC_ASSERT(kept(left, policy, now) == ids);
  }));
}

// Pruned every day over years, with the backups that a day finds: what is left keeps the promises
// that could be made of all backups that there ever were.
TEST(RetentionProperty, PrunedEveryDayKeepsWhatPruningOnceWould) {
  EXPECT_TRUE(rc::check("daily", [] {
    Backups all = any_history(parse_rfc3339("2023-12-25T02:00:00.000Z"));
    for (RetentionFacts& backup : all) backup.locked_until.reset();
    RetentionPolicy policy = any_policy();
    std::sort(all.begin(), all.end(), [](const RetentionFacts& a, const RetentionFacts& b) {
      return a.created_at < b.created_at;
    });
    Backups present;
    UtcTime now{};
    for (const RetentionFacts& backup : all) {
      present.push_back(backup);
      now = backup.created_at + hours(1);
      std::set<std::string> ids = kept(present, policy, now);
      std::erase_if(present, [&](const RetentionFacts& b) { return ids.count(b.id) == 0; });
    }
    RC_PRE(all.back().proven);  // else nothing would go at all
    std::set<std::string> once = kept(all, policy, now);
    for (const RetentionFacts& backup : all) {
      bool is_present = std::any_of(present.begin(), present.end(),
                                    [&](const RetentionFacts& b) { return b.id == backup.id; });
      if (backup.proven && once.count(backup.id) > 0) RC_ASSERT(is_present);
    }
  }));
}

}  // namespace
}  // namespace holdfast
