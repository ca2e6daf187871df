#include "schedule/cron.h"

#include <fmt/format.h>

#include <bit>

#include "schedule/cron_fields.h"

namespace holdfast {
namespace {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::hours;
using std::chrono::local_days;
using std::chrono::minutes;
using std::chrono::seconds;
using std::chrono::year_month_day;

bool has(uint64_t set, int value) {
  return (set >> value & 1) != 0;
}

// The smallest value at or above `from`, or -1.
int next_in(uint64_t set, int from) {
  uint64_t rest = from > 63 ? 0 : set >> from << from;
  return rest == 0 ? -1 : std::countr_zero(rest);
}

// The greatest value at or below `from`, or -1.
int previous_in(uint64_t set, int from) {
  uint64_t rest = from < 0 ? 0 : set << (63 - from) >> (63 - from);
  return rest == 0 ? -1 : 63 - std::countl_zero(rest);
}

// The step n of which `*/n` is the set; 0 if there is none.
int step_of(uint64_t set, const CronField& field) {
  int second = next_in(set, field.low + 1);
  if (!has(set, field.low) || second < 0) return 0;
  int step = second - field.low;
  uint64_t steps = 0;
  for (int value = field.low; value <= field.high; value += step) steps |= uint64_t{1} << value;
  return steps == set ? step : 0;
}

std::string list_of(uint64_t set) {
  std::string list;
  for (int value = next_in(set, 0); value >= 0;) {
    int last = value;
    while (last < 63 && has(set, last + 1)) ++last;
    if (last == value + 1) last = value;  // two are shorter as a list
    list += fmt::format("{}{}", list.empty() ? "" : ",", value);
    if (last > value) list += fmt::format("-{}", last);
    value = next_in(set, last + 1);
  }
  return list;
}

// `star` says whether the field may, must not or has to begin with `*` to mean the same.
enum class Star { may, never, always };

std::string text_of_field(uint64_t set, const CronField& field, Star star) {
  if (set == cron_all(field)) return "*";
  int step = star == Star::never ? 0 : step_of(set, field);
  bool even = step > 0 && (field.high - field.low + 1) % step == 0;
  if (step > 0 && (star == Star::always || even || std::popcount(set) > 2))
    return fmt::format("*/{}", step);
  return list_of(set);
}

}  // namespace

std::string CronSchedule::to_string() const {
  auto all = [&](CronFieldIndex i) { return sets_[i] == cron_all(kCronFields[i]); };
  // Where a date has to be both and neither is `*`, the stars of the steps are what says so.
  bool both = !either_day_ && !all(kCronDay) && !all(kCronWeekday);
  Star star = either_day_ ? Star::never : both ? Star::always : Star::may;
  std::string text;
  for (size_t i = 0; i < kCronFields.size(); ++i) {
    bool is_day = i == kCronDay || i == kCronWeekday;
    text +=
        (i == 0 ? "" : " ") + text_of_field(sets_[i], kCronFields[i], is_day ? star : Star::may);
  }
  return text;
}

bool CronSchedule::runs_every_hour() const {
  return sets_[kCronHour] == cron_all(kCronFields[kCronHour]);
}

bool CronSchedule::matches_day(local_days day) const {
  year_month_day date(day);
  if (!has(sets_[kCronMonth], static_cast<int>(static_cast<unsigned>(date.month())))) return false;
  bool day_fits = has(sets_[kCronDay], static_cast<int>(static_cast<unsigned>(date.day())));
  bool weekday_fits =
      has(sets_[kCronWeekday], static_cast<int>(std::chrono::weekday(day).c_encoding()));
  return either_day_ ? day_fits || weekday_fits : day_fits && weekday_fits;
}

bool CronSchedule::matches(WallTime time) const {
  return first_in(time, time + seconds(1)).has_value();
}

std::optional<WallTime> CronSchedule::first_in(WallTime from, WallTime end) const {
  WallTime start = std::chrono::ceil<minutes>(from);
  for (local_days day = floor<days>(start); day < end; day += days(1)) {
    if (!matches_day(day)) continue;
    int minute_of_day = day < start ? static_cast<int>((start - day) / minutes(1)) : 0;
    int minute = next_in(sets_[kCronMinute], minute_of_day % 60);
    int hour = next_in(sets_[kCronHour], minute_of_day / 60 + (minute < 0 ? 1 : 0));
    if (hour < 0) continue;
    if (hour > minute_of_day / 60) minute = next_in(sets_[kCronMinute], 0);
    WallTime found = day + hours(hour) + minutes(minute);
    return found < end ? std::optional(found) : std::nullopt;
  }
  return std::nullopt;
}

std::optional<WallTime> CronSchedule::last_in(WallTime from, WallTime end) const {
  WallTime start = floor<minutes>(end - seconds(1));
  for (local_days day = floor<days>(start); day + days(1) > from; day -= days(1)) {
    if (!matches_day(day)) continue;
    int minute_of_day =
        day + days(1) > start ? static_cast<int>((start - day) / minutes(1)) : 24 * 60 - 1;
    int minute = previous_in(sets_[kCronMinute], minute_of_day % 60);
    int hour = previous_in(sets_[kCronHour], minute_of_day / 60 - (minute < 0 ? 1 : 0));
    if (hour < 0) continue;
    if (hour < minute_of_day / 60) minute = previous_in(sets_[kCronMinute], 59);
    WallTime found = day + hours(hour) + minutes(minute);
    return found >= from ? std::optional(found) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace holdfast
