// For tests: what outlives an engine, and its storage, as folders and a few numbers, so that the
// engine's lifecycles can be tried without servers, and crashed at any step (engine_fakes.h).
//
// FakeWorld is what outlives an engine: disks, running servers, received history. step() stands for
// every thing that is done to it; at a chosen one the world "crashes": that and all later steps
// throw Crash (which is no std::exception, so nobody handles it) until the test opens a new engine.
#pragma once

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "base/file.h"
#include "engine/core.h"

// Tests name the members that matter to them; the others have their defaults.
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

namespace holdfast {

struct Crash {};

inline UtcTime test_time(int seconds) {
  return parse_rfc3339("2026-11-10T12:00:00.000Z") + std::chrono::seconds(seconds);
}

struct FakeServer {  // of one compute's folder
  bool running = false, opened = false;
  int port = 0;
  std::map<std::string, std::string> passwords;
  std::vector<ComputeDatabase> databases;
  Lsn flushed;
  ComputeActivity activity;
};

struct FakeWorld {
  TempFolder folder{"holdfast-engine-test-"};
  ManualClock clock{test_time(0)};
  NullLog log;
  mutable std::recursive_mutex mutex;

  // History: record n of main ends at n * 0x100 and was committed at second n.
  int records = 100;
  Timeline main_timeline = 1;
  std::map<std::string, Line> lines;
  std::vector<SnapshotInfo> snapshots;
  std::vector<RestorePoint> needed;  // of the last trim
  std::optional<RestorePoint> adopted;
  bool paused = false;

  std::map<std::string, FakeServer> servers;  // by folder
  std::vector<std::string> brought;           // folders, in order

  bool managed = true, source_running = true;
  int tails_lost = 0;  // the next so many stops happen while no receiver is there
  bool tail_missing = false;
  std::map<std::string, std::string> source_roles = {{"app", "source-password"}};
  std::vector<SourceDatabase> source_databases = {{16384, "app", "app"}};

  // Counted and compared by the engine's threads, read and set by the test's.
  std::atomic<int> steps{0}, crash_at{0}, fail_at{0};
  std::set<std::string> failing_kinds;  // by fail_on()
  std::atomic<bool> crashed{false};

  FakeWorld() {
    make_folders(data());
    std::ofstream(data() + "/generation") << "old";
    snapshots.push_back({.id = "snap-first", .ended_at = test_time(0), .server_version = 150018});
  }
  std::string data() const { return folder.path() + "/source"; }
  std::string work() const { return folder.path() + "/work"; }
  std::string generation() const {
    std::ifstream file(data() + "/generation");
    std::string text;
    file >> text;
    return text;
  }

  // From now on steps of these kinds fail, and no others.
  void fail_on(std::set<std::string> kinds) {
    std::lock_guard lock(mutex);
    failing_kinds = std::move(kinds);
  }

  void step(std::string_view what) {
    std::lock_guard lock(mutex);
    if (crashed) throw Crash{};
    ++steps;
    if (steps == crash_at) {
      crashed = true;
      throw Crash{};
    }
    if (steps == fail_at || failing_kinds.contains(std::string(what)))
      throw Error(ErrorCode::unavailable, fmt::format("step {} ({}) failed", steps.load(), what));
  }
};

inline RestorePoint fake_point(const std::string& line, Timeline timeline, int record) {
  RestorePoint point;
  point.line = line;
  point.timeline = timeline;
  point.record = Lsn{static_cast<uint64_t>(record - 1) * 0x100};
  point.end = Lsn{static_cast<uint64_t>(record) * 0x100};
  point.commit_time = test_time(record);
  return point;
}

class FakeStorage final : public BranchStorage {
 public:
  explicit FakeStorage(FakeWorld& world) : world_(world) {}
  StorageHealth health() const override {
    std::lock_guard lock(world_.mutex);
    return {.receiving = world_.source_running};
  }
  SnapshotInfo take_snapshot(const Run&) override {
    world_.step("take snapshot");
    std::lock_guard lock(world_.mutex);
    world_.snapshots.push_back({.id = fmt::format("snap-{}", world_.snapshots.size()),
                                .ended_at = world_.clock.now(),
                                .bytes = 4096});
    return world_.snapshots.back();
  }
  std::vector<SnapshotInfo> snapshots() const override {
    std::lock_guard lock(world_.mutex);
    return world_.snapshots;
  }
  void remove_snapshot(const std::string&) override {}
  std::vector<Window> windows() const override {
    std::lock_guard lock(world_.mutex);
    if (world_.snapshots.empty()) return {};
    return {Window{.timeline = world_.main_timeline, .from = Lsn{0x100}}};
  }
  RestorePoint head(const std::string& line) override {
    std::lock_guard lock(world_.mutex);
    if (line == kMainLine)
      return fake_point(line, world_.main_timeline, world_.records - (world_.tail_missing ? 1 : 0));
    return fake_point(line, world_.lines.at(line).parent.timeline + 1, 1000);
  }
  RestorePoint at_lsn(const std::string& line, Lsn lsn) override {
    std::lock_guard lock(world_.mutex);
    int record = static_cast<int>(lsn.value / 0x100);
    if (line == kMainLine) {
      if (record < 1 || record > world_.records)
        throw Error(ErrorCode::invalid, "LSN is outside the windows");
      return fake_point(line, world_.main_timeline, record);
    }
    return fake_point(line, world_.lines.at(line).parent.timeline + 1, record);
  }
  RestorePoint at_time(const std::string& line, UtcTime time) override {
    std::lock_guard lock(world_.mutex);
    auto second = std::chrono::duration_cast<std::chrono::seconds>(time - test_time(0)).count();
    if (second < 1 || time > world_.clock.now())
      throw Error(ErrorCode::invalid, "the time is outside the windows");
    return fake_point(line, line == kMainLine ? world_.main_timeline : 9,
                      std::min(world_.records, static_cast<int>(second)));
  }
  RestorePoint at_lsn_within(const RestorePoint& limit, Lsn lsn) override {
    int record = static_cast<int>(lsn.value / 0x100);
    if (record < 1) throw Error(ErrorCode::invalid, "LSN is outside the windows");
    return lsn >= limit.end ? limit : fake_point(limit.line, limit.timeline, record);
  }
  RestorePoint at_time_within(const RestorePoint& limit, UtcTime time) override {
    auto second = std::chrono::duration_cast<std::chrono::seconds>(time - test_time(0)).count();
    if (second < 1) throw Error(ErrorCode::invalid, "the time is outside the windows");
    RestorePoint point = fake_point(limit.line, limit.timeline, static_cast<int>(second));
    return point.end >= limit.end ? limit : point;
  }
  void add_line(const Line& line) override {
    world_.step("add line");
    std::lock_guard lock(world_.mutex);
    EXPECT_TRUE(line.parent.line == kMainLine || world_.lines.contains(line.parent.line));
    world_.lines[line.id] = line;
  }
  void remove_line(const std::string& id) override {
    world_.step("remove line");
    std::lock_guard lock(world_.mutex);
    if (world_.lines.erase(id) == 0) throw Error(ErrorCode::not_found, "no such line");
  }
  BroughtFolder bring(const RestorePoint& point, const std::string& folder, const Run&) override {
    EXPECT_FALSE(file_exists(folder)) << folder;
    world_.step("bring");
    std::filesystem::create_directory(folder);
    world_.step("half brought");
    std::ofstream(folder + "/generation")
        << fmt::format("{}/{}/{}", point.line, point.timeline, format_lsn(point.end));
    std::lock_guard lock(world_.mutex);
    world_.brought.push_back(folder);
    return {.settings = {{"recovery_target_lsn", format_lsn(point.record)}}};
  }
  void trim(UtcTime, const std::vector<RestorePoint>& needed) override {
    std::lock_guard lock(world_.mutex);
    world_.needed = needed;
  }
  void pause() override {
    world_.step("pause");
    world_.paused = true;
  }
  void adopt_timeline(const std::string& folder, const RestorePoint& fork) override {
    world_.step("adopt");
    EXPECT_TRUE(file_exists(folder + "/recovered"));
    world_.adopted = fork;
    world_.step("adopted");
  }
  void resume() override {
    world_.step("resume");
    world_.paused = false;
    if (world_.generation() != "old") world_.main_timeline = 2;
  }

 private:
  FakeWorld& world_;
};

}  // namespace holdfast
