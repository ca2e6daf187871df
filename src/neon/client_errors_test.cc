// Every refusal of the API, in our words, with its next step; no secret in any of them.
#include "neon/client_fixture.h"

namespace holdfast::neon {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(ClientTest, RefusalsByStatus) {
  struct Case {
    int status;
    const char* message;
    ErrorCode code;
    const char* hint;
  };
  for (const Case& expected : {
           Case{400, "timestamp is outside the history window", ErrorCode::invalid,
                "holdfast branch window"},
           Case{401, "supplied credentials do not pass authentication", ErrorCode::denied,
                "holdfast key add"},
           Case{403, "no", ErrorCode::denied, "a key that may do this"},
           Case{404, "branch not found", ErrorCode::not_found, "holdfast branch list"},
           Case{404, "project not found", ErrorCode::not_found, "NEON_PROJECT_ID"},
           Case{404, "this route does not exist", ErrorCode::not_found, "/api/v2"},
           Case{409, "branch already exists", ErrorCode::exists, "another name"},
           Case{412, "passwords are not stored", ErrorCode::unsupported, "reset"},
           Case{422, "the branch is protected", ErrorCode::invalid, "take the protection off"},
           Case{422, "branch has children", ErrorCode::invalid, "were made from it first"},
           Case{422, "preserve_under_name is required", ErrorCode::invalid,
                "--preserve-under-name"},
           Case{422, "the source is not managed", ErrorCode::invalid, "docs/engine.md"},
       }) {
    Error error = refused(expected.status, error_json("", expected.message));
    EXPECT_EQ(error_code_name(error.code()), error_code_name(expected.code)) << expected.message;
    EXPECT_THAT(error.what(), HasSubstr(expected.message));
    EXPECT_THAT(error.what(), HasSubstr("show the project: "));
    EXPECT_THAT(error.hint(), HasSubstr(expected.hint)) << expected.message;
  }
}

TEST_F(ClientTest, RefusalsByCode) {
  for (const char* code : {"BRANCHES_LIMIT_EXCEEDED", "ROOT_BRANCHES_LIMIT_EXCEEDED",
                           "BRANCHES_PROTECTED_LIMIT_EXCEEDED", "PROTECTED_BRANCHES_LIMIT_EXCEEDED",
                           "ACTIVE_ENDPOINTS_LIMIT_EXCEEDED", "ENDPOINTS_LIMIT_EXCEEDED",
                           "BRANCH_SIZE_LIMIT_EXCEEDED_THRESHOLD", "COMPUTE_TIME_EXCEEDED",
                           "DATA_TRANSFER_LIMIT_EXCEEDED", "PROJECTS_LIMIT_EXCEEDED",
                           "ROLES_LIMIT_EXCEEDED", "DATABASES_LIMIT_EXCEEDED"}) {
    Error error = refused(422, error_json(code, "limit reached"));
    EXPECT_EQ(error.code(), ErrorCode::unsupported) << code;
    EXPECT_THAT(error.what(), HasSubstr(std::string("limit reached (") + code + ")"));
    EXPECT_FALSE(error.hint().empty()) << code;
  }
  EXPECT_THAT(refused(422, error_json("ROOT_BRANCHES_LIMIT_EXCEEDED", "x")).hint(),
              HasSubstr("kept old states"));
}

TEST_F(ClientTest, TheServersOwnNextStepIsTheBetterOne) {
  Error error = refused(422, error_json("",
                                        "a branch with children cannot be deleted (hint: delete "
                                        "its children first)"));
  EXPECT_STREQ(error.what(), "show the project: a branch with children cannot be deleted");
  EXPECT_EQ(error.hint(), "delete its children first");
}

TEST_F(ClientTest, AnAnswerOfSomethingElseSaysWhereToLook) {
  Error moved = refused(302, "");
  EXPECT_THAT(moved.hint(), HasSubstr("NEON_API_HOST"));
  Error bare = refused(404, "<html>nginx</html>");
  EXPECT_THAT(bare.what(), HasSubstr("api.test answered 404"));
  http_.answer("GET", "/projects/p", 200, "<html>a page</html>");
  Error page = failure([&] { one().project(); });
  EXPECT_EQ(page.code(), ErrorCode::unavailable);
  EXPECT_THAT(page.hint(), HasSubstr("NEON_API_HOST"));
}

TEST_F(ClientTest, HistoryIsTheEnginesOwnAndMissingAtNeon) {
  http_.answer("GET", "/projects/p/history", 200,
               R"({"windows":[{"timeline":1,"from_lsn":"0/1","to_lsn":"0/9",
               "from":"2026-11-10T14:00:00Z","to":"2026-11-10T14:30:00.5Z"}],
               "receiving":{"ok":false,"trouble":"no slot","lag_bytes":9,"gaps":1}})");
  std::optional<History> history = one().history();
  ASSERT_TRUE(history.has_value());
  EXPECT_EQ(history->windows.front().to, parse_rfc3339("2026-11-10T14:30:00.500Z"));
  EXPECT_EQ(history->trouble, "no slot");
  http_.answer("GET", "/projects/p/history", 404, error_json("", "this route does not exist"));
  EXPECT_FALSE(one().history().has_value());
}

TEST_F(ClientTest, AServerThatRepeatsTheKeyIsNotRepeated) {
  Error error = refused(401, error_json("", std::string("bad key ") + kKey + " and " + kKey));
  EXPECT_THAT(error.what(), HasSubstr("bad key *** and ***"));
}

TEST_F(ClientTest, ATransportThatIsRefusedNamesItsSetting) {
  http_.fail("GET", "/projects/p",
             Error(ErrorCode::denied, "api.test could not prove who it is", "AWS_CA_BUNDLE"));
  Error error = failure([&] { one().project(); });
  EXPECT_EQ(error.code(), ErrorCode::denied);
  EXPECT_THAT(error.hint(), HasSubstr("NEON_CA_FILE"));
}

TEST_F(ClientTest, APasswordIsInNoErrorAndNoLog) {
  http_.answer("GET", kBranches + "/x/roles/app/reveal_password", 200,
               R"({"password":"pw-s3cr3t"})");
  EXPECT_EQ(one().reveal_password("x", "app").reveal(), "pw-s3cr3t");
  http_.answer("POST", kBranches + "/x/roles/app/reset_password", 200, R"({"role":{"pass)");
  Error error = failure([&] { one().reset_password("x", "app"); });
  EXPECT_THAT(std::string(error.what()) + log_.lines, Not(HasSubstr("s3cr3t")));
}

}  // namespace
}  // namespace holdfast::neon
