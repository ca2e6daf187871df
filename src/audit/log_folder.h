// The files of an audit trail: which there are, the lock around appending, and reading them from
// either end in bounded memory. What the files mean is said in docs/format/audit.md.
//
// Nothing here writes but what the lock itself needs. Errors: not_found, denied, unavailable, busy
// (the lock); corrupt where a line that has to be sound is not.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/record.h"
#include "base/file.h"

namespace holdfast {

struct AuditFolder {
  std::vector<uint64_t> segments;  // their numbers, ascending
  std::vector<uint64_t> torn;      // of torn-<seq>.bin
  std::vector<uint64_t> pending;   // of torn-<seq>.pending
};
// A folder that is not there is one without files.
AuditFolder scan_audit_folder(const std::string& folder);

std::string audit_segment_name(uint64_t number);  // "audit-00000012.jsonl"
std::string audit_torn_name(uint64_t seq);        // "torn-00000000000000000812.bin"
std::string audit_pending_name(uint64_t seq);     // "torn-00000000000000000812.pending"

// An append holds the lock for one fsync. Who waits longer waits for a process that was stopped.
inline constexpr std::chrono::milliseconds kAuditLockMax{30'000};

// Waits until no other process or thread appends. Throws Error(busy) after `wait_max`, naming who
// does.
std::unique_ptr<FileLock> lock_audit_folder(const std::string& folder,
                                            std::chrono::milliseconds wait_max = kAuditLockMax);

// The first line of a segment, which must be sound and open it; and what it says of the log.
struct AuditOpening {
  AuditRecord record;
  std::string log;
};
AuditOpening read_audit_opening(const std::string& folder, uint64_t segment);
// The id of the log if `record` may open that segment. Throws Error(corrupt) if not.
std::string opened_log(const AuditRecord& record, uint64_t segment);

// The end of a segment.
struct AuditTail {
  AuditRecord last;          // the last whole line, which is sound
  uint64_t whole_bytes = 0;  // the file up to the end of that line
  std::string torn;          // what follows it without a line break
};
// Reads two lines, however long the file is.
AuditTail read_audit_tail(const std::string& folder, uint64_t segment);

// Where the log ends, and how far the last segment may be read without meeting a line that is just
// being written: taken under the lock, where the folder has one that may be locked.
struct AuditEnd {
  AuditFolder files;
  uint64_t last_bytes = 0;  // of the last segment
};
AuditEnd find_audit_end(const std::string& folder);

// The log's last line, read while nobody appends, so that it is one that stays. Throws
// Error(not_found) if there is no log.
AuditHead read_audit_head(const std::string& folder,
                          std::chrono::milliseconds lock_wait_max = kAuditLockMax);

// Lines from the front. A line that is longer than any can be comes cut.
class AuditLineReader {
 public:
  // Reads up to `end` bytes of the file.
  AuditLineReader(const std::string& path, uint64_t end);
  bool next();
  std::string_view line() const { return line_; }  // without its line break
  bool finished() const { return finished_; }      // whether it had one
  uint64_t number() const { return number_; }      // from 1
  uint64_t offset() const { return offset_; }      // of the line's first byte

 private:
  bool fill();

  std::string path_;
  Fd file_;
  std::string buffer_;  // read and not yet given out; line_ is a part of what was given out before
  std::string line_;
  uint64_t end_, read_ = 0, offset_ = 0, next_offset_ = 0, number_ = 0;
  bool finished_ = false;
};

// Lines from the back, beginning with the one that ends at `end` bytes.
class AuditBackwardReader {
 public:
  AuditBackwardReader(const std::string& path, uint64_t end);
  bool next();
  std::string_view line() const { return line_; }
  uint64_t offset() const { return start_; }  // of the line's first byte: where the next one ends

 private:
  std::string path_;
  Fd file_;
  std::string block_;  // the bytes from block_at_ to start_
  uint64_t block_at_ = 0, start_ = 0;
  std::string line_;
};

}  // namespace holdfast
