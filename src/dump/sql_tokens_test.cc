#include "dump/sql_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(SqlTokens, CutsWordsNumbersAndOperators) {
  EXPECT_THAT(sql_tokens("select a1.b_$, 1.5e3 from\tt\n"),
              ElementsAre("select", "a1", ".", "b_$", ",", "1.5e3", "from", "t"));
  EXPECT_THAT(sql_tokens("a::text[] <> b"),
              ElementsAre("a", "::", "text", "[", "]", "<", ">", "b"));
  EXPECT_THAT(sql_tokens("naïve"), ElementsAre("naïve"));
  EXPECT_THAT(sql_tokens(" \n "), IsEmpty());
}

TEST(SqlTokens, KeepsLiteralsWhole) {
  EXPECT_THAT(sql_tokens("'it''s (a::text)'x"), ElementsAre("'it''s (a::text)'", "x"));
  EXPECT_THAT(sql_tokens("'a\\' b"), ElementsAre("'a\\'", "b"));
  EXPECT_THAT(sql_tokens(R"(E'a\' -- b' c)"), ElementsAre(R"(E'a\' -- b')", "c"));
  EXPECT_THAT(sql_tokens(R"(e'a\\' c)"), ElementsAre(R"(e'a\\')", "c"));
  EXPECT_THAT(sql_tokens("B'01' X'ff' U&'d\\0061' U&\"d\" note'x'"),
              ElementsAre("B'01'", "X'ff'", "U&'d\\0061'", "U&\"d\"", "note", "'x'"));
  EXPECT_THAT(sql_tokens("\"a \"\" b\".c"), ElementsAre("\"a \"\" b\"", ".", "c"));
}

TEST(SqlTokens, KeepsDollarQuotedBodiesWhole) {
  EXPECT_THAT(sql_tokens("AS $$ a -- ' \" $1 $$;"), ElementsAre("AS", "$$ a -- ' \" $1 $$", ";"));
  EXPECT_THAT(sql_tokens("$_$ $$ $b$ $_$ x"), ElementsAre("$_$ $$ $b$ $_$", "x"));
  EXPECT_THAT(sql_tokens("$1 + $2"), ElementsAre("$", "1", "+", "$", "2"));
  EXPECT_THAT(sql_tokens("a$b$c"), ElementsAre("a$b$c"));
}

TEST(SqlTokens, LeavesCommentsOut) {
  EXPECT_THAT(sql_tokens("a -- 'b\nc /* d /* ' */ e */ f"), ElementsAre("a", "c", "f"));
  EXPECT_THAT(sql_tokens("a - - b / * c"), ElementsAre("a", "-", "-", "b", "/", "*", "c"));
}

TEST(SqlTokens, WhatIsNotClosedEndsWithTheText) {
  EXPECT_THAT(sql_tokens("'a"), ElementsAre("'a"));
  EXPECT_THAT(sql_tokens("E'a\\"), ElementsAre("E'a\\"));
  EXPECT_THAT(sql_tokens("\""), ElementsAre("\""));
  EXPECT_THAT(sql_tokens("$a$ b"), ElementsAre("$a$ b"));
  EXPECT_THAT(sql_tokens("a /* b"), ElementsAre("a"));
  EXPECT_THAT(sql_tokens("a $"), ElementsAre("a", "$"));
  EXPECT_THAT(sql_tokens("a --"), ElementsAre("a"));
}

TEST(SqlTokens, IdentifiersLoseTheirQuotes) {
  EXPECT_EQ(plain_identifier("app"), "app");
  EXPECT_EQ(plain_identifier("\"odd \"\"one\""), "odd \"one");
  EXPECT_EQ(plain_identifier("\""), "\"");
  EXPECT_EQ(plain_identifier(""), "");
}

}  // namespace
}  // namespace holdfast
