#include "pg/client_tools.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

namespace holdfast {
namespace {

ClientTools installed(int major) {
  ClientTools tools;
  tools.major = major;
  tools.version = std::to_string(major) + ".1";
  tools.folder = "/pg/" + std::to_string(major);
  return tools;
}

// A folder with programs that say they are of this version.
void make_programs(const std::string& folder, const std::string& version) {
  make_folders(folder);
  for (const char* program : {"pg_dump", "pg_restore"})
    write_file_atomic(
        folder + "/" + program,
        "#!/bin/sh\necho \"" + std::string(program) + " (PostgreSQL) " + version + "\"\n", 0700);
}

TEST(ClientToolsTest, ReadsVersions) {
  EXPECT_EQ(client_version_in("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
            "15.18 (Debian 15.18-0+deb12u1)");
  EXPECT_EQ(client_version_in("pg_dump (PostgreSQL) 18beta1\n"), "18beta1");
  EXPECT_EQ(client_version_in("Error: You must install a client package\n"), "");
}

TEST(ClientToolsTest, ChoosesTheSameMajorThenTheNextNewer) {
  std::vector<ClientTools> found = {installed(13), installed(15), installed(17)};
  EXPECT_EQ(choose_client_tools(found, 15).major, 15);
  EXPECT_EQ(choose_client_tools(found, 14).major, 15);
  EXPECT_EQ(choose_client_tools(found, 16).major, 17);
}

TEST(ClientToolsTest, RefusesOlderClients) {
  try {
    choose_client_tools({installed(13), installed(15)}, 17);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported);
    EXPECT_STREQ(error.what(), "pg_dump 15 is older than the server (17)");
    EXPECT_NE(error.hint().find("postgresql-client-17"), std::string::npos);
    EXPECT_NE(error.hint().find("--pg-bindir"), std::string::npos);
  }
  EXPECT_THROW(choose_client_tools({}, 17), Error);
}

TEST(ClientToolsTest, TheGivenFolderWinsForItsMajor) {
  TempFolder folder("holdfast-test-");
  std::string bin = folder.path() + "/bin";
  make_programs(bin, "95.3 (test)");
  std::vector<ClientTools> found = find_client_tools(bin);
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found.back().major, 95);
  EXPECT_EQ(found.back().version, "95.3 (test)");
  EXPECT_TRUE(found.back().has("pg_restore"));
  EXPECT_FALSE(found.back().has("postgres"));
  EXPECT_EQ(choose_client_tools(found, 95).folder, found.back().folder);
}

TEST(ClientToolsTest, PassesOverWrappersAndBrokenPrograms) {
  TempFolder folder("holdfast-test-");
  std::string wrapped = folder.path() + "/wrapped", broken = folder.path() + "/broken";
  std::string lone = folder.path() + "/lone";
  make_programs(broken, "");
  make_folders(wrapped);
  // As Debian's: both names lead to a script elsewhere.
  write_file_atomic(folder.path() + "/wrapper", "#!/bin/sh\necho pg_dump '(PostgreSQL)' 96.1\n",
                    0700);
  for (const char* program : {"/pg_dump", "/pg_restore"})
    ASSERT_EQ(::symlink("../wrapper", (wrapped + program).c_str()), 0);
  make_programs(lone, "97.1");
  ASSERT_EQ(::unlink((lone + "/pg_restore").c_str()), 0);
  for (const std::string& bin : {wrapped, broken, lone, folder.path() + "/none"})
    for (const ClientTools& tools : find_client_tools(bin)) EXPECT_LT(tools.major, 95) << bin;
}

}  // namespace
}  // namespace holdfast
