// For tests: a source, its storage and computes that are folders and a few numbers, so that the
// engine's lifecycles can be tried without servers, and crashed at any step.
//
// FakeWorld is what outlives an engine: disks, running servers, received history. step() stands for
// every thing that is done to it; at a chosen one the world "crashes": that and all later steps
// throw Crash (which is no std::exception, so nobody handles it) until the test opens a new engine.
#pragma once

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
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
  std::map<std::string, std::string> source_roles = {{"app", "source-password"}};
  std::vector<SourceDatabase> source_databases = {{16384, "app", "app"}};

  int steps = 0, crash_at = 0, fail_at = 0;
  std::set<std::string> fail_on;  // kinds of steps that fail
  bool crashed = false;

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

  void step(std::string_view what) {
    std::lock_guard lock(mutex);
    if (crashed) throw Crash{};
    ++steps;
    if (steps == crash_at) {
      crashed = true;
      throw Crash{};
    }
    if (steps == fail_at || fail_on.contains(std::string(what)))
      throw Error(ErrorCode::unavailable, fmt::format("step {} ({}) failed", steps, what));
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
  StorageHealth health() const override { return {.receiving = true}; }
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
    if (line == kMainLine) return fake_point(line, world_.main_timeline, world_.records);
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

class FakeCompute final : public ComputeControl {
 public:
  FakeCompute(FakeWorld& world, ComputeSettings settings)
      : world_(world), settings_(std::move(settings)) {}
  ComputeState state() const override {
    std::lock_guard lock(world_.mutex);
    if (!file_exists(settings_.folder + "/data")) return ComputeState::absent;
    return server().running ? ComputeState::running : ComputeState::stopped;
  }
  void first_start(const BroughtFolder& brought, const std::map<std::string, Secret>& passwords,
                   const Run& run) override {
    world_.step("first start");
    EXPECT_FALSE(brought.settings.empty());
    if (!file_exists(settings_.folder + "/data/generation"))
      throw Error(ErrorCode::internal, "there is nothing to start");
    run.check_stop();
    {
      std::lock_guard lock(world_.mutex);
      check_port();
      FakeServer& made = server();
      for (const auto& [role, password] : passwords) made.passwords[role] = password.reveal();
      if (!made.opened) made.databases = {{16384, "app", "app"}};
      made.opened = made.running = true;
      made.flushed = Lsn{500 * 0x100};
    }
    world_.step("first started");
  }
  void start(const Run&) override {
    world_.step("start");
    std::lock_guard lock(world_.mutex);
    if (!server().opened) throw Error(ErrorCode::invalid, "its first start was not completed");
    check_port();
    server().running = true;
  }
  void stop(const Run&) override {
    world_.step("stop");
    std::lock_guard lock(world_.mutex);
    server().running = false;
  }
  void remove() override {
    world_.step("remove");
    std::lock_guard lock(world_.mutex);
    std::filesystem::remove_all(settings_.folder);
    world_.servers.erase(settings_.folder);
  }
  Conninfo admin_conninfo(const std::string&) const override { return {}; }
  ComputeActivity activity() const override {
    std::lock_guard lock(world_.mutex);
    return server().activity;
  }
  std::vector<ComputeRole> roles() const override {
    std::lock_guard lock(world_.mutex);
    std::vector<ComputeRole> roles;
    for (const auto& [name, password] : server().passwords) roles.push_back({.name = name});
    return roles;
  }
  void create_role(const std::string& name, const Secret& password, bool) override {
    world_.step("create role");
    std::lock_guard lock(world_.mutex);
    if (!server().passwords.emplace(name, password.reveal()).second)
      throw Error(ErrorCode::exists, "the role exists");
  }
  void drop_role(const std::string& name) override {
    world_.step("drop role");
    std::lock_guard lock(world_.mutex);
    if (server().passwords.erase(name) == 0) throw Error(ErrorCode::not_found, "no such role");
  }
  void set_password(const std::string& role, const Secret& password) override {
    world_.step("set password");
    std::lock_guard lock(world_.mutex);
    server().passwords[role] = password.reveal();
  }
  std::vector<ComputeDatabase> databases() const override {
    std::lock_guard lock(world_.mutex);
    return server().databases;
  }
  void create_database(const std::string& name, const std::string& owner) override {
    std::lock_guard lock(world_.mutex);
    server().databases.push_back({99, name, owner});
  }
  void update_database(const std::string& name, const std::string& new_name,
                       const std::string& new_owner) override {
    std::lock_guard lock(world_.mutex);
    for (ComputeDatabase& database : server().databases)
      if (database.name == name) database = {database.id, new_name, new_owner};
  }
  void drop_database(const std::string& name) override {
    std::lock_guard lock(world_.mutex);
    std::erase_if(server().databases, [&](const auto& d) { return d.name == name; });
  }
  Lsn flush_lsn() const override {
    std::lock_guard lock(world_.mutex);
    return server().flushed;
  }

 private:
  FakeServer& server() const { return world_.servers[settings_.folder]; }
  // Two servers on one port would be two branches behind one connection string.
  void check_port() {
    for (const auto& [folder, other] : world_.servers)
      if (folder != settings_.folder && other.running && other.port == settings_.port)
        throw Error(ErrorCode::unavailable, "the port is taken");
    server().port = settings_.port;
  }

  FakeWorld& world_;
  ComputeSettings settings_;
};

class FakeComputes final : public ComputeFactory {
 public:
  explicit FakeComputes(FakeWorld& world) : world_(world) {}
  std::unique_ptr<ComputeControl> make(const ComputeSettings& settings) override {
    return std::make_unique<FakeCompute>(world_, settings);
  }

 private:
  FakeWorld& world_;
};

class FakeSource final : public SourceServer {
 public:
  explicit FakeSource(FakeWorld& world)
      : world_(world), conninfo_(Conninfo::parse("postgresql://app:source-password@db.test/app")) {}
  const Conninfo& conninfo() const override { return conninfo_; }
  bool managed() const override { return world_.managed; }
  std::string data_folder() const override { return world_.data(); }
  int version() override { return 150018; }
  std::vector<SourceRole> roles() override {
    std::lock_guard lock(world_.mutex);
    std::vector<SourceRole> roles;
    for (const auto& [name, password] : world_.source_roles) roles.push_back({name, true});
    return roles;
  }
  std::vector<SourceDatabase> databases() override {
    std::lock_guard lock(world_.mutex);
    return world_.source_databases;
  }
  uint64_t database_bytes() override { return 8 << 20; }
  void create_role(const std::string& name, const Secret& password, bool) override {
    std::lock_guard lock(world_.mutex);
    world_.source_roles[name] = password.reveal();
  }
  void drop_role(const std::string& name) override {
    std::lock_guard lock(world_.mutex);
    world_.source_roles.erase(name);
  }
  void set_password(const std::string& role, const Secret& password) override {
    std::lock_guard lock(world_.mutex);
    world_.source_roles[role] = password.reveal();
  }
  void create_database(const std::string& name, const std::string& owner) override {
    std::lock_guard lock(world_.mutex);
    world_.source_databases.push_back({99, name, owner});
  }
  void update_database(const std::string&, const std::string&, const std::string&) override {}
  void drop_database(const std::string&) override {}
  bool running() override { return world_.source_running; }
  void start(const Run&) override {
    world_.step("start source");
    if (!file_exists(world_.data() + "/generation"))
      throw Error(ErrorCode::unavailable, "the source has no data");
    world_.source_running = true;
    world_.step("started source");
  }
  void stop(const Run&) override {
    world_.step("stop source");
    world_.source_running = false;
  }
  std::vector<SourceLogin> logins() override {
    return {{"app", Secret("SCRAM-SHA-256$of-app"), "LOGIN SUPERUSER"}};
  }
  void check_restorable() override {}
  Lsn shutdown_checkpoint() override {
    EXPECT_FALSE(world_.source_running);
    return Lsn{static_cast<uint64_t>(world_.records - 1) * 0x100};
  }
  void recover_aside(const std::string& folder, const BroughtFolder&,
                     const std::vector<SourceLogin>& logins, const Run&) override {
    EXPECT_EQ(logins.size(), 1U);
    world_.step("recover aside");
    std::ofstream(folder + "/recovered") << "yes";
    world_.step("recovered aside");
  }

 private:
  FakeWorld& world_;
  Conninfo conninfo_;
};

inline EngineSettings fake_settings(const FakeWorld& world) {
  EngineSettings settings;
  settings.source = Conninfo::parse("postgresql://app:source-password@db.test/app");
  settings.work_folder = world.work();
  settings.port_first = 42500;
  settings.port_last = 42999;
  settings.computes_max = 4;
  settings.branches_max = 20;
  return settings;
}

inline std::unique_ptr<EngineCore> open_fake_engine(FakeWorld& world,
                                                    const EngineSettings& settings) {
  auto probe = [&world](std::string_view where) { world.step(where); };
  make_folders(settings.work_folder);
  EngineParts parts;
  parts.state = State::open(settings.work_folder + "/engine.db", probe);
  parts.storage = std::make_unique<FakeStorage>(world);
  parts.computes = std::make_unique<FakeComputes>(world);
  parts.source = std::make_unique<FakeSource>(world);
  parts.tools.major = 15;
  auto engine =
      std::make_unique<EngineCore>(settings, std::move(parts), world.clock, world.log, probe);
  engine->start(false);
  return engine;
}

}  // namespace holdfast
