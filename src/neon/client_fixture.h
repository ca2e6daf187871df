// For the tests of the client: a client that speaks to a script, and the answers that it gets.
#pragma once

#include <gmock/gmock.h>

#include <optional>
#include <string>
#include <vector>

#include "neon/client.h"
#include "neon/scripted_http.h"

namespace holdfast::neon {

inline constexpr const char* kKey = "napi_s3cr3t";
inline const std::string kMain = R"({"id":"br-main-line-00000001","project_id":"p","name":"main",
  "current_state":"ready","default":true,"created_at":"2026-01-01T00:00:00Z",
  "updated_at":"2026-01-01T00:00:00Z"})";

inline std::string branch_json(const std::string& id, const std::string& name) {
  return R"({"id":")" + id + R"(","project_id":"p","name":")" + name +
         R"(","current_state":"ready","default":false,"created_at":"2026-01-02T00:00:00Z",
         "updated_at":"2026-01-02T00:00:00Z"})";
}
inline std::string list_json(const std::vector<std::string>& branches,
                             const std::string& next = "") {
  std::string text;
  for (const std::string& branch : branches) text += (text.empty() ? "" : ",") + branch;
  return R"({"branches":[)" + text + R"(],"annotations":{},"pagination":{"next":")" + next +
         R"("}})";
}
inline std::string operation_json(const std::string& id, const std::string& status,
                                  const std::string& branch = "br-a-b-00000002") {
  return R"({"id":")" + id + R"(","project_id":"p","branch_id":")" + branch +
         R"(","action":"create_timeline","status":")" + status +
         R"(","failures_count":0,"created_at":"2026-01-02T00:00:00Z",
         "updated_at":"2026-01-02T00:00:00Z","total_duration_ms":1})";
}
inline std::string error_json(const std::string& code, const std::string& message) {
  return R"({"request_id":"r","code":")" + code + R"(","message":")" + message + R"("})";
}
inline const std::string kBranches = "/projects/p/branches";
inline const std::string kNewId = "br-a-b-00000002";

inline std::string nonce_in(const std::string& body) {
  size_t at = body.find("holdfast-request");
  EXPECT_NE(at, std::string::npos) << body;
  at = body.find('"', body.find(':', at)) + 1;
  return body.substr(at, body.find('"', at) - at);
}

class ClientTest : public ::testing::Test {
 protected:
  ClientTest() {
    settings_.api.base_url = "https://api.test/api/v2/";
    settings_.api.key = Secret(kKey);
    settings_.project_id = "p";
  }
  Client client() { return Client(settings_, http_, waits_, run_); }
  Client& one() {
    if (!client_) client_.emplace(settings_, http_, waits_, run_);
    return *client_;
  }
  // Message and hint; none of them may hold the key.
  template <typename Work>
  Error failure(Work&& work) {
    try {
      work();
    } catch (const Error& error) {
      EXPECT_THAT(std::string(error.what()) + error.hint(),
                  ::testing::Not(::testing::HasSubstr(kKey)));
      return error;
    }
    ADD_FAILURE() << "nothing was thrown";
    return Error(ErrorCode::internal, "");
  }
  Error refused(int status, const std::string& body) {
    http_.answer("GET", "/projects/p", status, body);
    return failure([&] { one().project(); });
  }
  ClientSettings settings_;
  ScriptedHttp http_;
  ManualClock clock_{parse_rfc3339("2026-11-10T14:30:00.000Z")};
  ScriptedWaits waits_{clock_};
  KeptLog log_;
  NullProgress progress_;
  holdfast::Run run_{clock_, log_, progress_, {}};
  std::optional<Client> client_;
};

}  // namespace holdfast::neon
