#include "engine/folder_copy.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/file.h"

namespace holdfast {
namespace {

class FolderCopyTest : public testing::Test {
 protected:
  FolderCopyTest() { make_folders(from_ + "/base/1"); }

  void put(const std::string& path, const std::string& content) {
    std::ofstream(from_ + "/" + path) << content;
  }
  std::string got(const std::string& path) { return read_file(to_ + "/" + path, 1 << 24); }
  static mode_t mode(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
    return info.st_mode & 07777;
  }

  TempFolder temporary_{"hf-copy-"};
  std::string from_ = temporary_.path() + "/from", to_ = temporary_.path() + "/to";
  SystemClock clock_;
  NullLog log_;
  NullProgress progress_;
  std::stop_source stop_;
  holdfast::Run run_{clock_, log_, progress_, stop_.get_token()};
  const std::function<bool(const std::string&)> all_ = [](const std::string&) { return false; };
};

TEST_F(FolderCopyTest, CopiesFilesAndFoldersPrivately) {
  std::string large(5'000'001, 'x');
  put("PG_VERSION", "15\n");
  put("empty", "");
  put("base/1/1259", large);
  put("skipped", "secret");
  make_folders(from_ + "/not/this");
  put("not/this/one", "secret");
  ::chmod((from_ + "/base").c_str(), 0755);
  ::chmod((from_ + "/PG_VERSION").c_str(), 0644);
  ASSERT_EQ(::symlink("/etc", (from_ + "/link").c_str()), 0);
  FolderCopy copy = copy_folder(
      from_, to_, [](const std::string& path) { return path == "skipped" || path == "not"; }, 3,
      run_);
  EXPECT_EQ(copy.files, 3u);
  EXPECT_EQ(copy.bytes, 3u + large.size());
  EXPECT_EQ(got("PG_VERSION"), "15\n");
  EXPECT_EQ(got("base/1/1259"), large);
  EXPECT_EQ(got("empty"), "");
  EXPECT_FALSE(file_exists(to_ + "/skipped"));
  EXPECT_FALSE(file_exists(to_ + "/not"));
  EXPECT_FALSE(file_exists(to_ + "/link"));
  EXPECT_EQ(mode(to_), 0700u);
  EXPECT_EQ(mode(to_ + "/base"), 0700u);
  EXPECT_EQ(mode(to_ + "/PG_VERSION"), 0600u);
  EXPECT_EQ(progress_.counters().bytes.load(), copy.bytes);
}

TEST_F(FolderCopyTest, HolesStayHoles) {
  {
    Fd file = open_file(from_ + "/sparse", O_WRONLY | O_CREAT);
    ASSERT_EQ(::pwrite(file.get(), "begin", 5, 0), 5);
    ASSERT_EQ(::pwrite(file.get(), "end", 3, 8 << 20), 3);
    ASSERT_EQ(::ftruncate(file.get(), 12 << 20), 0);
  }
  copy_folder(from_, to_, all_, 1, run_);
  EXPECT_EQ(got("sparse"), read_file(from_ + "/sparse", 1 << 24));
  EXPECT_LT(disk_bytes(to_), 4u << 20);
}

TEST_F(FolderCopyTest, WhatIsThereIsNotWrittenInto) {
  put("file", "x");
  make_folders(to_);
  EXPECT_THROW(copy_folder(from_, to_, all_, 1, run_), Error);
}

TEST_F(FolderCopyTest, StopsWhenAsked) {
  put("file", std::string(1000, 'x'));
  stop_.request_stop();
  EXPECT_THROW(copy_folder(from_, to_, all_, 1, run_), Error);
}

}  // namespace
}  // namespace holdfast
