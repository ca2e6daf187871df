// Restores, snapshots and their schedules, over a fake world.
#include "base/expect_error.h"
#include "engine/engine_fixture.h"

namespace holdfast {
namespace {

class EngineRestore : public EngineTest {};

TEST_F(EngineRestore, RestoringABranchFromItselfKeepsItsOldState) {
  neon::Changed made = create("b1");
  std::string id = made.branch->id;
  std::string child = create("child", false, id).branch->id;
  std::string password = engine->reveal_password(id, "app")->reveal();
  neon::BranchRestoreRequest request{.source_branch_id = id, .source_lsn = "0/12C00"};  // 300
  EXPECT_ERROR(violated, engine->restore_branch(id, request));
  request.preserve_under_name = "b1 before";
  neon::Changed restored = engine->restore_branch(id, request);
  settle();
  EXPECT_EQ(restored.branch->parent_lsn, "0/12C00");
  neon::Branch kept = engine->branch(*restored.branch->parent_id);
  EXPECT_EQ(kept.name, "b1 before");
  EXPECT_EQ(engine->branch(child).parent_id, kept.id);
  EXPECT_EQ(engine->branch(id).current_state, "ready");
  neon::Endpoint endpoint = engine->endpoint(made.endpoints[0].id);
  EXPECT_EQ(endpoint.current_state, "active");
  EXPECT_EQ(endpoint.host, made.endpoints[0].host);
  EXPECT_EQ(engine->reveal_password(id, "app")->reveal(), password);
  ASSERT_EQ(world.servers.size(), 2U);
  for (auto& [folder, server] : world.servers)
    EXPECT_EQ(server.running, !folder.ends_with(id)) << folder;  // the old line is stopped
  // The kept state is a branch like any other.
  engine->create_endpoint({.branch_id = kept.id});
  settle();
  EXPECT_EQ(world.brought.size(), 2U);
  EXPECT_ERROR(violated, engine->delete_branch(kept.id));  // it is a parent
}

TEST_F(EngineRestore, RestoringFromAnotherBranchWithoutANameForgetsTheOldState) {
  neon::Changed made = create("b1");
  neon::Changed restored = engine->restore_branch(
      made.branch->id, {.source_branch_id = main, .source_timestamp = test_time(30)});
  settle();
  EXPECT_EQ(restored.branch->parent_id, main);
  EXPECT_EQ(restored.branch->parent_lsn, "0/1E00");
  EXPECT_EQ(world.servers.size(), 1U);
  EXPECT_FALSE(file_exists(world.work() + "/computes/" + made.branch->id));
}

TEST_F(EngineRestore, AnUnmanagedSourceIsNotRestoredInPlace) {
  world.managed = false;
  open();
  EXPECT_THAT(
      message_of([&] {
        engine->restore_branch(
            main, {.source_branch_id = main, .source_lsn = "0/3200", .preserve_under_name = "old"});
      }),
      HasSubstr("cannot restore in place"));
  EXPECT_ERROR(unsupported, engine->suspend_endpoint(engine->endpoints(main)[0].id));
}

TEST_F(EngineRestore, SnapshotsPinAndRestore) {
  neon::Changed made = engine->create_snapshot(main, {.name = "before", .slug = "before"});
  settle();
  EXPECT_EQ(world.snapshots.size(), 2U);
  EXPECT_EQ(made.snapshot->lsn, "0/6400");
  EXPECT_ERROR(exists, engine->create_snapshot(main, {.slug = "before"}));
  EXPECT_ERROR(invalid, engine->create_snapshot(main, {.slug = "-x"}));
  world.clock.advance(seconds(700));
  engine->tick();
  world.clock.advance(seconds(700));
  engine->tick();
  ASSERT_EQ(world.needed.size(), 1U);
  EXPECT_EQ(world.needed[0].end, Lsn{0x6400});

  std::string b1 = create("b1").branch->id;
  std::string endpoint = engine->endpoints(b1)[0].id;
  std::string password = engine->reveal_password(b1, "app")->reveal();
  neon::Changed preview = engine->restore_snapshot(made.snapshot->id, "preview", b1, false);
  EXPECT_EQ(preview.branch->restore_status, "restored");
  engine->finalize_restore(preview.branch->id, {});
  settle();
  EXPECT_EQ(engine->branch(preview.branch->id).name, "b1");
  EXPECT_EQ(engine->branch(b1).name, "b1 (old)");
  EXPECT_EQ(engine->endpoint(endpoint).branch_id, preview.branch->id);
  EXPECT_EQ(engine->endpoint(endpoint).current_state, "active");
  EXPECT_EQ(engine->reveal_password(preview.branch->id, "app")->reveal(), password);
  EXPECT_ERROR(violated, engine->finalize_restore(preview.branch->id, {}));
  engine->delete_snapshot(made.snapshot->id);
  EXPECT_TRUE(engine->snapshots().empty());
}

TEST_F(EngineRestore, ScheduledSnapshotsAreTakenWhenDueAndExpire) {
  engine->set_schedule(main, {{.frequency = "hourly", .retention_seconds = 3600}});
  EXPECT_ERROR(invalid, engine->set_schedule(main, {{.frequency = "often"}}));
  engine->tick();
  EXPECT_TRUE(engine->snapshots().empty());
  world.clock.advance(seconds(3600));
  engine->tick();
  ASSERT_EQ(engine->snapshots().size(), 1U);
  EXPECT_FALSE(engine->snapshots()[0].manual);
  world.clock.advance(seconds(20));
  engine->tick();
  EXPECT_EQ(engine->snapshots().size(), 1U);
  engine->set_schedule(main, {});
  world.clock.advance(seconds(3600));
  engine->tick();
  EXPECT_TRUE(engine->snapshots().empty());
}

}  // namespace
}  // namespace holdfast
