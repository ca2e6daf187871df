// The names of a dump's objects, made and parsed in one place:
//   <database>_<YYYY-MM-DDTHH-MM-SS-mmmZ>.dump            the archive
//   ….dump.gpg   ….globals.sql.gpg                        the same, sealed
//   ….manifest.json   ….globals.sql   ….claim   ….hold.json   ….proof-<level>-<time>.json
// and those of a branch backup, whose data are not in the store:
//   backup-<YYYY-MM-DDTHH-MM-SS-mmmZ>.branch.json         its record, and its branch's own name
//   ….tables.json                                         what its tables held when first read
//   ….claim   ….hold.json   ….proof-<level>-<time>.json   as above
// Names stay what operators' scripts expect. Characters of the database's name that a store's name
// cannot hold are written as %XX, and read back; there is one spelling for each name, and whatever
// is spelt otherwise is not ours. The rules are in docs/format/store.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace holdfast {

constexpr std::string_view kArchiveSuffix = ".dump";
constexpr std::string_view kManifestSuffix = ".manifest.json";
constexpr std::string_view kBranchSuffix = ".branch.json";
constexpr std::string_view kTablesSuffix = ".tables.json";
constexpr std::string_view kGlobalsSuffix = ".globals.sql";
constexpr std::string_view kClaimSuffix = ".claim";
constexpr std::string_view kHoldSuffix = ".hold.json";
constexpr std::string_view kSealedSuffix = ".gpg";  // put behind that of an archive or of globals

// Names hold a time in milliseconds. Where one is taken, so many of the milliseconds from it on are
// tried.
constexpr int kNamesTried = 100;

// Throws Error(invalid) if the database's name is empty or too long for a file's name.
std::string backup_id(const std::string& database, UtcTime at);
// Of a backup that is a branch: its id is the branch's name.
std::string branch_backup_id(UtcTime at);
constexpr std::string_view kBranchIdBeginning = "backup-";
// What all ids of a database begin with ("care_"). Ids of other databases may begin so as well
// ("care_old_2026-…").
std::string id_beginning(const std::string& database);

std::string archive_name(const std::string& id, bool sealed = false);
// The object that makes a backup count: a dump's manifest, a branch backup's record.
std::string manifest_name(const std::string& id);
std::string tables_name(const std::string& id);
std::string globals_name(const std::string& id, bool sealed = false);
std::string claim_name(const std::string& id);
std::string hold_name(const std::string& id);
std::string proof_name(const std::string& id, const std::string& level, UtcTime at);

struct BackupId {
  std::string database;  // empty for a branch backup: it is of a whole cluster
  UtcTime at{};
  bool is_branch = false;
};
// The parts of an id; nothing if neither backup_id nor branch_backup_id can have made it.
std::optional<BackupId> parse_backup_id(const std::string& id);

struct ProofName {
  std::string id, level;
  UtcTime at{};
};
std::optional<ProofName> parse_proof_name(const std::string& object_name);

// Every name that archive and globals of a backup can have: what its claim stands for.
std::vector<std::string> claimed_names(const std::string& id);
// The id of an object that claimed_names, manifest_name or tables_name may have named; nothing for
// others.
std::optional<std::string> id_of_content(const std::string& object_name);

// The id of `object_name` if it ends in `suffix` (".manifest.json") and what is before is an id of
// the kind of backup that has such an object.
std::optional<std::string> id_of(const std::string& object_name, std::string_view suffix);

}  // namespace holdfast
