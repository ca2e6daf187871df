// The keys' file: what is shown once, what is kept, and that two processes may share it.
#include "serve/api_keys.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <thread>

#include "base/expect_error.h"
#include "base/file.h"

namespace holdfast {
namespace {

class ApiKeysTest : public ::testing::Test {
 protected:
  TempFolder folder_{"keys"};
  std::string path_ = keys_path(folder_.path());
  ManualClock clock_{parse_rfc3339("2026-11-10T14:30:00.000Z")};
};

TEST_F(ApiKeysTest, AKeyIsShownOnceAndVerified) {
  ApiKeys keys(path_, clock_);
  NewApiKey first = keys.add("ci"), second = keys.add("ci");
  EXPECT_EQ(first.clear.reveal().size(), 46u);
  EXPECT_TRUE(first.clear.reveal().starts_with("hf_"));
  EXPECT_EQ(first.clear.reveal().find_first_not_of(
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
            std::string::npos);
  EXPECT_NE(first.clear.reveal(), second.clear.reveal());
  EXPECT_EQ(keys.verify(first.clear), first.key.id);
  EXPECT_EQ(keys.verify(second.clear), second.key.id);
  for (const std::string& wrong : {std::string(), std::string("hf_"), first.clear.reveal() + "x",
                                   first.clear.reveal().substr(3)})
    EXPECT_FALSE(keys.verify(Secret(wrong)));
  ASSERT_EQ(keys.list().size(), 2u);
  EXPECT_EQ(keys.list()[0].name, "ci");
  EXPECT_EQ(keys.list()[0].created_at, clock_.now());
}

TEST_F(ApiKeysTest, TheFileHoldsNoKeyAndIsPrivate) {
  NewApiKey made;
  {
    ApiKeys keys(path_, clock_);
    made = keys.add("ci");
  }
  std::string content = read_file(path_, 1 << 20);
  EXPECT_EQ(content.find(made.clear.reveal()), std::string::npos);
  EXPECT_EQ(content.find(made.clear.reveal().substr(3, 20)), std::string::npos);
  struct stat status {};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(ApiKeys(path_, clock_).verify(made.clear), made.key.id);
}

TEST_F(ApiKeysTest, WhatAnotherProcessDoesCountsAtOnce) {
  ApiKeys server(path_, clock_), command(path_, clock_);
  NewApiKey made = command.add("ci");
  EXPECT_EQ(server.verify(made.clear), made.key.id);
  EXPECT_EQ(command.revoke(made.key.id).name, "ci");
  EXPECT_FALSE(server.verify(made.clear));
  EXPECT_ERROR(not_found, command.revoke(made.key.id));
  EXPECT_GT(command.add("next").key.id, made.key.id) << "an id was used again";
}

TEST_F(ApiKeysTest, UsesAreWrittenOnceAMinute) {
  ApiKeys keys(path_, clock_);
  NewApiKey made = keys.add("ci");
  keys.write_uses();
  EXPECT_FALSE(keys.list()[0].last_used_at);
  keys.verify(made.clear);
  EXPECT_FALSE(keys.list()[0].last_used_at) << "verifying waits for the disk";
  keys.write_uses();
  UtcTime first = clock_.now();
  EXPECT_EQ(keys.list()[0].last_used_at, first);
  clock_.advance(std::chrono::seconds(59));
  keys.verify(made.clear);
  keys.write_uses();
  EXPECT_EQ(keys.list()[0].last_used_at, first);
  clock_.advance(std::chrono::seconds(1));
  keys.verify(made.clear);
  keys.write_uses();
  EXPECT_EQ(keys.list()[0].last_used_at, clock_.now());
}

TEST_F(ApiKeysTest, ManyThreadsAtOnce) {
  ApiKeys server(path_, clock_), command(path_, clock_);
  NewApiKey made = server.add("ci");
  std::vector<std::jthread> threads;
  std::atomic<int> refused = 0;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int j = 0; j < 500; ++j) {
        if (server.verify(made.clear) != made.key.id) ++refused;
        server.write_uses();
      }
    });
  for (int i = 0; i < 10; ++i) command.revoke(command.add("other").key.id);
  threads.clear();
  EXPECT_EQ(refused, 0);
}

TEST_F(ApiKeysTest, OtherFilesAndNamesAreRefused) {
  write_file_atomic(path_, std::string(5000, 'x'));
  EXPECT_ERROR(corrupt, ApiKeys(path_, clock_));
  EXPECT_ERROR(not_found, ApiKeys(folder_.path() + "/no/keys.db", clock_));
  std::string other = folder_.path() + "/other.db";
  ApiKeys keys(other, clock_);
  EXPECT_ERROR(invalid, keys.add(""));
  EXPECT_ERROR(invalid, keys.add("a\nb"));
}

}  // namespace
}  // namespace holdfast
