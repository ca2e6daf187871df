// What is written from the option table: the manual page and what shells complete. How shells and
// renderers take it is for tests/packages to say.
#include "cli/manual.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "cli/completion.h"
#include "cli/help.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

TEST(Manual, HasEveryCommandOptionSettingAndExitCode) {
  std::string page = manual_page("1.2.3");
  EXPECT_THAT(page, HasSubstr("holdfast 1.2.3"));
  for (const CommandInfo& command : command_table())
    EXPECT_THAT(page, HasSubstr(".SS \"holdfast " + command.name));
  for (const Option& option : option_table()) {
    EXPECT_THAT(page, HasSubstr(troff_text(option.help)));
    for (const std::string& name : {option.flag, option.variable, option.key})
      EXPECT_THAT(page, HasSubstr(troff_text(name)));
  }
  for (const ExitCodeMeaning& exit : exit_code_meanings())
    EXPECT_THAT(page, HasSubstr("\\fB" + std::to_string(exit.code) + "\\fR\n" + exit.meaning));
}

TEST(Manual, NothingInItsTextIsARequestOrAnEscape) {
  EXPECT_EQ(troff_text(".TH 'a"), "\\&.TH \\(aqa");
  EXPECT_EQ(troff_text("'x"), "\\&\\(aqx");
  EXPECT_EQ(troff_text("a\n.b"), "a\n\\&.b");
  EXPECT_EQ(troff_text("--x \\fB \"q\""), "\\-\\-x \\(rsfB \\(dqq\\(dq");
}

TEST(Completion, AFlagTakesAValueInEveryCommandOrInNone) {
  // The scripts step over a flag and its value before they know the command.
  std::map<std::string, bool> takes;
  for (const Option& option : option_table()) {
    if (option.flag.empty()) continue;
    bool value = option.kind != OptionKind::flag;
    EXPECT_EQ(takes.emplace(option.flag, value).first->second, value) << option.flag;
  }
}

TEST(Completion, WordsOfTheTableNeedNoQuoting) {
  auto plain = [](const std::string& word) {
    return word.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
  };
  for (const CommandInfo& command : command_table())
    for (const std::string& word : command.words) EXPECT_TRUE(plain(word)) << word;
  for (const Option& option : option_table())
    for (const std::string& choice : option.choices)
      EXPECT_TRUE(option.flag.empty() || plain(choice)) << choice;
}

TEST(Completion, FirstWordsAreThoseThatTheHelpNames) {
  for (const CommandInfo& command : command_table())
    for (const std::string& word : command.words)
      EXPECT_THAT(command.arguments + command.text + (command.bit == kHelp ? main_help() : ""),
                  HasSubstr(word));
}

TEST(Completion, EveryShellGetsEveryCommandAndFlag) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    std::string script = completion_script(shell);
    for (const CommandInfo& command : command_table()) EXPECT_THAT(script, HasSubstr(command.name));
    for (const Option& option : option_table()) {
      if (option.flag.empty()) continue;
      EXPECT_THAT(script, HasSubstr(shell == std::string("fish") ? " -l " + option.flag.substr(2)
                                                                 : option.flag));
    }
  }
}

TEST(Completion, AnUnknownShellIsRefusedWithTheNearest) {
  try {
    completion_script("bsh");
    FAIL() << "taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid);
    EXPECT_THAT(error.what(), HasSubstr("did you mean 'bash'?"));
  }
}

}  // namespace
}  // namespace holdfast
