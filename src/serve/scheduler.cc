#include "serve/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"

namespace holdfast {
namespace {

using std::chrono::milliseconds;

// Clocks can be set, so it is never waited for longer.
constexpr std::chrono::seconds kRoundEvery{60};
// One that began and ends in the same millisecond, or with a clock that was set: no shorter wait.
constexpr milliseconds kRoundLeast{50};

std::string end_text(const ScheduledTask& task, const JobEnd& end) {
  std::string of = fmt::format("{}: the run of {}", task.plan.name, format_rfc3339(end.firing));
  if (end.elsewhere) return of + " is another host's";
  if (end.locked_out) return of + " is given up: another run holds its stores";
  if (end.stopped) return fmt::format("{} was stopped (exit code {})", of, end.exit_code);
  if (end.over_limit)
    return fmt::format("{} took too long and was stopped (exit code {})", of, end.exit_code);
  return fmt::format("{} ended with exit code {}", of, end.exit_code);
}

}  // namespace

int worse_exit_code(int a, int b) {
  constexpr std::array<int, 8> kBetterFirst = {kExitDone,    kExitLocked,      kExitViolation,
                                               kExitPartial, kExitInterrupted, kExitUsage,
                                               kExitFailed,  kExitDamage};
  auto rank = [&](int code) {
    auto found = std::find(kBetterFirst.begin(), kBetterFirst.end(), code);
    // What no command says, a crash: a failure.
    if (found == kBetterFirst.end()) found = kBetterFirst.end() - 2;
    return found - kBetterFirst.begin();
  };
  return rank(b) > rank(a) ? b : a;
}

Scheduler::Scheduler(const std::vector<ScheduledTask>& tasks, std::string state_path,
                     std::string seed, JobRunner& runner, ScheduleEvents& events, const Run& run)
    : tasks_(tasks),
      state_path_(std::move(state_path)),
      seed_(std::move(seed)),
      runner_(runner),
      events_(events),
      run_(run),
      state_(load_schedule_state(state_path_, run.log)) {}

UtcTime Scheduler::round() {
  collect_ended();
  std::vector<ScheduledJob> jobs;
  for (const ScheduledTask& task : tasks_)
    jobs.push_back({task.plan, state_[task.plan.name].record, active_.count(task.plan.name) > 0});
  UtcTime now = run_.clock.now();
  std::vector<JobDecision> decisions = decide_due(jobs, now, seed_);
  UtcTime next = now + kRoundEvery;
  bool changed = false;
  for (const JobDecision& decision : decisions) {
    JobRecord& record = state_[decision.name].record;
    changed = changed || record != decision.record;
    record = decision.record;
    if (decision.wait_until) next = std::min(next, *decision.wait_until);
  }
  if (changed || !problem_.empty()) store();
  for (size_t i = 0; i < tasks_.size(); ++i) {
    if (decisions[i].clock_went_back) events_.clock_went_back(tasks_[i]);
    for (const MissedRuns& missed : decisions[i].missed) tell_missed(tasks_[i], missed);
  }
  for (size_t i = 0; i < tasks_.size(); ++i)
    if (decisions[i].start) start(tasks_[i], decisions[i]);
  show(decisions);
  return next;
}

void Scheduler::collect_ended() {
  for (const ScheduledTask& task : tasks_) {
    auto found = active_.find(task.plan.name);
    if (found == active_.end()) continue;
    std::optional<JobEnd> end = found->second.run->ended();
    if (!end) continue;
    active_.erase(found);
    note_end(task, *end);
  }
}

void Scheduler::note_end(const ScheduledTask& task, const JobEnd& end) {
  ScheduledJobState& job = state_[task.plan.name];
  job.record = with_run_ended(job.record, run_.clock.now());
  if (!end.elsewhere) {
    job.last_exit_code = end.exit_code;
    worst_ = worse_exit_code(worst_, end.exit_code);
  }
  store();
  bool good = end.elsewhere || end.exit_code == kExitDone;
  run_.log.line(good ? LogLevel::info : LogLevel::warning, end_text(task, end));
  if (end.locked_out)
    note_missed(task, {MissReason::overlapped, 1, end.firing, end.firing});
  else if (!end.elsewhere)
    events_.ended(task, end);
}

// What another host ran in the meantime was not missed.
void Scheduler::tell_missed(const ScheduledTask& task, MissedRuns missed) {
  if (task.claims != nullptr && missed.reason != MissReason::interrupted) {
    try {
      size_t elsewhere = task.claims->claimed_between(task.job, missed.first, missed.last);
      missed.count -= static_cast<int>(std::min(elsewhere, static_cast<size_t>(missed.count)));
    } catch (const Error& error) {
      run_.log.warning(fmt::format("{}: other hosts cannot be asked whether they ran it: {}",
                                   task.plan.name, error.in_one_line()));
    }
  }
  if (missed.count > 0) note_missed(task, missed);
}

void Scheduler::note_missed(const ScheduledTask& task, const MissedRuns& missed) {
  state_[task.plan.name].missed += static_cast<uint64_t>(missed.count);
  store();
  events_.missed(task, missed);
}

void Scheduler::start(const ScheduledTask& task, const JobDecision& decision) {
  run_.log.info(fmt::format("{}: the run of {} begins{}", task.plan.name,
                            format_rfc3339(*decision.start), decision.late ? ", late" : ""));
  try {
    active_[task.plan.name] = {runner_.start(task, *decision.start), *decision.start};
  } catch (const Error& error) {
    active_.erase(task.plan.name);
    run_.log.error(fmt::format("{}: {}", task.plan.name, error.in_one_line()));
    JobEnd end;
    end.firing = *decision.start;
    end.lost = true;
    end.exit_code = exit_code_of(error.code());
    note_end(task, end);
  }
}

void Scheduler::store() {
  std::string problem;
  try {
    save_schedule_state(state_path_, state_);
  } catch (const Error& error) {
    problem = error.in_one_line();
  }
  if (!problem.empty() && problem != problem_)
    run_.log.error(
        fmt::format("the schedule's state cannot be stored, so after a restart runs might be "
                    "repeated: {}",
                    problem));
  problem_ = problem;
}

int Scheduler::finish() {
  for (const ScheduledTask& task : tasks_) {
    auto found = active_.find(task.plan.name);
    if (found == active_.end()) continue;
    JobEnd end = found->second.run->wait();
    active_.erase(found);
    note_end(task, end);
  }
  return std::exchange(worst_, 0);
}

void Scheduler::stop_runs() {
  for (auto& [name, active] : active_) active.run->stop();
}

size_t Scheduler::running() const {
  return active_.size();
}

void Scheduler::show(const std::vector<JobDecision>& decisions) {
  ScheduleView view;
  for (size_t i = 0; i < tasks_.size(); ++i) {
    const ScheduledJobState& job = state_[tasks_[i].plan.name];
    view.jobs.push_back({tasks_[i].source, tasks_[i].job, active_.count(tasks_[i].plan.name) > 0,
                         job.record.began, job.record.ended, decisions[i].wait_until,
                         job.last_exit_code, job.missed});
  }
  view.last_round = run_.clock.now();
  view.last_round_monotonic = run_.clock.monotonic_seconds();
  view.problem = problem_;
  std::lock_guard lock(view_mutex_);
  view_ = std::move(view);
}

ScheduleView Scheduler::view() const {
  std::lock_guard lock(view_mutex_);
  return view_;
}

void Wakeup::call() {
  {
    std::lock_guard lock(mutex_);
    pending_ = true;
  }
  called_.notify_all();
}

void Wakeup::wait(milliseconds longest, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  called_.wait_for(lock, stop, longest, [this] { return pending_; });
  pending_ = false;
}

void run_scheduler(Scheduler& scheduler, Wakeup& wakeup, ScheduleEvents& events, const Run& run) {
  while (!run.stop.stop_requested()) {
    milliseconds longest = kRoundEvery;
    try {
      longest = scheduler.round() - run.clock.now();
    } catch (const Error& error) {
      run.log.error(fmt::format("the schedule: {}", error.in_one_line()));
    }
    wakeup.wait(std::clamp(longest, kRoundLeast, milliseconds(kRoundEvery)), run.stop);
  }
  if (scheduler.running() > 0)
    run.log.info(fmt::format("stopping {}", plural(scheduler.running(), "running job")));
  scheduler.stop_runs();
  scheduler.finish();
  events.deliver();
}

int run_scheduler_once(Scheduler& scheduler, Wakeup& wakeup, ScheduleEvents& events,
                       const Run& run) {
  scheduler.round();
  while (scheduler.running() > 0 && !run.stop.stop_requested()) {
    wakeup.wait(kRoundEvery, run.stop);
    scheduler.collect_ended();
  }
  scheduler.stop_runs();
  int worst = scheduler.finish();
  events.deliver();
  return worst;
}

}  // namespace holdfast
