// Progress lines, documents and help: what people and scripts get to see.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/documents.h"
#include "cli/help.h"
#include "cli/progress_line.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

ProgressSnapshot snapshot() {
  ProgressSnapshot progress;
  progress.phase = "copying tables";
  progress.tables = 12, progress.tables_total = 105;
  progress.rows = 2'100'000;
  progress.bytes = uint64_t{1} << 30, progress.bytes_total = uint64_t{3} << 30;
  progress.seconds = 8.1;
  progress.bytes_per_second = 128 << 20;
  return progress;
}

TEST(ProgressLine, SaysHowFarHowFastAndHowLong) {
  std::string line = live_line(snapshot(), 200);
  for (const char* part : {"copying tables", "12/105 tables", "2.1 M rows", "1.00 GiB of 3.00 GiB",
                           "128 MiB/s", "16 s left"})
    EXPECT_THAT(line, HasSubstr(part));
}

TEST(ProgressLine, IsCutToTheTerminal) {
  EXPECT_THAT(live_line(snapshot(), 79), HasSubstr("16 s left"));  // rather than the rows
  for (size_t columns : {1, 10, 30, 60}) {
    std::string line = live_line(snapshot(), columns);
    EXPECT_EQ(columns_of(line), columns);
    EXPECT_TRUE(is_utf8(line));
    EXPECT_TRUE(line.ends_with("…"));
  }
  EXPECT_EQ(cut_to_columns("äöü", 3), "äöü");
  EXPECT_EQ(cut_to_columns("äöüß", 3), "äö…");
}

TEST(ProgressLine, AFinishedPhaseIsOnePlainLine) {
  ProgressSnapshot done = snapshot();
  done.tables = 105;
  EXPECT_EQ(phase_line(done), "copying tables: 105 tables, 2.1 M rows, 1.00 GiB in 8.1 s");
  EXPECT_EQ(phase_line({"checking", 0, 0, 0, 0, 0, 0.4, 0}), "checking: 0.4 s");
}

TEST(RateMeter, FollowsThePaceOfTheLastSeconds) {
  RateMeter meter;
  EXPECT_EQ(meter.add(0, 0), 0);
  EXPECT_EQ(meter.add(0.1, 1000), 0);  // too early to say
  for (int i = 1; i <= 10; ++i) meter.add(i, static_cast<uint64_t>(i) * 1000);
  EXPECT_NEAR(meter.add(11, 11000), 1000, 1);
  for (int i = 12; i <= 20; ++i) meter.add(i, 11000);
  EXPECT_NEAR(meter.add(21, 11000), 0, 1);
}

TEST(Console, ElsewhereThanOnATerminalAPhaseLeavesOneLine) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  Fd reader(ends[0]), writer(ends[1]);
  ManualClock clock(UtcTime{});
  {
    ConsoleOptions options;
    options.fd = writer.get();
    Console console(options, clock);
    console.phase("copying tables");
    console.counters().rows = 5;
    clock.advance(std::chrono::milliseconds(1500));
    console.phase("finishing");
    EXPECT_EQ(console.counters().rows, 0u);
    console.finish_phase();
    console.warning("two\nlines");
    console.failure(Error(ErrorCode::invalid, "wrong", "right"));
  }
  writer.close();
  std::string text(1000, '\0');
  text.resize(static_cast<size_t>(::read(reader.get(), text.data(), text.size())));
  EXPECT_EQ(text,
            "copying tables: 5 rows in 1.5 s\nfinishing: 0.0 s\nwarning: two lines\nerror: wrong\n"
            "hint: right\n");
}

TEST(Documents, AnError) {
  Json document = Json::parse(error_document(Error(ErrorCode::not_found, "no \xff such", "look")));
  EXPECT_EQ(document["error"]["code"], "not_found");
  EXPECT_EQ(document["error"]["hint"], "look");
}

TEST(Documents, ABackupWithAFailedLeg) {
  LegOutcome dump;
  dump.kind = "dump";
  dump.id = "care_2026-11-23T02-00-00-000Z";
  dump.bytes = 7;
  dump.proof = Proof{"deep", true, "PASS", UtcTime{}, 1.5};
  LegOutcome branch;
  branch.kind = "branch";
  branch.error = Error(ErrorCode::partial, "not yet", "wait");
  Json document = Json::parse(backup_document({dump, branch}, {"a note"}));
  const Json& results = document["results"];
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0]["status"], "ok");
  EXPECT_EQ(results[0]["id"], dump.id);
  EXPECT_EQ(results[0]["bytes"], 7);
  EXPECT_EQ(results[0]["proof"]["level"], "deep");
  EXPECT_EQ(results[0]["proof"]["ok"], true);
  EXPECT_FALSE(results[0].contains("error"));
  EXPECT_EQ(results[1]["status"], "failed");
  EXPECT_EQ(results[1]["error"], "not yet");
  EXPECT_EQ(results[1]["hint"], "wait");
  EXPECT_TRUE(results[1]["id"].is_null());
}

TEST(Documents, AListWithADamagedBackup) {
  Backup good;
  good.id = "care_2026-11-23T02-00-00-000Z";
  good.manifest.emplace();
  good.manifest->database = "care";
  good.manifest->lsn = "0/15";
  good.manifest->archive_bytes = 9;
  Backup bad;
  bad.id = "care_2026-11-22T02-00-00-000Z";
  bad.damage = "its bytes do not match";
  Json backups = Json::parse(list_document(
      {{{"local", "/backups", good}, {"s3", "s3://b/backups", good}}, {{"local", "/backups", bad}}},
      {}))["backups"];
  ASSERT_EQ(backups.size(), 2u);
  EXPECT_EQ(backups[0]["kind"], "dump");
  EXPECT_EQ(backups[0]["database"], "care");
  EXPECT_EQ(backups[0]["bytes"], 9);
  EXPECT_EQ(backups[0]["stores"], Json::array({"/backups", "s3://b/backups"}));
  EXPECT_EQ(backups[0]["copies"][1]["store"], "s3");
  EXPECT_EQ(backups[0]["held"], false);
  EXPECT_TRUE(backups[0]["proof"].is_null());
  EXPECT_EQ(backups[1]["database"], "care");
  EXPECT_EQ(backups[1]["created_at"], "2026-11-22T02:00:00.000Z");
  EXPECT_EQ(backups[1]["damaged"], bad.damage);
}

TEST(Documents, AVerificationWithOneProblemIsNotOk) {
  VerifyReport good, bad;
  good.id = "a", good.verdict = Verdict::pass;
  bad.id = "b", bad.verdict = Verdict::fail;
  bad.problems.push_back({"here", "that"});
  bad.tables.push_back({"public.t", 3, false});
  Json document =
      Json::parse(verify_document({{"local", good}, {"s3", bad}}, VerifyLevel::deep, {}));
  EXPECT_EQ(document["ok"], false);
  EXPECT_EQ(document["level"], "deep");
  EXPECT_EQ(document["backups"][1]["store"], "s3");
  EXPECT_EQ(document["backups"][0]["ok"], true);
  EXPECT_EQ(document["backups"][1]["problems"][0]["where"], "here");
  EXPECT_EQ(document["backups"][1]["tables"][0]["rows"], 3);
  EXPECT_EQ(document["policy"]["ok"], true);
  bad.verdict = Verdict::inconclusive;
  EXPECT_EQ(
      Json::parse(verify_document({{"local", good}, {"s3", bad}}, VerifyLevel::deep, {}))["ok"],
      false);
  EXPECT_EQ(Json::parse(verify_document({{"local", good}}, VerifyLevel::quick, {}))["ok"], true);
}

TEST(RestoredName, FitsPostgresAndCutsNoCharacter) {
  UtcTime now = parse_rfc3339("2026-11-23T02:03:04.567Z");
  EXPECT_EQ(restored_name("care", now), "care_restored_20261123_020304");
  std::string name = restored_name(std::string(30, 'x') + "ääääääääää" + std::string(20, 'y'), now);
  EXPECT_LE(name.size(), 63u);
  EXPECT_GE(name.size(), 62u);
  EXPECT_TRUE(is_utf8(name));
}

TEST(Help, NamesEveryCommandAndEveryOption) {
  std::string help = main_help();
  for (const CommandInfo& command : command_table()) {
    EXPECT_THAT(help, HasSubstr(command.summary));
    std::string text = command_help(command);
    for (const Option& option : option_table()) {
      bool taken = (option.commands & command.bit) != 0;
      EXPECT_EQ(taken && text.find(option.flag) == std::string::npos, false) << option.flag;
    }
  }
}

TEST(Help, LinesFitATerminal) {
  for (const CommandInfo& command : command_table())
    for (const std::string& line : split(command_help(command), '\n'))
      EXPECT_LE(columns_of(line), 100u) << line;
}

// The repository's folder: a parent of this program (a build folder inside it) or of where it runs.
std::string repository() {
  char path[PATH_MAX] = {};
  ssize_t size = ::readlink("/proc/self/exe", path, sizeof path - 1);
  char here[PATH_MAX] = {};
  for (std::string folder : {std::string(path, size > 0 ? static_cast<size_t>(size) : 0),
                             std::string(::getcwd(here, sizeof here) != nullptr ? here : "")})
    for (; !folder.empty(); folder.resize(folder.rfind('/')))
      if (file_exists(folder + "/docs/configuration.md") && file_exists(folder + "/src/cli"))
        return folder;
  return {};
}

TEST(Help, TheReferenceInDocsIsUpToDate) {
  std::string folder = repository();
  if (folder.empty()) GTEST_SKIP() << "built and run outside of the repository";
  EXPECT_EQ(read_file(folder + "/docs/configuration.md", 1 << 20), configuration_reference())
      << "run: holdfast help configuration > docs/configuration.md";
}

}  // namespace
}  // namespace holdfast
