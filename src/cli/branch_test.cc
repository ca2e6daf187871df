// Branches, keys and the engine on the command line: what needs no server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/expect_error.h"
#include "base/file.h"
#include "cli/api.h"
#include "cli/branch_actions.h"
#include "cli/command.h"
#include "cli/documents_branch.h"
#include "cli/engine_config.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

class KeptOutput final : public Output {
 public:
  explicit KeptOutput(bool json = false) : Output(json) {}
  std::string text;

 protected:
  void write(std::string_view part) override { text += part; }
};

class BranchTest : public ::testing::Test {
 protected:
  BranchTest() {
    environment_["XDG_CONFIG_HOME"] = folder_.path();
    environment_["XDG_STATE_HOME"] = folder_.path();  // of the audit trail
    environment_["DATABASE_URL"] = "postgresql://care@db.example.org/care";
  }
  void write_toml(const std::string& text) {
    std::string path = folder_.path() + "/holdfast.toml";
    write_file_atomic(path, text);
    environment_["HOLDFAST_CONFIG"] = path;
  }
  Config load(const std::vector<std::string>& words = {"serve"}) {
    return Config::load(parse_arguments(words), environment_);
  }
  // Runs the command; what it throws as "message | hint".
  template <typename Command>
  std::string failure(Command command, const std::vector<std::string>& words, bool json = false) {
    Arguments arguments = parse_arguments(words);
    KeptOutput output(json);
    try {
      Config config = Config::load(arguments, environment_);
      Operation operation(config, run_, "", "", std::nullopt);
      CommandContext context{config, arguments.positionals, run_, console_, output, operation};
      command(context);
    } catch (const Error& error) {
      return std::string(error.what()) + " | " + error.hint();
    }
    return "no error";
  }
  std::string engine_failure(const std::string& toml) {
    write_toml(toml);
    try {
      engine_settings(load());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid) << error.what();
      return std::string(error.what()) + " | " + error.hint();
    }
    return "no error";
  }

  TempFolder folder_{"branch-test"};
  Environment environment_;
  ManualClock clock_{parse_rfc3339("2026-11-10T14:30:00.000Z")};
  Console console_{ConsoleOptions{2, false, false, true}, clock_};
  holdfast::Run run_{clock_, console_, console_, {}};
};

TEST_F(BranchTest, TimesNeedAZoneAndGoToTheMillisecond) {
  UtcTime expected = parse_rfc3339("2026-11-10T14:30:00.250Z");
  for (const char* text : {"2026-11-10T14:30:00.25Z", "2026-11-10 14:30:00.250Z",
                           "2026-11-10T15:30:00.250000+01:00", "2026-11-10T14:30:00.250Z"})
    EXPECT_EQ(read_time(text, "--at"), expected) << text;
  EXPECT_EQ(read_time("2026-11-10T14:30:00Z", "--at"), parse_rfc3339("2026-11-10T14:30:00.000Z"));
  for (const char* text : {"2026-11-10", "14:30", "yesterday", "", "2026-11-10T14:30:00",
                           "2026-13-10T14:30:00Z", "2026-11-10T14:30:00.Z"})
    EXPECT_ERROR(invalid, read_time(text, "--at"));
  try {  // cut, it would leave out the commit that is meant
    read_time("2026-11-10T14:30:00.250001Z", "--at");
    ADD_FAILURE() << "microseconds were taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("--at: '2026-11-10T14:30:00.250001Z' is finer"));
  }
}

TEST_F(BranchTest, LsnsAreReadAsPostgresWritesThem) {
  EXPECT_EQ(read_lsn("0/16b3748", "--lsn"), "0/16B3748");
  EXPECT_ERROR(invalid, read_lsn("16B3748", "--lsn"));
}

TEST_F(BranchTest, WhatCannotBeIsSaidBeforeTheApiIsAsked) {
  auto branch = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "branch");
    return failure(command_branch, words);
  };
  EXPECT_THAT(branch({}), HasSubstr("branch: what about it? | actions: list, create"));
  EXPECT_THAT(branch({"lst"}), HasSubstr("unknown action 'lst' (did you mean 'list'?)"));
  EXPECT_THAT(branch({"list", "x"}), HasSubstr("branch list: unexpected argument 'x'"));
  EXPECT_THAT(branch({"rename", "a", "b"}), HasSubstr("no API key is configured"));
  EXPECT_THAT(branch({"list", "--at", "x"}), HasSubstr("--at is not an option of branch list"));
  EXPECT_THAT(branch({"delete", "x", "--protected"}),
              HasSubstr("--protected is not an option of branch delete"));
  environment_["NEON_API_KEY"] = "napi_s3cr3t";
  environment_["NEON_API_HOST"] = "http://db.example.org/api/v2";
  EXPECT_THAT(branch({"list"}), HasSubstr("plain http would show the key"));
  environment_["NEON_API_HOST"] = "http://127.0.0.1:1/api/v2";
  EXPECT_THAT(branch({"create"}), HasSubstr("under which name?"));
  EXPECT_THAT(branch({"create", "x", "--at", "2026-11-10T14:30:00Z", "--lsn", "0/1"}),
              HasSubstr("both --at and --lsn"));
  EXPECT_THAT(branch({"create", "x", "--at", "noon"}), HasSubstr("--at: 'noon' is not a time"));
  EXPECT_THAT(branch({"create", "x\ny"}), HasSubstr("cannot be a branch's name"));
  for (const char* action : {"show", "restore", "rename", "delete", "url", "start", "suspend"})
    EXPECT_THAT(branch({action}), HasSubstr("which branch?")) << action;
  EXPECT_THAT(branch({"compare"}), HasSubstr("which branch?"));
  EXPECT_THAT(branch({"create", "x", "--table", "visits"}), HasSubstr("add --compare"));
  EXPECT_THAT(branch({"find", "--where", "true"}), HasSubstr("in which table?"));
  EXPECT_THAT(branch({"find", "--table", "a", "--table", "b", "--where", "true"}),
              HasSubstr("--table is given several times"));
  EXPECT_THAT(branch({"find", "--table", "a", "--where", " "}), HasSubstr("what is to be found?"));
  EXPECT_THAT(branch({"find", "--table", "a", "--where", "true", "--from", "main"}),
              HasSubstr("--from: 'main' is not a time"));
  EXPECT_THAT(branch({"find", "main", "--table", "a"}), HasSubstr("unexpected argument 'main'"));
  EXPECT_THAT(branch({"compare", "a", "--where", "true"}),
              HasSubstr("--where is not an option of branch compare"));
  EXPECT_THAT(failure(command_psql, {"psql"}), HasSubstr("on which branch?"));
  EXPECT_THAT(failure(command_psql, {"psql", "x"}, true), HasSubstr("--json has no meaning"));
}

TEST_F(BranchTest, TheKeyMayComeFromAFileButNotFromTwoPlaces) {
  std::string path = folder_.path() + "/key";
  write_file_atomic(path, "napi_s3cr3t\n");
  environment_["NEON_API_KEY_FILE"] = path;
  EXPECT_NO_THROW(ApiAccess(load({"branch"}), run_));
  environment_["NEON_API_KEY"] = "napi_other";
  std::string text = failure(command_branch, {"branch", "list"});
  EXPECT_THAT(text, HasSubstr("both NEON_API_KEY and NEON_API_KEY_FILE"));
  EXPECT_THAT(text, Not(HasSubstr("napi")));
}

TEST_F(BranchTest, KeyTellsWhatItTakes) {
  environment_["HOLDFAST_ENGINE_WORK_DIR"] = folder_.path() + "/none";
  EXPECT_THAT(failure(command_key, {"key"}), HasSubstr("key: what about it?"));
  EXPECT_THAT(failure(command_key, {"key", "remove"}), HasSubstr("unknown action 'remove'"));
  EXPECT_THAT(failure(command_key, {"key", "list", "x"}), HasSubstr("unexpected argument 'x'"));
  EXPECT_THAT(failure(command_key, {"key", "list"}), HasSubstr("there are no keys in"));
  environment_["HOLDFAST_ENGINE_WORK_DIR"] = folder_.path();
  EXPECT_EQ(failure(command_key, {"key", "add", "ci"}), "no error");
  EXPECT_THAT(failure(command_key, {"key", "revoke"}), HasSubstr("which key?"));
  EXPECT_THAT(failure(command_key, {"key", "revoke", "ci"}), HasSubstr("'ci' is no key's id"));
  EXPECT_EQ(failure(command_key, {"key", "revoke", "1"}), "no error");
}

// --- [engine]
// --------------------------------------------------------------------------------------

TEST_F(BranchTest, EngineSettingsComeFromTheirTableAndTheEnvironment) {
  write_toml(
      "[engine]\nstorage_dir = '/s/'\nwork_dir = '/w'\nlisten = '[::1]:9000'\nports = "
      "'20000-20009'\n"
      "data_dir = '/d'\nstart_command = 'start it'\nstop_command = 'stop it'\n"
      "history_retention = 3600\nroles = ['app', 'report']\n");
  environment_["HOLDFAST_ENGINE_COMPUTES_MAX"] = "3";
  environment_["HOLDFAST_ENGINE_DATABASES"] = "care,billing";
  EngineSettings settings = engine_settings(load({"serve", "--work-dir", "/flag"}));
  EXPECT_EQ(settings.source.display(), "postgresql://care@db.example.org/care");
  EXPECT_EQ(settings.storage_folder, "/s");
  EXPECT_EQ(settings.work_folder, "/flag");
  EXPECT_EQ(settings.listen_address, "::1");
  EXPECT_EQ(settings.advertised_host, "::1");
  EXPECT_EQ(settings.port_first, 20000);
  EXPECT_EQ(settings.port_last, 20009);
  ASSERT_TRUE(settings.managed.has_value());
  EXPECT_EQ(settings.managed->data_folder, "/d");
  EXPECT_EQ(settings.managed->start_command, "start it");
  EXPECT_EQ(settings.history_retention_seconds, 3600);
  EXPECT_EQ(settings.snapshot_interval_seconds, 6 * 3600);
  EXPECT_EQ(settings.computes_max, 3);
  EXPECT_THAT(settings.roles, ElementsAre("app", "report"));
  EXPECT_THAT(settings.databases, ElementsAre("care", "billing"));
}

TEST_F(BranchTest, TheEngineIsHeldToStrictKeys) {
  EXPECT_THAT(engine_failure("[engine]\nstorage = '/s'\n"),
              HasSubstr("holdfast.toml:2: unknown key 'storage' of [engine] (did you mean "
                        "'storage_dir'?)"));
  EXPECT_THAT(engine_failure("[engine]\ncomputes_max = 'ten'\n"),
              HasSubstr("must be a whole number, not text"));
  EXPECT_THAT(engine_failure("engine_storage_dir = '/s'\n"),
              HasSubstr("write storage_dir in the table [engine]"));
  EXPECT_THAT(engine_failure("'engine.storage_dir' = '/s'\n"), HasSubstr("in the table [engine]"));
  EXPECT_THAT(engine_failure("engine = '/s'\n"), HasSubstr("engine must be a table"));
  EXPECT_THAT(engine_failure("engin.listen = '/s'\n"), HasSubstr("did you mean 'engine'?"));
}

TEST_F(BranchTest, EngineSettingsThatCannotBeAreRefusedWithTheirPlace) {
  for (const char* listen : {"127.0.0.1", "8474", "127.0.0.1:99999", "127.0.0.1:x"})
    EXPECT_THAT(engine_failure(std::string("[engine]\nlisten = '") + listen + "'\n"),
                HasSubstr("holdfast.toml:2: "))
        << listen;
  EXPECT_THAT(engine_failure("[engine]\nlisten = '0.0.0.0:8474'\n"), HasSubstr("advertise_host"));
  for (const char* ports : {"15500", "9-8", "0-5", "1-70000", "a-b"})
    EXPECT_THAT(engine_failure(std::string("[engine]\nports = '") + ports + "'\n"),
                HasSubstr("are no ports | write them as 15500-15999"))
        << ports;
  EXPECT_THAT(engine_failure("[engine]\nstart_command = 'x'\n"), HasSubstr("data_dir in [engine]"));
  EXPECT_THAT(engine_failure("[engine]\ndata_dir = '/d'\nstop_command = 'x'\n"),
              HasSubstr("belong together"));
  EXPECT_THAT(engine_failure("[engine]\nwork_dir = '/a'\nstorage_dir = '/a/b'\n"),
              HasSubstr("/a/b is within /a"));
  EXPECT_EQ(engine_failure("[engine]\nwork_dir = '/a'\nstorage_dir = '/ab'\n"), "no error");
  environment_.erase("DATABASE_URL");
  EXPECT_THAT(engine_failure("[engine]\n"), HasSubstr("DATABASE_URL"));
}

// --- comparisons
// ------------------------------------------------------------------------------------

RowChecksum sum_of(uint64_t rows, uint64_t low) {
  RowChecksum sum;
  sum.rows = rows, sum.low = low;
  return sum;
}

BranchComparison some_comparison() {
  return {"care",
          "main",
          {{"public.a", sum_of(1, 2), sum_of(1, 2)},
           {"public.b", sum_of(3, 5), sum_of(1, 2)},
           {"public.c", sum_of(3, 5), sum_of(3, 6)},
           {"public.d", std::nullopt, sum_of(9, 6)},
           {"public.e", sum_of(0, 0), std::nullopt}}};
}

TEST_F(BranchTest, AComparisonShowsWhatDiffers) {
  KeptOutput output;
  show_comparison(output, some_comparison());
  EXPECT_EQ(output.text,
            "TABLE     IN care  IN main  DIFFERENCE\n"
            "public.b   3 rows    1 row  2 rows more in care\n"
            "public.c   3 rows   3 rows  as many rows, but not the same\n"
            "public.d        -   9 rows  only in main\n"
            "public.e   0 rows        -  only in care\n"
            "4 tables differ, 1 equal\n");
  BranchComparison equal{"care", "main", {{"public.a", sum_of(1, 2), sum_of(1, 2)}}};
  KeptOutput all;
  show_comparison(all, equal);
  EXPECT_EQ(all.text,
            "TABLE     IN care  IN main  DIFFERENCE\n"
            "public.a    1 row    1 row  equal\n"
            "all equal: 1 table\n");
  KeptOutput none;
  show_comparison(none, {"care", "main", {}});
  EXPECT_EQ(none.text, "there are no tables in either\n");
}

TEST_F(BranchTest, AComparisonIsADocumentOfItsOwnOrPartOfABranchs) {
  Json alone = Json::parse(branch_comparison_document(some_comparison()));
  Json document = Json::parse(branch_document({}, some_comparison()));
  EXPECT_EQ(document["comparison"], alone["comparison"]);
  EXPECT_FALSE(Json::parse(branch_document({})).contains("comparison"));
  const Json& all = alone["comparison"];
  EXPECT_EQ(all["all_equal"], false);
  EXPECT_EQ(all["tables_equal"], 1);
  EXPECT_EQ(all["tables_different"], 4);
  const Json& tables = all["tables"];
  EXPECT_EQ(tables[0]["state"], "equal");
  EXPECT_EQ(tables[1]["state"], "different");
  EXPECT_EQ(tables[1]["rows_more_in_branch"], 2);
  EXPECT_EQ(tables[1]["branch"]["checksum"], "00000000000000000000000000000005");
  EXPECT_EQ(tables[3]["state"], "only_in_other");
  EXPECT_TRUE(tables[3]["branch"].is_null());
  EXPECT_EQ(tables[4]["state"], "only_in_branch");
}

// --- documents
// -------------------------------------------------------------------------------------

TEST_F(BranchTest, Documents) {
  BranchView view;
  view.branch.id = "br-a-b-1";
  view.branch.name = "care";
  view.branch.parent_id = "br-main-line-1";
  view.branch.parent_lsn = "0/9";
  view.parent_name = "main";
  neon::Endpoint endpoint;
  endpoint.id = "ep-a-b-1", endpoint.host = "127.0.0.1:15500", endpoint.current_state = "active";
  view.endpoint = endpoint;
  Json list = Json::parse(branch_list_document("p", "127.0.0.1:8474", {view}));
  EXPECT_EQ(list["project"], "p");
  EXPECT_EQ(list["branches"][0]["endpoint"]["host"], "127.0.0.1:15500");
  Json one =
      Json::parse(branch_restored_document(view, view.branch, "care_old", 1.5, std::nullopt));
  EXPECT_EQ(one["kept_as"], "care_old");
  EXPECT_EQ(one["branch"]["parent"], "main");
  EXPECT_EQ(one["branch"]["parent_lsn"], "0/9");
  EXPECT_TRUE(one["branch"]["expires_at"].is_null());
  EXPECT_EQ(Json::parse(branch_deleted_document(view.branch))["deleted"]["id"], "br-a-b-1");
  EXPECT_EQ(Json::parse(branch_url_document(view.branch, "r", "d", Secret("u")))["url"], "u");
  neon::History history;
  history.trouble = "no slot";
  Json window =
      Json::parse(branch_window_document({{clock_.now(), clock_.now(), "0/1", ""}}, 3600, history));
  EXPECT_EQ(window["windows"][0]["from_lsn"], "0/1");
  EXPECT_TRUE(window["windows"][0]["to_lsn"].is_null());
  EXPECT_EQ(window["receiving"]["trouble"], "no slot");
  EXPECT_FALSE(Json::parse(branch_window_document({}, 0, std::nullopt)).contains("receiving"));
  FindRequest request;
  request.branch = view.branch;
  request.table = "visits", request.condition = "true";
  request.from = std::chrono::floor<std::chrono::seconds>(clock_.now());
  request.to = request.from + std::chrono::hours(1);
  Json found =
      Json::parse(branch_found_document(request, {false, request.from, 4, /*seconds=*/2.5}));
  EXPECT_EQ(found["last_held_at"], "2026-11-10T14:30:00Z");
  EXPECT_EQ(found["first_not_held_at"], "2026-11-10T14:30:01Z");
  EXPECT_EQ(found["probes"], 4);
  Json still = Json::parse(branch_found_document(request, {true, request.to, 1, 0.5}));
  EXPECT_EQ(still["still_holds"], true);
  EXPECT_TRUE(still["first_not_held_at"].is_null());
  Json key = Json::parse(key_added_document({{7, "ci", clock_.now(), {}}, Secret("hf_x")}));
  EXPECT_EQ(key["id"], 7);
  EXPECT_EQ(key["key"], "hf_x");
  EXPECT_FALSE(
      Json::parse(key_list_document({{7, "ci", clock_.now(), {}}}))["keys"][0].contains("key"));
}

}  // namespace
}  // namespace holdfast
