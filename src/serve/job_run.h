// One run of a scheduled job as a process of its own, so that a job that crashes, leaks or hangs
// harms nothing else: the same program with a command, the same configuration and environment.
//
// A run first claims its firing, where several hosts share a store (firing_claim.h); a store that
// cannot say keeps nobody from running: a backup too many is better than none. It has a limit,
// after which it is asked to stop (SIGTERM), and killed with its group if it does not. A job that
// finds its stores locked by another run is tried again for a while. What it says goes to the log
// when it has ended, the last lines of it. If this program dies, so does the job.
//
// JobRunner is a seam: the scheduler is tested without processes. Each run has a thread.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/run.h"
#include "schedule/due.h"
#include "serve/firing_claim.h"

namespace holdfast {

struct ScheduledTask {
  JobPlan plan;                    // its name: "<source>/<job>"
  std::string source, job;         // "care", "backup"
  std::vector<std::string> argv;   // argv[0] is the path of the program; no secrets
  FiringClaims* claims = nullptr;  // null: this host alone runs it. Outlives the task.
};

struct JobEnd {
  UtcTime firing{};
  int exit_code = 0;        // 128 + signal number when a signal ended it; of the last try
  bool elsewhere = false;   // another host runs it: nothing was done here
  bool over_limit = false;  // stopped because it took too long
  bool stopped = false;     // stopped because this program stops
  bool lost = false;        // it could not be begun, or not be watched: the code is ours
  bool locked_out = false;  // its stores were in use until it was given up
};

class JobRun {
 public:
  virtual ~JobRun() = default;  // a run that is going on is stopped
  // Nothing while it is going on.
  virtual std::optional<JobEnd> ended() = 0;
  virtual JobEnd wait() = 0;
  // Asks it to stop; does not wait.
  virtual void stop() = 0;
};

class JobRunner {
 public:
  virtual ~JobRunner() = default;
  // The task outlives the run. Throws Error if it cannot be begun.
  virtual std::unique_ptr<JobRun> start(const ScheduledTask& task, UtcTime firing) = 0;
};

struct ProcessRunnerSettings {
  std::map<std::string, std::string> env{};  // of the jobs
  std::chrono::milliseconds limit{std::chrono::hours(24)};
  // Between SIGTERM and SIGKILL. Less than what a service manager gives the whole program.
  std::chrono::milliseconds stop_grace{std::chrono::seconds(90)};
  // For stores that another run holds.
  std::chrono::milliseconds retry_every{std::chrono::seconds(30)};
  std::chrono::milliseconds retry_for{std::chrono::minutes(30)};
  std::function<void()> on_end;  // called by a run's thread when it has ended; may be empty
};

// `run` outlives the runner; the wish to stop in it is not looked at (JobRun::stop is).
std::unique_ptr<JobRunner> make_process_runner(ProcessRunnerSettings settings, const Run& run);

// What a short command of the same program writes to its standard output, whose exit code is one of
// `good`; nothing if it fails, takes longer than `limit`, writes more than 8 MiB, or once a stop is
// asked for.
std::optional<std::string> ask_program(const std::vector<std::string>& argv,
                                       const std::map<std::string, std::string>& env,
                                       const std::vector<int>& good,
                                       std::chrono::milliseconds limit,
                                       const std::stop_token& stop);

}  // namespace holdfast
