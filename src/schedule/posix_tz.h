// The rule by which a zone goes on for ever: the value of TZ as POSIX has it, with the wider range
// of hours of RFC 8536 (section 3.3), `CET-1CEST,M3.5.0,M10.5.0/3`. It is the last line of a
// compiled time zone and tells what holds after its last transition.
//
// Daylight saving time without rules is refused: POSIX leaves open what they would be. The text is
// foreign: whatever is not the grammar is Error(corrupt). A value, never changed after it was read.
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <string_view>
#include <vector>

#include "schedule/tzif.h"

namespace holdfast {

// When the clocks are set, in every year.
struct YearlyMoment {
  enum class Kind { month_week_day, day_without_leap, day_of_year };
  Kind kind = Kind::month_week_day;
  int month = 1, week = 1, weekday = 0;  // week 5: the last one
  int day = 0;                           // 1-365 without February 29th, or 0-365 with it
  std::chrono::seconds time{7200};       // from midnight, by the clock as it was before

  // On the wall, by the clock as it was before.
  std::chrono::local_seconds in(std::chrono::year year) const;
};

class PosixZoneRule {
 public:
  static PosixZoneRule parse(std::string_view text);

  // What is in force at a time, since when and until when; neither of them without daylight saving
  // time. What comes then need not differ from it.
  struct Around {
    std::optional<std::chrono::sys_seconds> began, ends;
    const ZoneType* type = nullptr;
  };
  Around at(std::chrono::sys_seconds time) const;

 private:
  struct Change {
    std::chrono::sys_seconds at{};
    const ZoneType* type = nullptr;  // of this rule; holds from then on
  };
  void add_changes(std::chrono::year year, std::vector<Change>& changes) const;

  ZoneType standard_;
  std::optional<ZoneType> daylight_;
  YearlyMoment starts_, ends_;  // daylight saving time
};

}  // namespace holdfast
