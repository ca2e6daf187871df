// Jobs as processes: exit codes, output, limits, locked stores, claims. Real processes of /bin/sh.
#include "serve/job_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/process.h"
#include "base/text.h"
#include "serve/scheduler_fakes.h"
#include "store/local_store.h"

namespace holdfast {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::Not;

class JobRunTest : public ::testing::Test {
 protected:
  SystemClock clock_;
  KeptLog log_;
  NullProgress progress_;
  holdfast::Run run_{clock_, log_, progress_, {}};
  TempFolder folder_{"job"};
  ProcessRunnerSettings settings_;
  ScheduledTask task_ = fake_task("backup", "0 2 * * *");
  std::unique_ptr<JobRunner> runner_;
  const UtcTime firing_ = parse_rfc3339("2026-11-10T02:00:00.000Z");

  std::unique_ptr<JobRun> start(const std::string& script) {
    settings_.env = clean_environment();
    settings_.env["SECRET"] = "of the environment";
    task_.argv = {"/bin/sh", "-c", script};
    runner_ = make_process_runner(settings_, run_);
    return runner_->start(task_, firing_);
  }
  JobEnd end_of(const std::string& script) { return start(script)->wait(); }
  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }
  void wait_for_file(const std::string& name) {
    while (!file_exists(path(name))) std::this_thread::yield();
  }
};

TEST_F(JobRunTest, TellsTheExitCodeAndWhatWasSaid) {
  JobEnd end = end_of("echo made it; echo with care >&2; exit 3");
  EXPECT_EQ(end.exit_code, 3);
  EXPECT_EQ(end.firing, firing_);
  EXPECT_FALSE(end.elsewhere || end.stopped || end.over_limit || end.locked_out);
  EXPECT_THAT(log_.text(), HasSubstr("care/backup | made it\n"));
  EXPECT_THAT(log_.text(), HasSubstr("care/backup | with care\n"));
  EXPECT_EQ(end_of("kill -9 $$").exit_code, 128 + 9);
  EXPECT_EQ(end_of("test \"$SECRET\" = 'of the environment'").exit_code, 0);
}

TEST_F(JobRunTest, AChattyJobNeitherBlocksNorFillsTheLog) {
  JobEnd end = end_of("yes out | head -n 200000; yes err | head -n 200000 >&2");
  EXPECT_EQ(end.exit_code, 0);
  EXPECT_LT(log_.text().size(), size_t{64} << 10);
}

TEST_F(JobRunTest, AProgramThatIsNotThereIsAFailure) {
  settings_.env = clean_environment();
  task_.argv = {"/nonexistent/holdfast", "backup"};
  runner_ = make_process_runner(settings_, run_);
  EXPECT_NE(runner_->start(task_, firing_)->wait().exit_code, 0);
  EXPECT_THAT(log_.text(), HasSubstr("/nonexistent/holdfast"));
}

TEST_F(JobRunTest, AJobThatHangsIsStoppedAtItsLimit) {
  settings_.limit = milliseconds(1);
  JobEnd end = end_of("trap 'exit 7' TERM; while :; do sleep 0.01; done");
  EXPECT_TRUE(end.over_limit);
  EXPECT_FALSE(end.stopped);
  EXPECT_NE(end.exit_code, 0);
}

TEST_F(JobRunTest, AJobThatDoesNotStopIsKilledWithItsGroup) {
  settings_.stop_grace = milliseconds(1);
  auto run = start("trap '' TERM; sleep 1000 & echo $! > " + path("pid.new") + "; mv " +
                   path("pid.new") + " " + path("pid") + "; while :; do wait; done");
  wait_for_file("pid");
  run->stop();
  JobEnd end = run->wait();
  EXPECT_TRUE(end.stopped);
  EXPECT_EQ(end.exit_code, 128 + 9);
  EXPECT_THAT(log_.text(), HasSubstr("is killed"));
  std::string child(trim(read_file(path("pid"), 100)));
  // Gone, or a zombie that its new parent has not looked at; a killed process takes a moment to
  // end.
  std::string stat = "/proc/" + child + "/stat";
  auto gone = [&] {
    try {
      return read_file(stat, 4096).find(") Z ") != std::string::npos;
    } catch (const Error&) {
      return true;
    }
  };
  for (int i = 0; i < 1000 && !gone(); ++i) std::this_thread::sleep_for(milliseconds(10));
  EXPECT_TRUE(gone());
}

TEST_F(JobRunTest, AStopIsAskedForInOrder) {
  auto run =
      start("trap 'exit 130' TERM; touch " + path("there") + "; while :; do sleep 0.01; done");
  wait_for_file("there");
  EXPECT_FALSE(run->ended());
  run->stop();
  JobEnd end = run->wait();
  EXPECT_TRUE(end.stopped);
  EXPECT_EQ(end.exit_code, 130);
}

TEST_F(JobRunTest, StoresThatAreInUseAreTriedAgain) {
  settings_.retry_every = milliseconds(1);
  JobEnd end = end_of("echo x >> " + path("tries") + "; test $(wc -l < " + path("tries") +
                      ") -ge 3 || exit 6");
  EXPECT_EQ(end.exit_code, 0);
  EXPECT_FALSE(end.locked_out);
  EXPECT_EQ(read_file(path("tries"), 100), "x\nx\nx\n");
}

TEST_F(JobRunTest, StoresThatStayInUseAreGivenUp) {
  settings_.retry_for = milliseconds(0);
  JobEnd end = end_of("exit 6");
  EXPECT_TRUE(end.locked_out);
  EXPECT_EQ(end.exit_code, kExitLocked);
}

TEST_F(JobRunTest, OneHostRunsWhatItClaimed) {
  auto store = make_local_store(path("store"));
  FiringClaims ours(*store, "care", "db", "a"), theirs(*store, "care", "db", "b");
  task_.claims = &ours;
  EXPECT_FALSE(end_of("touch " + path("ran")).elsewhere);
  EXPECT_TRUE(file_exists(path("ran")));
  task_.claims = &theirs;
  EXPECT_TRUE(end_of("touch " + path("ran-twice")).elsewhere);
  EXPECT_FALSE(file_exists(path("ran-twice")));
}

TEST_F(JobRunTest, AStoreThatCannotSayKeepsNobodyFromRunning) {
  write_file_atomic(path("file"), "");  // in the way of a folder
  auto store = make_local_store(path("file"));
  FiringClaims claims(*store, "care", "db", "a");
  task_.claims = &claims;
  JobEnd end = end_of("touch " + path("ran"));
  EXPECT_EQ(end.exit_code, 0);
  EXPECT_TRUE(file_exists(path("ran")));
  EXPECT_THAT(log_.text(), HasSubstr("cannot be asked"));
}

TEST_F(JobRunTest, AnswersOfShortCommands) {
  auto ask = [](const std::string& script, milliseconds limit, const std::stop_token& stop = {}) {
    return ask_program({"/bin/sh", "-c", script}, clean_environment(), {0, 5}, limit, stop);
  };
  EXPECT_EQ(ask("echo up", std::chrono::minutes(5)), "up\n");
  EXPECT_EQ(ask("echo up; exit 5", std::chrono::minutes(5)), "up\n");
  EXPECT_EQ(ask("echo up; exit 1", std::chrono::minutes(5)), std::nullopt);
  EXPECT_EQ(ask("sleep 1000", milliseconds(1)), std::nullopt);
  EXPECT_EQ(ask("yes", std::chrono::minutes(5)), std::nullopt);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(ask("sleep 1000", std::chrono::minutes(5), stop.get_token()), std::nullopt);
}

}  // namespace
}  // namespace holdfast
