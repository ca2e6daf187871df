#include "dump/restore_selection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace holdfast {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

// A small database: visits (with an identity sequence) refers to clients; a partitioned log.
class Selection : public ::testing::Test {
 protected:
  Selection() {
    add(1, "SCHEMA", "app", Section::pre_data, {}, "");
    add(2, "EXTENSION", "uuid-ossp", Section::pre_data, {}, "");
    add(3, "FUNCTION", "touch()", Section::pre_data, {1});
    add(10, "TABLE", "clients", Section::pre_data, {1});
    add(11, "TABLE", "visits", Section::pre_data, {1, 2});
    add(12, "SEQUENCE", "visits_id_seq", Section::pre_data, {1, 11});
    add(13, "SEQUENCE OWNED BY", "visits_id_seq", Section::pre_data, {12});
    add(14, "DEFAULT", "visits id", Section::pre_data, {12, 11});
    add(15, "TABLE", "log", Section::pre_data, {1});
    add(16, "TABLE", "log_2026", Section::pre_data, {1});
    add(17, "TABLE ATTACH", "log_2026", Section::pre_data, {15, 16});
    add(18, "TABLE", "Odd \"Name", Section::pre_data, {1});
    add(20, "TABLE DATA", "clients", Section::data, {10}).had_dumper = true;
    add(21, "TABLE DATA", "visits", Section::data, {11}).had_dumper = true;
    add(22, "TABLE DATA", "log_2026", Section::data, {16}).had_dumper = true;
    add(23, "BLOBS", "BLOBS", Section::data, {}).had_dumper = true;
    add(24, "SEQUENCE SET", "visits_id_seq", Section::data, {12});
    add(30, "CONSTRAINT", "clients clients_pkey", Section::post_data, {10});
    add(31, "CONSTRAINT", "visits visits_pkey", Section::post_data, {11});
    add(32, "FK CONSTRAINT", "visits visits_client_fkey", Section::post_data, {11, 10, 30});
    add(33, "TRIGGER", "visits touch_it", Section::post_data, {11, 3});
    add(34, "COMMENT", "CONSTRAINT visits_pkey ON visits", Section::none, {31});
    TocEntry& acl = add(40, "ACL", "TABLE visits", Section::none, {11});
    acl.defn =
        "GRANT SELECT ON TABLE app.visits TO reader;\nGRANT ALL ON TABLE app.visits TO \"odd "
        "\"\"one\";\n"
        "REVOKE ALL ON TABLE app.visits FROM PUBLIC;\n";
    acl.owner = "owner_of_acl";
  }
  TocEntry& add(int id, const std::string& desc, const std::string& tag, Section section,
                std::vector<int> dependencies, const std::string& schema = "app") {
    TocEntry entry;
    entry.dump_id = id;
    entry.desc = desc;
    entry.tag = tag;
    entry.section = section;
    entry.dependencies = std::move(dependencies);
    entry.name_space = schema;
    toc_.entries.push_back(entry);
    return toc_.entries.back();
  }
  ArchiveToc toc_;
};

TEST_F(Selection, EverythingGoesIntoItsStep) {
  RestoreSelection all = select_everything(toc_);
  EXPECT_EQ(all.before_data.size() + all.after_data.size() + all.data.size(), toc_.entries.size());
  EXPECT_THAT(all.data, UnorderedElementsAre(20, 21, 22, 23));
  EXPECT_THAT(all.before_data, Contains(24));  // the position of a sequence needs no data block
  EXPECT_THAT(all.after_data, ElementsAre(30, 31, 32, 33, 34, 40));  // privileges last of all
}

TEST_F(Selection, TableBringsWhatItNeedsAndWhatHangsOnIt) {
  for (const char* name : {"visits", "app.visits", "\"visits\"", "app.\"visits\""}) {
    RestoreSelection selection = select_tables(toc_, {name});
    EXPECT_THAT(selection.before_data, ElementsAre(1, 2, 3, 11, 12, 13, 14, 24)) << name;
    EXPECT_THAT(selection.data, UnorderedElementsAre(21));
    EXPECT_THAT(selection.after_data, ElementsAre(31, 33, 34, 40));
    ASSERT_EQ(selection.notes.size(), 1u);
    EXPECT_THAT(selection.notes[0], HasSubstr("visits_client_fkey"));
  }
}

TEST_F(Selection, ForeignKeyStaysWhenBothTablesCome) {
  RestoreSelection selection = select_tables(toc_, {"visits", "clients"});
  EXPECT_THAT(selection.after_data, Contains(32));
  EXPECT_TRUE(selection.notes.empty());
}

TEST_F(Selection, ForeignKeysOfOtherTablesAreNotMissed) {
  RestoreSelection selection = select_tables(toc_, {"clients"});
  EXPECT_THAT(selection.after_data, ElementsAre(30));
  EXPECT_TRUE(selection.notes.empty());
}

TEST_F(Selection, PartitionsComeWithTheirParent) {
  RestoreSelection selection = select_tables(toc_, {"log"});
  EXPECT_THAT(selection.before_data, ElementsAre(1, 15, 16, 17));
  EXPECT_THAT(selection.data, UnorderedElementsAre(22));
}

TEST_F(Selection, IdentityComesWithItsTable) {
  const char* identity =
      "ALTER TABLE app.clients ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY ();";
  add(50, "SEQUENCE", "clients_id_seq", Section::pre_data, {10}).defn = identity;
  add(51, "SEQUENCE SET", "clients_id_seq", Section::data, {50});
  add(52, "TABLE", "child", Section::pre_data, {1, 10});  // inherits from clients
  RestoreSelection clients = select_tables(toc_, {"clients"});
  EXPECT_THAT(clients.before_data, ElementsAre(1, 10, 50, 51));
  EXPECT_TRUE(clients.notes.empty());
  EXPECT_THAT(select_tables(toc_, {"child"}).before_data, ElementsAre(1, 10, 50, 51, 52));
  EXPECT_THAT(select_tables(toc_, {"visits"}).before_data, Not(Contains(50)));
}

TEST_F(Selection, OwnedSequencesComeWithoutADefault) {
  add(50, "SEQUENCE", "numbers", Section::pre_data, {10});
  add(51, "SEQUENCE OWNED BY", "numbers", Section::pre_data, {50, 10});
  EXPECT_THAT(select_tables(toc_, {"clients"}).before_data, ElementsAre(1, 10, 50, 51));
}

TEST_F(Selection, AParentOfTheSameNameIsNotThePartition) {
  add(50, "TABLE", "log_2026", Section::pre_data, {}, "old");  // partitioned
  add(51, "TABLE", "sibling", Section::pre_data, {}, "old");
  add(52, "TABLE ATTACH", "log_2026", Section::pre_data, {50, 16});
  add(53, "TABLE ATTACH", "sibling", Section::pre_data, {50, 51}, "old");
  RestoreSelection selection = select_tables(toc_, {"app.log_2026"});
  EXPECT_THAT(selection.before_data, ElementsAre(1, 16));
  EXPECT_THAT(select_tables(toc_, {"old.log_2026"}).before_data,
              ElementsAre(1, 16, 50, 51, 52, 53));
}

TEST_F(Selection, QuotedNamesAreFound) {
  EXPECT_THAT(select_tables(toc_, {"Odd \"Name"}).before_data, Contains(18));
  EXPECT_THAT(select_tables(toc_, {"app.\"Odd \"\"Name\""}).before_data, Contains(18));
}

TEST_F(Selection, NamesAreFoundInTheEncodingOfTheDatabase) {
  add(60, "ENCODING", "ENCODING", Section::pre_data, {}, "").defn =
      "SET client_encoding = 'LATIN1';\n";
  add(61, "TABLE", "\xC4pfel", Section::pre_data, {1});
  EXPECT_THAT(select_tables(toc_, {"Äpfel"}).before_data, ElementsAre(1, 60, 61));
  try {
    select_tables(toc_, {"Äpfl"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.hint(), "did you mean Äpfel?");
  }
}

TEST_F(Selection, UnknownTableNamesTheNearest) {
  try {
    select_tables(toc_, {"vists"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::not_found);
    EXPECT_EQ(error.hint(), "did you mean visits?");
  }
}

TEST_F(Selection, AmbiguousTableIsRefused) {
  add(50, "TABLE", "visits", Section::pre_data, {}, "archive");
  EXPECT_THROW(select_tables(toc_, {"visits"}), Error);
  EXPECT_NO_THROW(select_tables(toc_, {"archive.visits"}));
}

TEST_F(Selection, NeedsAreNamed) {
  toc_.entries[4].tablespace = "fast";  // visits
  toc_.entries[4].owner = "app_owner";
  RestoreSelection visits = select_tables(toc_, {"visits"});
  EXPECT_THAT(needed_extensions(toc_, visits), UnorderedElementsAre("uuid-ossp"));
  EXPECT_THAT(needed_extensions(toc_, select_tables(toc_, {"clients"})), UnorderedElementsAre());
  EXPECT_THAT(needed_tablespaces(toc_, visits), UnorderedElementsAre("fast"));
  EXPECT_THAT(needed_roles(toc_, visits, true, true),
              UnorderedElementsAre("app_owner", "owner_of_acl", "reader", "odd \"one"));
  EXPECT_THAT(needed_roles(toc_, visits, false, false), UnorderedElementsAre());
}

TEST_F(Selection, PoliciesAndUserMappingsAlwaysNeedTheirRoles) {
  add(50, "POLICY", "clients mine", Section::post_data, {10}).defn =
      "CREATE POLICY mine ON app.clients TO staff USING (true);";
  add(51, "USER MAPPING", "USER MAPPING a SERVER s", Section::pre_data, {}).defn =
      "CREATE USER MAPPING FOR \"odd \"\"one\" SERVER s OPTIONS (\n    \"user\" 'FOR x'\n);";
  add(52, "USER MAPPING", "USER MAPPING public SERVER s", Section::pre_data, {}).defn =
      "CREATE USER MAPPING FOR public SERVER s;";
  EXPECT_THAT(needed_roles(toc_, select_everything(toc_), false, false),
              UnorderedElementsAre("staff", "odd \"one"));
}

TEST(ListFile, HasOneIdPerLine) {
  EXPECT_EQ(list_file({3, 12}), "3;\n12;\n");
}

}  // namespace
}  // namespace holdfast
