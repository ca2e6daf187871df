#include "dump/pg_restore.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dump/database_admin.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string failure(const std::string& message, const std::string& command) {
  return "pg_restore: while PROCESSING TOC:\n"
         "pg_restore: from TOC entry 6; 2615 2200 SCHEMA public postgres\n"
         "pg_restore: error: could not execute query: ERROR:  " +
         message + "\nCommand was: " + command + "\n\n\n";
}

TEST(PgRestoreErrors, NothingSaidIsNoError) {
  PgRestoreFindings findings = classify_pg_restore_errors("", 0);
  EXPECT_THAT(findings.notes, IsEmpty());
  EXPECT_THAT(findings.errors, IsEmpty());
}

TEST(PgRestoreErrors, HarmlessOnesBecomeNotes) {
  PgRestoreFindings findings = classify_pg_restore_errors(
      failure("schema \"public\" already exists", "CREATE SCHEMA public;") +
          failure("must be owner of extension plpgsql", "COMMENT ON EXTENSION plpgsql IS 'x';") +
          failure("unrecognized configuration parameter \"transaction_timeout\"",
                  "SET transaction_timeout = 0;") +
          "pg_restore: warning: errors ignored on restore: 3\n",
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
    PgRestoreFindings findings =
        classify_pg_restore_errors(text + "pg_restore: warning: errors ignored on restore: 1\n", 1);
    EXPECT_EQ(findings.errors.size(), 1u) << text;
    EXPECT_THAT(findings.notes, IsEmpty());
  }
}

TEST(PgRestoreErrors, ErrorsThatWereNotSeenCount) {
  // stderr is kept to its tail: of 5 errors only one is still there.
  PgRestoreFindings findings = classify_pg_restore_errors(
      failure("schema \"public\" already exists", "CREATE SCHEMA public;") +
          "pg_restore: warning: errors ignored on restore: 5\n",
      1);
  ASSERT_EQ(findings.errors.size(), 1u);
  EXPECT_EQ(findings.errors[0], "4 errors more");
}

TEST(PgRestoreErrors, FatalOnesAreErrors) {
  PgRestoreFindings findings =
      classify_pg_restore_errors("pg_restore: error: connection to server failed: FATAL:  no\n", 1);
  ASSERT_EQ(findings.errors.size(), 1u);
  EXPECT_THAT(findings.errors[0], HasSubstr("connection to server"));
  EXPECT_EQ(classify_pg_restore_errors("", 137).errors.size(), 1u);
  EXPECT_EQ(classify_pg_restore_errors("Killed\n", 137).errors[0], "Killed");
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
