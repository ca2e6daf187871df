// The API's JSON, there and back, and what strict reading refuses.
#include "neon/json.h"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "base/expect_error.h"

namespace holdfast::neon {
namespace {

using Json = nlohmann::json;

const UtcTime kTime = parse_rfc3339("2026-11-10T14:30:00.123Z");

Branch some_branch() {
  Branch branch;
  branch.id = "br-quiet-sun-12345678";
  branch.project_id = "holdfast-1";
  branch.name = "näme \"quoted\"";
  branch.parent_id = "br-main-line-00000001";
  branch.parent_lsn = "0/16B3748";
  branch.parent_timestamp = branch.created_at = branch.updated_at = branch.state_changed_at = kTime;
  branch.is_default = branch.is_protected = true;
  branch.logical_size = int64_t{1} << 40;
  branch.expires_at = kTime;
  branch.annotation = {{"ci", "yes"}};
  return branch;
}

Endpoint some_endpoint() {
  Endpoint endpoint;
  endpoint.id = "ep-cold-hill-12345678";
  endpoint.host = "127.0.0.1:15500";
  endpoint.branch_id = "br-quiet-sun-12345678";
  endpoint.autoscaling_limit_max_cu = 2;
  endpoint.suspend_timeout_seconds = -1;
  endpoint.pg_settings = {{"work_mem", "8MB"}};
  endpoint.last_active = kTime;
  return endpoint;
}

Operation some_operation() {
  Operation operation;
  operation.id = "9f1a2b3c-0000-4000-8000-000000000001";
  operation.action = "create_timeline";
  operation.status = "failed";
  operation.branch_id = "br-quiet-sun-12345678";
  operation.error = "no room";
  operation.total_duration_ms = 140;
  return operation;
}

TEST(NeonJsonTest, BranchesComeBack) {
  Branch sent = some_branch(), got = read_branch(write_branch(sent));
  EXPECT_EQ(got.id, sent.id);
  EXPECT_EQ(got.name, sent.name);
  EXPECT_EQ(got.parent_lsn, sent.parent_lsn);
  EXPECT_EQ(got.parent_timestamp, sent.parent_timestamp);
  EXPECT_EQ(got.logical_size, sent.logical_size);
  EXPECT_EQ(got.expires_at, sent.expires_at);
  EXPECT_EQ(got.annotation, sent.annotation);
  EXPECT_TRUE(got.is_default && got.is_protected);
  EXPECT_FALSE(got.restored_from);

  Branch plain;
  plain.id = "br-a-b-1";
  BranchList list = read_branch_list(write_branch_list({{sent, plain}, "cursor", "name", "asc"}));
  ASSERT_EQ(list.branches.size(), 2u);
  EXPECT_EQ(list.branches[0].annotation, sent.annotation);
  EXPECT_TRUE(list.branches[1].annotation.empty());
  EXPECT_EQ(list.next + list.sort_by + list.sort_order, "cursornameasc");
  EXPECT_EQ(read_branch_count(write_branch_count(7)), 7u);
}

TEST(NeonJsonTest, ABranchHasEveryRequiredField) {
  Json branch = Json::parse(write_branch(some_branch())).at("branch");
  for (const char* key :
       {"id", "project_id", "name", "current_state", "state_changed_at", "creation_source",
        "created_at", "updated_at", "default", "protected", "cpu_used_sec", "active_time_seconds",
        "compute_time_seconds", "written_data_bytes", "data_transfer_bytes"})
    EXPECT_TRUE(branch.contains(key)) << key;
  Json empty = Json::parse(write_branch_list({}));
  EXPECT_TRUE(empty.at("annotations").is_object());
  EXPECT_TRUE(empty.at("branches").is_array());
}

TEST(NeonJsonTest, ChangesComeBackInTheirShapes) {
  Changed sent;
  sent.branch = some_branch();
  sent.endpoints = {some_endpoint()};
  sent.operations = {some_operation()};
  Role role;
  role.name = "owner";
  role.password = Secret("p\"w");
  sent.roles = {role};
  Database database;
  database.id = 16384;
  database.name = "care";
  sent.databases = {database};
  sent.connection_uris = {{Secret("postgresql://u:p@h/d"), "d", "u", "h", "h", Secret("p")}};
  Snapshot snapshot;
  snapshot.id = "snap-a-b-1";
  snapshot.slug = "nightly";
  sent.snapshot = snapshot;

  Changed got = read_changed(write_changed(sent, ChangedShape::branch_created));
  ASSERT_TRUE(got.branch);
  EXPECT_EQ(got.branch->id, sent.branch->id);
  ASSERT_EQ(got.endpoints.size(), 1u);
  EXPECT_EQ(got.endpoints[0].host, "127.0.0.1:15500");
  EXPECT_EQ(got.endpoints[0].pg_settings, sent.endpoints[0].pg_settings);
  EXPECT_EQ(got.endpoints[0].suspend_timeout_seconds, -1);
  EXPECT_EQ(got.endpoints[0].last_active, kTime);
  ASSERT_EQ(got.operations.size(), 1u);
  EXPECT_TRUE(got.operations[0].failed());
  EXPECT_EQ(got.operations[0].error, "no room");
  EXPECT_EQ(got.roles.at(0).password->reveal(), "p\"w");
  EXPECT_EQ(got.databases.at(0).id, 16384);
  EXPECT_EQ(got.connection_uris.at(0).password.reveal(), "p");
  EXPECT_FALSE(got.snapshot);

  for (auto [shape, keys] : std::vector<std::pair<ChangedShape, std::set<std::string>>>{
           {ChangedShape::branch, {"branch", "operations"}},
           {ChangedShape::endpoint, {"endpoint", "operations"}},
           {ChangedShape::role, {"role", "operations"}},
           {ChangedShape::database, {"database", "operations"}},
           {ChangedShape::snapshot, {"snapshot", "operations"}},
           {ChangedShape::snapshot_restored, {"branch", "endpoints", "operations"}},
           {ChangedShape::operations, {"operations"}}}) {
    std::set<std::string> found;
    const Json document = Json::parse(write_changed(sent, shape));
    for (const auto& [key, value] : document.items()) found.insert(key);
    EXPECT_EQ(found, keys);
  }
  EXPECT_ERROR_SAYING(internal, "endpoint", write_changed({}, ChangedShape::endpoint));
}

TEST(NeonJsonTest, TheOtherAnswersComeBack) {
  Project project;
  project.id = "holdfast-1";
  project.name = "holdfast";
  project.pg_version = 15;
  project.created_at = kTime;
  EXPECT_EQ(read_project(write_project(project)).pg_version, 15);
  EXPECT_EQ(read_project_list(write_project_list({{project}, "c"})).cursor, "c");
  EXPECT_EQ(read_endpoint(write_endpoint(some_endpoint())).autoscaling_limit_max_cu, 2);
  EXPECT_EQ(read_endpoint_list(write_endpoint_list({some_endpoint()})).size(), 1u);
  EXPECT_EQ(read_operation(write_operation(some_operation())).action, "create_timeline");
  EXPECT_EQ(read_operation_list(write_operation_list({{some_operation()}, "x"})).cursor, "x");
  EXPECT_EQ(read_password(write_password(Secret("geheim"))).reveal(), "geheim");
  EXPECT_EQ(read_connection_uri(write_connection_uri(Secret("u"))).reveal(), "u");
  EXPECT_EQ(read_schema(write_schema("create table")), "create table");
  EXPECT_EQ(read_schema_diff(write_schema_diff("-a\n+b\n")), "-a\n+b\n");
  std::vector<ScheduleItem> items = {{"daily", 3, std::nullopt, std::nullopt, 604800}};
  EXPECT_EQ(read_schedule(write_schedule(items)).at(0).retention_seconds, 604800);
  EXPECT_EQ(read_schedule_request(write_schedule(items)).at(0).hour, 3);
  ErrorAnswer error = read_error(write_error({"r", "C", "branch not found"}));
  EXPECT_EQ(error.request_id + error.code + error.message, "rCbranch not found");
  EXPECT_EQ(read_error("<html>").message, "");
}

TEST(NeonJsonTest, AnswersOfSomethingElseAreRefused) {
  EXPECT_ERROR_SAYING(unavailable, "not valid JSON", read_branch_list("<html>"));
  EXPECT_ERROR_SAYING(unavailable, "field branches is missing", read_branch_list("{}"));
  EXPECT_ERROR_SAYING(unavailable, "field branch.id is not text",
                      read_branch(R"({"branch":{"id":7,"name":"x"}})"));
}

TEST(NeonJsonTest, RequestsComeBack) {
  BranchCreateRequest sent;
  sent.parent_id = "br-a-b-1";
  sent.name = "x";
  sent.parent_timestamp = sent.expires_at = kTime;
  sent.is_protected = true;
  sent.annotation = {{"a", "b"}};
  EndpointRequest endpoint;
  endpoint.autoscaling_limit_min_cu = 0.25;
  endpoint.autoscaling_limit_max_cu = 1;
  endpoint.suspend_timeout_seconds = 300;
  sent.endpoints = {endpoint};
  BranchCreateRequest got = read_branch_create(write_branch_create(sent));
  EXPECT_EQ(got.parent_id, sent.parent_id);
  EXPECT_EQ(got.parent_timestamp, kTime);
  EXPECT_EQ(got.expires_at, kTime);
  EXPECT_EQ(got.annotation, sent.annotation);
  EXPECT_TRUE(got.is_protected);
  ASSERT_EQ(got.endpoints.size(), 1u);
  EXPECT_EQ(got.endpoints[0].suspend_timeout_seconds, 300);
  EXPECT_FALSE(got.parent_lsn);

  BranchUpdateRequest update;
  update.has_expires_at = true;
  EXPECT_TRUE(read_branch_update(write_branch_update(update)).has_expires_at);
  EXPECT_FALSE(read_branch_update(write_branch_update({})).has_expires_at);
  BranchRestoreRequest restore{"br-a-b-1", "0/1", "old", std::nullopt};
  EXPECT_EQ(read_branch_restore(write_branch_restore(restore)).preserve_under_name, "old");
  EXPECT_FALSE(read_role_create(write_role_create({"r", false})).login);
  EXPECT_EQ(read_database_create(write_database_request({"d", "o"})).owner_name, "o");
  endpoint.branch_id = "br-a-b-1";
  EXPECT_EQ(read_endpoint_create(write_endpoint_create(endpoint)).branch_id, "br-a-b-1");
  EXPECT_EQ(read_endpoint_update(write_endpoint_update(endpoint)).autoscaling_limit_max_cu, 1);
  EXPECT_TRUE(read_snapshot_restore(write_snapshot_restore({"n", "br-a-b-1", true})).finalize);
  EXPECT_EQ(read_snapshot_update(write_snapshot_update({"n", false, {}})).name, "n");
  EXPECT_EQ(read_project_update(write_project_update({"n", 3600})).history_retention_seconds, 3600);
}

TEST(NeonJsonTest, WhatTheStockClientSendsIsRead) {
  BranchCreateRequest request =
      read_branch_create(R"({"branch":{"name":"b1","parent_timestamp":"2026-01-01T00:00:00Z"},)"
                         R"("endpoints":[{"type":"read_write"}],"annotation_value":{}})");
  EXPECT_EQ(format_rfc3339(*request.parent_timestamp), "2026-01-01T00:00:00.000Z");
  EXPECT_EQ(request.endpoints.at(0).type, "read_write");
  EXPECT_FALSE(request.parent_id);
  EXPECT_FALSE(read_branch_create("").name);
  EXPECT_TRUE(read_branch_update(R"({"branch":{"expires_at":null}})").has_expires_at);
  EXPECT_EQ(read_snapshot_create(R"({"snapshot":{"name":"n"}})").name, "n");
  EXPECT_EQ(read_snapshot_create(R"({"name":"n","new_field":{"x":[1]}})").name, "n");
}

TEST(NeonJsonTest, WrongRequestsAreNamed) {
  struct Case {
    std::function<void()> read;
    const char* message;
  };
  auto create = [](const char* body) { return [body] { read_branch_create(body); }; };
  for (const Case& wrong : std::vector<Case>{
           {create("[]"), "the body is not a JSON object"},
           {create("{"), "not valid JSON"},
           {create("\xff"), "not valid JSON"},
           {create(R"({"branch":[]})"), "field branch is not an object"},
           {create(R"({"branch":{"name":7}})"), "field branch.name is not text"},
           {create(R"({"branch":{"name":""}})"), "field branch.name is too short"},
           {create(R"({"branch":{"name":"a\u0000b"}})"), "field branch.name holds a control"},
           {create(R"({"branch":{"parent_id":"A"}})"), "field branch.parent_id is not an id"},
           {create(R"({"branch":{"protected":"yes"}})"), "field branch.protected is neither"},
           {create(R"({"branch":{"parent_lsn":"0-1"}})"), "field branch.parent_lsn is not an LSN"},
           {create(R"({"branch":{"parent_timestamp":"yesterday"}})"), "branch.parent_timestamp"},
           {create(R"({"branch":{"parent_lsn":"0/1","parent_timestamp":"2026-01-01T00:00:00Z"}})"),
            "cannot be combined"},
           {create(R"({"branch":{"init_source":"magic"}})"), "field branch.init_source is none of"},
           {create(R"({"endpoints":[{}]})"), "field endpoints[0].type is missing"},
           {create(R"({"endpoints":[{"type":"rw"}]})"), "field endpoints[0].type is none of"},
           {create(R"({"endpoints":[{"type":"read_write","suspend_timeout_seconds":30}]})"),
            "suspend_timeout_seconds is 30"},
           {create(R"({"endpoints":[{"type":"read_write","suspend_timeout_seconds":1e3}]})"),
            "not a whole number"},
           {create(R"({"endpoints":[{"type":"read_write","autoscaling_limit_min_cu":2,)"
                   R"("autoscaling_limit_max_cu":1}]})"),
            "is above autoscaling_limit_max_cu"},
           {create(R"({"annotation_value":{"a":1}})"), "field annotation_value holds something"},
           {[] { read_role_create("{}"); }, "field role is missing"},
           {[] { read_role_create(R"({"role":{"name":")" + std::string(64, 'x') + R"("}})"); },
            "longer than 63 bytes"},
           {[] { read_schedule_request(R"({"schedule":[{"frequency":"daily","hour":24}]})"); },
            "field schedule[0].hour is 24; it may be 0 to 23"},
           {[] { read_project_update(R"({"project":{"history_retention_seconds":1e99}})"); },
            "not a whole number"}})
    EXPECT_ERROR_SAYING(invalid, wrong.message, wrong.read());
}

TEST(NeonJsonTest, BodiesAreBoundedBeforeTheyAreBuilt) {
  std::string deep(1 << 20, '[');
  EXPECT_ERROR_SAYING(invalid, "deeper than 32", read_branch_create(deep));
  std::string wide = "{\"a\":[0";
  for (int i = 0; i < 30000; ++i) wide += ",0";
  EXPECT_ERROR_SAYING(invalid, "more than 20000 values", read_branch_create(wide + "]}"));
  EXPECT_NO_THROW(read_branch_create(R"({"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"[["})"));
  EXPECT_ERROR_SAYING(
      invalid, "longer than 256 characters",
      read_branch_create(R"({"branch":{"name":")" + std::string(300, 'x') + R"("}})"));
}

TEST(NeonJsonTest, TimesOfEveryOffsetAreRead) {
  for (const char* text :
       {"2026-11-10T14:30:00.123Z", "2026-11-10T14:30:00.123456Z", "2026-11-10T16:30:00.1239+02:00",
        "2026-11-10T09:00:00.123-05:30", "2026-11-10t14:30:00.123z"})
    EXPECT_EQ(format_rfc3339(parse_time(text)), "2026-11-10T14:30:00.123Z") << text;
  EXPECT_EQ(format_rfc3339(parse_time("2026-11-10T14:30:00.1Z")), "2026-11-10T14:30:00.100Z");
  for (const char* text :
       {"", "2026-11-10", "2026-11-10T14:30:00", "2026-13-10T14:30:00Z", "2026-02-30T14:30:00Z",
        "2026-11-10T24:00:00Z", "2026-11-10T14:30:00.Z", "2026-11-10T14:30:00Zx",
        "2026-11-10T14:30:00+0200", "-026-11-10T14:30:00Z", "2026-11-10T14:30:00+24:00",
        "2026-11-10T1 :30:00Z"})
    EXPECT_ERROR_SAYING(invalid, "is not a time", parse_time(text));
}

TEST(NeonJsonTest, IdsAreOfTheAlphabet) {
  EXPECT_TRUE(is_id("br-quiet-sun-12345678"));
  for (const std::string& text : {std::string(), std::string("A"), std::string("a/b"),
                                  std::string("a\0b", 3), std::string(61, 'a')})
    EXPECT_FALSE(is_id(text));
}

}  // namespace
}  // namespace holdfast::neon
