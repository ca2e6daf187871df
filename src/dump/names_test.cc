#include "dump/names.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "store/object_store.h"

namespace holdfast {
namespace {

const UtcTime kTime = parse_rfc3339("2026-11-10T14:30:00.123Z");

TEST(NamesTest, AreWhatOperatorsScriptsExpect) {
  std::string id = backup_id("care_commons", kTime);
  EXPECT_EQ(id, "care_commons_2026-11-10T14-30-00-123Z");
  EXPECT_EQ(archive_name(id), "care_commons_2026-11-10T14-30-00-123Z.dump");
  EXPECT_EQ(manifest_name(id), "care_commons_2026-11-10T14-30-00-123Z.manifest.json");
  EXPECT_EQ(globals_name(id), "care_commons_2026-11-10T14-30-00-123Z.globals.sql");
  EXPECT_EQ(claim_name(id), "care_commons_2026-11-10T14-30-00-123Z.claim");
  EXPECT_EQ(proof_name(id, "deep", kTime),
            "care_commons_2026-11-10T14-30-00-123Z.proof-deep-2026-11-10T14-30-00-123Z.json");
}

TEST(NamesTest, EveryDatabaseNameIsReversibleAndAllowed) {
  std::string all;
  for (int i = 1; i < 256; ++i) all.push_back(static_cast<char>(i));
  std::vector<std::string> names = {
      "care",   "a/b",     "..",         ".hidden", "-rf",
      "100%",   "%41",     "größe 日本", "a\"b",    "a\nb",
      "tab\t",  "caf\xE9", "_",          "a_b_c",   "x_2026-11-10T14-30-00-123Z",
      "a.dump", "%",       "%4",         "a%zz",    "CON:",
      "a\\b",   "'; rm"};
  for (size_t i = 0; i < all.size(); i += 16) names.push_back(all.substr(i, 16));
  for (const std::string& name : names) {
    std::string id = backup_id(name, kTime);
    SCOPED_TRACE(id);
    check_object_name(archive_name(id));
    check_object_name(proof_name(id, "restore", kTime));
    std::optional<BackupId> parts = parse_backup_id(id);
    ASSERT_TRUE(parts);
    EXPECT_EQ(parts->database, name);
    EXPECT_EQ(parts->at, kTime);
    EXPECT_EQ(id_of(manifest_name(id), ".manifest.json"), id);
    EXPECT_TRUE(id.starts_with(id_beginning(name)));
    EXPECT_NE(id[0], '.');
    EXPECT_NE(id[0], '-');
  }
  EXPECT_EQ(backup_id("a/b %", kTime), "a%2Fb %25_2026-11-10T14-30-00-123Z");
  EXPECT_EQ(backup_id("größe", kTime), "größe_2026-11-10T14-30-00-123Z");
  EXPECT_EQ(backup_id("caf\xE9", kTime), "caf%E9_2026-11-10T14-30-00-123Z");
}

TEST(NamesTest, TheLongestNamesFit) {
  check_object_name(proof_name(backup_id(std::string(63, 'x'), kTime), "restore", kTime));
  check_object_name(proof_name(backup_id(std::string(60, '"'), kTime), "restore", kTime));
  EXPECT_THROW(backup_id(std::string(63, '"'), kTime), Error);
  EXPECT_THROW(backup_id("", kTime), Error);
}

TEST(NamesTest, WhatIsSpeltOtherwiseIsNotOurs) {
  for (const char* foreign :
       {"", "_2026-11-10T14-30-00-123Z", "care", "care_2026-11-10", "care-2026-11-10T14-30-00-123Z",
        "care_2026-11-10T14:30:00.123Z", "care_2026-13-10T14-30-00-123Z",
        "ca%72e_2026-11-10T14-30-00-123Z", "a%2fb_2026-11-10T14-30-00-123Z",
        "sub/care_2026-11-10T14-30-00-123Z", "a%_2026-11-10T14-30-00-123Z",
        ".care_2026-11-10T14-30-00-123Z", "care_2026-11-10T14-30-00-123Z.dump"})
    EXPECT_FALSE(parse_backup_id(foreign)) << foreign;
  EXPECT_FALSE(id_of("care_2026-11-10T14-30-00-123Z.dump", ".manifest.json"));
  EXPECT_FALSE(id_of("care.manifest.json", ".manifest.json"));
  EXPECT_FALSE(id_of(".manifest.json", ".manifest.json"));
}

TEST(NamesTest, ProofNamesReadBack) {
  std::string id = backup_id("a.proof-deep-b", kTime);
  std::optional<ProofName> parts = parse_proof_name(proof_name(id, "restore", kTime));
  ASSERT_TRUE(parts);
  EXPECT_EQ(parts->id, id);
  EXPECT_EQ(parts->level, "restore");
  EXPECT_EQ(parts->at, kTime);
  for (const char* foreign :
       {"", "x.json", "care.proof-deep-2026-11-10T14-30-00-123Z.json",
        "care_2026-11-10T14-30-00-123Z.proof-deep.json",
        "care_2026-11-10T14-30-00-123Z.proof--2026-11-10T14-30-00-123Z.json",
        "care_2026-11-10T14-30-00-123Z.proof-deep-2026-11-10T14-30-00-123Z.jso"})
    EXPECT_FALSE(parse_proof_name(foreign)) << foreign;
}

TEST(NamesTest, SealedOnesAreCalledSo) {
  std::string id = backup_id("care", kTime);
  EXPECT_EQ(archive_name(id, true), id + ".dump.gpg");
  EXPECT_EQ(globals_name(id, true), id + ".globals.sql.gpg");
  for (const std::string& name : claimed_names(id)) EXPECT_EQ(id_of_content(name), id) << name;
  EXPECT_EQ(id_of_content(manifest_name(id)), id);
  for (const std::string& foreign : {manifest_name(id) + ".gpg", id + ".gpg", id + ".dump.gpg.gpg",
                                     std::string("old.dump.gpg"), id + ".claim.gpg", std::string()})
    EXPECT_FALSE(id_of_content(foreign)) << foreign;
}

TEST(NamesTest, BranchBackupsAreCalledAsTheirBranches) {
  UtcTime at = parse_rfc3339("2026-11-10T14:30:00.123Z");
  std::string id = branch_backup_id(at);
  EXPECT_EQ(id, "backup-2026-11-10T14-30-00-123Z");
  ASSERT_TRUE(parse_backup_id(id));
  EXPECT_TRUE(parse_backup_id(id)->is_branch);
  EXPECT_EQ(parse_backup_id(id)->at, at);
  EXPECT_EQ(manifest_name(id), id + ".branch.json");
  EXPECT_EQ(id_of(id + ".branch.json", kBranchSuffix), id);
  EXPECT_EQ(id_of_content(id + ".tables.json"), id);
  EXPECT_EQ(parse_proof_name(proof_name(id, "deep", at))->id, id);
  // Neither has what only the other one has.
  EXPECT_FALSE(id_of(id + ".manifest.json", kManifestSuffix));
  EXPECT_FALSE(id_of_content(id + ".dump"));
  EXPECT_FALSE(id_of(backup_id("care", at) + ".branch.json", kBranchSuffix));
  // A database may be called so, and its dumps are dumps.
  std::string dump = backup_id(id, at);
  EXPECT_FALSE(parse_backup_id(dump)->is_branch);
  EXPECT_EQ(parse_backup_id(dump)->database, id);
  for (const char* other : {"backup-2026-11-10T14-30-00Z", "backup-2026-11-10T14-30-00-123z",
                            "backup-2026-13-10T14-30-00-123Z", "backup-", "backup-main"})
    EXPECT_FALSE(parse_backup_id(other)) << other;
}

}  // namespace
}  // namespace holdfast
