// The verification of an audit trail: reads it once, front to back, and says whether every line is
// what was written, where it was written, and, by the anchors, that nothing is missing at its end.
//
// What it finds is named by file and line, with what it looks like (chain_checker.h). It needs no
// right to write, takes the appenders' lock for a moment only (to know how far the log is whole),
// and uses little memory however long the log is. A log whose last line is torn is not whole: a
// crash and a cut look the same until the next event sets it aside.
//
// Throws Error(not_found) if there is neither a log nor an anchor, busy if retention removed a
// segment meanwhile, cancelled.
#pragma once

#include <algorithm>
#include <stop_token>
#include <string>
#include <vector>

#include "audit/anchor.h"
#include "audit/chain_checker.h"

namespace holdfast {

struct AuditVerdict {
  std::string log;
  uint64_t segments = 0, lines = 0, bytes = 0;
  uint64_t first_seq = 0, last_seq = 0;  // 0: there is no sound line
  UtcTime first_time{}, last_time{};     // of the first and the last line
  std::string head_hash;

  bool begins_after_retention = false;  // older segments were removed, and a record says so
  uint64_t anchors_compared = 0;
  uint64_t anchors_before = 0;            // of lines that retention removed
  uint64_t anchored_seq = 0;              // the last line that an anchor confirms; 0: none does
  std::vector<std::string> other_logs{};  // ids of other logs that the anchors know

  std::vector<AuditProblem> problems{};  // at most kAuditProblemsMax
  uint64_t problem_count = 0;

  bool ok() const { return problem_count == 0; }
  // Lines that the chain alone covers: cutting them off would not be noticed.
  uint64_t lines_not_anchored() const { return last_seq - std::min(last_seq, anchored_seq); }
};

AuditVerdict verify_audit_log(const std::string& folder, const AuditAnchors& anchors,
                              std::stop_token stop = {});

}  // namespace holdfast
