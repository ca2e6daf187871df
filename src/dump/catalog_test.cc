#include "dump/catalog.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "base/expect_error.h"
#include "base/file.h"
#include "dump/manifest_samples.h"
#include "dump/names.h"
#include "store/fault_store.h"
#include "store/local_store.h"

namespace holdfast {
namespace {

class CatalogTest : public testing::Test {
 protected:
  void put(const std::string& name, std::string_view content) {
    write_object(*store_, name, as_bytes(content));
  }
  // A backup as far as the catalog looks at it.
  std::string put_backup(const std::string& database, const std::string& at) {
    Manifest m = sample_manifest(database, at);
    put(m.archive_object, "PGDMP");
    put(*m.globals_object, "-- roles");
    put(manifest_name(m.id), write_manifest(m));
    return m.id;
  }
  void damage(const std::string& name) {
    std::string content = read_object(*store_, name, 1 << 20);
    content[content.size() / 2] ^= 4;
    store_->remove(name);
    put(name, content);
  }
  std::vector<std::string> names() {
    std::vector<std::string> found;
    for (const ObjectInfo& object : store_->list("")) found.push_back(object.name);
    return found;
  }
  std::vector<std::string> ids(const std::string& database = "") {
    std::vector<std::string> found;
    for (const Backup& backup : list_backups(*store_, database)) found.push_back(backup.id);
    return found;
  }
  Proof proof(const std::string& level, bool ok, int minute, const std::string& verdict = {}) {
    return {level, ok, verdict.empty() ? (ok ? "PASS" : "FAIL") : verdict,
            time_ + std::chrono::minutes(minute), 1.5};
  }
  std::string hint_of(const std::string& wanted, const std::string& database = "") {
    try {
      find_backup(*store_, database, wanted);
      return "";
    } catch (const Error& error) {
      return std::string(error_code_name(error.code())) + ": " + error.what() + " | " +
             error.hint();
    }
  }

  using Ids = std::vector<std::string>;
  UtcTime time_ = parse_rfc3339("2026-11-24T00:00:00.000Z");
  TempFolder folder_{"holdfast-catalog-"};
  std::unique_ptr<ObjectStore> store_ = make_local_store(folder_.path());
};

TEST_F(CatalogTest, ListsNewestFirstByDatabase) {
  std::string old_one = put_backup("care", "2026-11-21T02:00:00.000Z");
  std::string other = put_backup("care_old", "2026-11-22T02:00:00.000Z");
  std::string new_one = put_backup("care", "2026-11-23T02:00:00.000Z");
  EXPECT_EQ(ids(), (Ids{new_one, other, old_one}));
  EXPECT_EQ(ids("care"), (Ids{new_one, old_one}));
  EXPECT_EQ(ids("care_old"), Ids{other});
  EXPECT_EQ(ids("none"), Ids{});
  Backup backup = list_backups(*store_, "care")[1];
  ASSERT_TRUE(backup.manifest);
  EXPECT_EQ(backup.manifest->id, old_one);
  EXPECT_FALSE(backup.proof);
}

TEST_F(CatalogTest, WhatOthersMadeAndWhatIsUnfinishedDoesNotCount) {
  put("care_2026-11-10T14-30-00-123Z.dump", "PGDMP of a script");
  put("nightly.dump", "x");
  put("notes.manifest.json", "{}");
  put("sub/care_2026-11-10T14-30-00-123Z.manifest.json", "{}");
  put("care_2026-11-11T14-30-00-123Z.claim", "");
  EXPECT_EQ(ids(), Ids{});
  EXPECT_EQ(hint_of("latest"), "not_found: there is no backup in " + folder_.path() +
                                   " | make one with: holdfast backup");
}

// The names are those of audit/anchor.h, a layer that this one does not know.
TEST_F(CatalogTest, AnchorsOfTheAuditLogAreNobodysBackup) {
  const std::string anchor =
      "audit/0123456789abcdef0123456789abcdef/00000000000000000812.anchor.json";
  put(anchor, "an anchor");
  std::string id = put_backup("audit", "2026-11-20T02:00:00.000Z");
  put(claim_name(id), "");
  EXPECT_EQ(ids(), Ids{id});
  EXPECT_EQ(ids("audit"), Ids{id});
  reap_crashed_runs(*store_, {});
  remove_backup(*store_, id, "0123456789abcdef");
  EXPECT_EQ(names(), Ids{anchor});
}

TEST_F(CatalogTest, DamagedManifestsAreListedWithTheReason) {
  std::string good = put_backup("care", "2026-11-21T02:00:00.000Z");
  std::string bad = put_backup("care", "2026-11-22T02:00:00.000Z");
  damage(manifest_name(bad));
  put("care_2026-11-23T02-00-00-000Z.manifest.json", "");  // cut to nothing
  put("care_2026-11-20T02-00-00-000Z.manifest.json",       // a copy under another name
      read_object(*store_, manifest_name(good), 1 << 20));
  std::vector<Backup> backups = list_backups(*store_, "care");
  ASSERT_EQ(backups.size(), 4u);
  EXPECT_EQ(backups[0].id, "care_2026-11-23T02-00-00-000Z");
  EXPECT_NE(backups[0].damage.find("0 bytes"), std::string::npos) << backups[0].damage;
  EXPECT_EQ(backups[1].id, bad);
  EXPECT_FALSE(backups[1].manifest);
  EXPECT_NE(backups[1].damage.find("do not match their own SHA-256"), std::string::npos);
  EXPECT_TRUE(backups[2].manifest);
  EXPECT_TRUE(backups[2].damage.empty());
  EXPECT_NE(backups[3].damage.find("is that of " + good), std::string::npos) << backups[3].damage;
  EXPECT_FALSE(find_backup(*store_, "", "latest").manifest);  // damage is not skipped over
}

TEST_F(CatalogTest, AStoreThatFailsIsNotDamage) {
  put_backup("care", "2026-11-21T02:00:00.000Z");
  FaultStore faulty(*store_);
  list_backups(faulty, "");
  uint64_t operations = faulty.operations();
  EXPECT_EQ(operations, 3u);  // list, open, read
  for (uint64_t at = 1; at <= operations; ++at) {
    faulty.restart({.fail_at = at});
    EXPECT_ERROR(unavailable, list_backups(faulty, ""));
  }
  faulty.restart({.fail_at = 2, .code = ErrorCode::not_found});  // pruned while we list
  EXPECT_TRUE(list_backups(faulty, "").empty());
}

TEST_F(CatalogTest, FindsByWhatIsUnique) {
  std::string one = put_backup("care", "2026-11-21T02:00:00.000Z");
  std::string two = put_backup("care", "2026-11-22T03:00:00.000Z");
  std::string other = put_backup("billing", "2026-11-22T05:00:00.000Z");
  auto found = [&](const std::string& wanted, const std::string& database = "") {
    return find_backup(*store_, database, wanted).id;
  };
  EXPECT_EQ(found(one), one);
  EXPECT_EQ(found("care_2026-11-21"), one);
  EXPECT_EQ(found("T03-00-00-000Z"), two);
  EXPECT_EQ(found("billing"), other);
  EXPECT_EQ(found("latest"), other);
  EXPECT_EQ(found("latest", "care"), two);
  EXPECT_EQ(found(archive_name(one)), one);
  EXPECT_EQ(found(manifest_name(one)), one);
  EXPECT_EQ(hint_of("care_2026"),
            "invalid: 'care_2026' stands for 2 backups | name one of them: " + one + ", " + two);
  EXPECT_EQ(hint_of("care_2026-11-21T02-00-00-001Z"),
            "not_found: there is no backup 'care_2026-11-21T02-00-00-001Z' in " + folder_.path() +
                " | did you mean " + one + "?");
  EXPECT_EQ(hint_of("zzz"), "not_found: there is no backup 'zzz' in " + folder_.path() +
                                " | holdfast list shows those that are there");
  EXPECT_NE(hint_of(""), "");
  EXPECT_NE(hint_of(".dump"), "");
  EXPECT_NE(hint_of(one, "billing"), "");
  EXPECT_NE(hint_of("latest", "none"), "");
}

TEST_F(CatalogTest, FindingReadsOneManifest) {
  for (int day = 10; day < 20; ++day)
    put_backup("care", fmt::format("2026-11-{}T02:00:00.000Z", day));
  FaultStore counted(*store_);
  find_backup(counted, "care", "latest");
  EXPECT_EQ(counted.operations(), 3u);  // list, open, read
}

TEST_F(CatalogTest, ProofsReadBackAndReplaceThoseOfTheirLevel) {
  std::string id = put_backup("care", "2026-11-21T02:00:00.000Z");
  std::string before = put_backup("care", "2026-11-21T02:00:00.001Z");
  record_proof(*store_, before, proof("deep", true, 0));
  record_proof(*store_, id, proof("quick", true, 0));
  record_proof(*store_, id, proof("deep", false, 1));
  record_proof(*store_, id, proof("deep", true, 2, "PASS WITH NOTES"));
  Backup backup = find_backup(*store_, "", id);
  ASSERT_TRUE(backup.proof);
  EXPECT_EQ(backup.proof->level, "deep");
  EXPECT_TRUE(backup.proof->ok);
  EXPECT_EQ(backup.proof->verdict, "PASS WITH NOTES");
  EXPECT_EQ(backup.proof->at, time_ + std::chrono::minutes(2));
  EXPECT_DOUBLE_EQ(backup.proof->seconds, 1.5);
  size_t proofs = 0;
  for (const std::string& name : names()) proofs += name.find(".proof-") != std::string::npos;
  EXPECT_EQ(proofs, 3u);
  EXPECT_TRUE(find_backup(*store_, "", before).proof);
}

TEST_F(CatalogTest, TheProofThatCounts) {
  struct Case {
    std::vector<Proof> recorded;
    std::string level;
    bool ok;
    std::string verdict;
  };
  std::vector<Case> cases = {
      {{proof("quick", true, 1), proof("restore", true, 0)}, "restore", true, "PASS"},
      {{proof("restore", true, 0), proof("deep", false, 1)}, "deep", false, "FAIL"},
      {{proof("deep", false, 0), proof("quick", true, 1)}, "deep", false, "FAIL"},
      {{proof("deep", false, 0), proof("restore", true, 1)}, "restore", true, "PASS"},
      {{proof("quick", false, 0), proof("deep", true, 1)}, "deep", true, "PASS"},
      {{proof("deep", false, 0), proof("deep", true, 1)}, "deep", true, "PASS"},
      {{proof("deep", true, 0), proof("deep", false, 1)}, "deep", false, "FAIL"},
      {{proof("deep", true, 0), proof("restore", false, 1, "INCONCLUSIVE")}, "deep", true, "PASS"},
      {{proof("restore", true, 0), proof("restore", false, 1, "INCONCLUSIVE")},
       "restore",
       true,
       "PASS"},
      {{proof("restore", false, 1, "INCONCLUSIVE")}, "restore", false, "INCONCLUSIVE"},
      {{proof("restore", false, 0, "INCONCLUSIVE"), proof("restore", false, 1, "INCONCLUSIVE")},
       "restore",
       false,
       "INCONCLUSIVE"},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    std::string id = put_backup("care", fmt::format("2026-11-21T02:00:{}.000Z", 10 + i));
    for (const Proof& recorded : cases[i].recorded) record_proof(*store_, id, recorded);
    Backup backup = find_backup(*store_, "", id);
    ASSERT_TRUE(backup.proof) << i;
    EXPECT_EQ(backup.proof->level, cases[i].level) << i;
    EXPECT_EQ(backup.proof->ok, cases[i].ok) << i;
    EXPECT_EQ(backup.proof->verdict, cases[i].verdict) << i;
  }
}

TEST_F(CatalogTest, TwoProofsInOneMillisecondDoNotCollide) {
  std::string id = put_backup("care", "2026-11-21T02:00:00.000Z");
  record_proof(*store_, id, proof("deep", true, 0));
  record_proof(*store_, id, proof("deep", false, 0));
  EXPECT_FALSE(find_backup(*store_, "", id).proof->ok);
}

TEST_F(CatalogTest, ADamagedProofProvesNothing) {
  std::string id = put_backup("care", "2026-11-21T02:00:00.000Z");
  record_proof(*store_, id, proof("deep", true, 0));
  std::string name = proof_name(id, "deep", time_);
  std::string sound = read_object(*store_, name, 1000);
  for (size_t at = 0; at < sound.size(); ++at) {
    std::string content = sound;
    content[at] = static_cast<char>(content[at] ^ 1 << at % 8);
    std::ofstream(folder_.path() + "/" + name) << content;
    Backup backup = find_backup(*store_, "", id);
    ASSERT_TRUE(backup.proof);
    ASSERT_FALSE(backup.proof->ok) << at;
    ASSERT_EQ(backup.proof->verdict, "INCONCLUSIVE");
  }
  // A sound proof of another backup proves nothing of this one.
  std::string other = put_backup("care", "2026-11-22T02:00:00.000Z");
  put(proof_name(other, "deep", time_), sound);
  EXPECT_FALSE(find_backup(*store_, "", other).proof->ok);
}

// As crashes leave things: at any point of a run, the backup is either listed and whole, or gone
// after the next run's reaping, and nothing else is touched.
TEST_F(CatalogTest, ReapClearsWhatCrashedRunsLeft) {
  std::string whole = put_backup("care", "2026-11-20T02:00:00.000Z");
  put(claim_name(whole), whole);  // crashed after its manifest
  std::string crashed = backup_id("care", parse_rfc3339("2026-11-21T02:00:00.000Z"));
  put(claim_name(crashed), crashed);
  put(archive_name(crashed), "PGDMP half a backup");
  put(globals_name(crashed), "-- roles");
  std::string early = backup_id("care", parse_rfc3339("2026-11-22T02:00:00.000Z"));
  put(claim_name(early), early);
  put("care_2026-11-23T02-00-00-000Z.dump", "PGDMP of a script");
  put("notes.claim", "theirs");
  std::unique_ptr<ObjectWriter> half = store_->put(archive_name(early));

  std::vector<std::string> lines = reap_crashed_runs(*store_, {});
  std::vector<std::string> expected = {
      "removed " + claim_name(whole) + ": its backup is complete",
      "removed " + archive_name(crashed) + " (19 B) of a backup that is not complete",
      "removed " + globals_name(crashed) + " (8 B) of a backup that is not complete",
      "removed " + claim_name(crashed) + ": its backup is not complete",
      "removed " + claim_name(early) + ": its backup is not complete",
      "removed 1 file that was never finished"};
  EXPECT_EQ(lines, expected);
  std::vector<std::string> left = {archive_name(whole), globals_name(whole), manifest_name(whole),
                                   "care_2026-11-23T02-00-00-000Z.dump", "notes.claim"};
  std::sort(left.begin(), left.end());
  EXPECT_EQ(names(), left);
  EXPECT_TRUE(reap_crashed_runs(*store_, {}).empty());
  EXPECT_EQ(ids(), Ids{whole});
}

TEST_F(CatalogTest, ReapClearsSealedObjectsToo) {
  std::string crashed = backup_id("care", parse_rfc3339("2026-11-21T02:00:00.000Z"));
  put(claim_name(crashed), crashed);
  put(archive_name(crashed, true), "half a sealed backup");
  put(globals_name(crashed, true), "sealed roles");
  put("care_2026-11-23T02-00-00-000Z.dump.gpg", "a script's");
  EXPECT_EQ(reap_crashed_runs(*store_, {}).size(), 3u);
  EXPECT_EQ(names(), std::vector<std::string>{"care_2026-11-23T02-00-00-000Z.dump.gpg"});
}

TEST_F(CatalogTest, AReapThatFailsAnywhereIsFinishedByTheNext) {
  std::string whole = put_backup("care", "2026-11-20T02:00:00.000Z");
  std::vector<std::string> sound = names();
  std::string crashed = backup_id("care", parse_rfc3339("2026-11-21T02:00:00.000Z"));
  FaultStore faulty(*store_);
  for (bool after : {false, true}) {
    for (uint64_t at = 1;; ++at) {
      for (const std::string& name :
           {claim_name(whole), claim_name(crashed), archive_name(crashed), globals_name(crashed)})
        put(name, "x");
      faulty.restart({.fail_at = at, .and_later = true, .after_effect = after});
      bool failed = false;
      try {
        reap_crashed_runs(faulty, {});
      } catch (const Error&) {
        failed = true;
      }
      EXPECT_EQ(ids(), Ids{whole}) << at;
      reap_crashed_runs(*store_, {});
      EXPECT_EQ(names(), sound) << at;
      if (!failed) {
        EXPECT_GT(at, 8u);
        break;
      }
    }
  }
}

TEST_F(CatalogTest, AProofThatFailsToBeRecordedLeavesTheOldOrTheNew) {
  std::string id = put_backup("care", "2026-11-21T02:00:00.000Z");
  record_proof(*store_, id, proof("deep", true, 0));
  FaultStore faulty(*store_);
  int minute = 1;
  for (uint64_t at = 1;; ++at, ++minute) {
    faulty.restart({.fail_at = at, .and_later = true});
    bool failed = false;
    try {
      record_proof(faulty, id, proof("deep", true, minute));
    } catch (const Error&) {
      failed = true;
    }
    Backup backup = find_backup(*store_, "", id);
    ASSERT_TRUE(backup.proof && backup.proof->ok) << at;
    EXPECT_TRUE(failed || backup.proof->at == time_ + std::chrono::minutes(minute)) << at;
    if (!failed) break;
  }
  EXPECT_GT(minute, 3);
}

}  // namespace
}  // namespace holdfast
