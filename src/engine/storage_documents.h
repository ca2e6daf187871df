// The small JSON documents of a storage folder: storage.json and snapshot.json, and the end of
// PostgreSQL's backup_manifest. Layouts are in docs/format/engine-storage.md.
//
// Reading is strict: Error(corrupt) names the field that is missing, of the wrong type or out of
// bounds, Error(unsupported) is for a later version. Fields that are not known are ignored. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/branch_storage.h"
#include "pg/lsn.h"

namespace holdfast {

// A stretch that the source no longer had when it was asked for.
struct StorageGap {
  Timeline timeline = 0;
  Lsn from;  // up to here it was received
  Lsn to;    // from here on again
  UtcTime noticed_at;
  std::optional<UtcTime> caught_up_at;  // before it, the source's clock
};

// What the storage knows of itself and its source: storage.json.
struct StorageRecord {
  std::string id;                  // 8 hexadecimal digits; the slot is holdfast_<id>
  uint64_t system_identifier = 0;  // of the source; 0: never reached yet, like those below
  uint32_t segment_bytes = 0;
  int server_version = 0;
  Timeline timeline = 0;                // that the source was last seen on
  Lsn receive_from;                     // WAL before it is behind a gap: of no use to the receiver
  std::optional<UtcTime> caught_up_at;  // the source's clock
  std::vector<StorageGap> gaps;         // oldest first

  std::string slot() const { return "holdfast_" + id; }
};

struct SnapshotTablespace {
  uint32_t oid = 0;
  std::string path;  // on the source's machine
};

struct SnapshotExtension {
  std::string database, name, version;
};

struct SnapshotCollation {
  std::string provider;  // libc, icu, builtin
  std::string version;
};

// What there is to know of a snapshot: snapshot.json.
struct StoredSnapshot {
  SnapshotInfo info;
  uint64_t system_identifier = 0;
  std::string server;     // version(): with the operating system and the compiler
  std::string made_by;    // pg_basebackup's version
  bool verified = false;  // by pg_verifybackup
  std::map<std::string, std::string> settings;  // pg_settings by name
  std::vector<SnapshotTablespace> tablespaces;
  std::vector<SnapshotExtension> extensions;
  std::vector<SnapshotCollation> collations;  // versions in use, by provider
};

std::string storage_json(const StorageRecord& record);
StorageRecord parse_storage_json(std::string_view text);

std::string snapshot_json(const StoredSnapshot& record);
StoredSnapshot parse_snapshot_json(std::string_view text);

inline constexpr size_t kStorageJsonBytesMax = 4 << 20;
inline constexpr size_t kManifestTailBytes = 64 << 10;

struct BackupRange {
  Timeline timeline = 0;
  Lsn start, end;
};

// WAL-Ranges of a backup_manifest, of which `tail` is the end. Throws Error(corrupt).
std::vector<BackupRange> manifest_wal_ranges(std::string_view tail);

}  // namespace holdfast
