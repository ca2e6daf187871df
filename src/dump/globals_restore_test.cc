#include "dump/globals_restore.h"

#include <gtest/gtest.h>

#include "dump/database_properties.h"

namespace holdfast {
namespace {

using Kind = GlobalStatement::Kind;

TEST(ParseGlobals, RolesMembershipsAndTablespaces) {
  std::vector<GlobalStatement> found = parse_globals(
      "--\n-- PostgreSQL database cluster dump\n--\n\n"
      "\\restrict aB3x\n"
      "SET default_transaction_read_only = off;\n\n"
      "CREATE ROLE care_owner;\n"
      "ALTER ROLE care_owner WITH NOSUPERUSER INHERIT LOGIN NOREPLICATION;\n"
      "CREATE ROLE \"odd \"\";role\";\n"
      "COMMENT ON ROLE care_owner IS 'owns; it''s all';\n"
      "ALTER ROLE care_owner SET search_path TO 'a', 'b;c';\n"
      "ALTER ROLE care_owner IN DATABASE care SET work_mem TO '1MB';\n"
      "GRANT care_owner TO \"odd \"\";role\" WITH ADMIN OPTION GRANTED BY postgres;\n"
      "CREATE TABLESPACE disk OWNER care_owner LOCATION '/mnt/it''s here';\n"
      "GRANT ALL ON TABLESPACE disk TO PUBLIC;\n"
      "\\unrestrict aB3x\n");
  ASSERT_EQ(found.size(), 9u);
  EXPECT_TRUE(found[0].creates);
  EXPECT_EQ(found[0].kind, Kind::role);
  EXPECT_EQ(found[0].sql, "CREATE ROLE care_owner");
  EXPECT_FALSE(found[0].gives_login);
  EXPECT_TRUE(found[1].gives_login);
  EXPECT_EQ(found[2].subject, "odd \";role");
  EXPECT_EQ(found[3].subject, "care_owner");
  EXPECT_EQ(found[3].sql, "COMMENT ON ROLE care_owner IS 'owns; it''s all'");
  EXPECT_EQ(found[4].kind, Kind::role);
  EXPECT_EQ(found[5].kind, Kind::other);  // comes with the database
  EXPECT_EQ(found[6].kind, Kind::membership);
  EXPECT_EQ(found[6].subject, "care_owner");
  EXPECT_EQ(found[6].member, "odd \";role");
  EXPECT_EQ(found[7].kind, Kind::tablespace);
  EXPECT_EQ(found[7].location, "/mnt/it's here");
  EXPECT_EQ(found[8].kind, Kind::tablespace);
  EXPECT_FALSE(found[8].creates);
}

TEST(ParseGlobals, LocationWithBackslash) {
  auto found = parse_globals("CREATE TABLESPACE t OWNER o LOCATION E'/a\\\\b''c';");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].location, "/a\\b'c");
}

TEST(ParseGlobals, NothingAndRubbish) {
  EXPECT_TRUE(parse_globals("").empty());
  EXPECT_TRUE(parse_globals("-- only a comment\n\\restrict x\n").empty());
  EXPECT_EQ(parse_globals("CREATE; GRANT; COMMENT ON ROLE").size(), 3u);
}

TocEntry entry(const std::string& desc, const std::string& tag, const std::string& defn) {
  TocEntry made;
  made.desc = desc;
  made.tag = tag;
  made.defn = defn;
  made.owner = "owner";
  return made;
}

TEST(DatabaseProperties, TheNameIsReplacedAndNothingElse) {
  ArchiveToc toc;
  toc.entries = {
      entry("DATABASE", "care", "CREATE DATABASE care"),
      entry("COMMENT", "DATABASE care", "COMMENT ON DATABASE care IS 'DATABASE care; care';\n"),
      entry("DATABASE PROPERTIES", "care",
            "ALTER DATABASE care SET app.name TO 'care';\n"
            "ALTER ROLE database IN DATABASE care SET work_mem TO '1MB';\n"),
      entry("ACL", "DATABASE care",
            "REVOKE ALL ON DATABASE care FROM PUBLIC;\nGRANT CONNECT ON DATABASE care TO care;\n"),
      entry("COMMENT", "TABLE care", "COMMENT ON TABLE public.care IS 'x';\n"),
  };
  EXPECT_EQ(database_owner(toc), "owner");
  EXPECT_EQ(
      database_property_statements(toc, "\"a b\""),
      (std::vector<std::string>{"COMMENT ON DATABASE \"a b\" IS 'DATABASE care; care'",
                                "ALTER DATABASE \"a b\" SET app.name TO 'care'",
                                "ALTER ROLE database IN DATABASE \"a b\" SET work_mem TO '1MB'",
                                "REVOKE ALL ON DATABASE \"a b\" FROM PUBLIC",
                                "GRANT CONNECT ON DATABASE \"a b\" TO care"}));
}

}  // namespace
}  // namespace holdfast
