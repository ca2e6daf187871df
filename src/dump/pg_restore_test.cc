#include "dump/pg_restore.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dump/database_admin.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string failure(const std::string& message, const std::string& command) {
  return "pg_restore: while PROCESSING TOC:\n"
         "pg_restore: from TOC entry 6; 2615 2200 SCHEMA public postgres\n"
         "pg_restore: error: could not execute query: ERROR:  " +
         message + "\nCommand was: " + command + "\n\n\n";
}

PgRestoreFindings classify(const std::string& text, int exit_code, bool cut = false,
                           bool parallel = false) {
  return classify_pg_restore_errors({text, cut, parallel}, exit_code);
}

std::string ignored(int count) {
  return "pg_restore: warning: errors ignored on restore: " + std::to_string(count) + "\n";
}

TEST(PgRestoreErrors, NothingSaidIsNoError) {
  PgRestoreFindings findings = classify("", 0);
  EXPECT_THAT(findings.notes, IsEmpty());
  EXPECT_THAT(findings.errors, IsEmpty());
}

TEST(PgRestoreErrors, HarmlessOnesBecomeNotes) {
  PgRestoreFindings findings = classify(
      failure("schema \"public\" already exists", "CREATE SCHEMA public;") +
          failure("must be owner of extension plpgsql", "COMMENT ON EXTENSION plpgsql IS 'x';") +
          failure("unrecognized configuration parameter \"transaction_timeout\"",
                  "SET transaction_timeout = 0;") +
          ignored(3),
      1);
  EXPECT_THAT(findings.errors, IsEmpty());
  ASSERT_EQ(findings.notes.size(), 3u);
  EXPECT_EQ(findings.notes[0], "schema \"public\" already exists (CREATE SCHEMA public;)");
}

TEST(PgRestoreErrors, OthersAreErrors) {
  for (const std::string& text :
       {failure("could not create unique index \"visits_pkey\"",
                "ALTER TABLE ONLY public.visits ADD CONSTRAINT visits_pkey PRIMARY KEY (id);"),
        failure("permission denied for schema public", "CREATE TABLE public.t ();"),
        failure("role \"app\" does not exist", "ALTER TABLE public.t OWNER TO app;")}) {
    PgRestoreFindings findings = classify(text + ignored(1), 1);
    EXPECT_EQ(findings.errors.size(), 1u) << text;
    EXPECT_THAT(findings.notes, IsEmpty());
  }
}

TEST(PgRestoreErrors, ErrorsThatWereNotSeenCount) {
  // stderr is kept to its tail: of 5 errors only one is still there.
  PgRestoreFindings findings = classify(
      failure("schema \"public\" already exists", "CREATE SCHEMA public;") + ignored(5), 1, true);
  ASSERT_EQ(findings.errors.size(), 1u);
  EXPECT_EQ(findings.errors[0], "4 errors more");
}

TEST(PgRestoreErrors, WorkersAreCountedTwice) {
  // What pg_restore 15 to 18 say: each error, and each entry of a worker that had some.
  std::string comment = failure("must be owner of extension plpgsql", "COMMENT ON EXTENSION p;");
  std::string said = comment + comment + comment;
  for (int count : {3, 4, 6}) {
    PgRestoreFindings findings = classify(said + ignored(count), 1, false, true);
    EXPECT_THAT(findings.errors, IsEmpty()) << count;
    EXPECT_EQ(findings.notes.size(), 3u);
  }
  EXPECT_EQ(classify(said + ignored(7), 1, false, true).errors.size(), 1u);  // more than it can be
  EXPECT_EQ(classify(said + ignored(4), 1, true, true).errors.size(), 1u);  // the beginning is lost
  EXPECT_EQ(classify(said + ignored(4), 1, false, false).errors.size(), 1u);
}

TEST(PgRestoreErrors, WorkersMayMixTheirPrefixes) {
  std::string said =
      "pg_restore:pg_restore: error: pg_restore:could not execute query: ERROR:  must be owner of "
      "x\n"
      "Command was: COMMENT ON EXTENSION x;\n\n"
      " error: could not execute query: ERROR:  out of memory\n"
      "Command was: CREATE INDEX i ON t (a);\n\n";
  PgRestoreFindings findings = classify(said + ignored(4), 1, false, true);
  EXPECT_THAT(findings.notes, ElementsAre("must be owner of x (COMMENT ON EXTENSION x;)"));
  EXPECT_THAT(findings.errors, ElementsAre("out of memory (CREATE INDEX i ON t (a);)"));
}

TEST(PgRestoreErrors, WhatFollowsFromAHarmlessOneIsHarmless) {
  std::string denied = failure("permission denied to create event trigger \"Odd \"one\"",
                               "CREATE EVENT TRIGGER \"Odd \"\"one\" ON ddl_command_start") +
                       failure("must be superuser to create FOR ALL TABLES publication",
                               "CREATE PUBLICATION p FOR ALL TABLES WITH (publish = 'insert');");
  std::string after =
      failure("event trigger \"Odd \"one\" does not exist",
              "ALTER EVENT TRIGGER \"Odd \"\"one\" OWNER TO postgres;") +
      failure("event trigger \"Odd \"one\" does not exist",
              "COMMENT ON EVENT TRIGGER \"Odd \"\"one\" IS 'two") +
      failure("publication \"p\" does not exist", "SECURITY LABEL FOR s ON PUBLICATION p IS 'x';");
  // Workers may tell of the end before the cause.
  for (const std::string& said : {denied + after, after + denied}) {
    PgRestoreFindings findings = classify(said + ignored(5), 1);
    EXPECT_THAT(findings.errors, IsEmpty());
    EXPECT_EQ(findings.notes.size(), 5u);
  }
  EXPECT_EQ(classify(after + ignored(3), 1).errors.size(),
            3u);  // why they are not there is unknown
  std::string other =
      failure("publication \"p2\" does not exist", "COMMENT ON PUBLICATION p2 IS '';") +
      failure("relation \"p\" does not exist", "ALTER TABLE p ADD UNIQUE (a);") +
      failure("publication \"p\" does not exist", "SELECT 1;");
  EXPECT_EQ(classify(denied + other + ignored(5), 1).errors.size(), 3u);
}

TEST(PgRestoreErrors, FatalOnesAreErrors) {
  PgRestoreFindings findings =
      classify("pg_restore: error: connection to server failed: FATAL:  no\n", 1);
  ASSERT_EQ(findings.errors.size(), 1u);
  EXPECT_THAT(findings.errors[0], HasSubstr("connection to server"));
  EXPECT_EQ(classify("", 137).errors.size(), 1u);
  EXPECT_EQ(classify("Killed\n", 137).errors[0], "Killed");
}

TEST(DerivedName, FitsPostgresAndCutsNoCharacter) {
  EXPECT_EQ(derived_name("care", "_holdfast_0123abcd"), "care_holdfast_0123abcd");
  EXPECT_EQ(derived_name(std::string(63, 'x'), "_before").size(), 63u);
  // 31 characters of two bytes: the cut must not fall into one.
  std::string umlauts;
  for (int i = 0; i < 31; ++i) umlauts += "ü";
  std::string name = derived_name(umlauts, "_12");
  EXPECT_LE(name.size(), 63u);
  EXPECT_EQ(name.substr(name.size() - 5), "ü_12");
}

}  // namespace
}  // namespace holdfast
