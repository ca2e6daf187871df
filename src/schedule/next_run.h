// When a schedule fires in a zone: the instants after and before another one.
//
// What happens when clocks are set is what the manual of cron(8) says users may expect, without the
// limit of three hours that Vixie cron has there:
//   - A job with hours of its own (`30 2 * * *`, `0 */2 * * *`) fires at each of its wall-clock
//     times once. One in a gap, which no clock shows, fires right after the gap; several in a gap
//     fire together, once. One that comes twice fires the first time.
//   - A job of every hour (`*/15 * * * *`) fires whenever the clock shows one of its minutes. So it
//     goes on by elapsed time: in the hour that comes twice it fires twice as often, and nothing is
//     made up for an hour that never was.
//
// Firings are instants of whole seconds, in strictly ascending order, and the same whoever asks and
// from where. Every search ends: after kScheduleYears years there is none. Pure.
#pragma once

#include <optional>

#include "base/clock.h"
#include "schedule/cron.h"
#include "schedule/zone.h"

namespace holdfast {

// February 29th on a given weekday comes after 40 years at the latest (2096 is followed by 2104).
constexpr int kScheduleYears = 50;

// The first firing after `after`, not at it. Nothing if none is within kScheduleYears. Throws
// Error(invalid) for a time before 1900 or after 9900, which no clock of a working machine shows.
std::optional<UtcTime> next_run(const CronSchedule& schedule, const Zone& zone, UtcTime after);

// The last firing before `before`, not at it; otherwise like next_run.
std::optional<UtcTime> previous_run(const CronSchedule& schedule, const Zone& zone, UtcTime before);

}  // namespace holdfast
