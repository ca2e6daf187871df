// The scheduler with a clock that is moved by hand and jobs that are no processes: days, downtime,
// kills, overlap, and two hosts with one store. What is due at all is tested in src/schedule.
#include "serve/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <set>

#include "base/expect_error.h"
#include "seal/document.h"
#include "serve/scheduler_fakes.h"
#include "store/local_store.h"

namespace holdfast {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using ::testing::HasSubstr;
using ::testing::Not;

const UtcTime kStart = parse_rfc3339("2026-11-10T00:00:00.000Z");

class SchedulerTest : public ::testing::Test {
 protected:
  ManualClock clock_{kStart};
  Ledger ledger_;
  TempFolder folder_{"store"};
  std::unique_ptr<ObjectStore> store_ = make_local_store(folder_.path());

  std::unique_ptr<FakeHost> host(std::vector<ScheduledTask> tasks, const std::string& name = "a") {
    return std::make_unique<FakeHost>(name, std::move(tasks), clock_, ledger_);
  }
  std::vector<std::string> firings(const std::string& job) const {
    std::vector<std::string> all;
    for (const LedgerLine& line : ledger_)
      if (line.job == job) all.push_back(format_rfc3339(line.firing).substr(5, 11));
    return all;
  }
};

TEST_F(SchedulerTest, RunsEachJobOnceForEachFiring) {
  auto a = host({fake_task("backup", "0 2 * * *"), fake_task("verify", "30 3 * * sun")});
  for (int minute = 0; minute < 8 * 24 * 60; ++minute) {
    a->round();
    a->end("care/backup");
    a->end("care/verify");
    clock_.advance(minutes(1));
  }
  EXPECT_EQ(firings("care/backup").size(), 8u);
  EXPECT_EQ(firings("care/verify"), std::vector<std::string>{"11-15T03:30"});
  EXPECT_EQ(a->events.ends.size(), 9u);
  EXPECT_TRUE(a->events.misses.empty());
}

TEST_F(SchedulerTest, TellsWhenTheNextRoundHasToBe) {
  auto a = host({fake_task("backup", "0 2 * * *")});
  EXPECT_EQ(a->round(), kStart + minutes(1));  // clocks can be set
  clock_.advance(hours(2) - std::chrono::seconds(10));
  EXPECT_EQ(a->round(), kStart + hours(2));
}

TEST_F(SchedulerTest, AfterDowntimeOneRunStandsForAllAndTheOthersAreTold) {
  auto a = host({fake_task("backup", "0 2 * * *")});
  a->round();
  a->die();
  clock_.advance(hours(3 * 24 + 5));
  a->come_back();
  a->round();
  EXPECT_EQ(firings("care/backup"), std::vector<std::string>{"11-13T02:00"});
  EXPECT_EQ(a->events.missed_count(MissReason::away), 3);
  EXPECT_EQ(a->scheduler().view().jobs[0].missed, 3u);
  EXPECT_THAT(a->log.text(), HasSubstr("begins, late"));
}

TEST_F(SchedulerTest, AKilledRunIsToldAndNotRepeated) {
  auto a = host({fake_task("backup", "0 2 * * *")});
  a->round();
  clock_.advance(hours(2));
  a->round();
  ASSERT_EQ(ledger_.size(), 1u);
  a->die();  // in the middle of the run
  clock_.advance(minutes(1));
  a->come_back();
  a->round();
  EXPECT_EQ(ledger_.size(), 1u);
  EXPECT_EQ(a->events.missed_count(MissReason::interrupted), 1);
  a->round();
  EXPECT_EQ(a->events.misses.size(), 1u);  // once
  clock_.advance(hours(24));
  a->round();
  EXPECT_EQ(firings("care/backup"), (std::vector<std::string>{"11-10T02:00", "11-11T02:00"}));
}

TEST_F(SchedulerTest, ARunWhoseTimeComesWhileTheJobRunsIsMissed) {
  auto a = host({fake_task("backup", "0 * * * *")});
  a->round();
  for (int hour = 0; hour < 4; ++hour) {
    clock_.advance(hours(1));
    a->round();
  }
  EXPECT_EQ(ledger_.size(), 1u);  // that of midnight, which nothing ended
  EXPECT_EQ(a->events.missed_count(MissReason::overlapped), 4);
}

TEST_F(SchedulerTest, TheStateIsStoredBeforeAnythingIsStarted) {
  auto a = host({fake_task("backup", "0 2 * * *")});
  a->round();
  clock_.advance(hours(2));
  auto stored = [&] { return read_schedule_state(read_file(a->state_path(), 1 << 20)); };
  JobRecord at_start;
  a->runner.on_start = [&] { at_start = stored()["care/backup"].record; };
  a->round();
  EXPECT_EQ(at_start.started, std::vector{kStart + hours(2)});
  EXPECT_EQ(at_start.began, kStart + hours(2));
  EXPECT_FALSE(at_start.ended);
}

TEST_F(SchedulerTest, AJobThatCannotBeStartedHasFailed) {
  auto a = host({fake_task("backup", "0 2 * * *")});
  a->round();
  clock_.advance(hours(2));
  a->runner.fail(true);
  a->round();
  ScheduleState state = read_schedule_state(read_file(a->state_path(), 1 << 20));
  EXPECT_EQ(state["care/backup"].last_exit_code, kExitFailed);
  ASSERT_EQ(a->events.ends.size(), 1u);
  EXPECT_EQ(a->events.ends[0].second.exit_code, kExitFailed);
  a->round();
  EXPECT_EQ(a->events.ends.size(), 1u);  // not tried again and again
}

TEST_F(SchedulerTest, AStateThatCannotBeStoredKeepsNoJobFromRunning) {
  auto a = host({fake_task("backup", "0 2 * * *")});
  a->round();
  // A folder in its place: also root cannot write there.
  remove_tree(a->state_path());
  make_folders(a->state_path() + "/in-the-way");
  clock_.advance(hours(2));
  a->round();
  EXPECT_EQ(ledger_.size(), 1u);
  EXPECT_NE(a->scheduler().view().problem, "");
  EXPECT_THAT(a->log.text(), HasSubstr("cannot be stored"));
  remove_tree(a->state_path());
  clock_.advance(minutes(1));
  a->round();
  EXPECT_EQ(a->scheduler().view().problem, "");
}

TEST_F(SchedulerTest, ADamagedStateIsSetAsideAndAllJobsAreNew) {
  auto a = host({fake_task("backup", "0 2 * * *")});
  a->round();
  a->die();
  write_file_atomic(a->state_path(), "{\"format\": \"holdfast-schedule\"");
  a->come_back();
  EXPECT_THAT(a->log.text(), HasSubstr("damaged"));
  EXPECT_TRUE(file_exists(a->state_path() + ".damaged"));
  clock_.advance(hours(2));
  a->round();
  clock_.advance(hours(24));
  a->end("care/backup");
  a->round();
  EXPECT_FALSE(ledger_.empty());
}

TEST_F(SchedulerTest, ARunThatFoundItsStoresInUseIsMissed) {
  auto a = host({fake_task("backup", "0 2 * * *")});
  a->round();
  clock_.advance(hours(2));
  a->round();
  JobEnd end;
  end.exit_code = kExitLocked;
  end.locked_out = true;
  a->jobs.ends["care/backup"] = end;
  a->round();
  EXPECT_EQ(a->events.missed_count(MissReason::overlapped), 1);
  EXPECT_TRUE(a->events.ends.empty());
}

TEST_F(SchedulerTest, TheWorstExitCodeIsTheAnswer) {
  EXPECT_EQ(worse_exit_code(kExitDone, kExitLocked), kExitLocked);
  EXPECT_EQ(worse_exit_code(kExitDamage, kExitFailed), kExitDamage);
  EXPECT_EQ(worse_exit_code(kExitPartial, 139), 139);
  auto a = host({fake_task("backup", "0 2 * * *"), fake_task("prune", "0 2 * * *")});
  a->round();
  clock_.advance(hours(2));
  a->round();
  a->end("care/backup", kExitPartial);
  a->end("care/prune", kExitDone);
  EXPECT_EQ(a->scheduler().finish(), kExitPartial);
  EXPECT_EQ(a->scheduler().running(), 0u);
}

TEST_F(SchedulerTest, StopsWhatRunsAndTellsHowItEnded) {
  auto a = host({fake_task("backup", "0 2 * * *")});
  a->round();
  clock_.advance(hours(2));
  a->round();
  a->scheduler().stop_runs();
  EXPECT_EQ(a->scheduler().finish(), kExitInterrupted);
  ASSERT_EQ(a->events.ends.size(), 1u);
  EXPECT_TRUE(a->events.ends[0].second.stopped);
}

// --- several hosts ---

TEST_F(SchedulerTest, AnotherHostsRunIsNoneOfOursAndNotMissedEither) {
  FiringClaims claims_a(*store_, "care", "db", "a"), claims_b(*store_, "care", "db", "b");
  auto a = host({fake_task("backup", "0 2 * * *", &claims_a)}, "a");
  auto b = host({fake_task("backup", "0 2 * * *", &claims_b)}, "b");
  a->round();
  b->round();
  b->die();
  for (int day = 0; day < 3; ++day) {
    clock_.advance(day == 0 ? hours(2) : hours(24));
    a->round();
    a->end("care/backup");
    a->round();
  }
  clock_.advance(minutes(30));
  b->come_back();
  b->round();
  b->round();
  EXPECT_EQ(ledger_.size(), 3u);
  EXPECT_TRUE(b->events.misses.empty());
  EXPECT_TRUE(b->events.ends.empty());
  EXPECT_THAT(b->log.text(), HasSubstr("another host's"));
}

// No firing is run twice, and none is left out while a host is there that has nothing else to do,
// whatever the order of their rounds and whenever one of them dies.
TEST(SchedulerHosts, EachFiringRunsOnceOnEitherOverRandomHistories) {
  EXPECT_TRUE(rc::check([] {
    ManualClock clock(kStart);
    Ledger ledger;
    TempFolder folder("store");
    auto store = make_local_store(folder.path());
    FiringClaims claims[] = {{*store, "care", "db", "a"}, {*store, "care", "db", "b"}};
    std::vector<std::unique_ptr<FakeHost>> hosts;
    for (size_t i = 0; i < 2; ++i) {
      std::vector<ScheduledTask> tasks = {fake_task("backup", "*/10 * * * *", &claims[i])};
      hosts.push_back(std::make_unique<FakeHost>(i == 0 ? "a" : "b", tasks, clock, ledger));
      hosts.back()->round();
    }
    bool busy[] = {true, true};  // at any round since the newest firing
    for (int minute = 1; minute < 120; ++minute) {
      clock.advance(minutes(1));
      UtcTime newest = kStart + minutes(minute / 10 * 10);
      if (minute % 10 == 0) busy[0] = busy[1] = false;
      size_t first = *rc::gen::inRange<size_t>(0, 2);
      for (size_t i : {first, 1 - first}) {
        FakeHost& each = *hosts[i];
        int what = *rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, 12));
        if (what == 0 && each.up()) each.die();
        if (what == 1 && !each.up()) each.come_back();
        if (!each.up()) continue;
        if (what < 6) each.end("care/backup");
        busy[i] = busy[i] || each.scheduler().running() > 0;
        each.round();
        bool run = std::any_of(ledger.begin(), ledger.end(),
                               [&](const LedgerLine& line) { return line.firing == newest; });
        RC_ASSERT(run || busy[i]);
      }
    }
    std::set<UtcTime> seen;
    for (const LedgerLine& line : ledger) RC_ASSERT(seen.insert(line.firing).second);
  }));
}

// Without deaths nothing is missed by anybody, and every firing is run.
TEST(SchedulerHosts, NoFiringIsLostWhileBothAreThere) {
  EXPECT_TRUE(rc::check([] {
    ManualClock clock(kStart);
    Ledger ledger;
    TempFolder folder("store");
    auto store = make_local_store(folder.path());
    FiringClaims claims[] = {{*store, "care", "db", "a"}, {*store, "care", "db", "b"}};
    FakeHost a("a", {fake_task("backup", "*/10 * * * *", &claims[0])}, clock, ledger);
    FakeHost b("b", {fake_task("backup", "*/10 * * * *", &claims[1])}, clock, ledger);
    a.round(), b.round();
    for (int minute = 0; minute < 120; ++minute) {
      clock.advance(minutes(1));
      bool swap = *rc::gen::arbitrary<bool>();
      (swap ? b : a).round();
      (swap ? a : b).round();
      a.end("care/backup"), b.end("care/backup");
    }
    RC_ASSERT(ledger.size() == 13u);  // with that of the start
    std::set<UtcTime> seen;
    for (const LedgerLine& line : ledger) RC_ASSERT(seen.insert(line.firing).second);
    RC_ASSERT(a.events.misses.empty() && b.events.misses.empty());
  }));
}

TEST_F(SchedulerTest, ClaimsTellSourcesDatabasesJobsAndFiringsApart) {
  FiringClaims care(*store_, "care", "db1", "a"), same(*store_, "care", "db1", "b");
  FiringClaims other(*store_, "care", "db2", "b"), odd(*store_, "ca/re ü", "db1", "a");
  EXPECT_TRUE(care.claim("backup", kStart, kStart));
  EXPECT_FALSE(same.claim("backup", kStart, kStart));
  EXPECT_TRUE(other.claim("backup", kStart, kStart));
  EXPECT_TRUE(odd.claim("backup", kStart, kStart));
  EXPECT_TRUE(same.claim("verify", kStart, kStart));
  EXPECT_TRUE(same.claim("backup", kStart + hours(24), kStart));
  EXPECT_EQ(care.claimed_between("backup", kStart, kStart + hours(24)), 2u);
  EXPECT_EQ(care.claimed_between("backup", kStart + minutes(1), kStart + hours(24)), 1u);
  EXPECT_EQ(care.claimed_between("prune", kStart, kStart + hours(24)), 0u);
}

TEST_F(SchedulerTest, TheWinnerRemovesOldClaimsAndNothingElse) {
  UtcTime now = SystemClock().now() + hours(9 * 24);  // the files' own times are the system's
  FiringClaims claims(*store_, "care", "db", "a");
  EXPECT_TRUE(claims.claim("backup", now - hours(8 * 24), now - hours(8 * 24)));
  EXPECT_TRUE(claims.claim("backup", now - hours(6 * 24), now - hours(6 * 24)));
  write_object(*store_, "schedule/notes.txt", as_bytes(std::string("mine")));
  write_object(*store_, "care_2026-11-10T00-00-00-000Z.dump", as_bytes(std::string("x")));
  EXPECT_TRUE(claims.claim("backup", now, now));
  EXPECT_EQ(store_->list("schedule/").size(), 3u);
  EXPECT_EQ(claims.claimed_between("backup", now - hours(100 * 24), now), 2u);
  EXPECT_EQ(store_->list("").size(), 4u);
}

// --- the state file ---

UtcTime any_time() {
  return UtcTime(std::chrono::milliseconds(*rc::gen::inRange<int64_t>(0, 4'000'000'000'000)));
}

TEST(ScheduleStateFile, IsReadAsItWasWritten) {
  EXPECT_TRUE(rc::check([] {
    ScheduleState state;
    int jobs = *rc::gen::inRange(0, 4);
    for (int i = 0; i < jobs; ++i) {
      ScheduledJobState job;
      job.record.schedule = "0 2 * * * Europe/Berlin";
      if (*rc::gen::arbitrary<bool>()) job.record.settled = any_time();
      int started = *rc::gen::inRange(0, 5);
      for (int k = 0; k < started; ++k) job.record.started.push_back(any_time());
      if (*rc::gen::arbitrary<bool>()) job.record.began = any_time();
      if (*rc::gen::arbitrary<bool>()) job.record.ended = any_time();
      if (*rc::gen::arbitrary<bool>()) job.last_exit_code = *rc::gen::inRange(0, 256);
      job.missed = static_cast<uint64_t>(*rc::gen::inRange(0, 1000));
      state["care " + std::to_string(i) + "/backup"] = job;
    }
    RC_ASSERT(read_schedule_state(write_schedule_state(state)) == state);
  }));
}

TEST(ScheduleStateFile, EveryChangedByteIsFound) {
  ScheduleState state;
  state["care/backup"].record.schedule = "0 2 * * * UTC";
  state["care/backup"].record.settled = kStart;
  std::string text = write_schedule_state(state);
  for (size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_ERROR(corrupt, read_schedule_state(changed));
    EXPECT_ERROR(corrupt, read_schedule_state(text.substr(0, i)));
  }
}

TEST(ScheduleStateFile, ALaterVersionIsRefusedAndStaysWhereItIs) {
  TempFolder folder("state");
  KeptLog log;
  std::string text = write_schedule_state({});
  text.replace(text.find("\"version\": 1"), 12, "\"version\": 2");
  text.resize(text.rfind(",\n  \"state_sha256"));
  std::string path = folder.path() + "/schedule.json";
  write_file_atomic(path, seal_document(text, "state_sha256"));
  EXPECT_ERROR_SAYING(unsupported, "version 2", load_schedule_state(path, log));
  EXPECT_TRUE(file_exists(path));
}

}  // namespace
}  // namespace holdfast
