// Which scheduled jobs start now, which wait and until when, and which runs were missed: a pure
// function over what is known of each job. Clocks, threads, processes and files are the caller's.
//
// A firing is an instant at which the schedule fires; each comes to one of two ends, and never to
// both: a run is started for it, or it is reported as missed. For each job:
//   - A firing starts at its instant, plus a jitter that follows from the job's name, the seed and
//     the instant alone: the same on every host and after every restart. It is at most half the
//     time to the next firing, so that firings never overtake each other.
//   - One that was not started in time (kPunctualFor) is started late if the policy is `latest`, it
//     is the newest one and young enough. Older ones are missed in any case: after a year of
//     downtime there is one run, not a storm.
//   - One whose start comes while the job runs is missed; it is not kept for later.
//   - A job, or a schedule, that is seen for the first time has missed nothing.
//
// When the clock is set forward, that is downtime. When it is set back by up to kClockBackMax, the
// job waits until the clock is where it was. When it is set back further, it had been wrong for who
// knows how long; to wait would be silence, so the schedule goes on from now, but never with a
// firing that is among the last kStartedMax that a run was started for.
//
// The order that makes this safe: decide; store the decision's record; alert about what was missed;
// start. A crash between the last two shows as an interrupted run. One lock for several hosts is
// the caller's too: who does not get it treats the run as ended.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "schedule/next_run.h"

namespace holdfast {

// A run that starts this much after its time is still on time: whoever asks may have been busy.
constexpr std::chrono::minutes kPunctualFor{5};
// Network time and daylight saving time set by hand move a clock by no more than this.
constexpr std::chrono::hours kClockBackMax{1};
// How many firings are remembered by themselves: a day of runs every quarter of an hour.
constexpr size_t kStartedMax = 100;
// Missed runs are counted up to here.
constexpr int kMissedCountMax = 1000;

enum class CatchUp {
  latest,  // after downtime, one run for all that were missed
  skip,    // wait for the next firing
};

struct JobPlan {
  std::string name;
  CronSchedule schedule;
  Zone zone;
  std::chrono::seconds jitter_max{0};
  CatchUp catch_up = CatchUp::latest;
  // Of the newest missed firing, for it to be started late.
  std::chrono::seconds catch_up_age_max{std::chrono::hours(24)};
};

// What is kept of a job between two decisions, and over restarts.
struct JobRecord {
  std::string schedule;                 // that the rest is about: schedule and zone as text
  std::optional<UtcTime> settled;       // every firing up to here has come to its end
  std::vector<UtcTime> started;         // the last firings that a run was started for
  std::optional<UtcTime> began, ended;  // the last run

  bool operator==(const JobRecord&) const = default;
};

enum class MissReason {
  away,         // nobody started it: Holdfast did not run, or the clock was set forward
  overlapped,   // the job was still running
  interrupted,  // its run began, but never ended: killed, or the machine died
};

struct MissedRuns {
  MissReason reason = MissReason::away;
  int count = 0;            // kMissedCountMax: that many or more
  UtcTime first{}, last{};  // firings

  bool operator==(const MissedRuns&) const = default;
};

struct ScheduledJob {
  const JobPlan& plan;
  JobRecord record;
  bool running = false;  // a run of this process is going on
};

struct JobDecision {
  std::string name;
  std::optional<UtcTime> start;       // start a run now, for this firing
  bool late = false;                  // … to catch up
  std::optional<UtcTime> wait_until;  // the start after this; nothing if there is none
  std::vector<MissedRuns> missed;     // to be alerted about; each is told of once
  bool clock_went_back = false;       // … and this too
  JobRecord record;                   // to be stored before anything else is done
};

// One decision for each job, in their order. Ask again when a run has ended, when the earliest
// `wait_until` has come, and every minute at least, since clocks can be set. `seed` is the same on
// all hosts that share the jobs: the repository's id. Throws what next_run throws.
std::vector<JobDecision> decide_due(std::span<const ScheduledJob> jobs, UtcTime now,
                                    std::string_view seed);

// The record of a job whose run ended, well or not.
JobRecord with_run_ended(JobRecord record, UtcTime now);

// When a run for this firing starts, if nothing keeps it.
UtcTime start_of_firing(const JobPlan& plan, UtcTime firing, std::string_view seed);

// "backup: 3 runs were missed, the last one of 2026-11-10T02:00:00Z: …", for people.
std::string missed_text(std::string_view job, const MissedRuns& missed);

}  // namespace holdfast
