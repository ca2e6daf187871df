// What happens when the engine ends at any step, or any step fails: the same work is done with the
// crash at the first step, the second, and so on, until it is done without one.
#include <gtest/gtest.h>

#include <thread>

#include "base/expect_error.h"
#include "engine/engine_fakes.h"

namespace holdfast {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

bool all_ended(const EngineCore& engine) {
  for (const neon::Operation& operation : engine.operations(1000, ""))
    if (!operation.ended()) return false;
  return true;
}

// Until all operations have ended, or the world has crashed.
void run_out(FakeWorld& world, EngineCore& engine) {
  auto deadline = std::chrono::steady_clock::now() + seconds(20);
  while (!all_ended(engine)) {
    {
      std::lock_guard lock(world.mutex);
      if (world.crashed) return;
    }
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "operations do not end";
    std::this_thread::sleep_for(milliseconds(1));
  }
}

// Records, folders and servers agree.
void expect_consistent(FakeWorld& world, EngineCore& engine) {
  std::set<std::string> folders;
  for (const auto& entry : std::filesystem::directory_iterator(world.work() + "/computes"))
    folders.insert(entry.path().filename().string());
  size_t running = 0;
  for (const auto& [folder, server] : world.servers) running += server.running ? 1 : 0;
  size_t active = 0;
  for (const neon::Endpoint& endpoint : engine.endpoints({})) {
    EXPECT_FALSE(endpoint.pending_state) << endpoint.id;
    if (endpoint.host.starts_with("db.test")) continue;
    active += endpoint.current_state == "active" ? 1 : 0;
  }
  EXPECT_EQ(running, active);
  size_t branches = engine.branches({}).branches.size() - 1;
  EXPECT_LE(folders.size(), branches);
  for (const neon::Branch& branch : engine.branches({}).branches)
    EXPECT_EQ(branch.current_state, "ready") << branch.name;
}

// Everything that an ordinary branch goes through.
void live_a_life(FakeWorld& world, EngineCore& engine) {
  std::string main;
  for (const neon::Branch& branch : engine.branches({}).branches)
    if (branch.name == "main") main = branch.id;
  auto find = [&](const std::string& name) -> std::optional<std::string> {
    for (const neon::Branch& branch : engine.branches({}).branches)
      if (branch.name == name) return branch.id;
    return std::nullopt;
  };
  auto settled = [&] {
    run_out(world, engine);
    if (world.crashed) throw Crash{};
  };
  if (!find("b1") && !find("b1 old")) {
    neon::BranchCreateRequest request;
    request.name = "b1";
    request.endpoints.emplace_back();
    engine.create_branch(request);
    settled();
  }
  if (!find("b1 old"))
    engine.restore_branch(*find("b1"), {.source_branch_id = *find("b1"),
                                        .source_lsn = "0/12C00",
                                        .preserve_under_name = "b1 old"});
  settled();
  if (engine.roles(*find("b1")).size() == 1) engine.create_role(*find("b1"), "writer", true);
  settled();
  engine.restart_endpoint(engine.endpoints(*find("b1"))[0].id);
  settled();
}

TEST(EngineCrash, AtEveryStepOfABranchsLifeTheNextEngineGoesOn) {
  bool undisturbed = false;
  int at = 1;
  for (; !undisturbed && at < 400; ++at) {
    FakeWorld world;
    world.clock.advance(seconds(200));
    world.crash_at = at;
    SCOPED_TRACE(fmt::format("crash at step {}", at));
    try {
      auto engine = open_fake_engine(world, fake_settings(world));
      live_a_life(world, *engine);
      undisturbed = true;
    } catch (const Crash&) {
    } catch (const Error&) {
      ASSERT_TRUE(world.crashed);
    }
    world.crash_at = 0;
    world.crashed = false;
    auto engine = open_fake_engine(world, fake_settings(world));
    run_out(world, *engine);
    expect_consistent(world, *engine);
    live_a_life(world, *engine);
    expect_consistent(world, *engine);
    for (const neon::Branch& branch : engine->branches({}).branches) {
      if (branch.name == "b1") {
        EXPECT_EQ(engine->roles(branch.id).size(), 2U);
      }
    }
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(at, 40);  // it did crash
  EXPECT_TRUE(undisturbed);
}

std::string main_of(const EngineCore& engine) {
  for (const neon::Branch& branch : engine.branches({}).branches)
    if (branch.name == "main") return branch.id;
  return {};
}

neon::BranchRestoreRequest restore_request(const std::string& main) {
  return {.source_branch_id = main, .source_lsn = "0/3200", .preserve_under_name = "before"};
}

std::optional<neon::Branch> preserved_of(const EngineCore& engine) {
  for (const neon::Branch& branch : engine.branches({}).branches)
    if (branch.name == "before") return branch;
  return std::nullopt;
}

void expect_new_state(FakeWorld& world, EngineCore& engine) {
  EXPECT_TRUE(world.source_running);
  EXPECT_FALSE(world.paused);
  EXPECT_EQ(world.generation(), "main/1/0/3200");
  EXPECT_FALSE(file_exists(world.data() + ".new"));
  auto preserved = preserved_of(engine);
  ASSERT_TRUE(preserved);
  EXPECT_EQ(preserved->current_state, "ready");
  EXPECT_FALSE(preserved->parent_id);
  std::ifstream kept(world.work() + "/kept/" + preserved->id + "/generation");
  std::string generation;
  kept >> generation;
  EXPECT_EQ(generation, "old");
  ASSERT_TRUE(world.adopted);
  EXPECT_EQ(world.adopted->end, Lsn{0x3200});
  for (const neon::Branch& branch : engine.branches({}).branches) {
    EXPECT_EQ(branch.current_state, "ready");
    if (branch.name == "child") {
      EXPECT_EQ(branch.parent_id, preserved->id);
    }
  }
  // The old state is all there: a branch of it has the last thing that the source wrote.
  neon::BranchCreateRequest request;
  request.parent_id = preserved->id;
  EXPECT_EQ(engine.create_branch(request).branch->parent_lsn, "0/6400");
}

void expect_old_state(FakeWorld& world, EngineCore& engine) {
  EXPECT_TRUE(world.source_running);
  EXPECT_FALSE(world.paused);
  EXPECT_EQ(world.generation(), "old");
  EXPECT_FALSE(file_exists(world.data() + ".new"));
  EXPECT_FALSE(preserved_of(engine));
  EXPECT_EQ(engine.branch(main_of(engine)).current_state, "ready");
  if (file_exists(world.work() + "/kept")) {
    EXPECT_TRUE(std::filesystem::is_empty(world.work() + "/kept"));
  }
}

TEST(EngineCrash, AtEveryStepOfAnInPlaceRestoreTheSourceEndsUpRunning) {
  bool undisturbed = false;
  int at = 1, on_new = 0, on_old = 0;
  for (; !undisturbed && at < 200; ++at) {
    FakeWorld world;
    world.clock.advance(seconds(200));
    SCOPED_TRACE(fmt::format("crash at step {}", at));
    {
      auto engine = open_fake_engine(world, fake_settings(world));
      neon::BranchCreateRequest request;
      request.name = "child";
      engine->create_branch(request);
      world.steps = 0;
      world.crash_at = at;
      try {
        engine->restore_branch(main_of(*engine), restore_request(main_of(*engine)));
        run_out(world, *engine);
      } catch (const Crash&) {
      }
      undisturbed = !world.crashed;
    }
    world.crash_at = 0;
    world.crashed = false;
    auto engine = open_fake_engine(world, fake_settings(world));
    run_out(world, *engine);
    if (world.generation() == "old") {
      ++on_old;
      expect_old_state(world, *engine);
    } else {
      ++on_new;
      expect_new_state(world, *engine);
    }
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_TRUE(undisturbed);
  EXPECT_GT(on_new, 20);  // whatever was begun is brought to its end
  EXPECT_GT(on_old, 0);   // a crash before the answer
}

TEST(EngineCrash, AnInPlaceRestoreThatCrashesAgainAndAgainIsGoneOnWith) {
  FakeWorld world;
  world.clock.advance(seconds(200));
  std::string main;
  int crashes = 0;
  for (bool first = true;; first = false) {
    world.crashed = false;
    world.steps = 0;
    world.crash_at = first ? 0 : 8 + 2 * crashes;  // each engine gets a little further
    try {
      auto engine = open_fake_engine(world, fake_settings(world));
      if (first) {
        world.crash_at = world.steps + 6;
        main = main_of(*engine);
        engine->restore_branch(main, restore_request(main));
      }
      run_out(world, *engine);
      if (!world.crashed) break;
    } catch (const Crash&) {
    }
    ASSERT_LT(++crashes, 60);
  }
  EXPECT_GT(crashes, kAttemptsMax);
  world.crash_at = 0;
  world.crashed = false;
  auto engine = open_fake_engine(world, fake_settings(world));
  run_out(world, *engine);
  EXPECT_TRUE(world.source_running);
  EXPECT_EQ(world.generation(), "main/1/0/3200");
}

TEST(EngineCrash, ASourceThatIsStoppedWithoutItsReceiverIsStoppedAgain) {
  FakeWorld world;
  world.clock.advance(seconds(200));
  auto engine = open_fake_engine(world, fake_settings(world));
  std::string main = main_of(*engine);
  world.tails_lost = 3;
  engine->restore_branch(main, restore_request(main));
  run_out(world, *engine);
  expect_old_state(world, *engine);  // three times is too often
  world.tails_lost = 1;
  engine->restore_branch(main, restore_request(main));
  run_out(world, *engine);
  expect_new_state(world, *engine);
}

TEST(EngineCrash, WhereverAnInPlaceRestoreFailsTheOldStateRuns) {
  bool undisturbed = false;
  int at = 1, failures = 0;
  for (; !undisturbed && at < 200; ++at) {
    FakeWorld world;
    world.clock.advance(seconds(200));
    SCOPED_TRACE(fmt::format("failure at step {}", at));
    auto engine = open_fake_engine(world, fake_settings(world));
    std::string main = main_of(*engine);
    world.steps = 0;
    world.fail_at = at;
    bool answered = false;
    try {
      engine->restore_branch(main, restore_request(main));
      answered = true;
      run_out(world, *engine);
    } catch (const Error&) {
      EXPECT_FALSE(answered);
    }
    undisturbed = world.steps < at;
    world.fail_at = 0;
    // What could not even be written down is gone on with by the next engine.
    engine.reset();
    engine = open_fake_engine(world, fake_settings(world));
    run_out(world, *engine);
    if (world.generation() == "old") {
      ++failures;
      expect_old_state(world, *engine);
    } else {
      expect_new_state(world, *engine);
    }
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_TRUE(undisturbed);
  EXPECT_GT(failures, 10);
}

TEST(EngineCrash, ASourceThatDoesNotStartOnNewDataGetsItsOldBack) {
  FakeWorld world;
  world.clock.advance(seconds(200));
  auto engine = open_fake_engine(world, fake_settings(world));
  std::string main = main_of(*engine);
  world.fail_on({"adopted"});
  engine->restore_branch(main, restore_request(main));
  run_out(world, *engine);
  EXPECT_EQ(engine->operations(1, "")[0].status, "failed");
  expect_old_state(world, *engine);
}

TEST(EngineCrash, AnOperationThatTakesTheEngineDownAgainAndAgainIsGivenUp) {
  FakeWorld world;
  world.clock.advance(seconds(200));
  std::string endpoint;
  {
    auto engine = open_fake_engine(world, fake_settings(world));
    neon::BranchCreateRequest request;
    request.name = "b1";
    request.endpoints.emplace_back();
    world.fail_on({"bring"});
    endpoint = engine->create_branch(request).endpoints[0].id;
    world.fail_on({});
    engine->start_endpoint(endpoint);
    run_out(world, *engine);
    engine->suspend_endpoint(endpoint);
    run_out(world, *engine);
  }
  {
    // As if it had been running each time.
    auto state = State::open(world.work() + "/engine.db");
    auto lock = state->lock();
    Change change;
    OperationRecord operation = state->tables().operations.rbegin()->second;
    ASSERT_EQ(operation.shown.action, "suspend_compute");
    operation.shown.status = "running";
    operation.shown.failures_count = kAttemptsMax - 1;
    change.put(operation);
    state->apply(std::move(change));
  }
  auto engine = open_fake_engine(world, fake_settings(world));
  run_out(world, *engine);
  EXPECT_EQ(engine->operations(1, "")[0].status, "failed");
}

}  // namespace
}  // namespace holdfast
