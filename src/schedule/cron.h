// A schedule in the five fields of crontab(5): minute, hour, day of the month, month, weekday.
//
// Why our own reading: what is not understood exactly is refused, because a schedule that was meant
// otherwise is a backup that is missed, and nobody notices until the day it is needed. Understood
// are numbers, `*`, ranges (`1-5`), lists (`0,30`), steps of `*` or of a range (`*/15`), names of
// months and weekdays (`jan`, `mon-fri`), 7 for Sunday, and @hourly, @daily (@midnight), @weekly,
// @monthly, @yearly (@annually).
//
// Days are chosen as crontab(5) does: where neither the day of the month nor the weekday begins
// with `*`, a day needs to be one of either; else it needs to be both. An expression that no date
// can ever match (`0 0 31 2 *`) is refused.
//
// What is here knows nothing of zones: it is about what a clock on a wall shows (next_run.h does
// the rest). A value, never changed after it was read; pure.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast {

// What a clock on the wall shows, as the count of seconds since 1970-01-01 00:00 on that wall.
using WallTime = std::chrono::local_seconds;

class CronSchedule {
 public:
  // Throws Error(invalid) that names the field, what was found and what is allowed there.
  static CronSchedule parse(std::string_view text);

  // The same schedule, in its canonical form: `0 2 * * 1-5`. Two that are equal read the same.
  std::string to_string() const;

  // Whether every hour is one of its hours: such a job goes by elapsed time when clocks are set.
  bool runs_every_hour() const;

  // Whether it fires at this minute of the wall clock; never at one that is not whole.
  bool matches(WallTime time) const;

  // The first time at or after `from` and before `end` that it fires at; nothing if there is none.
  // The way there is at most one step for each day between them.
  std::optional<WallTime> first_in(WallTime from, WallTime end) const;
  // The last time at or after `from` and before `end`.
  std::optional<WallTime> last_in(WallTime from, WallTime end) const;

  bool operator==(const CronSchedule&) const = default;

 private:
  CronSchedule() = default;
  friend class CronReader;

  bool matches_day(std::chrono::local_days day) const;

  // A bit for each value: minutes, hours, days of the month, months, weekdays (0 is Sunday).
  std::array<uint64_t, 5> sets_{};
  bool either_day_ = false;  // one of day of the month and weekday is enough
};

}  // namespace holdfast
