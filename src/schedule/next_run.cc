#include "schedule/next_run.h"

#include <algorithm>

#include "base/error.h"

namespace holdfast {
namespace {

using std::chrono::local_seconds;
using std::chrono::seconds;
using std::chrono::sys_days;
using std::chrono::sys_seconds;

constexpr std::chrono::days kSearchLength{kScheduleYears * 366};

void check_time(UtcTime time) {
  constexpr UtcTime kFirst = sys_days{std::chrono::year(1900) / 1 / 1};
  constexpr UtcTime kLast = sys_days{std::chrono::year(9900) / 1 / 1};
  if (time < kFirst || time > kLast)
    throw Error(ErrorCode::invalid, "schedules are not known before 1900 or after 9900",
                "set the machine's clock");
}

// Every hour's jobs: span by span, in each of which clocks go on evenly.
std::optional<UtcTime> next_shown(const CronSchedule& schedule, const Zone& zone,
                                  sys_seconds from) {
  sys_seconds end = from + kSearchLength;
  for (sys_seconds at = from; at < end;) {
    ZoneSpan span = zone.span_at(at);
    if (auto found = schedule.first_in(span.local(at), span.local(std::min(span.end, end))))
      return span.instant(*found);
    at = span.end;
  }
  return std::nullopt;
}

std::optional<UtcTime> previous_shown(const CronSchedule& schedule, const Zone& zone,
                                      sys_seconds end) {
  sys_seconds from = end - kSearchLength;
  for (sys_seconds at = end; at > from;) {
    ZoneSpan span = zone.span_at(at - seconds(1));
    if (auto found = schedule.last_in(span.local(std::max(span.begin, from)), span.local(at)))
      return span.instant(*found);
    at = span.begin;
  }
  return std::nullopt;
}

}  // namespace

// A wall-clock time is fired at as soon as a clock shows it or a later one. So what was fired at
// before an instant is just what clocks have reached by then.
std::optional<UtcTime> next_run(const CronSchedule& schedule, const Zone& zone, UtcTime after) {
  check_time(after);
  sys_seconds last_past = std::chrono::floor<seconds>(after);
  if (schedule.runs_every_hour()) return next_shown(schedule, zone, last_past + seconds(1));
  local_seconds from = zone.reached(last_past) + seconds(1);
  auto found = schedule.first_in(from, from + kSearchLength);
  return found ? std::optional<UtcTime>(zone.first_reaching(*found)) : std::nullopt;
}

std::optional<UtcTime> previous_run(const CronSchedule& schedule, const Zone& zone,
                                    UtcTime before) {
  check_time(before);
  sys_seconds end = std::chrono::ceil<seconds>(before);
  if (schedule.runs_every_hour()) return previous_shown(schedule, zone, end);
  local_seconds local_end = zone.reached(end - seconds(1)) + seconds(1);
  auto found = schedule.last_in(local_end - kSearchLength, local_end);
  return found ? std::optional<UtcTime>(zone.first_reaching(*found)) : std::nullopt;
}

}  // namespace holdfast
