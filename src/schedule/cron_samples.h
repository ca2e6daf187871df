// For tests: random schedules, each with a second opinion on what it matches that knows nothing of
// how schedules are read or searched.
#pragma once

#include <fmt/format.h>
#include <rapidcheck.h>

#include <array>
#include <set>
#include <string>
#include <vector>

#include "schedule/cron.h"

namespace holdfast {

// Any number from `low` on and below `end`, all of them as likely from the first run on: left to
// itself, rapidcheck begins with small ones.
template <typename Number>
Number any_of_range(Number low, Number end) {
  return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange(low, end));
}

struct CronSample {
  std::string text;
  std::array<std::set<int>, 5> values;  // 7 stands beside 0 among the weekdays
  bool day_star = false, weekday_star = false;

  bool matches(WallTime time) const {
    auto day = std::chrono::floor<std::chrono::days>(time);
    std::chrono::year_month_day date(day);
    std::chrono::hh_mm_ss clock(time - day);
    auto holds = [&](size_t field, long value) {
      return values[field].count(static_cast<int>(value)) > 0;
    };
    if (!holds(0, clock.minutes().count()) || !holds(1, clock.hours().count()) ||
        !holds(3, static_cast<unsigned>(date.month())) || clock.seconds().count() != 0)
      return false;
    bool day_fits = holds(2, static_cast<unsigned>(date.day()));
    bool weekday_fits = holds(4, std::chrono::weekday(day).c_encoding());
    if (!day_star && !weekday_star) return day_fits || weekday_fits;
    return day_fits && weekday_fits;
  }
};

// One item of a list: its text, and its values added to `values`.
inline std::string any_cron_item(int low, int high, std::set<int>& values) {
  int first = any_of_range(low, high + 1), last = any_of_range(first, high + 1);
  int kind = any_of_range(0, 4);
  int step = kind == 3 && last > first ? any_of_range(1, last - first + 1) : 1;
  if (kind < 2) last = first;
  for (int value = first; value <= last; value += step) values.insert(value);
  if (kind < 2) return fmt::format("{}", first);
  return kind == 3 && last > first ? fmt::format("{}-{}/{}", first, last, step)
                                   : fmt::format("{}-{}", first, last);
}

// `star` of ten are `*`, one more is a step of it.
inline std::string any_cron_field(int low, int high, int star, std::set<int>& values) {
  int kind = any_of_range(0, 10);
  if (kind <= star) {
    int step = kind == star ? any_of_range(2, (high - low) / 2 + 2) : 1;
    for (int value = low; value <= high; value += step) values.insert(value);
    return kind == star ? fmt::format("*/{}", step) : "*";
  }
  std::string text;
  int count = any_of_range(1, 4);
  for (int i = 0; i < count; ++i)
    text += fmt::format("{}{}", i == 0 ? "" : ",", any_cron_item(low, high, values));
  return text;
}

// May be one that never comes, which parse refuses.
inline CronSample any_cron_sample() {
  constexpr int kLow[] = {0, 0, 1, 1, 0}, kHigh[] = {59, 23, 31, 12, 6};
  constexpr int kStar[] = {2, 4, 6, 6, 6};
  CronSample sample;
  for (size_t i = 0; i < 5; ++i) {
    std::string field = any_cron_field(kLow[i], kHigh[i], kStar[i], sample.values[i]);
    if (i == 2) sample.day_star = field[0] == '*';
    if (i == 4) sample.weekday_star = field[0] == '*';
    sample.text += fmt::format("{}{}", i == 0 ? "" : " ", field);
  }
  return sample;
}

}  // namespace holdfast
