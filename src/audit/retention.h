// How long the audit trail is kept: six years at least (45 CFR 164.316(b)(2)(i)), by whole
// segments.
//
// The decision is a pure function over what is known of the segments. Removing one is an event of
// the trail itself: its record, which holds the hash that the rest of the chain hangs on, is
// written (and anchored, where there is a store) before the file goes, so that a crash in between
// leaves either a segment too many or a chain whose beginning is accounted for. A segment that is
// damaged is evidence and stays, and with it all that follow.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "audit/record.h"
#include "audit/writer.h"
#include "base/clock.h"

namespace holdfast {

constexpr int kAuditYearsMin = 6;

struct AuditRetentionPolicy {
  int years = kAuditYearsMin;
  // Nothing goes if the newest line is older: nobody has worked here for so long, or a clock is
  // wrong, and of a wrong clock nothing is concluded.
  std::chrono::days silence_max{366};
};

// Until when a line of `time` is kept: also the date for Object Lock of an anchor made then.
UtcTime audit_kept_until(UtcTime time, const AuditRetentionPolicy& policy);

struct AuditSegmentFacts {
  uint64_t segment = 0;
  UtcTime newest{};  // of its lines
};

struct AuditSegmentDecision {
  uint64_t segment = 0;
  bool remove = false;
  std::string reason;  // for people: "its newest line is of 2020-11-03, more than 6 years ago"
};

// One decision per segment. `segments` are all there are, oldest first. Throws Error(invalid) for
// a policy of fewer than six years.
std::vector<AuditSegmentDecision> decide_audit_retention(
    const std::vector<AuditSegmentFacts>& segments, const AuditRetentionPolicy& policy,
    UtcTime now);

// Reads the first and the last line of each segment. Throws Error(not_found) if there is no log.
std::vector<AuditSegmentFacts> audit_segment_facts(const std::string& folder);

// Called with the head after a removal was recorded; the file goes only if it returns.
using AuditAnchorer = std::function<void(const AuditHead&)>;

// Removes what the decision lets go; returns the segments' numbers. `who` is whose order it was.
// Throws Error(corrupt) before removing a segment that does not read from front to back.
std::vector<uint64_t> apply_audit_retention(AuditWriter& writer, const AuditRetentionPolicy& policy,
                                            const AuditWho& who, UtcTime now,
                                            const AuditAnchorer& anchor = {});

}  // namespace holdfast
