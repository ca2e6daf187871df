// The schedule as configured, and that what it keeps in a store is nobody's backup.
#include "cli/schedule_jobs.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "alert/alert_state.h"
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

// What those who are alerted hear of: the incidents that a scheduler's events leave.
class ToldScheduleTest : public ScheduleJobsTest {
 protected:
  void begin(const std::string& webhook = "http://127.0.0.1:9/") {
    setup_.emplace(
        setup(fmt::format("dir = \"{0}/store\"\n[alert]\ndir = \"{0}/alerts\"\n"
                          "webhook_url = \"{1}\"\n[schedule]\n{2}",
                          folder_.path(), webhook,
                          "backup = \"@daily\"\nverify = \"@daily\"\n"
                          "report = \"@daily\"\nstatus = \"@daily\"\n"
                          "anchor = \"@daily\"\n")));
    events_.emplace(setup_->sources, run_);
  }
  const ScheduledTask& task(const std::string& job) {
    for (const ScheduledTask& task : setup_->tasks)
      if (task.job == job) return task;
    throw Error(ErrorCode::not_found, job);
  }
  void ended(
      const std::string& job, int exit_code, void (*more)(JobEnd&) = [](JobEnd&) {}) {
    JobEnd end;
    end.exit_code = exit_code;
    more(end);
    events_->ended(task(job), end);
  }
  std::vector<Incident> incidents() {
    std::string path = folder_.path() + "/alerts/incidents.json";
    if (!file_exists(path)) return {};
    return read_alert_state(read_file(path, 1 << 20)).incidents;
  }
  // "backup critical", "job:anchor warning": what is open.
  std::vector<std::string> open() {
    std::vector<std::string> all;
    for (const Incident& each : incidents())
      if (!each.closed_at)
        all.push_back(fmt::format("{}{}{} {}", incident_kind_name(each.key.kind),
                                  each.key.store.empty() ? "" : ":", each.key.store,
                                  severity_name(each.severity)));
    std::sort(all.begin(), all.end());
    return all;
  }

  std::optional<ScheduleSetup> setup_;
  std::optional<ToldScheduleEvents> events_;
};

TEST_F(ToldScheduleTest, AJobThatCannotReadItsConfigurationIsToldOf) {
  begin();
  ended("backup", kExitUsage);
  ended("verify", kExitUsage);
  ended("status", kExitUsage);
  EXPECT_THAT(open(), ElementsAre("backup critical", "job:status critical", "proof critical"));
  EXPECT_EQ(incidents()[0].facts.code, ErrorCode::invalid);
  for (const char* job : {"backup", "verify", "status"}) ended(job, kExitDone);
  EXPECT_THAT(open(), ElementsAre());
}

TEST_F(ToldScheduleTest, AJobThatCouldNotTellIsToldOfAndOneThatDidIsNot) {
  begin();
  for (int code : {kExitFailed, kExitPartial, kExitDamage, kExitViolation, kExitLocked})
    ended("backup", code);
  ended("status", kExitViolation);
  ended("backup", kExitInterrupted);
  ended("backup", kExitInterrupted, [](JobEnd& end) { end.stopped = true; });
  EXPECT_THAT(open(), ElementsAre());
  const auto lost = [](JobEnd& end) { end.lost = true; };
  ended("backup", kExitFailed, lost);
  EXPECT_THAT(open(), ElementsAre("backup critical"));
  ended("verify", kExitInterrupted, [](JobEnd& end) { end.over_limit = true; });
  ended("anchor", 127);
  ended("report", 128 + 9);
  EXPECT_THAT(open(), ElementsAre("backup critical", "job:anchor warning", "job:report warning",
                                  "proof critical"));
}

TEST_F(ToldScheduleTest, JobsThatTellOfNothingThemselvesAreToldOf) {
  begin();
  ended("anchor", kExitFailed);
  ended("report", kExitViolation);
  EXPECT_THAT(open(), ElementsAre("job:anchor warning", "job:report warning"));
  ended("anchor", kExitDamage);
  EXPECT_THAT(open(), ElementsAre("job:anchor critical", "job:report warning"));
  ended("anchor", kExitDone);
  EXPECT_THAT(open(), ElementsAre("job:report warning"));
}

TEST_F(ToldScheduleTest, ARunThatTookPlaceIsMissedNoMore) {
  begin();
  MissedRuns missed{MissReason::away, 4, parse_rfc3339("2026-11-06T02:00:00.000Z"),
                    parse_rfc3339("2026-11-09T02:00:00.000Z")};
  events_->missed(task("backup"), missed);
  events_->missed(task("anchor"), missed);
  EXPECT_THAT(open(), ElementsAre("missed_run:anchor warning", "missed_run:backup critical"));
  EXPECT_EQ(incidents()[0].facts.problems, 4);
  EXPECT_EQ(incidents()[0].facts.first_missed_at, missed.first);
  EXPECT_EQ(incidents()[0].facts.last_missed_at, missed.last);
  ended("backup", kExitUsage);
  ended("anchor", kExitFailed);
  EXPECT_THAT(open(),
              ElementsAre("backup critical", "job:anchor warning", "missed_run:backup critical"));
  ended("backup", kExitFailed);  // of which it told
  EXPECT_THAT(open(), ElementsAre("backup critical", "job:anchor warning"));
}

TEST_F(ToldScheduleTest, AClockThatWasSetBackIsToldOnce) {
  begin();
  events_->clock_went_back(task("backup"));
  events_->clock_went_back(task("anchor"));
  EXPECT_THAT(open(), ElementsAre("clock warning"));
  EXPECT_EQ(incidents()[0].failures, 1);
  ended("anchor", kExitDone);
  EXPECT_THAT(open(), ElementsAre());
}

// Nobody answers there: who waits for it waits for seconds.
TEST_F(ToldScheduleTest, ASinkThatHangsHoldsUpNoEvent) {
  Fd silent(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(silent.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(silent.get(), 5), 0);
  ASSERT_EQ(::getsockname(silent.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  begin(fmt::format("http://127.0.0.1:{}/", ntohs(address.sin_port)));
  events_->deliver_in_background();
  ended("backup", kExitUsage);
  pollfd asked{silent.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&asked, 1, 30'000), 1) << "nothing is delivered";
  double began = clock_.monotonic_seconds();
  ended("anchor", kExitFailed);
  events_->missed(task("backup"), {MissReason::away, 1, clock_.now(), clock_.now()});
  EXPECT_LT(clock_.monotonic_seconds() - began, 5);
  EXPECT_EQ(open().size(), 3u);
  silent = Fd();  // refused, so that the end is not waited for
  events_->deliver();
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
