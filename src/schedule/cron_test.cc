#include "schedule/cron.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "base/expect_error.h"
#include "schedule/cron_samples.h"

namespace holdfast {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::local_days;
using std::chrono::minutes;
using std::chrono::seconds;
using std::chrono::year;
using ::testing::HasSubstr;

std::string canonical(const std::string& text) {
  return CronSchedule::parse(text).to_string();
}

WallTime wall(int y, unsigned month, unsigned day, int hour = 0, int minute = 0) {
  return local_days{year(y) / static_cast<int>(month) / static_cast<int>(day)} + hours(hour) +
         minutes(minute);
}

std::string hint_of(const std::string& text) {
  try {
    CronSchedule::parse(text);
  } catch (const Error& error) {
    return error.hint();
  }
  return "nothing was thrown";
}

TEST(Cron, OneFormForWhatMeansTheSame) {
  EXPECT_EQ(canonical("0 2 * * *"), "0 2 * * *");
  EXPECT_EQ(canonical("  00\t02  *  * *\n"), "0 2 * * *");
  EXPECT_EQ(canonical("0-59/15 0-23 1-31 1-12 0-7"), "*/15 * * * *");
  EXPECT_EQ(canonical("5,4,3,9 8-18/2 * JAN,mar Mon-Fri"), "3-5,9 8,10,12,14,16,18 * 1,3 1-5");
  EXPECT_EQ(canonical("0 0 * * 7"), "0 0 * * 0");
  EXPECT_EQ(canonical("0 0 * * fri-sun"), "0 0 * * 0,5,6");
  EXPECT_EQ(canonical("0 0 * * 7-2"), "0 0 * * 0-2");
  EXPECT_EQ(canonical("0 0 * * 1-7"), "0 0 * * *");
  EXPECT_EQ(canonical("0,30 */12 * * *"), "*/30 */12 * * *");
  EXPECT_EQ(canonical("@hourly"), "0 * * * *");
  EXPECT_EQ(canonical("@Daily"), "0 0 * * *");
  EXPECT_EQ(canonical("@midnight"), "0 0 * * *");
  EXPECT_EQ(canonical("@weekly"), "0 0 * * 0");
  EXPECT_EQ(canonical("@monthly"), "0 0 1 * *");
  EXPECT_EQ(canonical("@yearly"), canonical("@annually"));
}

TEST(Cron, DayOfMonthAndWeekday) {
  // 2026-11-13 is a Friday, 2026-11-20 too; 2026-12-13 is a Sunday.
  CronSchedule either = CronSchedule::parse("0 0 13 * 5");
  EXPECT_TRUE(either.matches(wall(2026, 11, 13)));
  EXPECT_TRUE(either.matches(wall(2026, 11, 20)));
  EXPECT_TRUE(either.matches(wall(2026, 12, 13)));
  EXPECT_FALSE(either.matches(wall(2026, 12, 14)));
  // A star with a step is still a star: odd days that are Fridays.
  CronSchedule both = CronSchedule::parse("0 0 */2 * 5");
  EXPECT_TRUE(both.matches(wall(2026, 11, 13)));
  EXPECT_FALSE(both.matches(wall(2026, 11, 20)));
  EXPECT_FALSE(both.matches(wall(2026, 11, 15)));
  EXPECT_EQ(both.to_string(), "0 0 */2 * 5");
  EXPECT_EQ(canonical("0 0 */30 * */5"), "0 0 */30 * */5");
  EXPECT_EQ(canonical("0 0 1-31/2 * 5"), "0 0 1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31 * 5");
  EXPECT_NE(CronSchedule::parse("0 0 1-31/2 * 5"), both);
  // One is enough, and one of them is every day.
  EXPECT_EQ(canonical("0 0 1-31 * 5"), "0 0 * * *");
}

TEST(Cron, WhatIsNotUnderstoodIsRefusedByItsField) {
  auto refuses = [](const std::string& text, const std::string& saying) {
    EXPECT_ERROR_SAYING(invalid, saying, CronSchedule::parse(text));
  };
  refuses("60 2 * * *", "minute: '60' is no such value; allowed are 0-59");
  refuses("0 24 * * *", "hour: '24' is no such value; allowed are 0-23");
  refuses("0 0 0 * *", "day of month: '0'");
  refuses("0 0 32 * *", "day of month: '32'");
  refuses("0 0 * 13 *", "month: '13'");
  refuses("0 0 * * 8", "weekday: '8' is no such value; allowed are 0-7");
  refuses("0 0 * mon *", "month: 'mon'");
  refuses("0 0 * * monday", "weekday: 'monday'");
  refuses("0 22-2 * * *", "hour: '22-2' goes downwards");
  refuses("*/0 * * * *", "minute: '*/0' has no step");
  refuses("*/ * * * *", "minute: '*/' has no step");
  refuses("*/60 * * * *", "minute: '*/60' has a step that leaves one value only");
  refuses("5/15 * * * *", "minute: '5/15' has a step without a range");
  refuses("*,5 * * * *", "minute: '*,5' has `*` in a list");
  refuses("1,,2 * * * *", "minute: ''");
  refuses("1-2-3 * * * *", "minute: '1-2-3'");
  refuses("-1 * * * *", "minute: '-1'");
  refuses("+1 * * * *", "minute: '+1'");
  refuses("007 * * * *", "minute: '007'");
  refuses("** * * * *", "minute: '**'");
  refuses("*-5 * * * *", "minute: '*-5'");
  refuses("0 0 L * *", "day of month: 'L'");
  refuses("", "has 0 fields, not five");
  refuses("0 2 * *", "has 4 fields, not five");
  refuses("0 0 2 * * *", "has 6 fields, not five");
  refuses("@reboot", "'@reboot' is not a known word");
  refuses(std::string(401, '1'), "longer than 400 bytes");
  EXPECT_EQ(hint_of("0 22-2 * * *"), "write 22-23,0-2");
  EXPECT_EQ(hint_of("5/15 * * * *"), "write 5-59/15");
  EXPECT_EQ(hint_of("@dayly"), "did you mean @daily?");
  EXPECT_THAT(hint_of("0 0 L * *"), HasSubstr("other programs"));
  EXPECT_THAT(hint_of("0 0 2 * * *"), HasSubstr("no seconds"));
  EXPECT_THAT(hint_of("TZ=Europe/Berlin 0 2 * * *"), HasSubstr("setting of its own"));
  EXPECT_THAT(hint_of("0 2 * *"), HasSubstr("every night at two"));
}

TEST(Cron, WhatNeverComesIsRefused) {
  EXPECT_ERROR_SAYING(invalid, "never comes", CronSchedule::parse("0 0 31 2 *"));
  EXPECT_ERROR_SAYING(invalid, "never comes", CronSchedule::parse("0 0 30-31 feb */2"));
  EXPECT_ERROR_SAYING(invalid, "never comes", CronSchedule::parse("0 0 31 2,4,6,9,11 *"));
  EXPECT_EQ(canonical("0 0 29 2 *"), "0 0 29 2 *");
  EXPECT_EQ(canonical("0 0 31 2 1"), "0 0 31 2 1");  // every Monday of February
}

TEST(Cron, SearchFindsLeapDaysAndEnds) {
  CronSchedule leap = CronSchedule::parse("30 4 29 2 *");
  EXPECT_EQ(leap.first_in(wall(2096, 3, 1), wall(2110, 1, 1)), wall(2104, 2, 29, 4, 30));
  EXPECT_EQ(leap.last_in(wall(2000, 1, 1), wall(2104, 2, 29, 4, 30)), wall(2096, 2, 29, 4, 30));
  EXPECT_EQ(leap.first_in(wall(2096, 3, 1), wall(2104, 2, 29, 4, 30)), std::nullopt);
  EXPECT_EQ(leap.last_in(wall(2096, 2, 29, 4, 31), wall(2104, 2, 29, 4, 30)), std::nullopt);
  EXPECT_EQ(leap.first_in(wall(2026, 1, 2), wall(2026, 1, 1)), std::nullopt);
  EXPECT_EQ(leap.last_in(wall(2026, 1, 2), wall(2026, 1, 1)), std::nullopt);
}

TEST(CronProperty, ReadsAsItWasMeantAndBackAgain) {
  EXPECT_TRUE(rc::check("reading", [] {
    CronSample sample = any_cron_sample();
    std::optional<CronSchedule> schedule;
    try {
      schedule = CronSchedule::parse(sample.text);
    } catch (const Error& error) {
      RC_ASSERT(std::string(error.what()).find("never comes") != std::string::npos);
      WallTime end = wall(2032, 1, 1);
      for (WallTime at = wall(2024, 1, 1); at < end; at += days(1))
        for (int hour : sample.values[1])
          RC_ASSERT(!sample.matches(at + hours(hour) + minutes(*sample.values[0].begin())));
      return;
    }
    RC_ASSERT(CronSchedule::parse(schedule->to_string()) == *schedule);
    RC_ASSERT(canonical(schedule->to_string()) == schedule->to_string());
    WallTime start = wall(2024, 1, 1) + days(any_of_range(0, 1500));
    for (WallTime at = start; at < start + days(40); at += minutes(1))
      RC_ASSERT(schedule->matches(at) == sample.matches(at));
    RC_ASSERT(!schedule->matches(start + seconds(1)));
  }));
}

TEST(CronProperty, SearchFindsWhatWalkingFinds) {
  EXPECT_TRUE(rc::check("search", [] {
    CronSample sample = any_cron_sample();
    std::optional<CronSchedule> schedule;
    try {
      schedule = CronSchedule::parse(sample.text);
    } catch (const Error&) {
      RC_DISCARD("never comes");
    }
    WallTime from = wall(2027, 12, 1) + seconds(any_of_range(0, 86400 * 120));
    WallTime end = from + seconds(any_of_range(0, 86400 * 3));
    std::optional<WallTime> first, last;
    for (WallTime at = std::chrono::ceil<minutes>(from); at < end; at += minutes(1)) {
      if (!sample.matches(at)) continue;
      if (!first) first = at;
      last = at;
    }
    RC_ASSERT(schedule->first_in(from, end) == first);
    RC_ASSERT(schedule->last_in(from, end) == last);
  }));
}

}  // namespace
}  // namespace holdfast
