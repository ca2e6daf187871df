// The schedule as configured, and that what it keeps in a store is nobody's backup.
#include "cli/schedule_jobs.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/expect_error.h"
#include "cli/arguments.h"
#include "dump/catalog.h"
#include "store/local_store.h"

namespace holdfast {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class ScheduleJobsTest : public ::testing::Test {
 protected:
  SystemClock clock_;
  NullLog log_;
  NullProgress progress_;
  holdfast::Run run_{clock_, log_, progress_, {}};
  TempFolder folder_{"schedule-jobs"};
  Environment environment_ = {{"HOME", folder_.path()}};

  ScheduleSetup setup(const std::string& toml, std::vector<std::string> words = {}) {
    std::string file = folder_.path() + "/holdfast.toml";
    write_file_atomic(file, toml);
    words.insert(words.begin(), {"serve", "--config", file});
    return schedule_setup(Config::load(parse_arguments(words), environment_), run_);
  }
  static std::vector<std::string> names(const ScheduleSetup& setup) {
    std::vector<std::string> all;
    for (const ScheduledTask& task : setup.tasks)
      all.push_back(task.plan.name + " " + task.plan.schedule.to_string() + " " +
                    task.plan.zone.name());
    return all;
  }
};

TEST_F(ScheduleJobsTest, NothingIsScheduledUnlessSomebodySaysSo) {
  EXPECT_TRUE(setup("").tasks.empty());
  EXPECT_THAT(names(setup("[schedule]\nbackup = \"@daily\"\n")),
              ElementsAre("default/backup 0 0 * * * UTC"));
}

TEST_F(ScheduleJobsTest, ASourceHasItsOwnScheduleOrThatOfAll) {
  const std::string toml =
      "[schedule]\nbackup = \"0 2 * * *\"\nzone = \"UTC\"\n"
      "[source.care]\ndatabase_url = \"postgresql:///care\"\n"
      "[source.billing]\ndatabase_url = \"postgresql:///billing\"\n"
      "[source.billing.schedule]\nbackup = \"0 3 * * *\"\nverify = \"@weekly\"\njitter = 60\n";
  ScheduleSetup all = setup(toml);
  EXPECT_THAT(names(all), ElementsAre("care/backup 0 2 * * * UTC", "billing/backup 0 3 * * * UTC",
                                      "billing/verify 0 0 * * 0 UTC"));
  EXPECT_EQ(all.tasks[0].plan.jitter_max.count(), 0);
  EXPECT_EQ(all.tasks[1].plan.jitter_max.count(), 60);
  EXPECT_EQ(all.status_argvs.size(), 2u);
  EXPECT_THAT(names(setup(toml, {"--source", "care"})), ElementsAre("care/backup 0 2 * * * UTC"));
}

TEST_F(ScheduleJobsTest, AJobIsTheSameProgramWithTheSameConfiguration) {
  environment_["DATABASE_URL"] = "postgresql://u:very-secret@db.example/care";
  ScheduleSetup all = setup("[schedule]\nverify = \"@hourly\"\n", {"--dir", "/srv/b"});
  EXPECT_THAT(all.tasks[0].argv,
              ElementsAre(fmt::format("/proc/{}/exe", ::getpid()), "verify", "--dir", "/srv/b",
                          "--config", folder_.path() + "/holdfast.toml", "--source", "default"));
}

TEST_F(ScheduleJobsTest, WhatCannotBeRightIsRefusedWithItsPlace) {
  EXPECT_ERROR_SAYING(invalid, "holdfast.toml:2", setup("[schedule]\nbackup = \"0 25 * * *\"\n"));
  EXPECT_ERROR_SAYING(invalid, "holdfast.toml:3",
                      setup("[schedule]\nbackup = \"@daily\"\nzone = \"CEST\"\n"));
  EXPECT_ERROR_SAYING(invalid, "holdfast.toml:3",
                      setup("[schedule]\nbackup = \"@daily\"\nlock_store = \"moon\"\n"));
  EXPECT_ERROR_SAYING(invalid, "backup", setup("[schedule]\nbakup = \"@daily\"\n"));
  EXPECT_ERROR_SAYING(invalid, "no such table",
                      setup("[source.care]\n[source.care.engine]\nlisten = \"127.0.0.1:1\"\n"));
  EXPECT_ERROR_SAYING(invalid, "unknown key", setup("[source.care]\n[source.care.moon]\nx = 1\n"));
}

TEST_F(ScheduleJobsTest, HostsAgreeThroughABucketOrTheStoreThatIsNamed) {
  const std::string schedule = "[schedule]\nbackup = \"@daily\"\n";
  EXPECT_EQ(setup(schedule).tasks[0].claims, nullptr);
  ScheduleSetup bucket = setup("s3_bucket = \"safe\"\ns3_prefix = \"care\"\n" + schedule);
  ASSERT_NE(bucket.tasks[0].claims, nullptr);
  EXPECT_EQ(bucket.tasks[0].claims->store().location(), "s3://safe/care");
  EXPECT_EQ(bucket.seed, "s3://safe/care");
  EXPECT_EQ(setup("s3_bucket = \"safe\"\n" + schedule + "lock_store = \"none\"\n").tasks[0].claims,
            nullptr);
  ScheduleSetup named = setup("dir = \"/srv/nfs\"\n" + schedule + "lock_store = \"local\"\n");
  EXPECT_EQ(named.tasks[0].claims->store().location(), "/srv/nfs");
}

// Databases of one name on two machines must both be backed up.
TEST_F(ScheduleJobsTest, DifferentDatabasesDoNotKeepEachOtherFromRunning) {
  const std::string toml = "dir = \"" + folder_.path() +
                           "/store\"\n[schedule]\nbackup = \"@daily\"\nlock_store = \"local\"\n";
  UtcTime firing = parse_rfc3339("2026-11-10T00:00:00.000Z");
  auto claims = [&](const std::string& url) {
    environment_["DATABASE_URL"] = url;
    ScheduleSetup made = setup(toml);
    return made.tasks[0].claims->claim("backup", firing, firing);
  };
  EXPECT_TRUE(claims("postgresql://anna@db1.example/care"));
  EXPECT_FALSE(claims("postgresql://berta:pw@db1.example/care"));
  EXPECT_TRUE(claims("postgresql://anna@db2.example/care"));
  EXPECT_TRUE(claims("postgresql://anna@db1.example/billing"));
  EXPECT_TRUE(claims("postgresql:///care"));
}

TEST_F(ScheduleJobsTest, ListsAndTheClearingOfLeftoversPassClaimsOver) {
  auto store = make_local_store(folder_.path() + "/store");
  UtcTime now = parse_rfc3339("2026-11-10T00:00:00.000Z");
  // Named to look like a backup's own claim as far as a name can.
  FiringClaims claims(*store, "care_2026-11-10T00-00-00-000Z", "db", "a");
  EXPECT_TRUE(claims.claim("backup", now, now));
  EXPECT_TRUE(list_backups(*store, "").empty());
  EXPECT_TRUE(list_backups(*store, "care").empty());
  for (const char* machine : {"", "machine"})
    EXPECT_TRUE(reap_crashed_runs(*store, {machine, now + std::chrono::hours(24 * 365)}).empty());
  EXPECT_EQ(store->list("schedule/").size(), 1u);
}

}  // namespace
}  // namespace holdfast
