#include "operate/drill_record.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "base/expect_error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/run.h"
#include "dump/catalog.h"
#include "dump/manifest_samples.h"
#include "operate/drill_samples.h"
#include "policy/prune.h"
#include "seal/document.h"
#include "store/local_store.h"

namespace holdfast {
namespace {

std::string resealed_drill(std::string text, const std::string& from, const std::string& to) {
  size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
  return seal_document(text.substr(0, text.rfind(",\n  \"drill_sha256\"")), "drill_sha256");
}

TEST(DrillRecord, ComesBackAsItWasWritten) {
  DrillRecord record = sample_drill_record();
  std::string text = write_drill_record(record);
  DrillRecord read = read_drill_record(text);
  EXPECT_EQ(write_drill_record(read), text);
  EXPECT_EQ(read.began_at, record.began_at);
  EXPECT_EQ(read.rto_seconds, 38.25);
  EXPECT_EQ(read.rpo_target_seconds, 86400);
  ASSERT_EQ(read.tables.size(), 2u);
  EXPECT_EQ(read.tables[0].expected, 1000u);
  EXPECT_FALSE(read.tables[1].expected);
  EXPECT_EQ(read.tables[1].name, "public.\"odd | name\"");
  EXPECT_EQ(read.destroyed_at, record.ended_at);
}

TEST(DrillRecord, WhatIsNotKnownComesBackAsNotKnown) {
  DrillRecord record = sample_drill_record();
  record.kind = DrillKind::branch;
  record.verdict = DrillVerdict::failed;
  record.problems = {"table public.visits: 3 rows instead of 4", "caf\xE9"};
  record.rto_target_seconds.reset();
  record.rpo_seconds.reset();
  record.rpo_target_seconds.reset();
  record.destroyed_at.reset();
  record.phases.clear();
  record.tables.clear();
  record.queries = {{"q", false, "expected = 0, found 1", 0}};
  DrillRecord read = read_drill_record(write_drill_record(record));
  EXPECT_EQ(read.kind, DrillKind::branch);
  EXPECT_EQ(read.verdict, DrillVerdict::failed);
  EXPECT_EQ(read.problems, record.problems);
  EXPECT_FALSE(read.rto_target_seconds || read.rpo_seconds || read.rpo_target_seconds ||
               read.destroyed_at);
  EXPECT_EQ(read.queries[0].problem, "expected = 0, found 1");
}

TEST(DrillRecord, AnyChangedByteIsFound) {
  std::string text = write_drill_record(sample_drill_record());
  for (size_t i = 0; i < text.size(); ++i)
    for (int bit : {1, 4, 128}) {
      std::string changed = text;
      changed[i] = static_cast<char>(changed[i] ^ bit);
      EXPECT_ERROR(corrupt, read_drill_record(changed));
    }
  EXPECT_ERROR(corrupt, read_drill_record(text.substr(0, text.size() - 1)));
  EXPECT_ERROR(corrupt, read_drill_record(text + "\n"));
  EXPECT_ERROR(corrupt, read_drill_record(""));
}

TEST(DrillRecord, WhatMakesNoSenseIsRefusedEvenUnderASoundSeal) {
  std::string text = write_drill_record(sample_drill_record());
  for (auto [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"drill-2026", "\"drill_2026"},
           {"\"drill-2026-11-28T22", "\"../../drill-2026-11-28T22"},
           {"\"kind\": \"dump\"", "\"kind\": \"tape\""},
           {"\"passed\"", "\"fine\""},
           {"\"rto_seconds\": 38.250", "\"rto_seconds\": -1"},
           {"\"rto_seconds\": 38.250", "\"rto_seconds\": 1e300"},
           {"\"rto_target_seconds\": 14400", "\"rto_target_seconds\": 14400.5"},
           {"\"rows\": 1234", "\"rows\": -1"},
           {"\"rows\": 1234,", ""},
           {"\"notes\": [", "\"notes\": [1, "},
           {"\"passed\": true", "\"passed\": false"},  // a query, of a drill that passed
           {"\"problems\": []", "\"problems\": [\"x\"]"}})
    EXPECT_ERROR(corrupt, read_drill_record(resealed_drill(text, from, to)));
  EXPECT_ERROR(unsupported,
               read_drill_record(resealed_drill(text, "\"version\": 1", "\"version\": 2")));
  EXPECT_ERROR(unsupported,
               read_drill_record(resealed_drill(text, "holdfast-drill", "holdfast-proof")));
}

TEST(DrillRecord, ObjectivesAreHeldAgainstWhatWasMeasured) {
  DrillRecord record = sample_drill_record();
  EXPECT_TRUE(record.within_rto() && record.within_rpo());
  record.rto_target_seconds = 38;
  EXPECT_FALSE(record.within_rto());
  record.rpo_target_seconds = 7205;
  EXPECT_FALSE(record.within_rpo());
  record.rpo_target_seconds = 86400;
  record.rpo_seconds.reset();  // nothing is proven
  EXPECT_FALSE(record.within_rpo());
}

TEST(DrillRecord, PeopleReadAndSignIt) {
  DrillRecord record = sample_drill_record();
  record.verdict = DrillVerdict::failed;
  record.problems = {"query <b>: expected = 0, found 3"};
  std::string text = drill_record_markdown(record);
  for (const char* part :
       {"**failed**", "drill-2026-11-28T22-15-00-123Z", "## Sign-off", "Performed by",
        "Reviewed by", "Certified by management", "Corrective actions", "date",
        "| public.visits | 1000 | 1000 | yes | yes |", "\"odd \\| name\"", "query \\<b\\>",
        "destroyed at 2026-11-28T22:15:42.123Z"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  record.rto_target_seconds = 1;
  EXPECT_NE(drill_record_markdown(record).find("**missed**"), std::string::npos);
}

class DrillStoreTest : public testing::Test {
 protected:
  std::vector<std::string> drill_objects() {
    std::vector<std::string> found;
    for (const ObjectInfo& object : store_->list(std::string(kDrillPrefix)))
      found.push_back(object.name);
    return found;
  }

  TempFolder folder_{"holdfast-drills-"};
  std::unique_ptr<ObjectStore> store_ = make_local_store(folder_.path());
};

TEST_F(DrillStoreTest, NewestFirstByDatabaseAndDamageIsNamed) {
  DrillRecord old_one = sample_drill_record("2026-09-01T00:00:00.000Z");
  DrillRecord new_one = sample_drill_record("2026-11-01T00:00:00.000Z");
  DrillRecord other = sample_drill_record("2026-10-01T00:00:00.000Z");
  other.database = "billing";
  for (const DrillRecord& record : {old_one, new_one, other}) put_drill_record(*store_, record);
  EXPECT_TRUE(has_drill_record(*store_, other.id));
  EXPECT_FALSE(has_drill_record(*store_, "drill-2026-12-01T00-00-00-000Z"));
  EXPECT_ERROR(exists, put_drill_record(*store_, other));
  EXPECT_EQ(drill_objects().size(), 6u);

  DrillRecords all = read_drill_records(*store_, "");
  ASSERT_EQ(all.records.size(), 3u);
  EXPECT_EQ(all.records[0].id, new_one.id);
  EXPECT_EQ(all.records[2].id, old_one.id);
  EXPECT_TRUE(all.damaged.empty());
  EXPECT_EQ(read_drill_records(*store_, "care").records.size(), 2u);

  // One that stands under the name of another, and one of other bytes.
  std::string name = std::string(kDrillPrefix) + old_one.id + ".json";
  std::string text = read_object(*store_, name, kDrillRecordBytesMax);
  store_->remove(name);
  write_object(*store_, "drills/drill-2026-09-02T00-00-00-000Z.json", as_bytes(text));
  text[text.size() / 2] ^= 1;
  write_object(*store_, name, as_bytes(text));
  all = read_drill_records(*store_, "care");
  EXPECT_EQ(all.records.size(), 1u);
  ASSERT_EQ(all.damaged.size(), 2u);
  EXPECT_TRUE(all.damaged[0].starts_with(name + ": ")) << all.damaged[0];
}

TEST_F(DrillStoreTest, ListsRetentionAndClearingPassOverRecords) {
  for (int month = 1; month <= 3; ++month)
    put_drill_record(*store_,
                     sample_drill_record(fmt::format("2020-{:02}-01T00:00:00.000Z", month)));
  std::vector<std::string> before = drill_objects();
  std::vector<std::string> ids;
  for (int day = 10; day < 20; ++day) {
    Manifest m = sample_manifest("care", fmt::format("20{}-11-20T02:00:00.000Z", day));
    write_object(*store_, m.archive_object, as_bytes("PGDMP"));
    write_object(*store_, manifest_name(m.id), as_bytes(write_manifest(m)));
    record_proof(*store_, m.id, {"deep", true, "PASS", m.created_at, 1});
    ids.push_back(m.id);
  }
  EXPECT_EQ(list_backups(*store_, "").size(), ids.size());
  EXPECT_EQ(list_backup_ids(*store_, "").size(), ids.size());
  EXPECT_TRUE(list_branch_backups(*store_, "").empty());

  UtcTime now = parse_rfc3339("2026-11-28T00:00:00.000Z");
  RetentionPolicy policy;
  policy.dailies_min = 2;
  PrunePlan plan = plan_prune(*store_, list_backups(*store_, ""), policy, now);
  ManualClock clock(now);
  NullLog log;
  NullProgress progress;
  apply_prune(*store_, plan, "0123456789abcdef", holdfast::Run{clock, log, progress, {}});
  EXPECT_EQ(plan.count(RetentionAction::remove), 8u);
  EXPECT_EQ(list_backups(*store_, "").size(), 2u);
  reap_crashed_runs(*store_, {"", now});
  EXPECT_EQ(drill_objects(), before);
  EXPECT_EQ(read_drill_records(*store_, "care").records.size(), 3u);
}

}  // namespace
}  // namespace holdfast
