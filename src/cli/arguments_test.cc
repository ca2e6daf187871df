#include "cli/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/error.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string failure_of(const std::vector<std::string>& words) {
  try {
    parse_arguments(words);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid);
    return std::string(error.what()) + " | " + error.hint();
  }
  return "no error";
}

TEST(OptionTable, NamesFlagsVariablesAndKeysAreUnique) {
  std::set<std::string> names, variables, keys;
  for (const Option& option : option_table()) {
    EXPECT_TRUE(names.insert(option.name).second) << option.name;
    EXPECT_TRUE(option.variable.empty() || variables.insert(option.variable).second);
    EXPECT_TRUE(option.key.empty() || keys.insert(option.key).second);
    EXPECT_EQ(option.commands != 0, !option.flag.empty()) << option.name;
    EXPECT_EQ(option.kind == OptionKind::choice, !option.choices.empty()) << option.name;
    EXPECT_FALSE(option.help.empty()) << option.name;
  }
  for (const CommandInfo& command : command_table()) {
    std::set<std::string> flags;
    for (const Option& option : option_table())
      EXPECT_TRUE((option.commands & command.bit) == 0 || flags.insert(option.flag).second)
          << command.name << option.flag;
  }
}

TEST(OptionTable, EveryVariableOfTheOriginalScriptKeepsItsNameAndDefault) {
  std::map<std::string, std::string> defaults;
  for (const Option& option : option_table()) defaults[option.variable] = option.default_text;
  for (const char* name :
       {"NEON_API_KEY", "NEON_PROJECT_ID", "NEON_API_HOST", "DATABASE_URL", "S3_BACKUP_BUCKET",
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "BACKUP_ENCRYPTION_KEY"})
    EXPECT_EQ(defaults.count(name), 1u) << name;
  EXPECT_EQ(defaults["BACKUP_DIR"], "/var/backups/care-commons");
  EXPECT_EQ(defaults["BACKUP_RETENTION_DAYS"], "30");
  EXPECT_EQ(defaults["MONTHLY_RETENTION_MONTHS"], "12");
}

TEST(Arguments, TakesOptionsOnBothSidesOfTheCommand) {
  Arguments found =
      parse_arguments({"--dir", "/d", "verify", "latest", "--json", "--level", "quick"});
  ASSERT_NE(found.command, nullptr);
  EXPECT_EQ(found.command->name, "verify");
  EXPECT_THAT(found.positionals, ElementsAre("latest"));
  EXPECT_THAT(found.values["dir"], ElementsAre("/d"));
  EXPECT_THAT(found.values["verify_level"], ElementsAre("quick"));
  EXPECT_THAT(found.values["json"], ElementsAre("true"));
  EXPECT_EQ(found.values.count("level"), 0u);
}

TEST(Arguments, AListTakesOneValueEachTime) {
  Arguments found = parse_arguments({"restore", "--table", "a", "--table=public.b", "latest"});
  EXPECT_THAT(found.values["tables"], ElementsAre("a", "public.b"));
  EXPECT_THAT(found.positionals, ElementsAre("latest"));
}

TEST(Arguments, AnArgumentMayBeCalledLikeACommand) {
  Arguments found = parse_arguments({"show", "list"});
  EXPECT_EQ(found.command->name, "show");
  EXPECT_THAT(found.positionals, ElementsAre("list"));
}

TEST(Arguments, BehindTwoDashesEverythingIsAnArgument) {
  Arguments found = parse_arguments({"psql", "b", "--role", "r", "--", "-c", "--json", "--"});
  EXPECT_THAT(found.positionals, ElementsAre("b", "-c", "--json", "--"));
  EXPECT_EQ(found.values.count("json"), 0u);
  EXPECT_THAT(failure_of({"list", "--", "-x"}), HasSubstr("'-x'"));
  EXPECT_THAT(failure_of({"show", "--", "a", "b"}), HasSubstr("unexpected argument 'b'"));
}

TEST(Arguments, EveryFlagOfTheTableIsTaken) {
  for (const CommandInfo& command : command_table())
    for (const Option& option : option_table()) {
      if ((option.commands & command.bit) == 0 || option.name == "help") continue;
      std::vector<std::string> words = {command.name, option.flag};
      if (option.kind != OptionKind::flag) words.push_back("value");
      EXPECT_EQ(parse_arguments(words).values.count(option.name), 1u) << words[0] << words[1];
    }
}

TEST(Arguments, WhatIsWrongIsNamedWithTheNearestRight) {
  EXPECT_THAT(failure_of({"bakup"}), HasSubstr("unknown command 'bakup' (did you mean 'backup'?)"));
  EXPECT_THAT(failure_of({"backup", "--job", "3"}),
              HasSubstr("unknown option '--job' (did you mean '--jobs'?)"));
  EXPECT_THAT(failure_of({"backup", "--exclude-table", "x"}), HasSubstr("--exclude-table-data"));
  EXPECT_THAT(failure_of({"list", "--confirm", "x"}), HasSubstr("it is one of: restore"));
  EXPECT_THAT(failure_of({"list", "extra"}), HasSubstr("list: unexpected argument 'extra'"));
  EXPECT_THAT(failure_of({"verify", "a", "b"}), HasSubstr("unexpected argument 'b'"));
  EXPECT_THAT(failure_of({"backup", "--jobs"}), HasSubstr("--jobs needs a value"));
  EXPECT_THAT(failure_of({"backup", "--jobs", "1", "--jobs", "2"}), HasSubstr("given 2 times"));
  EXPECT_THAT(failure_of({"list", "--json=3"}), HasSubstr("--json takes no value"));
  EXPECT_THAT(failure_of({"backup", "-x"}), HasSubstr("unknown option '-x'"));
}

TEST(Arguments, AnErrorRepeatsNoUrl) {
  std::string url = "postgresql://u:s3cr3t@h/d";
  for (const auto& words :
       std::vector<std::vector<std::string>>{{"backup", url},
                                             {url},
                                             {"backup", "--database-url", url},
                                             {"backup", "--url=" + url},
                                             {"verify", "a", url},
                                             {"backup", "--databaseurl=" + url}})
    EXPECT_THAT(failure_of(words), Not(HasSubstr("s3cr3t")));
  EXPECT_THAT(failure_of({"backup", "--database-url", url}), HasSubstr("DATABASE_URL"));
}

TEST(Suggest, NearBeginningOrOtherCase) {
  std::vector<std::string> known = {"dump", "branch", "both", "retention_days"};
  EXPECT_EQ(suggest("Dump", known), "dump");
  EXPECT_EQ(suggest("BRANCH", known), "branch");
  EXPECT_EQ(suggest("retention", known), "retention_days");
  EXPECT_EQ(suggest("retian", known), "retention_days");
  EXPECT_EQ(suggest("zzzzzz", known), "");
}

}  // namespace
}  // namespace holdfast
