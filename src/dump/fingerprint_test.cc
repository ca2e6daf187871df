#include "dump/fingerprint.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "pg/archive_samples.h"

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

TocEntry entry(std::string desc, std::string name_space, std::string tag, std::string defn,
               std::string owner = "care") {
  TocEntry made;
  made.desc = std::move(desc);
  made.name_space = std::move(name_space);
  made.tag = std::move(tag);
  made.defn = std::move(defn);
  made.owner = std::move(owner);
  return made;
}

ArchiveToc toc(std::vector<TocEntry> entries) {
  ArchiveToc made;
  made.entries = std::move(entries);
  return made;
}

void expect_same(std::string_view first, std::string_view second) {
  EXPECT_EQ(normalize_definition(first), normalize_definition(second));
}
void expect_different(std::string_view first, std::string_view second) {
  EXPECT_NE(normalize_definition(first), normalize_definition(second)) << first << "\n" << second;
}

// Each pair is what pg_dump 15 wrote of a table and of its restored copy.
TEST(NormalizeDefinition, InListsAsPostgresReadsThemBack) {
  expect_same(
      "CONSTRAINT visits_status_check CHECK (((status)::text = ANY ((ARRAY['a'::character varying, "
      "'sus''pended'::character varying])::text[])))",
      "CONSTRAINT visits_status_check CHECK (((status)::text = ANY (ARRAY[('a'::character "
      "varying)::text, ('sus''pended'::character varying)::text])))");
  expect_same("WHERE ((users.role)::text <> ALL ((ARRAY['a'::character varying])::text[]))",
              "WHERE ((users.role)::text <> ALL (ARRAY[('a'::character varying)::text]))");
  expect_same("CHECK ((c = ANY (ARRAY['a'::bpchar, 'b'::bpchar])))",
              "CHECK ((c = ANY ((ARRAY['a', 'b'])::bpchar[])))");
}

TEST(NormalizeDefinition, ParenthesesBlanksAndCommentsDoNotCount) {
  expect_same("CHECK (((a > 1) AND (b > 2)) AND (c > 3))", "CHECK (((a>1) AND (b>2) AND (c>3)))");
  expect_same("SELECT a,\n    b\n   FROM t;", "SELECT a, b FROM t;");
  expect_same("-- load via partition root\nCREATE TABLE t ();", "CREATE TABLE t ();");
  expect_same("x::pg_catalog.text[][]", "x");
}

TEST(NormalizeDefinition, EverythingElseCounts) {
  expect_different("CHECK (a = 'x'::text)", "CHECK (a = 'y'::text)");
  expect_different("CHECK (a > 1)", "CHECK (a >= 1)");
  expect_different("a = 'x y'", "a = 'x  y'");
  expect_different("a = '(x)'", "a = 'x'");
  expect_different("a = 'x::text'", "a = 'x'");
  expect_different("\"a::text\"", "\"a\"");
  expect_different("\"A\"", "A");
  expect_different("$$ select (1) $$", "$$ select 1 $$");
  expect_different("$$ select 1 -- a $$", "$$ select 1 -- b $$");
  expect_different("status character varying(10)", "status character varying(20)");
  expect_different("status character varying(10)", "status text");
  expect_different("(a)::character varying(3)", "a");
  expect_different("(a)::character varying(3)", "(a)::bpchar(3)");
  expect_different("(a)::numeric", "a");
  expect_different("(a)::integer[]", "a");
  expect_different("(a)::textual", "a");
  expect_different("x TYPE text", "x TYPE");
  expect_different("a\nb", "ab");
}

TEST(SchemaLines, NamesWhatAPersonWouldLookFor) {
  auto lines = schema_lines(
      toc({entry("TABLE", "public", "visits", "CREATE TABLE public.visits (id integer);"),
           entry("TRIGGER", "public", "visits audit", "CREATE TRIGGER audit …", "care"),
           entry("COMMENT", "public", "TABLE visits", "COMMENT ON TABLE …"),
           entry("ACL", "public", "TABLE visits", "GRANT SELECT ON TABLE public.visits TO r;\n"),
           entry("EXTENSION", "", "pgcrypto", "CREATE EXTENSION …", ""),
           entry("SEQUENCE SET", "public", "s", "SELECT pg_catalog.setval('public.s', 5, true);"),
           entry("DEFAULT ACL", "public", "DEFAULT PRIVILEGES FOR TABLES", "ALTER …", "boss")}));
  std::vector<std::string> names;
  for (const auto& [name, hash] : lines) names.push_back(name);
  EXPECT_THAT(names, ElementsAre("ACL TABLE visits in public", "COMMENT TABLE visits in public",
                                 "DEFAULT ACL DEFAULT PRIVILEGES FOR TABLES in public of boss",
                                 "EXTENSION pgcrypto", "OWNER OF TABLE public.visits",
                                 "SEQUENCE SET public.s", "TABLE public.visits",
                                 "TRIGGER public.visits audit"));
}

TEST(SchemaLines, LeavesTheDatabaseAndTheDataOut) {
  std::vector<TocEntry> none = {
      entry("DATABASE", "", "care", "CREATE DATABASE care …"),
      entry("DATABASE PROPERTIES", "", "care", "ALTER DATABASE care …"),
      entry("ENCODING", "", "ENCODING", "SET client_encoding = 'UTF8';\n"),
      entry("STDSTRINGS", "", "STDSTRINGS", "SET standard_conforming_strings = 'on';\n"),
      entry("SEARCHPATH", "", "SEARCHPATH", "SELECT pg_catalog.set_config('search_path', '', f);"),
      entry("COMMENT", "", "DATABASE care", "COMMENT ON DATABASE care IS 'x';\n"),
      entry("ACL", "", "DATABASE care", "GRANT CONNECT ON DATABASE care TO r;\n"),
      entry("SECURITY LABEL", "", "DATABASE care", "SECURITY LABEL ON DATABASE care IS 'x';\n"),
      entry("COMMENT", "", "EXTENSION pgcrypto", "COMMENT ON EXTENSION pgcrypto IS 'x';\n"),
      entry("TABLE DATA", "public", "visits", ""),
      entry("STATISTICS DATA", "public", "visits", "SELECT * FROM pg_restore_relation_stats(…);"),
      entry("BLOBS", "", "BLOBS", "")};
  EXPECT_THAT(schema_lines(toc(none)), IsEmpty());
}

TEST(SchemaLines, EqualNamesAreNumberedWhateverTheirOrder) {
  TocEntry text = entry("OPERATOR", "public", "=", "CREATE OPERATOR public.= (LEFTARG = text)");
  TocEntry number = entry("OPERATOR", "public", "=", "CREATE OPERATOR public.= (LEFTARG = int)");
  auto lines = schema_lines(toc({text, number}));
  EXPECT_EQ(lines.size(), 4U);
  EXPECT_TRUE(lines.contains("OPERATOR public.= (2)"));
  EXPECT_EQ(lines, schema_lines(toc({number, text})));
  EXPECT_THAT(compare_schemas(toc({text, number}), toc({text})), Not(IsEmpty()));
}

TEST(SchemaLines, LargeObjectsAreTheSameSingleOrGrouped) {
  std::vector<TocEntry> single = {entry("BLOB", "", "777", "SELECT pg_catalog.lo_create('777');"),
                                  entry("BLOB", "", "778", "SELECT pg_catalog.lo_create('778');")};
  std::vector<TocEntry> grouped = {entry("BLOB METADATA", "", "777..778", "777\n778\n")};
  EXPECT_EQ(schema_lines(toc(single)), schema_lines(toc(grouped)));
  EXPECT_EQ(compare_schemas(toc(single), toc({single[0]}), {.owners_and_privileges = false}),
            std::vector<std::string>{"missing: LARGE OBJECT 778"});
}

TEST(SchemaLines, TheOrderOfGrantsDoesNotCount) {
  auto acl = [](std::string defn) { return toc({entry("ACL", "s", "TABLE t", std::move(defn))}); };
  std::string a = "GRANT SELECT ON TABLE s.t TO a;\n", b = "GRANT SELECT ON TABLE s.t TO \"b;\";\n";
  EXPECT_THAT(compare_schemas(acl(a + b), acl(b + a)), IsEmpty());
  EXPECT_THAT(compare_schemas(acl(a + b), acl(a)), ElementsAre("different: ACL TABLE t in s"));
}

TEST(SchemaLines, TheOrderOfAPolicysRolesDoesNotCount) {
  auto policy = [](std::string_view roles, std::string_view condition) {
    std::string defn = "CREATE POLICY \"TO p\" ON s.t AS RESTRICTIVE FOR SELECT TO ";
    defn.append(roles).append(" USING (").append(condition).append(");\n");
    return toc({entry("POLICY", "s", "t TO p", defn)});
  };
  ArchiveToc source = policy("nurse, \"an admin\", clerk", "(a > b)");
  EXPECT_THAT(compare_schemas(source, policy("clerk, nurse, \"an admin\"", "(a > b)")), IsEmpty());
  EXPECT_THAT(compare_schemas(source, policy("clerk, nurse", "(a > b)")), Not(IsEmpty()));
  EXPECT_THAT(compare_schemas(source, policy("nurse, \"an admin\", boss", "(a > b)")),
              Not(IsEmpty()));
  // What follows the roles keeps its order.
  EXPECT_THAT(compare_schemas(source, policy("nurse, \"an admin\", clerk", "(b > a)")),
              Not(IsEmpty()));
}

TEST(CompareSchemas, SaysWhatIsMissingDifferentAndExtra) {
  TocEntry table = entry("TABLE", "public", "visits", "CREATE TABLE public.visits (id integer);");
  TocEntry changed = table;
  changed.defn = "CREATE TABLE public.visits (id bigint);";
  TocEntry index = entry("INDEX", "public", "visits_pkey", "CREATE INDEX …");
  TocEntry view = entry("VIEW", "public", "v", "CREATE VIEW public.v AS SELECT 1;", "care");
  EXPECT_THAT(compare_schemas(toc({table, index}), toc({index, table})), IsEmpty());
  EXPECT_THAT(compare_schemas(toc({table, index}), toc({changed, view})),
              ElementsAre("missing: INDEX public.visits_pkey", "different: TABLE public.visits",
                          "extra: OWNER OF VIEW public.v", "extra: VIEW public.v"));
}

TEST(CompareSchemas, OwnersAndPrivilegesCanBeLeftOut) {
  std::vector<TocEntry> source = {
      entry("TABLE", "public", "t", "CREATE TABLE public.t ();", "app"),
      entry("SCHEMA", "", "public", "-- *not* creating schema, since initdb creates it\n\n", "app"),
      entry("ACL", "public", "TABLE t", "GRANT SELECT ON TABLE public.t TO r;\n", "app"),
      entry("DEFAULT ACL", "", "DEFAULT PRIVILEGES FOR TABLES", "ALTER DEFAULT …;\n", "app")};
  std::vector<TocEntry> restored = {
      entry("TABLE", "public", "t", "CREATE TABLE public.t ();", "postgres")};
  EXPECT_THAT(compare_schemas(toc(source), toc(restored), {.owners_and_privileges = false}),
              IsEmpty());
  EXPECT_EQ(schema_fingerprint(toc(source), {.owners_and_privileges = false}),
            schema_fingerprint(toc(restored), {.owners_and_privileges = false}));
  EXPECT_THAT(compare_schemas(toc(source), toc(restored)),
              ElementsAre("missing: ACL TABLE t in public",
                          "missing: DEFAULT ACL DEFAULT PRIVILEGES FOR TABLES of app",
                          "missing: OWNER OF SCHEMA public", "different: OWNER OF TABLE public.t"));
}

TEST(CompareSchemas, NamesOnATerminalAreHarmless) {
  auto lines = compare_schemas(toc({entry("TABLE", "s", "a\x1b[2J\nb", "", "")}), toc({}));
  for (const std::string& line : lines) {
    EXPECT_EQ(line.find('\x1b'), std::string::npos);
    EXPECT_EQ(line.find('\n'), std::string::npos);
  }
}

TEST(RewordedEntries, AreThoseThatReadAsWhereTheDefinitionsAreAlone) {
  auto table = [](std::string defn) { return toc({entry("TABLE", "s", "t", std::move(defn))}); };
  ArchiveToc source = table("CREATE TABLE s.t (b, a);");
  ArchiveToc found = table("CREATE TABLE s.t (a, b);");
  std::set<std::string> reworded = reworded_entries(source, found, found);
  EXPECT_THAT(reworded, ElementsAre("TABLE s.t"));
  EXPECT_THAT(compare_schemas(source, found, {}, reworded), IsEmpty());
  // Where it is the same, there is nothing to excuse.
  EXPECT_THAT(reworded_entries(source, source, found), IsEmpty());
  // Changed on the way into the database.
  EXPECT_THAT(reworded_entries(source, table("CREATE TABLE s.t (a, c);"), found), IsEmpty());
  EXPECT_THAT(reworded_entries(source, found, source), IsEmpty());
  EXPECT_THAT(reworded_entries(source, found, toc({})), IsEmpty());
  EXPECT_THAT(reworded_entries(source, toc({}), toc({})), IsEmpty());
}

TEST(RewordedEntries, AreNoOwnersPrivilegesAndNothingOfTheData) {
  auto all = [](std::string_view word) {
    auto with = [&](std::string_view begin) { return fmt::format("{}{};\n", begin, word); };
    return toc({entry("TABLE", "s", "t", "CREATE TABLE s.t ();", std::string(word)),
                entry("ACL", "s", "TABLE t", with("GRANT SELECT ON TABLE s.t TO ")),
                entry("DEFAULT ACL", "s", "DEFAULT PRIVILEGES FOR TABLES", with("ALTER DEFAULT ")),
                entry("SEQUENCE SET", "s", "q", with("SELECT setval('s.q', 1, ")),
                entry("MATERIALIZED VIEW DATA", "s", "m", with("REFRESH ")),
                entry("COMMENT", "s", "TABLE t", with("COMMENT ON TABLE s.t IS "))});
  };
  EXPECT_THAT(reworded_entries(all("one"), all("other"), all("other")),
              ElementsAre("COMMENT TABLE t in s"));
}

TEST(RewordedEntries, OfEqualNamesAreTakenTogether) {
  auto operators = [](std::vector<std::string> defns) {
    std::vector<TocEntry> entries = {entry("OPERATOR", "s", "==", "another name", "care")};
    for (std::string& defn : defns) entries.push_back(entry("OPERATOR", "s", "=", std::move(defn)));
    return toc(std::move(entries));
  };
  ArchiveToc source = operators({"a", "b", "c"});
  EXPECT_EQ(reworded_entries(source, operators({"a", "x", "c"}), operators({"a", "x", "c"})).size(),
            compare_schemas(source, operators({"a", "x", "c"})).size());
  EXPECT_THAT(compare_schemas(source, operators({"a", "x", "c"})), Not(IsEmpty()));
  // One of them is reworded, another changed: whichever number they have, none is excused.
  for (const char* changed : {"1", "2", "3", "4", "5", "6", "7", "8"})
    EXPECT_THAT(
        reworded_entries(source, operators({"a", "x", changed}), operators({"a", "x", "c"})),
        IsEmpty());
}

TEST(SchemaFingerprint, OfARealArchiveDependsOnItsContentOnly) {
  ArchiveToc real = samples::parse(samples::pg15());
  std::string fingerprint = schema_fingerprint(real);
  EXPECT_EQ(fingerprint.size(), 64U);
  // The same database dumped by PostgreSQL 17 is the same content.
  EXPECT_EQ(schema_fingerprint(samples::parse(samples::pg17())), fingerprint);

  ArchiveToc shuffled = real;
  std::reverse(shuffled.entries.begin(), shuffled.entries.end());
  for (TocEntry& each : shuffled.entries) {
    each.dump_id += 1000;
    each.oid = "1";
    each.tablespace = "fast";
  }
  EXPECT_EQ(schema_fingerprint(shuffled), fingerprint);

  for (size_t i = 0; i < real.entries.size(); ++i) {
    if (real.entries[i].desc != "TABLE" && real.entries[i].desc != "CONSTRAINT") continue;
    ArchiveToc changed = real;
    changed.entries[i].defn += " x";
    EXPECT_NE(schema_fingerprint(changed), fingerprint);
  }
}

}  // namespace
}  // namespace holdfast
