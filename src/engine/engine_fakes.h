// For tests: a source and computes that are folders and a few numbers (fake_world.h), and an engine
// over them.
#pragma once

#include "engine/fake_world.h"

namespace holdfast {

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
    world_.tail_missing = false;
    world_.step("started source");
  }
  void stop(const Run&) override {
    world_.step("stop source");
    if (world_.source_running && world_.tails_lost > 0) {
      --world_.tails_lost;
      world_.tail_missing = true;
    }
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
  settings.port_first = 22500;  // below those that the system lends to outgoing connections
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
