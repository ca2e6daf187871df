#include "cli/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/documents.h"
#include "cli/toml_file.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class ConfigTest : public ::testing::Test {
 protected:
  // No file of this machine is found unless a test writes one.
  ConfigTest() { environment_["XDG_CONFIG_HOME"] = folder_.path(); }

  std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) {
    std::string path = folder_.path() + "/" + name;
    write_file_atomic(path, text, mode);
    ::chmod(path.c_str(), mode);  // whatever the umask is
    return path;
  }
  void write_toml(const std::string& text, mode_t mode = 0600) {
    toml_ = write("holdfast.toml", text, mode);
    environment_["HOLDFAST_CONFIG"] = toml_;
  }
  Config load(const std::vector<std::string>& words = {"backup"}) {
    return Config::load(parse_arguments(words), environment_);
  }
  // Message and hint, with the file's folder taken off.
  std::string failure(const std::vector<std::string>& words = {"backup"}) {
    try {
      load(words);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid) << error.what();
      std::string text = std::string(error.what()) + " | " + error.hint();
      for (size_t at; (at = text.find(folder_.path() + "/")) != std::string::npos;)
        text.erase(at, folder_.path().size() + 1);
      return text;
    }
    return "no error";
  }

  TempFolder folder_{"config-test"};
  Environment environment_;
  std::string toml_;
};

TEST_F(ConfigTest, FlagsBeatEnvironmentBeatsSourceBeatsTopLevelBeatsDefault) {
  EXPECT_EQ(load().text("dir"), "/var/backups/care-commons");
  EXPECT_EQ(load().setting("dir").origin, "default");
  write_toml("dir = '/top'\n[source.care]\njobs = 3\n");
  EXPECT_EQ(load().text("dir"), "/top");
  EXPECT_EQ(load().setting("dir").origin, toml_ + ":1");
  EXPECT_EQ(load().source_name(), "care");
  EXPECT_EQ(load().number("jobs"), 3);
  write_toml("dir = '/top'\n[source.care]\ndir = '/care'\n");
  EXPECT_EQ(load().text("dir"), "/care");
  environment_["BACKUP_DIR"] = "/variable";
  EXPECT_EQ(load().text("dir"), "/variable");
  EXPECT_EQ(load({"backup", "--dir", "/flag"}).text("dir"), "/flag");
  EXPECT_EQ(load({"backup", "--dir", "/flag"}).setting("dir").origin, "--dir");
}

TEST_F(ConfigTest, AnEmptyVariableIsNotSet) {
  environment_["BACKUP_DIR"] = "";
  environment_["BACKUP_ENCRYPTION_KEY"] = "";
  Config config = load();
  EXPECT_EQ(config.text("dir"), "/var/backups/care-commons");
  EXPECT_FALSE(config.given("encryption_key"));
}

TEST_F(ConfigTest, UnknownKeysNameTheLineAndTheNearestKey) {
  write_toml("dir = '/d'\n\nretian = 30\n");
  EXPECT_THAT(failure(), HasSubstr("holdfast.toml:3: unknown key 'retian' (did you mean "
                                   "'retention_days'?)"));
  write_toml("[source.care]\ndatabse_url = 'x'\n");
  EXPECT_THAT(failure(), HasSubstr("holdfast.toml:2: unknown key 'databse_url' (did you mean "
                                   "'database_url'?)"));
  write_toml("[sources.care]\ndir = 'x'\n");
  EXPECT_THAT(failure(),
              HasSubstr("holdfast.toml:1: unknown key 'sources' (did you mean 'source'?)"));
  // A source that is not used is held to the same rules.
  write_toml("[source.a]\n[source.b]\nlevl = 3\n");
  EXPECT_THAT(failure({"backup", "--source", "a"}),
              HasSubstr("holdfast.toml:3: unknown key 'levl'"));
}

TEST_F(ConfigTest, WrongTypesAndValuesNameTheirPlace) {
  write_toml("jobs = 'four'\n");
  EXPECT_THAT(failure(), HasSubstr("holdfast.toml:1: jobs must be a whole number, not text"));
  write_toml("exclude_table_data = 'a'\n");
  EXPECT_THAT(failure(), HasSubstr("must be a list of texts, not text"));
  write_toml("schemas = ['a', 3]\n");
  EXPECT_THAT(failure(),
              HasSubstr("must be a list of texts, not a list with a whole number in it"));
  write_toml("jobs = 65\n");
  EXPECT_THAT(failure(),
              HasSubstr("holdfast.toml:1: jobs: '65' is not a whole number from 0 to 64"));
  write_toml("compression = 'gz'\n");
  EXPECT_THAT(failure(), HasSubstr("'gz' is not one of auto, gzip, zstd (did you mean 'gzip'?)"));
  write_toml("jobs = [\n");
  EXPECT_THAT(failure(), HasSubstr("holdfast.toml:"));
  write_toml("source = 'care'\n");
  EXPECT_THAT(failure(), HasSubstr("holdfast.toml:1: source must be a table"));
  write_toml("[source]\ndir = 'x'\n");
  EXPECT_THAT(failure(), HasSubstr("holdfast.toml:2: 'dir' in [source] belongs into a table"));
  write_toml("engine = 'x'\n");
  EXPECT_THAT(failure(), HasSubstr("holdfast.toml:1: engine must be a table, as in [engine]"));
  write_toml("[audit]\ndire = 'x'\n");
  EXPECT_THAT(failure(), HasSubstr("holdfast.toml:2: unknown key 'dire' of [audit] (did you mean "
                                   "'dir'?)"));
  write_toml("audit_dir = 'x'\n");
  EXPECT_THAT(failure(), HasSubstr("'audit_dir' does not belong here"));
  write_toml("[audits]\ndir = 'x'\n");
  EXPECT_THAT(failure(),
              HasSubstr("holdfast.toml:1: unknown key 'audits' (did you mean 'audit'?)"));
  write_toml("encryption_key = 'x'\n");
  EXPECT_THAT(failure(), HasSubstr("BACKUP_ENCRYPTION_KEY"));
}

TEST_F(ConfigTest, FlagsAndVariablesAreHeldToTheSameRules) {
  EXPECT_THAT(failure({"backup", "--type", "Dump"}),
              HasSubstr("--type: 'Dump' is not one of dump, branch, both (did you mean 'dump'?)"));
  EXPECT_THAT(failure({"backup", "--jobs", "-1"}), HasSubstr("--jobs: '-1' is not a whole number"));
  EXPECT_THAT(failure({"backup", "--jobs", "3x"}), HasSubstr("not a whole number"));
  EXPECT_THAT(failure({"backup", "--dir", ""}), HasSubstr("--dir: the value is empty"));
  for (const char* bad : {"0", "abc", "-3", "30d", "99999999999999999999", " 30"}) {
    environment_["BACKUP_RETENTION_DAYS"] = bad;
    EXPECT_THAT(failure({"list"}), HasSubstr("BACKUP_RETENTION_DAYS: ")) << bad;
  }
}

TEST_F(ConfigTest, TheQueriesOfADrillComeInTheOrderOfTheFile) {
  write_toml(
      "[drill]\nquery_timeout = 7\ncritical_tables = [\"visits\"]\n"
      "[drill.query.z-first]\nsql = \"SELECT 1\"\nexpect = \"= 1\"\n"
      "[drill.query.a-second]\nsql = \"SELECT 2\"\n");
  Config config = load({"drill"});
  ASSERT_EQ(config.drill_questions().size(), 2u);
  EXPECT_EQ(config.drill_questions()[0].name, "z-first");
  EXPECT_EQ(config.drill_questions()[0].expect, "= 1");
  EXPECT_EQ(config.drill_questions()[1].sql, "SELECT 2");
  EXPECT_EQ(config.drill_questions()[1].expect, "");
  EXPECT_EQ(config.number("drill_query_timeout"), 7);
  EXPECT_EQ(config.list("drill_critical_tables"), std::vector<std::string>{"visits"});
}

TEST_F(ConfigTest, AQueryOfADrillThatCannotBeRightNamesItsPlace) {
  write_toml("[drill.query.q]\nsql = \"SELECT 1\"\nexpect = \"about 5\"\n");
  EXPECT_TRUE(failure().starts_with("holdfast.toml:1: 'about 5' is no condition")) << failure();
  write_toml("[drill.query.q]\nexpect = \"= 5\"\n");
  EXPECT_TRUE(failure().starts_with("holdfast.toml:1: the drill's query 'q' has no sql"))
      << failure();
  write_toml("[drill.query.q]\nsql = 5\n");
  EXPECT_TRUE(failure().starts_with("holdfast.toml:2: sql must be text")) << failure();
  write_toml("[drill.query.q]\nsql = \"SELECT 1\"\nexpects = \"= 5\"\n");
  EXPECT_TRUE(failure().starts_with("holdfast.toml:3: unknown key 'expects'")) << failure();
  write_toml("[drill]\nquery = \"SELECT 1\"\n");
  EXPECT_TRUE(failure().starts_with("holdfast.toml:2: drill.query must be a table")) << failure();
  write_toml("[drill]\nquery_time = 5\n");
  EXPECT_TRUE(failure().starts_with("holdfast.toml:2: unknown key 'query_time' of [drill]"))
      << failure();
}

TEST_F(ConfigTest, ASourceMustBeChosenAmongSeveral) {
  write_toml("[source.care]\ndir = '/care'\n[source.billing]\ndir = '/billing'\n");
  Config none = load();
  EXPECT_EQ(none.source_name(), "");
  try {
    none.require_source();
    FAIL() << "no source was chosen, and nothing was said";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid);
    EXPECT_THAT(error.what(), HasSubstr("care, billing"));
    EXPECT_THAT(error.hint(), HasSubstr("--source"));
  }
  EXPECT_EQ(load({"backup", "--source", "billing"}).text("dir"), "/billing");
  environment_["HOLDFAST_SOURCE"] = "care";
  EXPECT_EQ(load().text("dir"), "/care");
  EXPECT_THAT(
      failure({"backup", "--source", "bilin"}),
      HasSubstr("there is no source 'bilin' (did you mean 'billing'?) | sources: care, billing"));
}

TEST_F(ConfigTest, TheDatabaseComesFromVariableOrFile) {
  EXPECT_FALSE(load().has_database());
  EXPECT_THROW(load().source_conninfo(), Error);
  environment_["DATABASE_URL_FILE"] = write("url", "postgresql://u@h/from_file\n");
  EXPECT_EQ(load().source_conninfo().dbname(), "from_file");
  environment_["DATABASE_PASSWORD_FILE"] = write("password", "s3cr3t\n");
  EXPECT_EQ(load().source_conninfo().password().reveal(), "s3cr3t");
  environment_["DATABASE_URL"] = "postgresql://u@h/from_variable";
  EXPECT_THAT(failure(), HasSubstr("both DATABASE_URL and DATABASE_URL_FILE are given"));
  environment_.erase("DATABASE_URL_FILE");
  EXPECT_EQ(load().source_conninfo().dbname(), "from_variable");
  // A password in the URL is not replaced by the file's.
  environment_["DATABASE_URL"] = "postgresql://u:own@h/d";
  EXPECT_EQ(load().source_conninfo().password().reveal(), "own");
}

TEST_F(ConfigTest, TheHigherLayerDecidesForUrlAndFile) {
  write_toml("database_url = 'postgresql://u@h/in_file'\n");
  environment_["DATABASE_URL_FILE"] = write("url", "postgresql://u@h/from_file");
  EXPECT_EQ(load().source_conninfo().dbname(), "from_file");
  write_toml("database_url = 'postgresql://u@h/top'\n[source.a]\ndatabase_url_file = '" +
             folder_.path() + "/url'\n");
  environment_.erase("DATABASE_URL_FILE");
  EXPECT_EQ(load().source_conninfo().dbname(), "from_file");
}

TEST_F(ConfigTest, AVariableThatOverridesANamedSourceIsSaid) {
  write_toml("[source.a]\ndatabase_url = 'postgresql://u@h/a'\n");
  EXPECT_THAT(load().warnings(), IsEmpty());
  environment_["DATABASE_URL"] = "postgresql://u@h/other";
  Config config = load();
  ASSERT_EQ(config.warnings().size(), 1u);
  EXPECT_THAT(config.warnings()[0], HasSubstr("DATABASE_URL is used instead of"));
}

TEST_F(ConfigTest, APasswordInAReadableFileIsWarnedAbout) {
  std::string text = "[source.a]\ndatabase_url = 'postgresql://u:s3cr3t@h/a'\n";
  write_toml(text, 0600);
  EXPECT_THAT(load().warnings(), IsEmpty());
  for (mode_t mode : {0640, 0604}) {
    write_toml(text, mode);
    Config config = load();
    ASSERT_EQ(config.warnings().size(), 1u);
    EXPECT_THAT(config.warnings()[0], HasSubstr("chmod 600"));
    EXPECT_THAT(config.warnings()[0], Not(HasSubstr("s3cr3t")));
  }
  write_toml("[source.a]\ndatabase_url = 'postgresql://u@h/a'\n", 0644);
  EXPECT_THAT(load().warnings(), IsEmpty());
}

TEST_F(ConfigTest, WhatIsShownHoldsNoSecret) {
  environment_["DATABASE_URL"] = "postgresql://u:s3cr3t@h/d";
  environment_["HOLDFAST_TO_URL"] = "host=h password=s3cr3t";
  environment_["NEON_API_KEY"] = "s3cr3t-key";
  environment_["AWS_SECRET_ACCESS_KEY"] = "s3cr3t-aws";
  environment_["BACKUP_ENCRYPTION_KEY"] = "s3cr3t-enc";
  Config config = load({"config", "show"});
  std::string document = config_document(config);
  EXPECT_THAT(document, Not(HasSubstr("s3cr3t")));
  EXPECT_THAT(document, HasSubstr("postgresql://u@h/d"));
  for (const Setting& setting : config.settings())
    EXPECT_THAT(shown_value(setting).value_or(""), Not(HasSubstr("s3cr3t")));
}

TEST_F(ConfigTest, AFileThatIsNamedMustBeThere) {
  environment_["HOLDFAST_CONFIG"] = folder_.path() + "/none.toml";
  EXPECT_THAT(failure(), HasSubstr("HOLDFAST_CONFIG: there is no file none.toml"));
  EXPECT_THAT(failure({"backup", "--config", "/no/such"}), HasSubstr("--config: there is no file"));
}

TEST_F(ConfigTest, TheFileIsFoundInTheConfigurationFolder) {
  make_folders(folder_.path() + "/holdfast");
  write("holdfast/holdfast.toml", "dir = '/found'\n");
  EXPECT_EQ(load().text("dir"), "/found");
}

TEST_F(ConfigTest, ListsAreTaken) {
  write_toml("schemas = ['a', 'b']\n");
  EXPECT_THAT(load().list("schemas"), ElementsAre("a", "b"));
  EXPECT_THAT(load({"backup", "--schema", "c"}).list("schemas"), ElementsAre("c"));
}

TEST(TomlFile, SurvivesWhatIsNoToml) {
  for (const char* text : {"", "\xff\xfe", "a", "=", "[source.", "[[source.a]]\nb=1", "a.b.c = 1",
                           "x = \"\\uD800\"", "[source.a]\n[source.a]\n", "a = 1979-05-27"}) {
    try {
      parse_toml(text, "f");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid);
      EXPECT_THAT(error.what(), ::testing::StartsWith("f:"));
    }
  }
}

TEST_F(ConfigTest, StoresAreTheFolderTheBucketAndTables) {
  auto names = [&](const std::vector<std::string>& words) {
    std::vector<std::string> found;
    Config config = load(words);
    for (const StoreConfig& store : config.stores()) found.push_back(store.name);
    return found;
  };
  EXPECT_THAT(names({"list"}), ElementsAre("local"));
  environment_["S3_BACKUP_BUCKET"] = "care-backups";
  EXPECT_THAT(names({"list"}), ElementsAre("local", "s3"));
  write_toml("[store.offsite]\nbucket = 'far'\nregion = 'eu-west-1'\n[store.nas]\ndir = '/nas'\n");
  EXPECT_THAT(names({"list"}), ElementsAre("local", "s3", "offsite", "nas"));
  EXPECT_THAT(names({"list", "--store", "nas", "--store", "s3", "--store", "nas"}),
              ElementsAre("nas", "s3"));
  EXPECT_THAT(failure({"list", "--store", "ofsite"}), HasSubstr("did you mean 'offsite'?"));
  environment_["HOLDFAST_STORES"] = "local,offsite";
  EXPECT_THAT(names({"list"}), ElementsAre("local", "offsite"));

  Config config = load({"list"});
  EXPECT_FALSE(config.stores()[0].is_bucket);
  EXPECT_EQ(config.stores()[0].text("dir"), "/var/backups/care-commons");
  const StoreConfig& offsite = config.stores()[1];
  EXPECT_TRUE(offsite.is_bucket);
  EXPECT_EQ(offsite.text("s3_bucket"), "far");
  EXPECT_EQ(offsite.text("s3_region"), "eu-west-1");
  EXPECT_EQ(offsite.text("s3_storage_class"), "auto");
  EXPECT_EQ(offsite.text("s3_prefix"), "backups");
}

TEST_F(ConfigTest, AStoreThatCannotBeIsRefusedWithItsPlace) {
  write_toml("[store.offsite]\nregion = 'eu'\n");
  EXPECT_THAT(failure({"list"}), HasSubstr("holdfast.toml:1: store 'offsite' needs either"));
  write_toml("[store.offsite]\nbuckets = 'far'\n");
  EXPECT_THAT(failure({"list"}), HasSubstr("holdfast.toml:2: unknown key 'buckets' of a store (did "
                                           "you mean 'bucket'?)"));
  write_toml("[store.local]\ndir = '/nas'\n");
  EXPECT_THAT(failure({"list"}), HasSubstr("cannot be called 'local'"));
  write_toml("store = 'nas'\n");
  EXPECT_THAT(failure({"list"}), HasSubstr("as in [store.offsite]"));
}

}  // namespace
}  // namespace holdfast
