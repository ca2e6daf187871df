#include "engine/server_process.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace holdfast {
namespace {

TEST(ServerProcess, ReadsWhatPostgresqlWrites) {
  auto file = parse_postmaster_file(
      "4711\n/data\n1790000000\n15500\n/run\n127.0.0.1\n  5432001   32768\nready   \n");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->pid, 4711);
  EXPECT_EQ(file->port, 15500);
  EXPECT_EQ(file->status, "ready");
  auto young = parse_postmaster_file("4711\n/data\n1790000000\n15500\n");
  ASSERT_TRUE(young);
  EXPECT_EQ(young->status, "");
}

TEST(ServerProcess, BelievesNoTornFile) {
  for (const char* text : {"", "\n", "x\n", "-5\n", "0\n", "99999999999999999999\n", "12a\n"})
    EXPECT_FALSE(parse_postmaster_file(text)) << text;
}

TEST(ServerProcess, AnotherProgramsIdIsNoServer) {
  TempFolder folder("holdfast-server-process-test-");
  EXPECT_FALSE(find_server(folder.path()));
  // Ours, as if it had been reused after a power cut.
  std::string file = folder.path() + "/postmaster.pid";
  write_file_atomic(file, fmt::format("{}\n{}\n1\n15500\n\n\n\nready\n", getpid(), folder.path()));
  EXPECT_FALSE(find_server(folder.path()));
  remove_stale_postmaster_file(folder.path());
  EXPECT_FALSE(file_exists(file));
  // One that nobody has is left to PostgreSQL.
  write_file_atomic(file, fmt::format("{}\n", 1 << 30));
  EXPECT_FALSE(find_server(folder.path()));
  remove_stale_postmaster_file(folder.path());
  EXPECT_TRUE(file_exists(file));
}

}  // namespace
}  // namespace holdfast
