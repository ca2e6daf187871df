#include "dump/hook.h"

#include <gtest/gtest.h>

#include "base/lines_log.h"

namespace holdfast {
namespace {

class HookTest : public ::testing::Test {
 protected:
  HookTest() {
    setting_.environment["PATH"] = "/usr/bin:/bin";
    setting_.database_url = Secret("postgresql://u:p%40ss@h:1/d");
    setting_.password = Secret("p@ss");
    setting_.backup_id = "care_x";
    setting_.database = "care";
  }
  HookOutcome run(const std::string& command) {
    return run_hook({"migrate", command}, setting_, run_);
  }

  SystemClock clock_;
  LinesLog log_;
  NullProgress progress_;
  std::stop_source stop_;
  holdfast::Run run_{clock_, log_, progress_, stop_.get_token()};
  HookSetting setting_;
};

TEST_F(HookTest, OutputIsLoggedWithoutThePassword) {
  HookOutcome outcome =
      run("echo \"$HOLDFAST_BACKUP_ID $HOLDFAST_DATABASE\"; echo \"$DATABASE_URL\" >&2;"
          " printf 'p@ss, no line end'; exit 3");
  EXPECT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_EQ(log_.lines,
            (std::vector<std::string>{"migrate: care_x care", "migrate: postgresql://u:***@h:1/d",
                                      "migrate: ***, no line end"}));
}

TEST_F(HookTest, OneThatClosesItsOutputIsWaitedFor) {
  EXPECT_TRUE(run("exec >&- 2>&-; sleep 0.3").ok());
}

TEST_F(HookTest, WhatItLeavesBehindIsNotWaitedFor) {
  HookOutcome outcome = run("sleep 60 & echo done");
  EXPECT_TRUE(outcome.ok());
  EXPECT_LT(outcome.seconds, 30);
}

TEST_F(HookTest, ItsTimeIsLimited) {
  setting_.limit_seconds = 0.3;
  HookOutcome outcome = run("echo begun; sleep 60");
  EXPECT_NE(outcome.error.find("time limit"), std::string::npos) << outcome.error;
  EXPECT_LT(outcome.seconds, 30);
  EXPECT_EQ(log_.lines, std::vector<std::string>{"migrate: begun"});
}

TEST_F(HookTest, AnInterruptEndsIt) {
  stop_.request_stop();
  EXPECT_THROW(run("sleep 60"), Error);
}

}  // namespace
}  // namespace holdfast
