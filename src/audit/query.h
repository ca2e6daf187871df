// Looking into the audit trail: pages of events from the newest on, and exports of the whole.
//
// A page reads the log from its end and only as far as it has to. An export streams it from its
// beginning: as the lines themselves, with a proof by which it can be checked anywhere, or as CSV
// for reading. docs/format/audit.md has the forms of both. Looking neither locks nor verifies: a
// damaged line is shown as one; only an export of lines refuses it. Memory is bounded by the page.
// Errors: not_found (no log), corrupt, invalid, and those of the sink.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/anchor.h"
#include "audit/chain_checker.h"
#include "audit/record.h"

namespace holdfast {

// What is not set matches everything.
struct AuditFilter {
  std::optional<UtcTime> from{}, to{};  // both included
  std::string action{};                 // "backup" is also "backup.dump"
  std::string actor{}, target{};        // a part of it, upper and lower case alike
  std::optional<AuditOutcome> outcome{};
};
bool matches(const AuditRecord& record, const AuditFilter& filter);

struct AuditEntry {
  std::optional<AuditRecord> record;  // nothing: the line is damaged
  std::string line;                   // as it stands, fit for a terminal if it is damaged
  std::string file;
};

// Where the next page goes on; as text for a command line or a query parameter: "12-40960".
struct AuditCursor {
  uint64_t segment = 0, end = 0;
};
std::string format_audit_cursor(const AuditCursor& cursor);
AuditCursor parse_audit_cursor(std::string_view text);  // throws Error(invalid)

struct AuditPage {
  std::vector<AuditEntry> entries;   // newest first
  std::optional<AuditCursor> older;  // nothing: there are none
};
AuditPage read_audit_page(const std::string& folder, const AuditFilter& filter, size_t count_max,
                          const std::optional<AuditCursor>& from = {});

using AuditSink = std::function<void(std::string_view)>;

// What is said of an export of lines, so that it can be checked without the log.
struct AuditProof {
  std::string log;
  uint64_t first_seq = 0;
  std::string first_prev;
  uint64_t last_seq = 0;
  std::string last_hash;
  UtcTime last_time{};
  uint64_t bytes = 0;
  std::string sha256;  // of the exported bytes
  UtcTime made_at{};
  std::vector<AuditAnchor> anchors;  // of lines in it; head.log and head.time are not written
};
constexpr size_t kAuditProofAnchorsMax = 32;

// The lines from the first one at or after `from` to before the first one after `to`, as they are.
// `anchors`: those of this log among them go into the proof. Throws Error(corrupt) at a line that
// is not sound or not chained, and Error(not_found) if there is no line to export.
AuditProof export_audit_lines(const std::string& folder, std::optional<UtcTime> from,
                              std::optional<UtcTime> to, const AuditAnchors& anchors, UtcTime now,
                              const AuditSink& sink);
std::string write_audit_proof(const AuditProof& proof);  // one line, with its line break
AuditProof read_audit_proof(std::string_view text);      // throws Error(corrupt)
// What is wrong with an exported file, by its proof; nothing: it is what was exported. `more`:
// heads of lines in it that are known otherwise.
std::vector<AuditProblem> verify_audit_export(const std::string& path, const AuditProof& proof,
                                              const std::vector<AuditAnchor>& more = {});

// Oldest first, with a line of headings.
void export_audit_csv(const std::string& folder, const AuditFilter& filter, const AuditSink& sink);

}  // namespace holdfast
