// Appends to the audit trail: events, from any number of processes and threads at once.
//
// What append() returned for is on the disk and chained; what it threw for is not in the log,
// unless the process was killed. It keeps nothing in memory: under a lock, it reads the end of the
// log, checks it, deals with what a crash left there (docs/format/audit.md, "Appending"), and adds
// one line with one write and an fsync. What that costs does not depend on the length of the log.
//
// Failure is one Error that begins with "audit log:": denied (the folder), unavailable (no space),
// busy (a process that was stopped holds the lock), corrupt (the last line is damaged; nothing is
// added to it). Whether the operation that was to be recorded goes on is the caller's decision.
// Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "audit/record.h"
#include "base/clock.h"

namespace holdfast {

struct AuditWriterOptions {
  uint64_t segment_bytes_max = 64 << 20;
};

// A segment that retention takes out of the chain (audit/retention.h).
struct AuditRemoval {
  uint64_t segment = 0, first_seq = 0, last_seq = 0;
  std::string last_hash;
  UtcTime last_time{};  // of its newest line
};

class AuditWriter {
 public:
  // The folder is made by the first append if it is not there. `clock` outlives the writer.
  AuditWriter(std::string folder, const Clock& clock, AuditWriterOptions options = {});

  // Where the log stands with this event. Throws Error(invalid) for an event that no caller may
  // write (its action is the trail's own, or no name).
  AuditHead append(const AuditEvent& event);
  // The record without which a segment must not be removed.
  AuditHead append_removal(const AuditRemoval& removal, const AuditWho& who);

  const std::string& folder() const { return folder_; }

 private:
  AuditHead append_any(const AuditEvent& event);

  std::string folder_;
  const Clock& clock_;
  AuditWriterOptions options_;
};

}  // namespace holdfast
