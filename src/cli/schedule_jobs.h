// What the configuration says of the schedule, as the scheduler takes it: for each source each job
// that has a schedule, the command that it is, and the store through which hosts agree on who runs
// it.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cli/alerting.h"
#include "cli/config.h"
#include "cli/documents_serve.h"
#include "cli/stores.h"
#include "serve/scheduler.h"

namespace holdfast {

// What can be scheduled: each is the option schedule_<name>, and a command of that name (anchor:
// `audit anchor`).
inline constexpr const char* kScheduledCommands[] = {"backup", "verify", "drill", "prune",
                                                     "report", "status", "anchor"};

// When such a job runs, as configured; it must have a schedule. Throws Error(invalid) that names
// the setting.
JobPlan job_plan(const Config& config, const std::string& job);

struct ScheduleSetup {
  std::vector<std::unique_ptr<Config>> sources;  // those that have jobs
  std::vector<OpenStore> lock_stores;            // what the claims are kept in; outlive them
  std::vector<std::unique_ptr<FiringClaims>> claims;
  std::vector<ScheduledTask> tasks;  // none: nothing is scheduled
  std::string seed;
  std::string state_folder;
  std::chrono::seconds job_limit{0};
  std::string listen;                                  // empty: nowhere
  std::vector<std::vector<std::string>> status_argvs;  // of each scheduled source
};

// Of the chosen source, or of all. Throws Error(invalid) that names the setting. No server is
// asked.
ScheduleSetup schedule_setup(const Config& config, const Run& run);

// Where missed, ended and overlapping runs are told of: the log, and those who are alerted. A job
// that tells of what it found by itself has done so once it has read its configuration; here it is
// said of those that came to no such end, of jobs that tell of nothing (anchor, report), of runs
// that never were, and of a clock that was set back. Telling only records: what delivers is a
// thread of its own, so that a sink that hangs holds up no run. Keeps what ended, for the document
// of `serve --once`. One thread at a time.
class ToldScheduleEvents final : public ScheduleEvents {
 public:
  // `sources` and `run` outlive it.
  ToldScheduleEvents(const std::vector<std::unique_ptr<Config>>& sources, const Run& run,
                     std::function<void()> on_end = {});
  void missed(const ScheduledTask& task, const MissedRuns& missed) override;
  void ended(const ScheduledTask& task, const JobEnd& end) override;
  void clock_went_back(const ScheduledTask& task) override;
  // Ends deliver_in_background().
  void deliver() override;
  // From now on: what is told goes out at once; and what waits, from whomever (another attempt, a
  // reminder, the end of quiet hours), every minute.
  void deliver_in_background();
  const std::vector<OnceRun>& runs() const { return runs_; }

 private:
  CommandAlerts& alerts_of(const ScheduledTask& task) { return *alerts_.at(task.source); }
  void tell_failure(const ScheduledTask& task, const JobEnd& end);
  void tell_good(const ScheduledTask& task);

  Log& log_;
  std::function<void()> on_end_;
  std::map<std::string, std::unique_ptr<CommandAlerts>> alerts_;    // by source
  std::map<std::string, std::unique_ptr<CommandAlerts>> couriers_;  // the same, for the thread
  std::set<std::string> clock_told_;  // sources whose clock was set back and no run since was good
  std::vector<OnceRun> runs_;         // the last kRunsKept
  Wakeup told_;
  std::jthread courier_;  // last: it uses what is above
};

}  // namespace holdfast
