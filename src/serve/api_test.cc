// Every route of the API over an engine without PostgreSQL: statuses, shapes, and what is refused.
#include "serve/api.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "neon/json.h"
#include "serve/engine_fake.h"
#include "serve/web_target.h"

namespace holdfast {
namespace {

using Json = nlohmann::json;

class ApiTest : public ::testing::Test {
 protected:
  TempFolder folder_{"api"};
  SystemClock clock_;
  NullLog log_;
  FakeEngine engine_;
  ApiKeys keys_{keys_path(folder_.path()), clock_};
  Api api_{engine_, keys_, log_};
  std::string project_ = "/projects/" + engine_.project().id;
  std::string branch_ = project_ + "/branches/" + engine_.main_id();

  WebResponse call(const std::string& method, const std::string& target,
                   const std::string& body = {}) {
    WebRequest request;
    request.method = method;
    request.body = body;
    request.request_id = "r1";
    parse_target(kApiPrefix + target, request);
    return api_.handle(request);
  }
  // The answer's JSON; fails the test unless it has this status.
  Json json(int status, const std::string& method, const std::string& target,
            const std::string& body = {}) {
    WebResponse response = call(method, target, body);
    EXPECT_EQ(response.status, status) << method << " " << target << ": " << response.body;
    return Json::parse(response.body, nullptr, false);
  }
  void refused(int status, const std::string& method, const std::string& target,
               const std::string& body, const std::string& message) {
    Json answer = json(status, method, target, body);
    std::string text = answer.value("message", "");
    EXPECT_NE(text.find(message), std::string::npos) << method << " " << target << ": " << text;
    EXPECT_EQ(answer.value("request_id", ""), "r1");
    EXPECT_TRUE(answer.contains("code"));
  }
  static std::set<std::string> names(const Json& object) {
    std::set<std::string> found;
    for (const auto& [name, value] : object.items()) found.insert(name);
    return found;
  }
};

using Names = std::set<std::string>;

TEST_F(ApiTest, OnlyKeysAreAdmitted) {
  NewApiKey key = keys_.add("ci");
  auto admit = [&](const std::string& header) {
    WebRequest request;
    request.request_id = "r1";
    if (!header.empty()) request.headers["authorization"] = header;
    auto refusal = api_.admit(request);
    if (!refusal) return request.client;
    EXPECT_EQ(refusal->status, 401);
    EXPECT_EQ(neon::read_error(refusal->body).message,
              "supplied credentials do not pass authentication");
    return std::string();
  };
  std::string expected = "key " + std::to_string(key.key.id);
  EXPECT_EQ(admit("Bearer " + key.clear.reveal()), expected);
  EXPECT_EQ(admit("bearer " + key.clear.reveal()), expected);
  for (const std::string& wrong : {std::string(), std::string("Bearer "), std::string("Bearer x"),
                                   "Basic " + key.clear.reveal(), key.clear.reveal()})
    EXPECT_EQ(admit(wrong), "");
}

TEST_F(ApiTest, TheAccount) {
  EXPECT_TRUE(json(200, "GET", "/users/me").contains("auth_accounts"));
  EXPECT_TRUE(json(200, "GET", "/users/me/organizations").at("organizations").empty());
  EXPECT_EQ(json(200, "GET", "/auth").at("auth_method"), "api_key_user");
  EXPECT_EQ(json(200, "GET", "/regions").at("regions").size(), 1u);
  Json made = json(200, "POST", "/api_keys", R"({"key_name":"ci"})");
  EXPECT_TRUE(keys_.verify(Secret(made.at("key").get<std::string>())));
  EXPECT_EQ(json(200, "GET", "/api_keys").size(), 1u);
  std::string id = std::to_string(made.at("id").get<int64_t>());
  EXPECT_EQ(json(200, "DELETE", "/api_keys/" + id).at("revoked"), true);
  EXPECT_EQ(call("DELETE", "/api_keys/" + id).status, 404);
  EXPECT_EQ(call("DELETE", "/api_keys/x").status, 400);
  refused(400, "POST", "/api_keys", "{}", "key_name is missing");
}

TEST_F(ApiTest, TheProject) {
  Json list = json(200, "GET", "/projects?limit=100");
  EXPECT_EQ(list.at("projects").size(), 1u);
  std::string cursor = list.at("pagination").at("cursor");
  EXPECT_TRUE(json(200, "GET", "/projects?cursor=" + cursor).at("projects").empty());
  EXPECT_TRUE(json(200, "GET", "/projects?search=nothing").at("projects").empty());
  EXPECT_TRUE(json(200, "GET", "/projects/shared").at("projects").empty());
  EXPECT_EQ(json(200, "GET", project_).at("project").at("pg_version"), 15);
  std::string patch = R"({"project":{"history_retention_seconds":3600,"settings":{"x":1}}})";
  Json patched = json(200, "PATCH", project_, patch);
  EXPECT_EQ(patched.at("project").at("history_retention_seconds"), 3600);
  EXPECT_TRUE(patched.at("operations").empty());
  refused(422, "POST", "/projects", "{}", "one project");
  refused(422, "DELETE", project_, "", "cannot be deleted");
  refused(404, "GET", "/projects/other", "", "project not found");
  refused(404, "GET", "/projects/other/branches", "", "project not found");
  refused(400, "GET", "/projects?limit=0", "", "limit");
  EXPECT_EQ(json(200, "GET", project_ + "/history").at("windows").size(), 1u);
  refused(400, "GET", project_ + "/connection_uri?role_name=owner", "", "database_name is missing");
  std::string uri = project_ + "/connection_uri?role_name=owner&database_name=care&pooled=true";
  EXPECT_EQ(names(json(200, "GET", uri)), Names{"uri"});
}

TEST_F(ApiTest, Branches) {
  std::string branches = project_ + "/branches";
  Json made = json(201, "POST", branches,
                   R"({"branch":{"name":"b1"},"endpoints":[{"type":"read_write"}]})");
  EXPECT_EQ(names(made),
            (Names{"branch", "endpoints", "operations", "roles", "databases", "connection_uris"}));
  std::string id = made.at("branch").at("id"), b1 = branches + "/" + id;
  EXPECT_EQ(json(201, "POST", branches).at("endpoints").size(), 0u);  // without a body
  refused(409, "POST", branches, R"({"branch":{"name":"b1"}})", "already exists");
  refused(404, "POST", branches, R"({"branch":{"parent_id":"br-no-no-1"}})", "branch not found");
  refused(423, "POST", branches, R"({"branch":{"name":"busy"}})", "running operations");
  refused(422, "POST", branches, R"({"branch":{"name":"full"}})", "10 branches");
  refused(400, "POST", branches, R"({"branch":{"name":5}})", "branch.name is not text");

  Json list = json(200, "GET", branches);
  EXPECT_EQ(list.at("branches").size(), 3u);
  EXPECT_TRUE(list.contains("annotations"));
  EXPECT_EQ(json(200, "GET", branches + "/count?search=b1").at("count"), 1);
  Json page = json(200, "GET", branches + "?limit=2&sort_by=name&sort_order=asc");
  EXPECT_EQ(page.at("branches").size(), 2u);
  std::string next = page.at("pagination").at("next");
  Json rest = json(200, "GET", branches + "?limit=2&sort_by=name&sort_order=asc&cursor=" + next);
  EXPECT_EQ(rest.at("branches").size(), 1u);
  EXPECT_FALSE(rest.at("pagination").contains("next"));
  refused(400, "GET", branches + "?sort_by=size", "", "sort_by is none of");
  refused(400, "GET", branches + "?limit=x", "", "limit");

  EXPECT_EQ(names(json(200, "GET", b1)), (Names{"branch", "annotation"}));
  EXPECT_EQ(json(200, "PATCH", b1, R"({"branch":{"name":"b2"}})").at("branch").at("name"), "b2");
  refused(400, "PATCH", b1, "{}", "branch is missing");
  std::string restore = R"({"source_branch_id":")" + engine_.main_id() + R"("})";
  EXPECT_TRUE(json(200, "POST", b1 + "/restore", restore).at("branch").contains("last_reset_at"));
  refused(400, "POST", branch_ + "/restore", restore, "preserve_under_name");
  refused(400, "POST", b1 + "/restore", "", "source_branch_id is missing");
  EXPECT_EQ(json(200, "POST", b1 + "/set_as_default").at("branch").at("default"), true);
  refused(422, "DELETE", b1, "", "default branch");
  json(200, "POST", branch_ + "/set_as_default");
  json(200, "POST", b1 + "/finalize_restore", R"({"name":"x"})");
  refused(422, "POST", b1 + "/recover", "", "not kept");
  EXPECT_EQ(names(json(200, "DELETE", b1)), (Names{"branch", "operations"}));
  WebResponse again = call("DELETE", b1);
  EXPECT_EQ(again.status, 204);
  EXPECT_EQ(again.body, "");
  refused(404, "GET", b1, "", "branch not found");
}

TEST_F(ApiTest, Schemas) {
  Json made = json(201, "POST", project_ + "/branches", R"({"branch":{"name":"b1"}})");
  std::string id = made.at("branch").at("id"), b1 = project_ + "/branches/" + id;
  engine_.schemas[engine_.main_id()] = "\\restrict abc\nCREATE TABLE a ();\n";
  engine_.schemas[id] = "\\restrict xyz\nCREATE TABLE a ();\nCREATE TABLE b ();\n";
  EXPECT_EQ(json(200, "GET", branch_ + "/schema?db_name=care").at("sql"),
            engine_.schemas[engine_.main_id()]);
  EXPECT_EQ(json(200, "GET", b1 + "/compare_schema?db_name=care").at("diff"),
            "--- a/care\n+++ b/care\n@@ -1 +1,2 @@\n CREATE TABLE a ();\n+CREATE TABLE b ();\n");
  EXPECT_EQ(json(200, "GET", b1 + "/compare_schema?db_name=care&base_branch_id=" + id).at("diff"),
            "");
  refused(400, "GET", branch_ + "/compare_schema?db_name=care", "", "no parent");
  refused(400, "GET", branch_ + "/schema", "", "db_name is missing");
  refused(404, "GET", branch_ + "/schema?db_name=x", "", "database not found");
  refused(422, "GET", branch_ + "/schema?db_name=care&format=json", "", "not available");
  refused(400, "GET", branch_ + "/schema?db_name=care&lsn=x", "", "lsn is not an LSN");
  refused(400, "GET", branch_ + "/schema?db_name=care&timestamp=2026-01-01T00:00:00+02:00", "",
          "timestamp is not a time");
  refused(400, "GET", branch_ + "/schema?db_name=care&lsn=0/1&timestamp=2026-01-01T00:00:00Z", "",
          "not both");
}

TEST_F(ApiTest, Endpoints) {
  std::string endpoints = project_ + "/endpoints";
  Json made = json(
      201, "POST", endpoints,
      R"({"endpoint":{"type":"read_only","branch_id":")" + engine_.main_id() + R"(","name":"x"}})");
  EXPECT_EQ(names(made), (Names{"endpoint", "operations"}));
  std::string id = made.at("endpoint").at("id"), one = endpoints + "/" + id;
  EXPECT_EQ(json(200, "GET", endpoints).at("endpoints").size(), 2u);
  EXPECT_EQ(json(200, "GET", branch_ + "/endpoints").at("endpoints").size(), 2u);
  EXPECT_EQ(json(200, "GET", one).at("endpoint").at("type"), "read_only");
  std::string patch = R"({"endpoint":{"suspend_timeout_seconds":60}})";
  EXPECT_EQ(json(200, "PATCH", one, patch).at("endpoint").at("suspend_timeout_seconds"), 60);
  for (const char* action : {"/start", "/suspend", "/restart"})
    EXPECT_EQ(json(200, "POST", one + action).at("operations").size(), 1u);
  refused(404, "POST", endpoints + "/ep-no-no-1/start", "", "endpoint not found");
  refused(400, "POST", endpoints, R"({"endpoint":{"type":"read_only"}})", "branch_id is missing");
  EXPECT_EQ(call("DELETE", one).status, 200);
  EXPECT_EQ(call("DELETE", one).status, 204);
}

TEST_F(ApiTest, RolesAndDatabases) {
  std::string roles = branch_ + "/roles", databases = branch_ + "/databases";
  EXPECT_EQ(json(200, "GET", roles).at("roles").size(), 1u);
  EXPECT_TRUE(
      json(201, "POST", roles, R"({"role":{"name":"app"}})").at("role").contains("password"));
  refused(409, "POST", roles, R"({"role":{"name":"owner"}})", "already exists");
  EXPECT_EQ(json(200, "GET", roles + "/owner").at("role").at("name"), "owner");
  EXPECT_EQ(json(200, "GET", roles + "/owner/reveal_password").at("password"), "pass word");
  refused(412, "GET", roles + "/forgotten/reveal_password", "", "reset_password");
  refused(404, "GET", roles + "/n%20n/reveal_password", "", "role not found");
  EXPECT_EQ(json(200, "POST", roles + "/owner/reset_password").at("operations").size(), 1u);
  EXPECT_EQ(call("DELETE", roles + "/owner").status, 200);
  EXPECT_EQ(call("DELETE", roles + "/other").status, 204);

  EXPECT_EQ(json(200, "GET", databases).at("databases").size(), 1u);
  json(201, "POST", databases, R"({"database":{"name":"d","owner_name":"owner"}})");
  refused(400, "POST", databases, R"({"database":{"name":"d"}})", "owner_name is missing");
  EXPECT_EQ(json(200, "GET", databases + "/care").at("database").at("id"), 16384);
  std::string patch = R"({"database":{"name":"new"}})";
  EXPECT_EQ(json(200, "PATCH", databases + "/care", patch).at("database").at("name"), "new");
  EXPECT_EQ(call("DELETE", databases + "/care").status, 200);
  EXPECT_EQ(call("DELETE", databases + "/x").status, 204);
}

TEST_F(ApiTest, SnapshotsAndOperations) {
  std::string create = branch_ + "/snapshot?name=by%20query&expires_at=2026-12-01T00:00:00Z";
  Json made = json(200, "POST", create);
  EXPECT_EQ(names(made), (Names{"snapshot", "operations"}));
  EXPECT_EQ(made.at("snapshot").at("name"), "by query");
  EXPECT_EQ(
      json(200, "POST", branch_ + "/snapshot", R"({"name":"by body"})").at("snapshot").at("name"),
      "by body");
  refused(400, "POST", branch_ + "/snapshot?lsn=0/1", R"({"timestamp":"2026-01-01T00:00:00Z"})",
          "not both");
  std::string id = made.at("snapshot").at("id"), one = project_ + "/snapshots/" + id;
  EXPECT_EQ(json(200, "GET", project_ + "/snapshots").at("snapshots").size(), 2u);
  EXPECT_FALSE(json(200, "PATCH", one, R"({"snapshot":{"expires_at":null}})")
                   .at("snapshot")
                   .contains("expires_at"));
  EXPECT_EQ(names(json(200, "POST", one + "/restore", R"({"finalize_restore":true})")),
            (Names{"branch", "endpoints", "operations"}));
  json(202, "DELETE", one);
  refused(404, "DELETE", one, "", "snapshot not found");
  std::string schedule = branch_ + "/backup_schedule";
  EXPECT_EQ(json(200, "PUT", schedule, R"({"schedule":[{"frequency":"daily","hour":3}]})"),
            Json::object());
  EXPECT_EQ(json(200, "GET", schedule).at("schedule").at(0).at("hour"), 3);
  refused(400, "PUT", schedule, R"({"schedule":[{"frequency":"often"}]})", "frequency");

  Json operations = json(200, "GET", project_ + "/operations?limit=2");
  EXPECT_EQ(operations.at("operations").size(), 2u);
  std::string cursor = operations.at("pagination").at("cursor");
  Json rest = json(200, "GET", project_ + "/operations?cursor=" + cursor);
  EXPECT_FALSE(rest.contains("pagination"));
  std::string operation = operations.at("operations").at(0).at("id");
  EXPECT_EQ(json(200, "GET", project_ + "/operations/" + operation).at("operation").at("id"),
            operation);
  refused(404, "GET", project_ + "/operations/x", "", "operation not found");
}

TEST_F(ApiTest, WhatNeonHasAndWeDoNotSaysThatItDoesNotExist) {
  for (const char* feature : {"/buckets", "/functions", "/credentials", "/auth", "/data-api/care"})
    refused(404, "GET", branch_ + feature, "", "does not exist");
  refused(404, "GET", "/organizations/org-1", "", "does not exist");
}

}  // namespace
}  // namespace holdfast
