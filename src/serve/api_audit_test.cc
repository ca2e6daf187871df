// What the API's calls leave in the audit trail, and what happens while it cannot be written.
#include "serve/api_audit.h"

#include <gtest/gtest.h>

#include <fstream>

#include "audit/log_folder.h"
#include "audit/query.h"
#include "base/file.h"
#include "serve/web_target.h"

namespace holdfast {
namespace {

TEST(ApiAction, IsNamedAfterThePath) {
  EXPECT_EQ(api_action("POST", "/projects/p/branches"), "api.branch.create");
  EXPECT_EQ(api_action("GET", "/projects/p/branches"), "api.branch.list");
  EXPECT_EQ(api_action("DELETE", "/projects/p/branches/b"), "api.branch.delete");
  EXPECT_EQ(api_action("PATCH", "/projects/p"), "api.project.update");
  EXPECT_EQ(api_action("POST", "/projects/p/branches/b/restore"), "api.branch.restore");
  EXPECT_EQ(api_action("GET", "/projects/p/connection_uri"), "api.project.connection_uri");
  EXPECT_EQ(api_action("GET", "/projects/p/branches/b/roles/r/reveal_password"),
            "api.role.reveal_password");
  EXPECT_EQ(api_action("POST", "/projects/p/branches/b/roles/databases/reset_password"),
            "api.role.reset_password");
  EXPECT_EQ(api_action("POST", "/api_keys"), "api.key.create");
  EXPECT_EQ(api_action("DELETE", "/api_keys/7"), "api.key.delete");
  EXPECT_EQ(api_action("POST", "/projects/p/branches/b/A\"\n!"), "api.branch.____");
  for (const char* path : {"", "/", "//", "/users/me", "/nothing", "/x/y/z"})
    EXPECT_EQ(api_action("GET", path), "api.call") << path;
}

class ApiAuditTest : public ::testing::Test {
 protected:
  TempFolder temp_{"api-audit-"};
  std::string folder_ = temp_.path() + "/audit";
  SystemClock clock_;
  NullLog log_;
  AuditWriter writer_{folder_, clock_};
  int carried_out_ = 0;

  ApiAuditSettings settings(bool required = true, bool reads = false) {
    ApiAuditSettings made;
    made.who.organization = "Care Commons";
    made.who.host = "db1";
    made.required = required;
    made.reads = reads;
    return made;
  }
  WebResponse call(ApiAudit& audit, const std::string& method, const std::string& path,
                   int status = 200) {
    WebRequest request;
    request.method = method;
    request.path = "/api/v2" + path;
    request.request_id = "r1";
    request.client = "key 3";
    request.actor = "key 3 (terraform)";
    request.address = "192.0.2.7";
    return audit.record(request, [&](const WebRequest&) {
      ++carried_out_;
      WebResponse response;
      response.status = status;
      return response;
    });
  }
  // "api.branch.create begun", oldest first.
  std::vector<std::string> events() {
    std::vector<std::string> found;
    if (!file_exists(folder_)) return found;
    for (const AuditEntry& entry : read_audit_page(folder_, {}, 100).entries)
      if (entry.record && !is_audit_own(entry.record->event.action))
        found.insert(found.begin(),
                     entry.record->event.action + " " +
                         std::string(audit_outcome_name(entry.record->event.outcome)));
    return found;
  }
  void spoil() { std::ofstream(folder_) << "a file where the folder should be"; }
};

using Events = std::vector<std::string>;

TEST_F(ApiAuditTest, ChangesAreRecordedBeforeAndAfter) {
  ApiAudit audit(writer_, settings(), log_);
  call(audit, "POST", "/projects/p/branches", 201);
  call(audit, "DELETE", "/projects/p/branches/b", 404);
  EXPECT_EQ(events(), (Events{"api.branch.create begun", "api.branch.create ok",
                              "api.branch.delete begun", "api.branch.delete failed"}));
  AuditPage page = read_audit_page(folder_, {}, 1);
  const AuditEvent& event = page.entries.at(0).record->event;
  EXPECT_EQ(event.who.actor, "key 3 (terraform)");
  EXPECT_EQ(event.who.address, "192.0.2.7");
  EXPECT_EQ(event.target, "/projects/p/branches/b");
  EXPECT_EQ(event.detail.at("status"), "404");
}

TEST_F(ApiAuditTest, ReadsAreRecordedIfTheyShowAPasswordOrThatIsWanted) {
  {
    ApiAudit audit(writer_, settings(), log_);
    call(audit, "GET", "/projects/p/branches");
    EXPECT_EQ(events(), Events{});
    call(audit, "GET", "/projects/p/branches/b/roles/r/reveal_password");
    EXPECT_EQ(events(), Events{"api.role.reveal_password ok"});
  }
  ApiAudit audit(writer_, settings(true, true), log_);
  call(audit, "GET", "/projects/p/branches");
  EXPECT_EQ(events().back(), "api.branch.list ok");
}

TEST_F(ApiAuditTest, WhatCannotBeRecordedIsRefusedUnlessItNeedNotBe) {
  spoil();
  ApiAudit strict(writer_, settings(), log_);
  EXPECT_EQ(call(strict, "POST", "/projects/p/branches").status, 503);
  EXPECT_EQ(carried_out_, 0);
  EXPECT_EQ(call(strict, "GET", "/projects/p/connection_uri").status, 503);
  EXPECT_EQ(call(strict, "GET", "/projects/p/branches").status, 200);
  ApiAudit lenient(writer_, settings(false), log_);
  EXPECT_EQ(call(lenient, "POST", "/projects/p/branches").status, 200);
  EXPECT_EQ(call(lenient, "GET", "/projects/p/connection_uri").status, 200);
}

TEST_F(ApiAuditTest, RefusalsAreCountedByAddressAndCannotFillTheLog) {
  {
    ApiAudit audit(writer_, settings(), log_);
    for (int i = 0; i < 1000; ++i) {
      WebRequest request;
      request.address = "10.0.0." + std::to_string(i % 200);
      audit.refused(request);
    }
  }
  AuditPage page = read_audit_page(folder_, {}, 1000);
  uint64_t calls = 0, lines = 0;
  for (const AuditEntry& entry : page.entries) {
    if (!entry.record || entry.record->event.action != "api.refused") continue;
    ++lines;
    calls += std::stoull(entry.record->event.detail.at("calls"));
  }
  EXPECT_EQ(calls, 1000u);
  EXPECT_LE(lines, 202u);  // two intervals, if the machine was slow
}

}  // namespace
}  // namespace holdfast
