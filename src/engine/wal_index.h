// What is known of one complete segment of WAL, and the file that keeps it:
// docs/format/wal-index.md.
//
// A cache of what reading the segments would say again. So nothing in it is ever repaired: an entry
// whose checksum is wrong does not count, a file of another timeline, cluster, segment size or
// version counts for nothing, and of two entries for one segment the later one holds. Entries are
// appended; a crash leaves a part of one at most.
//
// Reading and writing are pure, but for WalIndexFile. One thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "pg/lsn.h"
#include "pg/wal_records.h"

namespace holdfast {

inline constexpr size_t kWalIndexHeaderBytes = 64;
inline constexpr size_t kWalIndexEntryBytes = 192;
inline constexpr uint32_t kWalIndexVersion = 1;

struct WalIndexHeader {
  Timeline timeline = 0;
  uint32_t segment_bytes = 0;
  uint64_t system_identifier = 0;
  bool operator==(const WalIndexHeader&) const = default;
};

// Records belong to the segment in which they begin.
struct WalIndexEntry {
  enum Flag : uint32_t {
    kParameters = 1,    // wal_level, max_connections and their like were changed
    kMinimalLevel = 2,  // wal_level became minimal
    kTablespaces = 4,   // were created
  };

  uint64_t segment = 0;
  int64_t file_time = 0;   // of the file's last change, in nanoseconds since 1970
  Lsn first_record;        // 0: no record begins in the segment
  Lsn first_prev;          // what that one calls the record before it
  Lsn last_record;         // start of the last one
  Lsn last_end;            // its end
  Lsn next_record;         // where the record after it begins: in a later segment
  Lsn last_commit_record;  // 0: no commit
  WalTime first_commit, last_commit, least_commit, greatest_commit;  // times; if commits > 0
  uint64_t commits = 0, records = 0;
  uint32_t flags = 0;
  // Greatest values in its parameter changes.
  int32_t max_connections = 0, max_worker_processes = 0, max_wal_senders = 0;
  int32_t max_prepared_transactions = 0, max_locks_per_transaction = 0;
  uint16_t magic = 0;  // of its pages

  bool operator==(const WalIndexEntry&) const = default;
  void add(const WalRecord& record, Lsn next, int major);  // throws Error(corrupt)
};

std::string write_wal_index_header(const WalIndexHeader& header);
std::optional<WalIndexHeader> read_wal_index_header(ByteView bytes);
std::string write_wal_index_entry(const WalIndexEntry& entry);
// Nothing if the checksum is wrong, or what it says cannot be of a segment of that size.
std::optional<WalIndexEntry> read_wal_index_entry(ByteView bytes, uint32_t segment_bytes);

class WalIndexFile {
 public:
  // `path` empty: keeps nothing.
  explicit WalIndexFile(std::string path) : path_(std::move(path)) {}

  // All sound entries of a file that fits `header`, in the order of the file. Throws only for a
  // file that is there and cannot be read.
  std::vector<WalIndexEntry> load(const WalIndexHeader& header);

  // Adds them; begins the file anew if load() found none that fits. Throws Error.
  void append(const WalIndexHeader& header, const std::vector<WalIndexEntry>& entries);

  // Puts a file of just these in the old one's place. Throws Error.
  void replace(const WalIndexHeader& header, const std::vector<WalIndexEntry>& entries);

 private:
  std::string path_;
  bool fits_ = false;
};

}  // namespace holdfast
