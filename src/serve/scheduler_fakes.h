// For tests of the scheduler: hosts whose jobs are no processes, a ledger of what ran on which of
// them, and events that are remembered.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "serve/scheduler.h"

namespace holdfast {

struct LedgerLine {
  std::string host, job;
  UtcTime firing{}, began{};
};

// Of all hosts of a test.
using Ledger = std::vector<LedgerLine>;

// What the fake runs of one host are told by the test, by the job's name.
struct FakeJobs {
  std::map<std::string, JobEnd> ends;  // of runs that have ended
  std::map<std::string, bool> stopped;
};

class FakeJobRun final : public JobRun {
 public:
  FakeJobRun(FakeJobs& jobs, std::string name, UtcTime firing, bool elsewhere)
      : jobs_(jobs), name_(std::move(name)) {
    jobs_.ends.erase(name_);
    end_.firing = firing;
    end_.elsewhere = elsewhere;
  }
  std::optional<JobEnd> ended() override {
    if (end_.elsewhere) return end_;
    auto found = jobs_.ends.find(name_);
    if (found == jobs_.ends.end()) return std::nullopt;
    JobEnd end = found->second;
    end.firing = end_.firing;
    return end;
  }
  JobEnd wait() override {
    if (auto end = ended()) return *end;
    JobEnd end = end_;
    end.stopped = jobs_.stopped[name_];
    end.exit_code = end.stopped ? kExitInterrupted : kExitDone;
    return end;
  }
  void stop() override { jobs_.stopped[name_] = true; }

 private:
  FakeJobs& jobs_;
  std::string name_;
  JobEnd end_;
};

class FakeRunner final : public JobRunner {
 public:
  FakeRunner(std::string host, FakeJobs& jobs, Ledger& ledger, const Clock& clock)
      : host_(std::move(host)), jobs_(jobs), ledger_(ledger), clock_(clock) {}

  std::unique_ptr<JobRun> start(const ScheduledTask& task, UtcTime firing) override {
    if (on_start) on_start();
    if (fail_) throw Error(ErrorCode::unavailable, "no process can be started");
    bool elsewhere = task.claims != nullptr && !task.claims->claim(task.job, firing, clock_.now());
    if (!elsewhere) ledger_.push_back({host_, task.plan.name, firing, clock_.now()});
    return std::make_unique<FakeJobRun>(jobs_, task.plan.name, firing, elsewhere);
  }
  void fail(bool on) { fail_ = on; }
  std::function<void()> on_start;  // just before anything is done for a run

 private:
  const std::string host_;
  FakeJobs& jobs_;
  Ledger& ledger_;
  const Clock& clock_;
  bool fail_ = false;
};

class KeptEvents final : public ScheduleEvents {
 public:
  void missed(const ScheduledTask& task, const MissedRuns& missed) override {
    misses.push_back({task.plan.name, missed});
  }
  void ended(const ScheduledTask& task, const JobEnd& end) override {
    ends.push_back({task.plan.name, end});
  }
  void clock_went_back(const ScheduledTask&) override { ++set_back; }
  void deliver() override { ++delivered; }

  int missed_count(MissReason reason) const {
    int count = 0;
    for (const auto& [name, missed] : misses) count += missed.reason == reason ? missed.count : 0;
    return count;
  }

  std::vector<std::pair<std::string, MissedRuns>> misses;
  std::vector<std::pair<std::string, JobEnd>> ends;
  int set_back = 0, delivered = 0;
};

class KeptLog final : public Log {
 public:
  void line(LogLevel, std::string_view text) override {
    std::lock_guard lock(mutex_);
    text_ += std::string(text) + "\n";
  }
  std::string text() const {
    std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  mutable std::mutex mutex_;
  std::string text_;
};

inline ScheduledTask fake_task(const std::string& job, const std::string& cron,
                               FiringClaims* claims = nullptr) {
  return {JobPlan{"care/" + job, CronSchedule::parse(cron), Zone::utc()},
          "care",
          job,
          {"/bin/true"},
          claims};
}

// One host: dies (its runs with it) and comes back with what it had stored.
class FakeHost {
 public:
  FakeHost(std::string name, std::vector<ScheduledTask> tasks, const Clock& clock, Ledger& ledger)
      : tasks_(std::move(tasks)),
        run_{clock, log, progress_, {}},
        runner(std::move(name), jobs, ledger, clock) {
    come_back();
  }
  void die() { scheduler_.reset(); }
  void come_back() {
    jobs.ends.clear();
    scheduler_ = std::make_unique<Scheduler>(tasks_, folder_.path() + "/schedule.json", "seed",
                                             runner, events, run_);
  }
  bool up() const { return scheduler_ != nullptr; }
  Scheduler& scheduler() { return *scheduler_; }
  UtcTime round() { return scheduler_->round(); }
  void end(const std::string& name, int exit_code = 0) { jobs.ends[name].exit_code = exit_code; }
  std::string state_path() const { return folder_.path() + "/schedule.json"; }

 private:
  TempFolder folder_{"schedule"};
  std::vector<ScheduledTask> tasks_;
  NullProgress progress_;

 public:
  KeptLog log;

 private:
  Run run_;

 public:
  FakeJobs jobs;
  FakeRunner runner;
  KeptEvents events;

 private:
  std::unique_ptr<Scheduler> scheduler_;
};

}  // namespace holdfast
