#include "pg/query_message.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

std::string said_of(const std::string& message, const std::string& sql, bool of_parser = false) {
  return message_of_query(message, sql, of_parser);
}

TEST(QueryMessage, TheOperatorsOwnWordsStay) {
  EXPECT_EQ(said_of("relation \"vists\" does not exist", "SELECT count(*) FROM Vists"),
            "relation \"vists\" does not exist");
  EXPECT_EQ(said_of("relation \"care.vists\" does not exist", "select 1 from care.vists"),
            "relation \"care.vists\" does not exist");
  EXPECT_EQ(
      said_of("column \"nme\" of relation \"clients\" does not exist", "select nme from clients"),
      "column \"nme\" of relation \"clients\" does not exist");
  EXPECT_EQ(said_of("column c.nme does not exist", "select c.nme from clients c"),
            "column c.nme does not exist");
  EXPECT_EQ(said_of("syntax error at or near \"form\"", "select 1 form x"),
            "syntax error at or near \"form\"");
  EXPECT_EQ(said_of("operator does not exist: integer = text", "select 1 = x from y", true),
            "operator does not exist: integer = text");
}

TEST(QueryMessage, WhatStoodInRowsGoesWhateverTheClass) {
  const std::string sql = "select note::regclass from clients";
  EXPECT_EQ(said_of("relation \"n42\" does not exist", sql), "relation \"…\" does not exist");
  EXPECT_EQ(said_of("type \"n42\" does not exist", sql), "type \"…\" does not exist");
  EXPECT_EQ(said_of("unrecognized encoding: \"n42\"", sql), "unrecognized encoding: \"…\"");
  EXPECT_EQ(said_of("time zone \"n42\" not recognized", sql), "time zone \"…\" not recognized");
  EXPECT_EQ(said_of("could not open file \"n42\" for reading: No such file or directory", sql),
            "could not open file \"…\" for reading");
  EXPECT_EQ(said_of("improper relation name (too many dotted names): a.b.c.d", sql),
            "improper relation name (too many dotted names)");
  EXPECT_EQ(said_of("operator does not exist: n42", sql), "operator does not exist");
  EXPECT_EQ(said_of("unrecognized encoding: \"n42\"", sql, true), "unrecognized encoding: \"…\"");
  // Part of a word is not the word.
  EXPECT_EQ(said_of("relation \"client\" does not exist", sql), "relation \"…\" does not exist");
  EXPECT_EQ(said_of("relation \"\" does not exist", sql), "relation \"…\" does not exist");
}

TEST(QueryMessage, AValueWithQuotesInItHidesNothingBehindTheOperatorsWords) {
  const std::string sql = "select note::regclass from clients";
  EXPECT_EQ(said_of("relation \"clients\" born 1956 \"note\" does not exist", sql),
            "relation \"…\" does not exist");
  EXPECT_EQ(said_of("relation \"n4\"2\" does not exist", sql), "relation \"…\" does not exist");
  EXPECT_EQ(said_of("relation \"a: b\" does not exist", sql), "relation \"…\" does not exist");
  EXPECT_EQ(said_of("relation \"a", sql), "relation \"…\"");
}

}  // namespace
}  // namespace holdfast
