#include "dump/branch_record.h"

#include <gtest/gtest.h>

#include "base/expect_error.h"
#include "dump/catalog.h"
#include "dump/manifest_samples.h"
#include "dump/names.h"
#include "seal/document.h"
#include "store/local_store.h"

namespace holdfast {
namespace {

TEST(BranchBackupRecord, ComesBackAsItWasWritten) {
  BranchBackupRecord record = sample_branch_record("2026-11-21T02:00:00.123Z");
  std::string text = write_branch_record(record);
  BranchBackupRecord read = read_branch_record(text);
  EXPECT_EQ(write_branch_record(read), text);
  EXPECT_EQ(read.parent_name, "main \"live\"");
  EXPECT_EQ(read.created_at, record.created_at);
  EXPECT_TRUE(read.is_protected);
}

TEST(BranchBackupRecord, AnyChangedByteIsFound) {
  std::string text = write_branch_record(sample_branch_record("2026-11-21T02:00:00.123Z"));
  for (size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 4);
    EXPECT_ERROR(corrupt, read_branch_record(changed));
  }
  EXPECT_ERROR(corrupt, read_branch_record(text.substr(0, text.size() - 1)));
  EXPECT_ERROR(corrupt, read_branch_record(text + "\n"));
}

TEST(BranchBackupRecord, AnIdThatIsNoneIsRefusedEvenUnderASoundSeal) {
  BranchBackupRecord record = sample_branch_record("2026-11-21T02:00:00.123Z");
  record.id = backup_id("care", record.created_at);
  EXPECT_ERROR(corrupt, read_branch_record(write_branch_record(record)));
}

TEST(BranchTables, ComeBackAsTheyWereWrittenAndOnlyForTheirBackup) {
  BranchTables tables;
  RowChecksum sum;
  sum.add_hash(7, 9);
  tables.tables = {{"public.\"Odd one\"", sum}, {"public.visits", {}}};
  tables.dump_id = "care_2026-11-21T02-00-00-123Z";
  tables.partial = true;
  std::string text = write_branch_tables("backup-2026-11-21T02-00-00-123Z", tables);
  BranchTables read = read_branch_tables(text, "backup-2026-11-21T02-00-00-123Z");
  ASSERT_EQ(read.tables.size(), 2u);
  EXPECT_EQ(read.tables[0].name, "public.\"Odd one\"");
  EXPECT_EQ(read.tables[0].sum, sum);
  EXPECT_EQ(read.dump_id, tables.dump_id);
  EXPECT_TRUE(read.partial);
  EXPECT_ERROR(corrupt, read_branch_tables(text, "backup-2026-11-22T02-00-00-123Z"));
}

class BranchCatalogTest : public testing::Test {
 protected:
  std::string put(const std::string& at, const std::string& database = "care") {
    BranchBackupRecord record = sample_branch_record(at, database);
    write_object(*store_, manifest_name(record.id), as_bytes(write_branch_record(record)));
    return record.id;
  }
  std::vector<std::string> ids(const std::string& database = "") {
    std::vector<std::string> found;
    for (const BranchBackup& backup : list_branch_backups(*store_, database))
      found.push_back(backup.id);
    return found;
  }
  size_t objects() { return store_->list("").size(); }

  using Ids = std::vector<std::string>;
  TempFolder folder_{"holdfast-branches-"};
  std::unique_ptr<ObjectStore> store_ = make_local_store(folder_.path());
};

TEST_F(BranchCatalogTest, ListsNewestFirstByDatabaseAndNoDumps) {
  Manifest dump = sample_manifest("care", "2026-11-21T02:00:00.000Z");
  write_object(*store_, manifest_name(dump.id), as_bytes(write_manifest(dump)));
  std::string first = put("2026-11-21T02:00:00.000Z");
  std::string other = put("2026-11-22T02:00:00.000Z", "billing");
  std::string last = put("2026-11-23T02:00:00.000Z");
  EXPECT_EQ(ids(), (Ids{last, other, first}));
  EXPECT_EQ(ids("care"), (Ids{last, first}));
  EXPECT_EQ(list_backups(*store_, "").size(), 1u);
  EXPECT_EQ(list_backup_ids(*store_, ""), Ids{dump.id});
}

TEST_F(BranchCatalogTest, ADamagedRecordIsListedWhateverTheDatabase) {
  write_object(*store_, "backup-2026-11-21T02-00-00-000Z.branch.json", as_bytes("{}"));
  std::vector<BranchBackup> found = list_branch_backups(*store_, "care");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_FALSE(found[0].record);
  EXPECT_FALSE(found[0].damage.empty());
  EXPECT_EQ(found[0].created_at(), parse_rfc3339("2026-11-21T02:00:00.000Z"));
}

TEST_F(BranchCatalogTest, ProofsAndHoldsCountAsThoseOfDumps) {
  std::string id = put("2026-11-21T02:00:00.000Z");
  UtcTime now = parse_rfc3339("2026-11-21T03:00:00.000Z");
  record_proof(*store_, id, {"deep", true, "PASS", now, 1});
  put_hold(*store_, id, {"audit", "anna@db1", now});
  BranchBackup found = list_branch_backups(*store_, "").at(0);
  ASSERT_TRUE(found.proof && found.hold);
  EXPECT_TRUE(found.proof->ok);
  EXPECT_EQ(found.hold->reason, "audit");
  bool asked = false;
  EXPECT_TRUE(remove_backup(*store_, id, "m", [&] { asked = true; }));
  EXPECT_FALSE(asked) << "the branch of a held backup must not be touched";
  EXPECT_EQ(ids(), Ids{id});
}

TEST_F(BranchCatalogTest, WhatFailsBeforeARemovalLeavesEverything) {
  std::string id = put("2026-11-21T02:00:00.000Z");
  write_object(*store_, tables_name(id), as_bytes(write_branch_tables(id, {})));
  EXPECT_ERROR(unavailable, remove_backup(*store_, id, "m", [] {
                 throw Error(ErrorCode::unavailable, "the API is away");
               }));
  EXPECT_EQ(objects(), 2u);
  EXPECT_FALSE(remove_backup(*store_, id, "m", [] {}));
  EXPECT_EQ(objects(), 0u);
}

// Dead between claim and record: the claim goes, and so does what hangs on it.
TEST_F(BranchCatalogTest, LeftoversOfACrashAreReaped) {
  std::string id = put("2026-11-21T02:00:00.000Z");
  write_object(*store_, claim_name(id), as_bytes(claim_content(id, "m")));
  std::string gone = branch_backup_id(parse_rfc3339("2026-11-20T02:00:00.000Z"));
  write_object(*store_, claim_name(gone), as_bytes(claim_content(gone, "m")));
  write_object(*store_, tables_name(gone), as_bytes(write_branch_tables(gone, {})));
  reap_crashed_runs(*store_, {});
  EXPECT_EQ(ids(), Ids{id});
  EXPECT_EQ(objects(), 1u);
}

}  // namespace
}  // namespace holdfast
