#include "schedule/due.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <set>

#include "schedule/cron_samples.h"

namespace holdfast {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

UtcTime at(const std::string& minute) {
  return parse_rfc3339(minute + ":00.000Z");
}

JobPlan plan_of(const std::string& schedule) {
  return {"backup", CronSchedule::parse(schedule), Zone::utc()};
}

// A job as its caller has it: each decision's record is kept, and its run begins and ends.
struct Job {
  JobPlan plan;
  JobRecord record{};
  bool running = false;

  JobDecision ask(UtcTime now) {
    ScheduledJob job{plan, record, running};
    JobDecision decision = decide_due({&job, 1}, now, "repository").front();
    record = decision.record;
    running |= decision.start.has_value();
    return decision;
  }
  JobDecision ask(const std::string& minute) { return ask(at(minute)); }
  void end(UtcTime now) {
    record = with_run_ended(record, now);
    running = false;
  }
  // Runs for the firing at this time, for ten minutes.
  void run(const std::string& minute) {
    EXPECT_EQ(ask(minute).start, at(minute));
    end(at(minute) + minutes(10));
  }
};

// A nightly job that ran on the 9th.
Job nightly() {
  Job job{plan_of("0 2 * * *")};
  job.ask("2026-11-09T01:00");
  job.run("2026-11-09T02:00");
  return job;
}

TEST(Due, ANewJobHasMissedNothingAndWaits) {
  Job job{plan_of("0 2 * * *")};
  JobDecision first = job.ask("2026-11-09T12:00");
  EXPECT_EQ(first.start, std::nullopt);
  EXPECT_THAT(first.missed, IsEmpty());
  EXPECT_EQ(first.wait_until, at("2026-11-10T02:00"));
  JobDecision due = job.ask(at("2026-11-10T02:00") + seconds(3));
  EXPECT_EQ(due.start, at("2026-11-10T02:00"));
  EXPECT_FALSE(due.late);
  EXPECT_EQ(due.wait_until, at("2026-11-11T02:00"));
  // Seen first at the very instant, it starts.
  EXPECT_EQ(Job{plan_of("0 2 * * *")}.ask("2026-11-09T02:00").start, at("2026-11-09T02:00"));
}

TEST(Due, AfterDowntimeOneRunStandsForAll) {
  Job job = nightly();
  JobDecision decision = job.ask("2026-11-13T09:30");
  EXPECT_EQ(decision.start, at("2026-11-13T02:00"));
  EXPECT_TRUE(decision.late);
  EXPECT_THAT(decision.missed, ElementsAre(MissedRuns{MissReason::away, 3, at("2026-11-10T02:00"),
                                                      at("2026-11-12T02:00")}));
  EXPECT_EQ(missed_text("backup", decision.missed[0]),
            "backup: 3 runs were missed, from 2026-11-10T02:00:00.000Z to "
            "2026-11-12T02:00:00.000Z: holdfast was not running, or the clock "
            "was set forward");
  job.end(at("2026-11-13T10:00"));
  EXPECT_EQ(job.ask("2026-11-13T10:00").start, std::nullopt);
}

TEST(Due, WhatIsTooOldOrToBeSkippedIsMissed) {
  Job old = nightly();
  old.plan.catch_up_age_max = hours(6);
  JobDecision decision = old.ask("2026-11-10T08:01");
  EXPECT_EQ(decision.start, std::nullopt);
  EXPECT_THAT(decision.missed, ElementsAre(MissedRuns{MissReason::away, 1, at("2026-11-10T02:00"),
                                                      at("2026-11-10T02:00")}));
  EXPECT_THAT(old.ask("2026-11-10T08:02").missed, IsEmpty());  // told of once
  Job young = nightly();
  young.plan.catch_up_age_max = hours(6);
  EXPECT_EQ(young.ask("2026-11-10T08:00").start, at("2026-11-10T02:00"));
  Job skipping = nightly();
  skipping.plan.catch_up = CatchUp::skip;
  EXPECT_EQ(skipping.ask("2026-11-10T02:06").start, std::nullopt);
  Job busy_caller = nightly();
  busy_caller.plan.catch_up = CatchUp::skip;
  EXPECT_EQ(busy_caller.ask("2026-11-10T02:05").start, at("2026-11-10T02:00"));
}

TEST(Due, AFiringDuringARunIsMissedNotQueued) {
  Job job{plan_of("0 * * * *")};
  job.ask("2026-11-09T01:30");
  EXPECT_TRUE(job.ask("2026-11-09T02:00").start);
  JobDecision second = job.ask("2026-11-09T03:00");
  EXPECT_EQ(second.start, std::nullopt);
  EXPECT_THAT(second.missed,
              ElementsAre(MissedRuns{MissReason::overlapped, 1, at("2026-11-09T03:00"),
                                     at("2026-11-09T03:00")}));
  EXPECT_EQ(missed_text("backup", second.missed[0]),
            "backup: the run of 2026-11-09T03:00:00.000Z was missed: the run before was still "
            "going on");
  EXPECT_EQ(second.wait_until, at("2026-11-09T04:00"));
  // Nobody asked at four, and the run ended before somebody did.
  job.end(at("2026-11-09T04:01"));
  JobDecision third = job.ask("2026-11-09T04:02");
  EXPECT_EQ(third.start, std::nullopt);
  EXPECT_EQ(third.missed.at(0).reason, MissReason::overlapped);
  EXPECT_EQ(job.ask("2026-11-09T05:00").start, at("2026-11-09T05:00"));
}

TEST(Due, ARunThatNeverEndedIsToldOfOnce) {
  Job job = nightly();
  EXPECT_TRUE(job.ask("2026-11-10T02:00").start);
  job.running = false;  // the machine died
  JobDecision decision = job.ask("2026-11-11T09:00");
  EXPECT_THAT(decision.missed,
              ElementsAre(MissedRuns{MissReason::interrupted, 1, at("2026-11-10T02:00"),
                                     at("2026-11-10T02:00")}));
  EXPECT_EQ(missed_text("backup", decision.missed[0]),
            "backup: the run of 2026-11-10T02:00:00.000Z was missed: it began and did not end");
  EXPECT_EQ(decision.start, at("2026-11-11T02:00"));
  job.end(at("2026-11-11T09:30"));
  EXPECT_THAT(job.ask("2026-11-11T09:30").missed, IsEmpty());
}

TEST(Due, AnotherScheduleHasMissedNothing) {
  Job job = nightly();
  job.plan.schedule = CronSchedule::parse("0 * * * *");
  JobDecision decision = job.ask("2026-11-20T11:30");
  EXPECT_EQ(decision.start, std::nullopt);
  EXPECT_THAT(decision.missed, IsEmpty());
  EXPECT_EQ(decision.wait_until, at("2026-11-20T12:00"));
}

TEST(Due, AYearForwardIsOneRunAndTheWayBackIsNoSilence) {
  Job job = nightly();
  JobDecision ahead = job.ask("2027-11-09T12:00");
  EXPECT_EQ(ahead.start, at("2027-11-09T02:00"));
  EXPECT_EQ(ahead.missed.at(0).count, 364);
  job.end(at("2027-11-09T12:10"));
  EXPECT_EQ(job.ask("2027-11-09T12:11").start, std::nullopt);
  JobDecision back = job.ask("2026-11-09T12:15");
  EXPECT_TRUE(back.clock_went_back);
  EXPECT_EQ(back.start, std::nullopt);
  EXPECT_EQ(back.wait_until, at("2026-11-10T02:00"));
  EXPECT_FALSE(job.ask("2026-11-09T12:16").clock_went_back);
  job.run("2026-11-10T02:00");
  job.ask("2027-11-08T12:00");
  job.end(at("2027-11-08T13:00"));
  EXPECT_EQ(job.ask("2027-11-08T14:00").wait_until, at("2027-11-10T02:00"));
  JobDecision again = job.ask("2027-11-09T02:00");  // its run was a year ago
  EXPECT_EQ(again.start, std::nullopt);
  EXPECT_EQ(again.wait_until, at("2027-11-10T02:00"));
}

TEST(Due, AnHourBackRepeatsNothing) {
  Job job = nightly();
  JobDecision back = job.ask("2026-11-09T01:10");
  EXPECT_FALSE(back.clock_went_back);
  EXPECT_EQ(back.wait_until, at("2026-11-10T02:00"));
  EXPECT_EQ(job.ask("2026-11-09T02:00").start, std::nullopt);
  // Three days back: what ran is not run again, though the clock had been trusted.
  Job hourly{plan_of("0 * * * *")};
  hourly.ask("2026-11-09T00:30");
  for (const char* minute : {"2026-11-09T01:00", "2026-11-09T02:00", "2026-11-09T03:00"})
    hourly.run(minute);
  EXPECT_TRUE(hourly.ask("2026-11-08T23:30").clock_went_back);
  hourly.run("2026-11-09T00:00");
  for (const char* minute : {"2026-11-09T01:00", "2026-11-09T02:00", "2026-11-09T03:00"})
    EXPECT_EQ(hourly.ask(minute).start, std::nullopt);
  hourly.run("2026-11-09T04:00");
}

// Found by the property below: what a run was started for by a clock that was ahead is forgotten in
// the end, and must not come up again by that.
TEST(Due, WhatIsForgottenIsSettled) {
  Job job{plan_of("0 * * * *")};
  job.ask("2026-11-09T09:30");
  job.record.started = {at("2026-11-09T11:00")};
  while (job.record.started.size() < kStartedMax)
    job.record.started.push_back(at("2026-11-01T00:00") + hours(job.record.started.size()));
  JobDecision decision = job.ask("2026-11-09T11:30");
  EXPECT_EQ(decision.start, at("2026-11-09T10:00"));
  EXPECT_TRUE(decision.late);
  EXPECT_THAT(job.ask("2026-11-09T11:31").missed, IsEmpty());
}

TEST(Due, AYearOfMinutesIsCountedUpToABound) {
  Job job{plan_of("* * * * *")};
  job.ask("2025-11-09T02:00");
  job.end(at("2025-11-09T02:00") + seconds(5));
  JobDecision decision = job.ask("2026-11-09T02:00");
  EXPECT_EQ(decision.start, at("2026-11-09T02:00"));
  EXPECT_EQ(decision.missed.at(0).count, kMissedCountMax);
  EXPECT_THAT(missed_text("backup", decision.missed[0]),
              ::testing::HasSubstr("at least 1,000 runs were missed"));
}

TEST(Due, JitterIsTheSameEverywhereAndSpread) {
  JobPlan plan = plan_of("0 2 * * *");
  plan.jitter_max = minutes(30);
  // These values are a promise to hosts of other versions.
  UtcTime firing = at("2026-11-10T02:00");
  EXPECT_EQ(start_of_firing(plan, firing, "repository"), firing + seconds(21 * 60 + 35));
  EXPECT_EQ(start_of_firing(plan, firing + days(1), "repository"),
            firing + days(1) + seconds(7 * 60 + 36));
  std::map<std::string, std::set<seconds>> seen;
  for (int day = 0; day < 1000; ++day) {
    for (const char* name : {"backup", "verify"}) {
      plan.name = name;
      UtcTime start = start_of_firing(plan, firing + days(day), "repository");
      auto jitter = std::chrono::floor<seconds>(start - firing - days(day));
      ASSERT_GE(jitter, seconds(0));
      ASSERT_LE(jitter, minutes(30));
      seen[name].insert(jitter);
    }
  }
  EXPECT_GT(seen["backup"].size(), 700u);  // of 1801
  EXPECT_LT(*seen["backup"].begin(), minutes(1));
  EXPECT_GT(*seen["backup"].rbegin(), minutes(29));
  EXPECT_NE(seen["backup"], seen["verify"]);
  // Never more than half the way to the next one.
  JobPlan often = plan_of("*/10 * * * *");
  often.jitter_max = hours(1);
  for (int i = 0; i < 200; ++i)
    ASSERT_LE(start_of_firing(often, firing + minutes(10 * i), "x"), firing + minutes(10 * i + 5));
}

TEST(Due, AFiringWaitsForItsJitter) {
  Job job = nightly();
  job.plan.jitter_max = minutes(30);
  UtcTime start = start_of_firing(job.plan, at("2026-11-10T02:00"), "repository");
  ASSERT_GT(start, at("2026-11-10T02:00"));
  EXPECT_EQ(job.ask("2026-11-10T01:00").wait_until, start);
  JobDecision before = job.ask(start - milliseconds(1));
  EXPECT_EQ(before.start, std::nullopt);
  EXPECT_EQ(before.wait_until, start);
  EXPECT_EQ(job.ask(start).start, at("2026-11-10T02:00"));
  // After downtime, one that will start in a moment stands for those that were missed.
  Job away = nightly();
  away.plan.jitter_max = minutes(30);
  start = start_of_firing(away.plan, at("2026-11-12T02:00"), "repository");
  JobDecision back = away.ask(start - seconds(1));
  EXPECT_EQ(back.start, std::nullopt);
  EXPECT_EQ(back.missed.at(0).count, 2);
  JobDecision then = away.ask(start);
  EXPECT_EQ(then.start, at("2026-11-12T02:00"));
  EXPECT_FALSE(then.late);
  EXPECT_THAT(then.missed, IsEmpty());
}

TEST(Due, EachJobIsDecidedByItself) {
  JobPlan backup = plan_of("0 2 * * *"), prune = plan_of("0 3 * * *");
  prune.name = "prune";
  JobRecord seen = Job{backup}.ask("2026-11-09T01:00").record;
  JobRecord seen_prune = Job{prune}.ask("2026-11-09T01:00").record;
  std::vector<ScheduledJob> jobs{{backup, seen}, {prune, seen_prune}};
  auto decisions = decide_due(jobs, at("2026-11-09T02:00"), "repository");
  ASSERT_EQ(decisions.size(), 2u);
  EXPECT_EQ(decisions[0].name, "backup");
  EXPECT_TRUE(decisions[0].start);
  EXPECT_EQ(decisions[1].name, "prune");
  EXPECT_EQ(decisions[1].wait_until, at("2026-11-09T03:00"));
}

// --- a machine that is busy, dies, and whose clock is set, for weeks ---

JobPlan any_plan() {
  constexpr const char* kSchedules[] = {"0 2 * * *",  "30 */6 * * *", "*/10 * * * *",
                                        "15 * * * *", "0 4 * * 1",    "0,7,30 1-5 * * *"};
  JobPlan plan = plan_of(kSchedules[any_of_range<size_t>(0, std::size(kSchedules))]);
  plan.jitter_max = seconds(any_of_range(0, 2) * any_of_range(0, 5000));
  plan.catch_up = any_of_range(0, 3) == 0 ? CatchUp::skip : CatchUp::latest;
  plan.catch_up_age_max = hours(any_of_range(1, 48));
  return plan;
}

class SimulatedMachine {
 public:
  explicit SimulatedMachine(bool clock_goes_back) : clock_goes_back_(clock_goes_back) {
    job_.plan = any_plan();
    ask();
    first_ = now_;
  }

  void live(int steps) {
    for (int i = 0; i < steps; ++i) {
      step();
      ask();
    }
  }

  // Nothing is forgotten, and nothing is counted twice.
  void check_accounts() {
    int firings = 0;
    UtcTime from = first_ - milliseconds(1);
    for (auto firing = next_run(job_.plan.schedule, job_.plan.zone, from);
         firing && *firing <= now_; firing = next_run(job_.plan.schedule, job_.plan.zone, *firing))
      ++firings;
    auto newest = previous_run(job_.plan.schedule, job_.plan.zone, now_ + milliseconds(1));
    bool waits = newest && *newest >= first_ && *newest > *job_.record.settled;
    RC_ASSERT(firings == static_cast<int>(started_.size()) + missed_ + (waits ? 1 : 0));
  }
  size_t started() const { return started_.size(); }

 private:
  void step() {
    int kind = any_of_range(0, 40);
    auto random_seconds = [](int most) { return seconds(any_of_range(1, most)); };
    if (kind == 0) {  // down for up to three days
      job_.running = false;
      now_ += random_seconds(3 * 86400);
    } else if (kind == 1) {  // set forward
      now_ += random_seconds(any_of_range(0, 2) == 0 ? 7200 : 6 * 86400);
    } else if (kind < 4 && clock_goes_back_) {
      now_ -= random_seconds(any_of_range(0, 3) == 0 ? 10 * 86400 : 7200);
    } else if (kind < 10 || !last_.wait_until || *last_.wait_until < now_) {
      now_ += random_seconds(4000);
    } else {
      now_ = *last_.wait_until + milliseconds(any_of_range(0, 1500));
    }
    if (job_.running && any_of_range(0, 3) > 0) job_.end(now_ - milliseconds(any_of_range(0, 9)));
  }

  void ask() {
    bool was_running = job_.running;
    last_ = job_.ask(now_);
    for (const MissedRuns& missed : last_.missed) {
      RC_ASSERT(missed.count > 0 && missed.count < kMissedCountMax);
      RC_ASSERT(missed.first <= missed.last);
      if (missed.reason == MissReason::interrupted) continue;  // it was started before
      RC_ASSERT(missed.last <= now_);
      missed_ += missed.count;
    }
    if (last_.wait_until) RC_ASSERT(*last_.wait_until > now_);
    if (last_.start) check_start(*last_.start, was_running);
    // Who asks again at once is told nothing new.
    JobDecision again = job_.ask(now_);
    RC_ASSERT(!again.start && again.missed.empty() && !again.clock_went_back);
    RC_ASSERT(again.wait_until == last_.wait_until && again.record == last_.record);
  }

  void check_start(UtcTime firing, bool was_running) {
    RC_ASSERT(!was_running);
    UtcTime start = start_of_firing(job_.plan, firing, "repository");
    RC_ASSERT(start <= now_);
    RC_ASSERT(last_.late == (now_ - start > kPunctualFor));
    if (last_.late)
      RC_ASSERT(job_.plan.catch_up == CatchUp::latest &&
                now_ - firing <= job_.plan.catch_up_age_max);
    size_t known = std::min(started_.size(), kStartedMax);
    RC_ASSERT(std::find(started_.end() - static_cast<ptrdiff_t>(known), started_.end(), firing) ==
              started_.end());
    started_.push_back(firing);
  }

  bool clock_goes_back_;
  Job job_{plan_of("@daily")};
  UtcTime now_ = at("2026-11-09T00:13"), first_ = now_;
  JobDecision last_;
  std::vector<UtcTime> started_;
  int missed_ = 0;
};

TEST(DueProperty, NoFiringIsLostOrRunTwice) {
  EXPECT_TRUE(rc::check("accounts", [] {
    SimulatedMachine machine(false);
    machine.live(300);
    machine.check_accounts();
    RC_ASSERT(machine.started() > 0);
  }));
}

TEST(DueProperty, AClockThatIsSetBackRunsNothingTwice) {
  EXPECT_TRUE(rc::check("clock set back", [] {
    SimulatedMachine machine(true);
    machine.live(300);
    RC_ASSERT(machine.started() > 0);
  }));
}

}  // namespace
}  // namespace holdfast
