// What the scheduler remembers of each job over restarts: docs/format/schedule-state.md.
//
// A file of its own on this machine, replaced as a whole and durably, before anything that it tells
// of is done: what is due is decided from it alone (schedule/due.h). One that is damaged must not
// keep backups from being made: it is set aside, and all jobs are new. Holds no secrets.
// Pure but for load and save; one scheduler at a time (its lock is the caller's).
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/log.h"
#include "schedule/due.h"

namespace holdfast {

constexpr size_t kScheduleStateBytesMax = 16 << 20;
constexpr size_t kScheduledJobsMax = 5000;  // every job of every source, gone ones among them

struct ScheduledJobState {
  JobRecord record{};
  std::optional<int> last_exit_code{};  // of the last run of this host
  uint64_t missed = 0;                  // runs, since the job was first seen
  bool operator==(const ScheduledJobState&) const = default;
};

// By the job's name: "care/backup".
using ScheduleState = std::map<std::string, ScheduledJobState>;

// Throws Error(corrupt) for anything but what the other wrote, Error(unsupported) for a later
// version.
std::string write_schedule_state(const ScheduleState& state);
ScheduleState read_schedule_state(const std::string& text);

// What the file says; nothing if there is none. A damaged one becomes `<path>.damaged`, with a
// warning. Throws Error(unsupported) for a later version, and what keeps a file from being read.
ScheduleState load_schedule_state(const std::string& path, Log& log);
void save_schedule_state(const std::string& path, const ScheduleState& state);

}  // namespace holdfast
