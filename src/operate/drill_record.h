// The record of a drill: a recovery that was rehearsed, what it took and what it found. It is kept
// in every store beside the backups (`drills/<id>.json`, and `drills/<id>.md` for people to sign),
// because objectives are computed from what the stores hold, never from what one host remembers.
//
// A record holds names, counts, times and hashes; no row of data, no connection string. The format
// is in docs/format/drill.md. Pure, but for the functions that take a store.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "store/object_store.h"

namespace holdfast {

constexpr std::string_view kDrillPrefix = "drills/";
constexpr uint64_t kDrillRecordBytesMax = 64 << 20;  // of a database with very many tables

enum class DrillKind { dump, branch };
enum class DrillVerdict { passed, failed, inconclusive };

struct DrillPhase {
  // "fetch", "server", "globals", "restore", "compare", "queries", "amcheck", "destroy"
  std::string name;
  double seconds = 0;
};

struct DrillTable {
  std::string name;
  uint64_t rows = 0;                 // found
  std::optional<uint64_t> expected;  // by the manifest; nothing: it does not say
  bool same = false;                 // rows and checksum are the manifest's
  bool critical = false;             // the operator named it
};

struct DrillQuery {
  std::string name;
  bool passed = false;
  std::string problem;  // why not, without what the server said of rows
  double seconds = 0;
};

struct DrillRecord {
  std::string id;  // drill-2026-11-28T22-15-00-000Z
  DrillKind kind = DrillKind::dump;
  DrillVerdict verdict = DrillVerdict::inconclusive;
  std::string backup, database, source, store;
  std::string chosen;          // "random of 2026-10", "newest", "named"
  std::string archive_sha256;  // of the stored bytes; of a branch empty
  UtcTime backup_at{};         // the moment that the backup holds
  UtcTime began_at{}, ended_at{};
  // From the beginning until the data could be used, which is when it was compared: what a recovery
  // takes. 0: it did not come so far.
  double rto_seconds = 0;
  std::optional<int64_t> rto_target_seconds;
  // Age of the newest proven backup when the drill began: what a loss at that moment would have
  // cost.
  std::optional<double> rpo_seconds;
  std::optional<int64_t> rpo_target_seconds;
  uint64_t rows = 0, bytes = 0;
  std::vector<DrillPhase> phases;
  std::vector<DrillTable> tables;
  std::vector<DrillQuery> queries;
  std::string amcheck;                // "42 indexes sound", "not available: …"
  std::vector<std::string> problems;  // why it failed, or why nothing can be said
  std::vector<std::string> notes;
  std::string server_version, holdfast_version, host, actor;
  std::optional<UtcTime> destroyed_at;  // the scratch data

  bool within_rto() const {
    return !rto_target_seconds || rto_seconds <= double(*rto_target_seconds);
  }
  // Without a proven backup, everything would have been lost.
  bool within_rpo() const {
    return !rpo_target_seconds || (rpo_seconds && *rpo_seconds <= double(*rpo_target_seconds));
  }
};

std::string drill_id(UtcTime at);
std::string_view drill_verdict_name(DrillVerdict verdict);
std::string_view drill_kind_name(DrillKind kind);

std::string write_drill_record(const DrillRecord& record);  // JSON, with its own hash
// Throws Error(corrupt) for bytes that do not match their own SHA-256 or make no sense,
// Error(unsupported) for a later version.
DrillRecord read_drill_record(const std::string& text);
std::string drill_record_markdown(const DrillRecord& record);  // with a sign-off block

struct DrillRecords {
  std::vector<DrillRecord> records;  // newest first
  std::vector<std::string> damaged;  // "drills/…: its bytes do not match its own hash"
};
// All that a store has; `database` empty: of all databases.
DrillRecords read_drill_records(ObjectStore& store, const std::string& database);
// Keeps both forms of the record. Throws Error(exists) if the store has one of that id. With
// `keep_until`, nobody can remove them before, where the store is set up for that.
void put_drill_record(ObjectStore& store, const DrillRecord& record,
                      std::optional<UtcTime> keep_until = {});
bool has_drill_record(ObjectStore& store, const std::string& id);

}  // namespace holdfast
