#include "dump/preflight.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/lines_log.h"

namespace holdfast {
namespace {

class PreflightTest : public ::testing::Test {
 protected:
  ManualClock clock_{UtcTime{}};
  LinesLog log_;
  NullProgress progress_;
  std::stop_source stop_;
  holdfast::Run run_{clock_, log_, progress_, stop_.get_token()};
};

TEST_F(PreflightTest, NotesAreSaidAndTheFirstFailureIsThrown) {
  std::vector<Finding> findings = {
      {FindingLevel::ok, "connection", "fine", "", ErrorCode::internal},
      {FindingLevel::note, "clock", "clocks differ", "follow NTP", ErrorCode::internal},
      {FindingLevel::failure, "row security", "hidden rows", "BYPASSRLS", ErrorCode::denied},
      {FindingLevel::failure, "store", "disk full", "free some", ErrorCode::unavailable}};
  try {
    require_preflight(findings, 1, run_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::denied);
    EXPECT_STREQ(error.what(), "row security: hidden rows");
    EXPECT_EQ(error.hint(), "BYPASSRLS");
  }
  ASSERT_EQ(log_.lines.size(), 1u);
  EXPECT_EQ(log_.lines[0], "clocks differ (follow NTP)");
}

TEST_F(PreflightTest, AnUnreachableServerIsOneFailureAmongTheOtherChecks) {
  DumpOptions options;  // port 1 of this machine, where nothing listens
  options.source = Conninfo::parse("host=127.0.0.1 port=1 user=ann dbname=care password=SECRET");
  options.client_folder = "/nonexistent";
  std::vector<Finding> findings = preflight(options, {}, run_).findings;
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[0].check, "connection");
  EXPECT_EQ(findings[0].code, ErrorCode::unavailable);
  EXPECT_EQ(findings[1].check, "client version");
  EXPECT_EQ(findings[1].code, ErrorCode::unsupported);
  for (const Finding& finding : findings) {
    EXPECT_EQ(finding.level, FindingLevel::failure);
    EXPECT_FALSE(finding.hint.empty());
    EXPECT_EQ((finding.message + finding.hint).find("SECRET"), std::string::npos);
  }
}

TEST_F(PreflightTest, StopsWhenTheUserAsks) {
  stop_.request_stop();
  try {
    preflight(DumpOptions(), {}, run_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::cancelled);
  }
}

}  // namespace
}  // namespace holdfast
