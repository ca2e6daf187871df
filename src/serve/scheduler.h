// Runs scheduled jobs when they are due. What is due is decided by schedule/due.h; here is what has
// to happen around that, in the order that makes it safe: decide, store the decision, tell of what
// was missed, start. So a firing is never run twice by this host, whenever it dies; one that was
// begun and never ended is told of after the restart.
//
// A state that cannot be stored keeps no job from being run: that is said, and a run might be
// repeated after a restart. Rounds and events are of one thread; view() may be called by any.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/run.h"
#include "serve/job_run.h"
#include "serve/schedule_state.h"

namespace holdfast {

// What happened that people may want to be told. A seam: the log, alerts. Called by the scheduler's
// thread; must not throw, and must not block for long.
class ScheduleEvents {
 public:
  virtual ~ScheduleEvents() = default;
  virtual void missed(const ScheduledTask& task, const MissedRuns& missed) = 0;
  // Not called for runs that were another host's, nor for those that were given up because their
  // stores were in use: they are missed.
  virtual void ended(const ScheduledTask& task, const JobEnd& end) = 0;
  virtual void clock_went_back(const ScheduledTask& task) = 0;
  // What is still to be sent is sent, for some time: nothing else will happen.
  virtual void deliver() = 0;
};

struct JobView {
  std::string source, job;
  bool running = false;
  std::optional<UtcTime> last_start, last_end, next_run;
  std::optional<int> last_exit_code;
  uint64_t missed = 0;
};

struct ScheduleView {
  std::vector<JobView> jobs;
  UtcTime last_round{};
  double last_round_monotonic = 0;  // of the clock
  std::string problem;              // why the state cannot be stored; empty: it can
};

class Scheduler {
 public:
  // Reads the state at `state_path`. `seed`: the same on all hosts that share the jobs. All that is
  // passed outlives it.
  Scheduler(const std::vector<ScheduledTask>& tasks, std::string state_path, std::string seed,
            JobRunner& runner, ScheduleEvents& events, const Run& run);

  // Notes what ended and starts what is due. Returns when the next round has to be, at the latest.
  UtcTime round();
  // Only notes what ended.
  void collect_ended();
  // Waits for all runs, without starting others. Returns the worst exit code of the runs that ended
  // since the last call: see worse_exit_code.
  int finish();
  void stop_runs();
  size_t running() const;
  ScheduleView view() const;

 private:
  struct Active {
    std::unique_ptr<JobRun> run;
    UtcTime firing;
  };

  void note_end(const ScheduledTask& task, const JobEnd& end);
  void tell_missed(const ScheduledTask& task, MissedRuns missed);
  void note_missed(const ScheduledTask& task, const MissedRuns& missed);
  void start(const ScheduledTask& task, const JobDecision& decision);
  void store();
  void show(const std::vector<JobDecision>& decisions);

  const std::vector<ScheduledTask>& tasks_;
  const std::string state_path_, seed_;
  JobRunner& runner_;
  ScheduleEvents& events_;
  const Run& run_;
  ScheduleState state_;
  std::map<std::string, Active> active_;  // by the job's name
  int worst_ = 0;
  std::string problem_;
  mutable std::mutex view_mutex_;  // guards view_
  ScheduleView view_;
};

// Wakes the scheduler's thread; thread-safe.
class Wakeup {
 public:
  void call();
  // Until called, stopped, or `longest` has passed.
  void wait(std::chrono::milliseconds longest, const std::stop_token& stop);

 private:
  std::mutex mutex_;
  std::condition_variable_any called_;
  bool pending_ = false;
};

// Rounds until a stop is asked for; then stops what runs, and waits for it.
void run_scheduler(Scheduler& scheduler, Wakeup& wakeup, ScheduleEvents& events, const Run& run);

// One round, and waits for what it started; a stop stops that. Returns the worst exit code.
int run_scheduler_once(Scheduler& scheduler, Wakeup& wakeup, ScheduleEvents& events,
                       const Run& run);

// The one that is worse news: damage, then failure, wrong usage, interruption, partial success,
// violation, lock, success.
int worse_exit_code(int a, int b);

}  // namespace holdfast
