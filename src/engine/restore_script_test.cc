#include "engine/restore_script.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "base/file.h"
#include "base/process.h"

namespace holdfast {
namespace {

constexpr char kSegmentName[] = "000000010000000000000002";

class RestoreScriptTest : public testing::Test {
 protected:
  RestoreScriptTest() {
    for (const std::string& each : {own_, parent_}) make_folders(each);
    put(parent_ + "/" + kSegmentName, "complete");
    put(parent_ + "/000000010000000000000003.partial", "growing");
    put(own_ + "/000000020000000000000003", "ours");
    put(own_ + "/00000002.history", "history");
    put(own_ + "/00000003.history", "somebody else's");
    script_.segments = {{1, {parent_}}, {2, {own_, parent_}}};
    script_.histories = {own_ + "/00000002.history"};
  }

  static void put(const std::string& path, const std::string& content) {
    std::ofstream(path) << content;
  }

  // The exit code; what was fetched is in fetched_.
  int fetch(const std::string& name) {
    std::string path = temporary_.path() + "/script", target = temporary_.path() + "/target";
    put(path, restore_script(script_));
    ::unlink(target.c_str());
    ProcessOptions options;
    options.argv = {"/bin/sh", path, name, target};
    options.env = clean_environment();
    int code = run_process(options).exit_code;
    fetched_ = file_exists(target) ? read_file(target, 1000) : "";
    return code;
  }

  TempFolder temporary_{"hf it's a \"script\" $HOME-"};
  std::string own_ = temporary_.path() + "/own line", parent_ = temporary_.path() + "/main";
  RestoreScript script_;
  std::string fetched_;
};

TEST_F(RestoreScriptTest, ServesWhatItsLineageHas) {
  EXPECT_EQ(fetch(kSegmentName), 0);
  EXPECT_EQ(fetched_, "complete");
  EXPECT_EQ(fetch("000000010000000000000003"), 0);
  EXPECT_EQ(fetched_, "growing");
  EXPECT_EQ(fetch("000000020000000000000003"), 0);
  EXPECT_EQ(fetched_, "ours");
  EXPECT_EQ(fetch("00000002.history"), 0);
  EXPECT_EQ(fetched_, "history");
}

TEST_F(RestoreScriptTest, CompleteComesBeforePartialWhereverItIs) {
  put(own_ + "/000000020000000000000004.partial", "part");
  put(parent_ + "/000000020000000000000004", "whole");
  EXPECT_EQ(fetch("000000020000000000000004"), 0);
  EXPECT_EQ(fetched_, "whole");
}

TEST_F(RestoreScriptTest, SaysThatSomethingIsNotThereOnlyWhereThatIsSo) {
  EXPECT_EQ(fetch("000000010000000000000009"), 1);
  EXPECT_EQ(fetch("000000030000000000000002"), 1);  // no timeline of ours
  EXPECT_EQ(fetch("00000003.history"), 1);
  EXPECT_EQ(fetched_, "");
  ASSERT_EQ(std::rename(parent_.c_str(), (parent_ + ".away").c_str()), 0);
  EXPECT_EQ(fetch(kSegmentName), 255);
  put(parent_, "a file where the folder was");
  EXPECT_EQ(fetch(kSegmentName), 255);
}

TEST_F(RestoreScriptTest, AFileThatCannotBeCopiedIsNoAbsence) {
  std::string path = parent_ + "/" + kSegmentName;
  ::unlink(path.c_str());
  ASSERT_EQ(::mkdir(path.c_str(), 0700), 0);  // cp refuses a folder, for root, too
  EXPECT_EQ(fetch(kSegmentName), 255);
}

TEST(RestoreCommand, QuotesForPostgresqlAndTheShell) {
  EXPECT_EQ(restore_command("/a b/50%"), "/bin/sh '/a b/50%%' \"%f\" \"%p\"");
  EXPECT_EQ(shell_word("it's"), "'it'\\''s'");
}

}  // namespace
}  // namespace holdfast
