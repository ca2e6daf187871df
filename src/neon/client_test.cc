#include "neon/client_fixture.h"

namespace holdfast::neon {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// Makes the branch that it is asked for, and loses the answer. The nonce in it is known only once
// it was sent, so this is no script.
class LosingServer final : public HttpTransport {
 public:
  std::unique_ptr<HttpClient> connect() override { return std::make_unique<Peer>(*this); }

  int posts = 0, looks = 0;
  bool foreign = false;  // the branch was made by somebody else

 private:
  class Peer final : public HttpClient {
   public:
    explicit Peer(LosingServer& server) : server_(server) {}
    HttpResponse send(const HttpRequest& request) override { return server_.answer(request); }

   private:
    LosingServer& server_;
  };

  HttpResponse answer(const HttpRequest& request) {
    std::string path = request.url.substr(request.url.find("/api/v2") + 7);
    if (request.method == "POST") {
      ++posts;
      nonce_ = nonce_in(std::string(request.body.begin(), request.body.end()));
      throw Error(ErrorCode::unavailable, "reset by peer");
    }
    return {200, {}, body_at(path), 0};
  }
  std::string body_at(const std::string& path) {
    if (path == kBranches + "?limit=100&search=care") {
      bool under_way = ++looks == 1;
      return list_json(
          {under_way ? branch_json("br-x-y-1", "care-old") : branch_json(kNewId, "care")});
    }
    if (path == kBranches + "/" + kNewId)
      return R"({"branch":)" + branch_json(kNewId, "care") +
             R"(,"annotation":{"object":{"type":"console/branch","id":"x"},"value":)" +
             R"({"holdfast-request":")" + (foreign ? "other" : nonce_) + R"("}}})";
    if (path.ends_with("/endpoints")) return R"({"endpoints":[]})";
    EXPECT_EQ(path, "/projects/p/operations?limit=100");
    return R"({"operations":[)" + operation_json("o1", "running") + "," +
           operation_json("o2", "running", "br-other-one-3") + "]}";
  }

  std::string nonce_;
};

TEST_F(ClientTest, SendsTheKeyInOneHeaderAndNowhereElse) {
  http_.answer("GET", kBranches + "/count?search=a%20b", 200, R"({"count":3})");
  EXPECT_EQ(one().branch_count("a b"), 3u);
  const ScriptedHttp::Seen& seen = http_.seen().front();
  EXPECT_EQ(seen.url.find(kKey), std::string::npos);
  bool found = false;
  for (const auto& [name, value] : seen.headers) {
    EXPECT_EQ(value.find(kKey) != std::string::npos, name == "authorization") << name;
    found = found || value == std::string("Bearer ") + kKey;
  }
  EXPECT_TRUE(found);
}

TEST_F(ClientTest, RefusesAddressesThatWouldShowTheKey) {
  auto refusal = [&](const std::string& base) {
    settings_.api.base_url = base;
    Error error = failure([&] { client(); });
    EXPECT_EQ(error.code(), ErrorCode::invalid) << base;
    return std::string(error.what()) + " | " + error.hint();
  };
  EXPECT_THAT(refusal("http://db.example.org:8474/api/v2"), HasSubstr("plain http"));
  EXPECT_THAT(refusal("http://db.example.org:8474/api/v2"), HasSubstr("ssh -L"));
  EXPECT_THAT(refusal("http://localhost.example.org/api/v2"), HasSubstr("plain http"));
  EXPECT_THAT(refusal("http://127.0.0.1.example.org/api/v2"), HasSubstr("plain http"));
  EXPECT_THAT(refusal("ftp://x/api/v2"), HasSubstr("does not begin with https://"));
  EXPECT_THAT(refusal("https:///api/v2"), HasSubstr("names no host"));
  EXPECT_THAT(refusal("https://x/api/v2?a=1"), HasSubstr("the address is none"));
  std::string with_login = refusal("http://127.0.0.1@evil.example/api/v2");
  EXPECT_THAT(with_login, HasSubstr("holds a login"));
  EXPECT_THAT(with_login, Not(HasSubstr("evil")));
  for (const char* good : {"http://127.0.0.1:8474/api/v2", "http://localhost:1/api/v2",
                           "http://[::1]:8474/api/v2", "https://db.example.org/api/v2"}) {
    settings_.api.base_url = good;
    EXPECT_NO_THROW(client()) << good;
  }
}

TEST_F(ClientTest, RefusesKeysAndProjectsThatCannotBe) {
  settings_.api.key = Secret("");
  EXPECT_THAT(failure([&] { client(); }).hint(), HasSubstr("holdfast key add"));
  settings_.api.key = Secret("two words");
  EXPECT_THAT(failure([&] { client(); }).what(), Not(HasSubstr("two words")));
  settings_.api.key = Secret(std::string(kKey) + "\n");  // as files end
  EXPECT_NO_THROW(client());
  settings_.project_id = "My Project";
  EXPECT_THAT(failure([&] { client(); }).what(), HasSubstr("NEON_PROJECT_ID"));
}

TEST_F(ClientTest, TakesTheOnlyProjectAndAsksOnce) {
  settings_.project_id.clear();
  http_.answer("GET", "/projects?limit=400", 200,
               R"({"projects":[{"id":"only","name":"x"}],"pagination":{"cursor":"only"}})");
  http_.answer("GET", "/projects/only/branches/count", 200, R"({"count":1})");
  http_.answer("GET", "/projects/only/branches/count", 200, R"({"count":1})");
  one().branch_count();
  one().branch_count();
}

TEST_F(ClientTest, SeveralProjectsHaveToBeChosenFrom) {
  settings_.project_id.clear();
  http_.answer("GET", "/projects?limit=400", 200,
               R"({"projects":[{"id":"one","name":"x"},{"id":"two","name":"y"}]})");
  Error error = failure([&] { one().project(); });
  EXPECT_THAT(error.what(), HasSubstr("2 projects"));
  EXPECT_THAT(error.hint(), HasSubstr("NEON_PROJECT_ID: one (x), two (y)"));
}

TEST_F(ClientTest, BranchesComeWholeFromAllPages) {
  http_.answer("GET", kBranches + "?limit=100", 200,
               list_json({kMain, branch_json("br-a-b-1", "a")}, "c/1"));
  // One that changed meanwhile has moved to the next page.
  http_.answer("GET", kBranches + "?limit=100&cursor=c%2F1", 200,
               list_json({branch_json("br-a-b-1", "a"), branch_json("br-a-b-2", "b")}));
  std::vector<Branch> all = one().branches();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[2].name, "b");
}

TEST_F(ClientTest, OperationsComeUntilEnoughAreThere) {
  std::string page;
  for (int i = 0; i < 100; ++i)
    page += (i == 0 ? "" : ",") + operation_json("o" + std::to_string(i), "finished");
  http_.answer("GET", "/projects/p/operations?limit=100", 200,
               R"({"operations":[)" + page + R"(],"pagination":{"cursor":"o99"}})");
  http_.answer("GET", "/projects/p/operations?limit=20&cursor=o99", 200,
               R"({"operations":[)" + operation_json("last", "finished") +
                   R"(],"pagination":{"cursor":"last"}})");
  EXPECT_EQ(one().operations(120).size(), 101u);
}

TEST_F(ClientTest, AListThatDoesNotEndIsLeft) {
  http_.answer("GET", kBranches + "?limit=100", 200, list_json({kMain}, "again"));
  http_.answer("GET", kBranches + "?limit=100&cursor=again", 200, list_json({kMain}, "again"));
  EXPECT_THAT(failure([&] { one().branches(); }).what(), HasSubstr("does not end"));
}

TEST_F(ClientTest, WaitsLongerEachTimeItIsToldTo) {
  for (int status : {423, 429, 503, 423})
    http_.answer("POST", kBranches + "/x/set_as_default", status, error_json("", "not now"));
  http_.answer("POST", kBranches + "/x/set_as_default", 200, R"({"branch":)" + kMain + "}");
  one().set_default_branch("x");
  EXPECT_THAT(waits_.waited, ElementsAre(milliseconds(250), milliseconds(500), milliseconds(1000),
                                         milliseconds(2000)));
  EXPECT_THAT(log_.lines, HasSubstr("another operation is running"));
}

TEST_F(ClientTest, RetryAfterIsKeptAsSecondsAndAsADate) {
  http_.answer("GET", "/projects/p", 429, "", {{"retry-after", "7"}});
  http_.answer("GET", "/projects/p", 503, "", {{"retry-after", "Tue, 10 Nov 2026 14:30:20 GMT"}});
  http_.answer("GET", "/projects/p", 200, R"({"project":{"id":"p","name":"x"}})");
  one().project();
  EXPECT_EQ(waits_.waited[0], milliseconds(7250));
  EXPECT_EQ(clock_.now(), parse_rfc3339("2026-11-10T14:30:20.250Z"));
}

TEST_F(ClientTest, AServerThatWantsAnHourIsNotWaitedFor) {
  http_.answer("GET", "/projects/p", 429, error_json("", "enough for today"),
               {{"retry-after", "3600"}});
  Error error = failure([&] { one().project(); });
  EXPECT_EQ(error.code(), ErrorCode::unavailable);
  EXPECT_THAT(waits_.waited, ElementsAre());
}

TEST_F(ClientTest, GivesUpInTheEnd) {
  for (int i = 0; i < kRefusedAttemptsMax; ++i)
    http_.answer("DELETE", kBranches + "/x", 423,
                 error_json("", "project already has running operations"));
  Error error = failure([&] { one().delete_branch("x"); });
  EXPECT_EQ(error.code(), ErrorCode::busy);
  EXPECT_THAT(error.what(), HasSubstr("delete branch x: project already has running operations"));
  EXPECT_GT(waits_.total(), seconds(100));
  EXPECT_LT(waits_.total(), seconds(600));
}

TEST_F(ClientTest, ReadsAreAskedAgainOnNetworkErrorsWithANewConnection) {
  http_.lose("GET", "/projects/p");
  http_.answer("GET", "/projects/p", 502, "<html>bad gateway</html>");
  http_.answer("GET", "/projects/p", 500, "");
  http_.answer("GET", "/projects/p", 200, R"({"project":{"id":"p","name":"x"}})");
  EXPECT_EQ(one().project().id, "p");
  EXPECT_EQ(http_.connections(), 2u);
}

// libcurl would send it again by itself if a kept connection lost it.
TEST_F(ClientTest, WhatIsDoneOnceHasANewConnectionForEachAttempt) {
  http_.answer("GET", "/projects/p", 200, R"({"project":{"id":"p","name":"x"}})");
  http_.answer("POST", kBranches, 423, error_json("", "not now"));
  http_.answer("POST", kBranches, 201, R"({"branch":)" + branch_json(kNewId, "care") + "}");
  http_.answer("GET", "/projects/p", 200, R"({"project":{"id":"p","name":"x"}})");
  BranchCreateRequest request;
  request.name = "care";
  one().project();
  EXPECT_EQ(http_.connections(), 1u);
  one().create_branch(request);
  EXPECT_EQ(http_.connections(), 3u);
  one().project();  // a read may go through any
  EXPECT_EQ(http_.connections(), 3u);
}

TEST_F(ClientTest, NoAnswerAtAllNamesTheWayOut) {
  for (int i = 0; i < kAttemptsMax; ++i) http_.lose("GET", "/projects/p");
  Error error = failure([&] { one().project(); });
  EXPECT_EQ(error.code(), ErrorCode::unavailable);
  EXPECT_THAT(error.what(), HasSubstr("show the project: no answer from api.test"));
  EXPECT_THAT(error.hint(), HasSubstr("holdfast serve"));
}

TEST_F(ClientTest, ItKeepsBelowTheLimitByItself) {
  int requests = static_cast<int>(kRequestsBurst) + 16;
  for (int i = 0; i < requests; ++i)
    http_.answer("GET", kBranches + "/count", 200, R"({"count":1})");
  for (int i = 0; i < requests; ++i) one().branch_count();
  // The burst is free, the others come at kRequestsPerSecond.
  EXPECT_GE(waits_.total(), milliseconds(2000));
  EXPECT_LE(waits_.total(), milliseconds(2100));
}

TEST_F(ClientTest, CreateAnswers) {
  http_.answer("POST", kBranches, 201,
               R"({"branch":)" + branch_json(kNewId, "care") + R"(,"endpoints":[],"operations":[)" +
                   operation_json("o1", "running") + "]}");
  BranchCreateRequest request;
  request.name = "care";
  Changed made = one().create_branch(request);
  EXPECT_EQ(made.branch->id, kNewId);
  EXPECT_EQ(made.operations.size(), 1u);
}

// The answer is lost, the branch is there: it is ours by its annotation, and not made twice.
TEST_F(ClientTest, ALostCreateThatWasDoneIsFound) {
  LosingServer server;
  Client client(settings_, server, waits_, run_);
  BranchCreateRequest request;
  request.name = "care";
  Changed made = client.create_branch(request);
  EXPECT_EQ(made.branch->id, kNewId);
  ASSERT_EQ(made.operations.size(), 1u);
  EXPECT_EQ(made.operations[0].id, "o1");
  EXPECT_EQ(server.posts, 1);

  server.foreign = true;  // somebody else's branch of that name is not taken for ours
  Error error = failure([&] { client.create_branch(request); });
  EXPECT_EQ(error.code(), ErrorCode::exists);
  EXPECT_THAT(error.what(), HasSubstr("not known to be ours"));
  EXPECT_EQ(server.posts, 2);
}

// Nothing came of it: the same request goes out again, with the same name.
TEST_F(ClientTest, ALostCreateThatWasNotDoneIsSentAgain) {
  BranchCreateRequest request;
  request.name = "care";
  http_.lose("POST", kBranches);
  for (int i = 0; i < 3; ++i)
    http_.answer("GET", kBranches + "?limit=100&search=care", 200, list_json({}));
  http_.answer("POST", kBranches, 201, R"({"branch":)" + branch_json(kNewId, "care") + "}");
  EXPECT_EQ(one().create_branch(request).branch->id, kNewId);
  EXPECT_EQ(http_.seen().front().body, http_.seen().back().body);
}

TEST_F(ClientTest, ABranchWithoutANameGetsOneToBeFoundBy) {
  http_.answer("POST", kBranches, 201, R"({"branch":)" + branch_json(kNewId, "x") + "}");
  one().create_branch({});
  EXPECT_THAT(http_.seen().back().body, HasSubstr(R"("name":"branch-2026-11-10T14-30-00-000Z-)"));
  EXPECT_EQ(nonce_in(http_.seen().back().body).size(), 16u);
}

TEST_F(ClientTest, ANameThatIsTakenIsSaid) {
  BranchCreateRequest request;
  request.name = "main";
  http_.answer("POST", kBranches, 409, error_json("", "branch already exists"));
  http_.answer("GET", kBranches + "?limit=100&search=main", 200, list_json({kMain}));
  http_.answer("GET", kBranches + "/br-main-line-00000001", 200, R"({"branch":)" + kMain + "}");
  Error error = failure([&] { one().create_branch(request); });
  EXPECT_EQ(error.code(), ErrorCode::exists);
  EXPECT_STREQ(error.what(), "create branch main: branch already exists");
}

TEST_F(ClientTest, ARestoreAlwaysKeepsTheOldState) {
  BranchRestoreRequest request;
  request.source_branch_id = kNewId;
  EXPECT_THAT(failure([&] { one().restore_branch("x", request); }).hint(),
              HasSubstr("--preserve-under-name"));
  request.preserve_under_name = "old";
  http_.answer("GET", kBranches + "?limit=100&search=old", 200,
               list_json({branch_json("br-o-l-d", "old")}));
  EXPECT_EQ(failure([&] { one().restore_branch("x", request); }).code(), ErrorCode::exists);
}

TEST_F(ClientTest, ALostRestoreIsKnownByTheStateItKept) {
  BranchRestoreRequest request;
  request.source_branch_id = kNewId;
  request.preserve_under_name = "old";
  std::string look = kBranches + "?limit=100&search=old";
  http_.answer("GET", look, 200, list_json({}));
  http_.lose("POST", kBranches + "/" + kNewId + "/restore");
  http_.answer("GET", look, 200, list_json({branch_json("br-o-l-d", "old")}));
  http_.answer("GET", kBranches + "/" + kNewId, 200,
               R"({"branch":)" + branch_json(kNewId, "care") + "}");
  http_.answer("GET", kBranches + "/" + kNewId + "/endpoints", 200, R"({"endpoints":[]})");
  http_.answer("GET", "/projects/p/operations?limit=100", 200,
               R"({"operations":[)" + operation_json("o2", "running") + "," +
                   operation_json("o1", "finished") + "]}");
  Changed changed = one().restore_branch(kNewId, request);
  ASSERT_EQ(changed.operations.size(), 1u);
  EXPECT_EQ(changed.operations[0].id, "o2");
}

TEST_F(ClientTest, ADeleteWhoseAnswerWasLostIsDone) {
  http_.lose("DELETE", kBranches + "/x");
  http_.answer("DELETE", kBranches + "/x", 404, error_json("", "branch not found"));
  one().delete_branch("x");
  http_.answer("DELETE", kBranches + "/x", 204, "");
  http_.answer("GET", "/projects/p/operations?limit=100", 200,
               R"({"operations":[)" + operation_json("o1", "finished", "x") + "]}");
  one().delete_branch("x");
}

TEST_F(ClientTest, ADeleteThatIsStillUnderWayIsWaitedFor) {
  http_.lose("DELETE", kBranches + "/x");
  http_.answer("DELETE", kBranches + "/x", 204, "");
  http_.answer("GET", "/projects/p/operations?limit=100", 200,
               R"({"operations":[)" + operation_json("o1", "running", "x") + "]}");
  http_.answer("GET", "/projects/p/operations/o1", 200,
               R"({"operation":)" + operation_json("o1", "failed", "x") + "}");
  EXPECT_EQ(failure([&] { one().delete_branch("x"); }).code(), ErrorCode::internal);
}

TEST_F(ClientTest, ALostComputeIsTheOneThatWasNotThere) {
  std::string path = kBranches + "/x/endpoints";
  std::string old = R"({"id":"ep-1","host":"h","branch_id":"x","type":"read_only"})";
  std::string made = R"({"id":"ep-2","host":"h","branch_id":"x","type":"read_write"})";
  http_.answer("GET", path, 200, R"({"endpoints":[)" + old + "]}");
  http_.lose("POST", "/projects/p/endpoints");
  http_.answer("GET", path, 200, R"({"endpoints":[)" + old + "," + made + "]}");
  http_.answer("GET", "/projects/p/operations?limit=100", 200, R"({"operations":[]})");
  EndpointRequest request;
  request.branch_id = "x";
  EXPECT_EQ(one().create_endpoint(request).endpoints.front().id, "ep-2");
}

TEST_F(ClientTest, OperationsArePolledToTheirEnd) {
  Changed changed;
  Operation operation;
  operation.id = "o1", operation.action = "start_compute", operation.status = "scheduling";
  changed.operations = {operation};
  for (const char* status : {"running", "running", "finished"})
    http_.answer("GET", "/projects/p/operations/o1", 200,
                 R"({"operation":)" + operation_json("o1", status) + "}");
  one().finish(changed);
  EXPECT_THAT(waits_.waited, ElementsAre(milliseconds(200), milliseconds(300), milliseconds(450)));
}

TEST_F(ClientTest, AFailedOperationSaysWhatItSaid) {
  Changed changed;
  Operation operation;
  operation.action = "start_compute", operation.status = "failed";
  operation.error = "no port is free";
  changed.operations = {operation};
  Error error = failure([&] { one().finish(changed); });
  EXPECT_STREQ(error.what(), "start_compute failed: no port is free");
  EXPECT_FALSE(error.hint().empty());
}

TEST_F(ClientTest, AnOperationIsNotWaitedForForEver) {
  Changed changed;
  Operation operation;
  operation.id = "o1", operation.action = "start_compute", operation.status = "running";
  changed.operations = {operation};
  for (int i = 0; i < 8; ++i)
    http_.answer("GET", "/projects/p/operations/o1", 200,
                 R"({"operation":)" + operation_json("o1", "running") + "}");
  Error error = failure([&] { one().finish(changed, seconds(9)); });
  EXPECT_EQ(error.code(), ErrorCode::unavailable);
  EXPECT_THAT(error.what(), HasSubstr("still runs after"));
}

TEST_F(ClientTest, ABranchIsFoundByIdOrName) {
  EXPECT_TRUE(is_branch_id("br-quiet-sun-12345678"));
  for (const char* name : {"main", "br-quiet-sun", "br-Quiet-sun-1", "br-a-b-c-d", "xbr-a-b-1"})
    EXPECT_FALSE(is_branch_id(name)) << name;
  http_.answer("GET", kBranches + "/" + kNewId, 200,
               R"({"branch":)" + branch_json(kNewId, "care") + "}");
  EXPECT_EQ(one().find_branch(kNewId).name, "care");
  http_.answer("GET", kBranches + "?limit=100&search=car", 200,
               list_json({branch_json(kNewId, "care")}));
  Error error = failure([&] { one().find_branch("car"); });  // a part is not the name
  EXPECT_EQ(error.code(), ErrorCode::not_found);
  EXPECT_THAT(error.hint(), HasSubstr("holdfast branch list"));
}

}  // namespace
}  // namespace holdfast::neon
