#include "schedule/next_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>

#include "base/expect_error.h"
#include "schedule/cron_samples.h"
#include "schedule/zone_samples.h"

namespace holdfast {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using std::chrono::sys_seconds;
using ::testing::ElementsAre;

Zone zone_named(const std::string& name) {
  CLibraryZone must_be_there(name);
  return Zone::load(name, std::string(kZoneinfoFolder));
}

UtcTime utc_time(const std::string& minute) {
  return parse_rfc3339(minute + ":00.000Z");
}

// The firings after `from` and up to `to`, as the zone's clocks show them: "10-25 02:30+02".
std::vector<std::string> firings(const std::string& schedule, const std::string& zone_name,
                                 const std::string& from, const std::string& to) {
  CronSchedule parsed = CronSchedule::parse(schedule);
  Zone zone = zone_named(zone_name);
  std::vector<std::string> shown;
  for (auto at = next_run(parsed, zone, utc_time(from)); at && *at <= utc_time(to);
       at = next_run(parsed, zone, *at)) {
    sys_seconds instant = std::chrono::floor<seconds>(*at);
    ZoneSpan span = zone.span_at(instant);
    UtcTime local(span.local(instant).time_since_epoch());
    std::string text = format_rfc3339(local).substr(5, 11);
    text[5] = ' ';
    shown.push_back(text + " " + span.type.abbreviation);
  }
  return shown;
}

TEST(NextRun, OfAFixedTimeInTheGapIsRightAfterIt) {
  EXPECT_THAT(firings("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00", "2026-03-30T12:00"),
              ElementsAre("03-28 02:30 CET", "03-29 03:00 CEST", "03-30 02:30 CEST"));
  // Two in the gap are one; one that falls on its end is that one too.
  EXPECT_THAT(firings("0,30 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00", "2026-03-29T12:00"),
              ElementsAre("03-29 03:00 CEST", "03-29 03:30 CEST"));
  EXPECT_THAT(firings("*/20 2 * * *", "Europe/Berlin", "2026-03-29T00:00", "2026-03-29T12:00"),
              ElementsAre("03-29 03:00 CEST"));
  EXPECT_THAT(
      firings("0 */2 * * *", "Europe/Berlin", "2026-03-28T22:00", "2026-03-29T04:00"),
      ElementsAre("03-29 00:00 CET", "03-29 03:00 CEST", "03-29 04:00 CEST", "03-29 06:00 CEST"));
  // Midnight does not exist in Egypt that day, nor the whole of December 30th in Samoa.
  EXPECT_THAT(firings("@daily", "Africa/Cairo", "2026-04-23T00:00", "2026-04-25T00:00"),
              ElementsAre("04-24 01:00 EEST", "04-25 00:00 EEST"));
  EXPECT_THAT(
      firings("0 2 * * *", "Pacific/Apia", "2011-12-29T00:00", "2012-01-01T00:00"),
      ElementsAre("12-29 02:00 -10", "12-31 00:00 +14", "12-31 02:00 +14", "01-01 02:00 +14"));
  EXPECT_THAT(firings("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00", "2026-10-04T20:00"),
              ElementsAre("10-04 02:30 +11", "10-05 02:15 +11"));
}

TEST(NextRun, OfAFixedTimeThatComesTwiceIsTheFirst) {
  EXPECT_THAT(firings("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", "2026-10-26T12:00"),
              ElementsAre("10-25 02:30 CEST", "10-26 02:30 CET"));
  EXPECT_THAT(firings("*/20 2 * * *", "Europe/Berlin", "2026-10-24T12:00", "2026-10-25T12:00"),
              ElementsAre("10-25 02:00 CEST", "10-25 02:20 CEST", "10-25 02:40 CEST"));
  EXPECT_THAT(firings("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00", "2026-04-05T00:00"),
              ElementsAre("04-05 01:45 +11"));
}

TEST(NextRun, AskedInTheHourThatComesTwiceIsNotInThePast) {
  CronSchedule schedule = CronSchedule::parse("30 2 * * *");
  Zone berlin = zone_named("Europe/Berlin");
  UtcTime fired = utc_time("2026-10-25T00:30");
  for (const char* minute : {"2026-10-25T00:45", "2026-10-25T01:00", "2026-10-25T01:29",
                             "2026-10-25T01:30", "2026-10-25T02:00"}) {
    EXPECT_EQ(next_run(schedule, berlin, utc_time(minute)), utc_time("2026-10-26T01:30"));
    EXPECT_EQ(previous_run(schedule, berlin, utc_time(minute)), fired);
  }
}

TEST(NextRun, OfEveryHourGoesByElapsedTime) {
  EXPECT_THAT(firings("30 * * * *", "Europe/Berlin", "2026-03-28T23:40", "2026-03-29T02:00"),
              ElementsAre("03-29 01:30 CET", "03-29 03:30 CEST"));
  EXPECT_THAT(
      firings("30 * * * *", "Europe/Berlin", "2026-10-24T23:00", "2026-10-25T02:30"),
      ElementsAre("10-25 01:30 CEST", "10-25 02:30 CEST", "10-25 02:30 CET", "10-25 03:30 CET"));
  auto count = [](const char* from, const char* to) {
    return firings("*/15 * * * *", "America/New_York", from, to).size();
  };
  EXPECT_EQ(count("2026-03-08T04:59", "2026-03-09T03:59"), 92u);  // the day has 23 hours
  EXPECT_EQ(count("2026-11-01T03:59", "2026-11-02T04:59"), 100u);
}

TEST(NextRun, IsAfterAndPreviousIsBefore) {
  CronSchedule schedule = CronSchedule::parse("0 2 * * *");
  Zone zone = Zone::utc();
  UtcTime two = utc_time("2026-11-10T02:00");
  EXPECT_EQ(next_run(schedule, zone, two), two + days(1));
  EXPECT_EQ(next_run(schedule, zone, two - milliseconds(1)), two);
  EXPECT_EQ(previous_run(schedule, zone, two), two - days(1));
  EXPECT_EQ(previous_run(schedule, zone, two + milliseconds(1)), two);
}

TEST(NextRun, SearchesEnd) {
  // A February 29th that is a Saturday or a Sunday: 2100 has none.
  CronSchedule rare = CronSchedule::parse("* * 29 2 */6");
  UtcTime first = utc_time("2116-02-29T00:00"), last = utc_time("2088-02-29T23:59");
  EXPECT_EQ(next_run(rare, Zone::utc(), last), first);
  EXPECT_EQ(previous_run(rare, Zone::utc(), first), last);
  CronSchedule fixed = CronSchedule::parse("30 2 29 2 */6");
  Zone berlin = zone_named("Europe/Berlin");
  EXPECT_EQ(next_run(fixed, berlin, last), utc_time("2116-02-29T01:30"));
  EXPECT_EQ(previous_run(fixed, berlin, first), utc_time("2088-02-29T01:30"));
}

TEST(NextRun, OutsideOfTheYearsThatClocksShowIsAnError) {
  CronSchedule schedule = CronSchedule::parse("0 2 * * *");
  EXPECT_ERROR(invalid, next_run(schedule, Zone::utc(), UtcTime::max()));
  EXPECT_ERROR(invalid, next_run(schedule, Zone::utc(), UtcTime::min()));
  EXPECT_ERROR(invalid, previous_run(schedule, Zone::utc(), UtcTime::max()));
}

// --- every minute of a year and more, walked by the C library's clock ---

struct WalkedZone {
  Zone zone;
  sys_seconds start;
  std::vector<WallTime> shown;  // by minutes since `start`
};

WalkedZone walk(const std::string& name, int first_year, int length_days) {
  WalkedZone walked{
      zone_named(name), std::chrono::sys_days{std::chrono::year(first_year) / 1 / 1}, {}};
  CLibraryZone clock(name);
  for (sys_seconds at = walked.start; at < walked.start + days(length_days); at += minutes(1))
    walked.shown.push_back(WallTime(at.time_since_epoch() + clock.at(at).offset));
  return walked;
}

// What crontab(5) promises, minute by minute: a job of every hour when its time is shown; another
// when its time, or a later one, is shown for the first time.
std::vector<UtcTime> walked_firings(const CronSample& sample, const WalkedZone& walked) {
  bool every_hour = sample.values[1].size() == 24;
  std::vector<UtcTime> result;
  WallTime highest = walked.shown.front();
  for (size_t i = 1; i < walked.shown.size(); ++i) {
    bool fires = every_hour && sample.matches(walked.shown[i]);
    for (; highest < walked.shown[i]; highest += minutes(1))
      fires |= !every_hour && sample.matches(highest + minutes(1));
    if (fires) result.push_back(walked.start + minutes(i));
  }
  return result;
}

TEST(NextRunProperty, FindsWhatWalkingEveryMinuteFinds) {
  std::vector<WalkedZone> zones;
  for (const auto& [name, year] :
       std::vector<std::pair<std::string, int>>{{"Europe/Berlin", 2026},
                                                {"America/New_York", 2027},
                                                {"Australia/Lord_Howe", 2026},
                                                {"Asia/Kathmandu", 1985},
                                                {"Africa/Casablanca", 2026},
                                                {"America/St_Johns", 2010},
                                                {"Pacific/Apia", 2011},
                                                {"Africa/Cairo", 2026},
                                                {"Antarctica/Troll", 2040},
                                                {"America/Santiago", 2095}})
    zones.push_back(walk(name, year, 500));
  std::map<std::string, int> compared;
  EXPECT_TRUE(rc::check("walking", [&] {
    const WalkedZone& walked = zones[any_of_range<size_t>(0, zones.size())];
    CronSample sample = any_cron_sample();
    std::optional<CronSchedule> schedule;
    try {
      schedule = CronSchedule::parse(sample.text);
    } catch (const Error&) {
      RC_DISCARD("never comes");
    }
    std::vector<UtcTime> expected = walked_firings(sample, walked);
    // The walk's first days lack what clocks had shown before them.
    UtcTime from = walked.start + days(3), to = walked.start + days(500);
    expected.erase(expected.begin(), std::upper_bound(expected.begin(), expected.end(), from));
    std::vector<UtcTime> forward, backward;
    for (auto at = next_run(*schedule, walked.zone, from); at && *at < to;
         at = next_run(*schedule, walked.zone, *at))
      forward.push_back(*at);
    for (auto at = previous_run(*schedule, walked.zone, to); at && *at > from;
         at = previous_run(*schedule, walked.zone, *at))
      backward.push_back(*at);
    std::reverse(backward.begin(), backward.end());
    RC_ASSERT(forward == expected);
    RC_ASSERT(backward == expected);
    for (int i = 0; i < 50; ++i) {
      UtcTime at = from + milliseconds(any_of_range<int64_t>(0, 86'400'000LL * 490));
      sys_seconds set = walked.zone.span_at(std::chrono::floor<seconds>(at)).end;
      if (i % 2 == 0 && set < to - days(1))  // about when the clocks are set
        at = set + milliseconds(any_of_range(-7'200'000, 7'200'000));
      auto next = std::upper_bound(expected.begin(), expected.end(), at);
      if (next != expected.end()) RC_ASSERT(next_run(*schedule, walked.zone, at) == *next);
      if (next != expected.begin())
        RC_ASSERT(previous_run(*schedule, walked.zone, at + milliseconds(1)) == *std::prev(next));
    }
    compared[walked.zone.name()] += expected.empty() ? 0 : 1;
  }));
  EXPECT_EQ(compared.size(), zones.size());
}

}  // namespace
}  // namespace holdfast
