// The engine over a fake world: what callers see, and what is done to servers for it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/expect_error.h"
#include "engine/engine_fixture.h"

namespace holdfast {
namespace {

TEST_F(EngineTest, TheSourceIsTheDefaultBranchWithItsOwnEndpoint) {
  neon::Branch branch = engine->branch(main);
  EXPECT_TRUE(branch.is_default);
  EXPECT_FALSE(branch.parent_id);
  auto endpoints = engine->endpoints(main);
  ASSERT_EQ(endpoints.size(), 1U);
  EXPECT_EQ(endpoints[0].host, "db.test:5432");
  EXPECT_EQ(engine->project().pg_version, 15);
}

TEST_F(EngineTest, ABranchIsThereAtOnceAndItsComputeSoonAfter) {
  neon::Changed made = create("b1");
  EXPECT_EQ(made.branch->current_state, "ready");
  EXPECT_EQ(made.branch->parent_id, main);
  EXPECT_EQ(made.branch->parent_lsn, "0/6400");
  ASSERT_EQ(made.endpoints.size(), 1U);
  EXPECT_EQ(made.endpoints[0].current_state, "active");
  ASSERT_EQ(made.operations.size(), 2U);
  EXPECT_EQ(made.operations[0].action, "create_timeline");
  EXPECT_EQ(made.operations[1].status, "finished");
  ASSERT_EQ(made.connection_uris.size(), 1U);
  std::string password = engine->reveal_password(made.branch->id, "app")->reveal();
  EXPECT_EQ(made.connection_uris[0].uri.reveal(),
            fmt::format("postgresql://app:{}@127.0.0.1:22500/app?sslmode=require&channel_binding="
                        "require",
                        password));
  EXPECT_EQ(world.servers.begin()->second.passwords.at("app"), password);
  EXPECT_NE(password, "source-password");
}

TEST_F(EngineTest, ATakenNameIsAConflictThatSaysSo) {
  create("b1", false);
  EXPECT_THAT(message_of([&] { create("b1", false); }),
              HasSubstr("branch with name \"b1\" already exists"));
  EXPECT_ERROR(exists, create("main", false));
}

TEST_F(EngineTest, PointsAreTakenFromTheParent) {
  neon::BranchCreateRequest request;
  request.parent_lsn = "0/3200";
  EXPECT_EQ(engine->create_branch(request).branch->parent_lsn, "0/3200");
  request.parent_lsn.reset();
  request.parent_timestamp = test_time(20);
  EXPECT_EQ(engine->create_branch(request).branch->parent_lsn, "0/1400");
  request.parent_timestamp = world.clock.now() + seconds(1);
  EXPECT_ERROR(invalid, engine->create_branch(request));
  request.parent_timestamp.reset();
  request.parent_lsn = "0/FFFF00";
  EXPECT_ERROR(invalid, engine->create_branch(request));
  request.parent_id = "br-not-there-1";
  EXPECT_ERROR(not_found, engine->create_branch(request));
}

TEST_F(EngineTest, ABranchOfARunningBranchTakesWhatItHasFlushed) {
  neon::Changed parent = create("parent");
  neon::Changed child = create("child", true, parent.branch->id);
  EXPECT_EQ(child.branch->parent_lsn, "0/1F400");  // 500
  engine->suspend_endpoint(parent.endpoints[0].id);
  settle();
  EXPECT_EQ(create("later", false, parent.branch->id).branch->parent_lsn, "0/3E800");  // its end
  neon::BranchCreateRequest past;  // before the parent began, history is the source's
  past.parent_id = parent.branch->id;
  past.parent_lsn = "0/3200";
  EXPECT_EQ(engine->create_branch(past).branch->parent_lsn, "0/3200");
}

TEST_F(EngineTest, ABranchOfABranchWithoutStateBeginsWhereThatOneDoes) {
  neon::Changed parent = create("parent", false);
  EXPECT_EQ(create("child", false, parent.branch->id).branch->parent_lsn,
            parent.branch->parent_lsn);
}

TEST_F(EngineTest, ListsSearchSortAndPage) {
  for (const char* name : {"beta", "alpha", "gamma"}) {
    world.clock.advance(seconds(1));
    create(name, false);
  }
  EXPECT_EQ(names(), (std::vector<std::string>{"gamma", "alpha", "beta", "main"}));
  EXPECT_EQ(names({.search = "ALPH"}), std::vector<std::string>{"alpha"});
  EXPECT_EQ(engine->branch_count("a"), 4U);
  BranchQuery query{.sort_by = "name", .ascending = true, .limit = 3};
  BranchPage page = engine->branches(query);
  ASSERT_EQ(page.branches.size(), 3U);
  EXPECT_EQ(page.branches[2].name, "gamma");
  query.cursor = page.next;
  page = engine->branches(query);
  ASSERT_EQ(page.branches.size(), 1U);
  EXPECT_EQ(page.branches[0].name, "main");
  EXPECT_EQ(page.next, "");
  EXPECT_ERROR(invalid, engine->branches({.sort_by = "size"}));
}

TEST_F(EngineTest, DeletingTakesEverythingAndCanBeRepeated) {
  neon::Changed made = create("b1");
  ASSERT_TRUE(engine->delete_branch(made.branch->id));
  EXPECT_EQ(names(), std::vector<std::string>{"main"});
  EXPECT_FALSE(engine->delete_branch(made.branch->id));
  settle();
  EXPECT_FALSE(engine->delete_branch(made.branch->id));
  EXPECT_TRUE(world.servers.empty());
  EXPECT_TRUE(world.lines.empty());
  EXPECT_ERROR(not_found, engine->endpoint(made.endpoints[0].id));
  EXPECT_ERROR(not_found, engine->delete_branch("br-not-there-1"));
  create("b1", false);  // the name is free
}

TEST_F(EngineTest, AParentWaitsForWhatIsLeftOfItsChildren) {
  std::string parent = create("parent").branch->id;
  std::string child = create("child", true, parent).branch->id;
  world.fail_on({"remove line"});
  EXPECT_TRUE(engine->delete_branch(child));
  settle();
  EXPECT_ERROR(busy, engine->delete_branch(parent));
  world.fail_on({});
  world.clock.advance(std::chrono::hours(1));
  engine->tick();
  settle();
  EXPECT_TRUE(engine->delete_branch(parent));
}

TEST_F(EngineTest, WhatMustStayCannotBeDeleted) {
  EXPECT_ERROR(violated, engine->delete_branch(main));
  std::string parent = create("parent", false).branch->id;
  std::string child = create("child", false, parent).branch->id;
  EXPECT_ERROR(violated, engine->delete_branch(parent));
  engine->update_branch(child, {.is_protected = true});
  EXPECT_ERROR(violated, engine->delete_branch(child));
  engine->update_branch(child, {.is_protected = false});
  engine->set_default_branch(child);
  EXPECT_FALSE(engine->branch(main).is_default);
  EXPECT_ERROR(violated, engine->delete_branch(child));
  engine->set_default_branch(main);
  EXPECT_TRUE(engine->delete_branch(child));
  EXPECT_TRUE(engine->delete_branch(parent));
}

TEST_F(EngineTest, LimitsHaveTheirCodes) {
  settings.branches_max = 3;
  settings.computes_max = 1;
  open();
  neon::Changed made = create("b1");
  EXPECT_THAT(message_of([&] { create("b2"); }), HasSubstr("ACTIVE_ENDPOINTS_LIMIT_EXCEEDED: "));
  EXPECT_EQ(engine->branch_count(""), 2U);
  engine->suspend_endpoint(made.endpoints[0].id);
  settle();
  neon::Changed second = create("b2");
  EXPECT_THAT(message_of([&] { engine->start_endpoint(made.endpoints[0].id); }),
              HasSubstr("ACTIVE_ENDPOINTS_LIMIT_EXCEEDED"));
  EXPECT_THAT(message_of([&] { create("b3", false); }), HasSubstr("BRANCHES_LIMIT_EXCEEDED: "));
}

TEST_F(EngineTest, ExpiryIsBoundedAndHappens) {
  neon::BranchCreateRequest request;
  request.name = "short";
  request.expires_at = world.clock.now() + std::chrono::days(31);
  EXPECT_ERROR(invalid, engine->create_branch(request));
  request.expires_at = world.clock.now() + seconds(60);
  std::string id = engine->create_branch(request).branch->id;
  EXPECT_ERROR(violated, create("child", false, id));
  EXPECT_ERROR(violated, engine->set_default_branch(id));
  EXPECT_ERROR(violated, engine->update_branch(id, {.is_protected = true}));
  engine->tick();
  EXPECT_EQ(engine->branch_count("short"), 1U);
  world.clock.advance(seconds(61));
  engine->tick();
  EXPECT_EQ(engine->branch_count("short"), 0U);
}

TEST_F(EngineTest, AnIdleComputeIsSuspendedAndABusyOneIsNot) {
  settings.suspend_timeout_seconds = 300;
  open();
  neon::Changed idle = create("idle"), busy = create("busy");
  world.clock.advance(seconds(301));
  for (auto& [folder, server] : world.servers)
    if (folder.ends_with(busy.branch->id)) server.activity.last_activity = world.clock.now();
  engine->tick();
  settle();
  EXPECT_EQ(engine->endpoint(idle.endpoints[0].id).current_state, "idle");
  EXPECT_EQ(engine->endpoint(busy.endpoints[0].id).current_state, "active");
  EXPECT_EQ(engine->branch(idle.branch->id).active_time_seconds, 301);
  // Asking how to connect wakes it.
  engine->connection_uri(idle.branch->id, {}, "app", "app");
  EXPECT_EQ(engine->endpoint(idle.endpoints[0].id).current_state, "active");
}

TEST_F(EngineTest, AClientThatCameAndWentBetweenTwoLooksKeepsAComputeUp) {
  settings.suspend_timeout_seconds = 300;
  open();
  neon::Changed made = create("b1");
  world.clock.advance(seconds(100));
  engine->tick();
  ++world.servers.begin()->second.activity.sessions;
  world.clock.advance(seconds(201));
  engine->tick();
  world.clock.advance(seconds(299));
  engine->tick();
  settle();
  EXPECT_EQ(engine->endpoint(made.endpoints[0].id).current_state, "active");
  world.clock.advance(seconds(10));
  engine->tick();
  settle();
  EXPECT_EQ(engine->endpoint(made.endpoints[0].id).current_state, "idle");
}

TEST_F(EngineTest, AComputeThatEndedIsStartedAgain) {
  neon::Changed made = create("b1");
  world.servers.begin()->second.running = false;
  world.clock.advance(seconds(10));
  engine->tick();
  settle();
  EXPECT_TRUE(world.servers.begin()->second.running);
  EXPECT_EQ(world.brought.size(), 1U);
  EXPECT_EQ(engine->endpoint(made.endpoints[0].id).current_state, "active");
}

TEST_F(EngineTest, AManagedSourceRunsUnlessItIsSuspended) {
  world.source_running = false;
  world.clock.advance(seconds(100));
  engine->tick();
  settle();
  EXPECT_TRUE(world.source_running);
  engine->suspend_endpoint(engine->endpoints(main)[0].id);
  settle();
  world.clock.advance(seconds(100));
  engine->tick();
  settle();
  EXPECT_FALSE(world.source_running);
  engine->start_endpoint(engine->endpoints(main)[0].id);
  settle();
  EXPECT_TRUE(world.source_running);
}

TEST_F(EngineTest, ARunningComputeIsAdoptedByTheNextEngine) {
  neon::Changed made = create("b1");
  std::string password = engine->reveal_password(made.branch->id, "app")->reveal();
  make_folders(world.work() + "/computes/br-nobody-knows-1/data");
  world.lines.clear();
  open();
  EXPECT_EQ(engine->endpoint(made.endpoints[0].id).current_state, "active");
  EXPECT_EQ(engine->reveal_password(made.branch->id, "app")->reveal(), password);
  EXPECT_EQ(world.brought.size(), 1U);
  EXPECT_TRUE(world.lines.contains(made.branch->id));
  EXPECT_FALSE(file_exists(world.work() + "/computes/br-nobody-knows-1"));
}

TEST_F(EngineTest, RolesAndDatabasesComeAndGo) {
  neon::Changed made = create("b1");
  std::string id = made.branch->id;
  neon::Changed role = engine->create_role(id, "writer", true);
  ASSERT_TRUE(role.roles[0].password);
  FakeServer& server = world.servers.begin()->second;
  EXPECT_EQ(server.passwords.at("writer"), role.roles[0].password->reveal());
  EXPECT_EQ(engine->reveal_password(id, "writer")->reveal(), role.roles[0].password->reveal());
  EXPECT_ERROR(exists, engine->create_role(id, "writer", true));
  std::string changed = engine->reset_password(id, "writer").roles[0].password->reveal();
  EXPECT_EQ(server.passwords.at("writer"), changed);
  engine->create_database(id, "second", "writer");
  EXPECT_EQ(engine->database(id, "second").owner_name, "writer");
  EXPECT_ERROR(not_found, engine->create_database(id, "third", "nobody"));
  engine->update_database(id, "second", "renamed", {});
  EXPECT_EQ(engine->databases(id).back().name, "renamed");
  EXPECT_TRUE(engine->delete_database(id, "renamed"));
  EXPECT_FALSE(engine->delete_database(id, "renamed"));
  EXPECT_TRUE(engine->delete_role(id, "writer"));
  EXPECT_FALSE(engine->delete_role(id, "writer"));
  EXPECT_ERROR(not_found, engine->reveal_password(id, "writer"));
  for (const neon::Operation& operation : engine->operations(100, ""))
    EXPECT_EQ(operation.status, "finished") << operation.action;
}

TEST_F(EngineTest, ARoleOnABranchWithoutAComputeIsMadeAllTheSame) {
  std::string id = create("b1", false).branch->id;
  std::string password = engine->create_role(id, "writer", true).roles[0].password->reveal();
  EXPECT_EQ(world.servers.begin()->second.passwords.at("writer"), password);
  EXPECT_FALSE(world.servers.begin()->second.running);
}

TEST_F(EngineTest, OfTheSourceOnlyItsOwnPasswordIsKnown) {
  world.source_roles["other"] = "secret";
  EXPECT_EQ(engine->roles(main).size(), 1U);  // the URL's own
  EXPECT_EQ(engine->reveal_password(main, "app")->reveal(), "source-password");
  EXPECT_ERROR(not_found, engine->reveal_password(main, "other"));
  EXPECT_ERROR(exists, engine->create_role(main, "other", true));
  std::string made = engine->create_role(main, "made", true).roles[0].password->reveal();
  EXPECT_EQ(world.source_roles.at("made"), made);
  EXPECT_EQ(engine->roles(main).size(), 2U);
  EXPECT_ERROR(violated, engine->delete_role(main, "app"));
  EXPECT_EQ(engine->connection_uri({}, {}, "app", "app").uri.reveal(),
            "postgresql://app:source-password@db.test:5432/app");
}

TEST_F(EngineTest, AReadOnlyComputeIsBroughtAnewAtEachStart) {
  neon::Changed made = create("b1");
  neon::Changed reader =
      engine->create_endpoint({.branch_id = made.branch->id, .type = "read_only"});
  EXPECT_EQ(reader.endpoints[0].current_state, "active");
  EXPECT_ERROR(exists, engine->create_endpoint({.branch_id = made.branch->id}));
  engine->restart_endpoint(reader.endpoints[0].id);
  settle();
  EXPECT_EQ(world.brought.size(), 3U);
  EXPECT_TRUE(engine->delete_endpoint(reader.endpoints[0].id));
  settle();
  EXPECT_EQ(world.servers.size(), 1U);
}

TEST_F(EngineTest, AComputeThatDoesNotStartIsSaidToBeSo) {
  world.fail_on({"bring"});
  neon::Changed made = create("b1");
  EXPECT_EQ(made.operations[1].status, "failed");
  EXPECT_THAT(made.operations[1].error.value(), HasSubstr("(bring) failed"));
  EXPECT_EQ(made.endpoints[0].current_state, "idle");
  world.fail_on({});
  engine->start_endpoint(made.endpoints[0].id);
  settle();
  EXPECT_EQ(engine->endpoint(made.endpoints[0].id).current_state, "active");
}

TEST_F(EngineTest, UnsupportedWishesAreRefusedBeforeAnythingIsMade) {
  EXPECT_ERROR(unsupported, engine->create_branch({.init_source = "schema-only"}));
  neon::BranchCreateRequest two;
  two.endpoints.resize(2);
  EXPECT_ERROR(exists, engine->create_branch(two));
  EXPECT_EQ(engine->branch_count(""), 1U);
}

}  // namespace
}  // namespace holdfast
