// The evidence of a period, as an auditor asks for it: what was backed up, proven, rehearsed,
// removed and accessed, what failed and how it ended, and what each rule of HIPAA that concerns
// backups makes of it.
//
// A pure function over facts that somebody measured: the stores' manifests and proofs, the drills'
// records, the audit trail and its verification. What was not measured is said to be so; nothing is
// ever assumed, and no row is PASS for want of a finding. Holds names, counts, times and hashes
// only.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/record.h"
#include "audit/verify.h"
#include "base/clock.h"
#include "operate/drill_record.h"

namespace holdfast {

// From `from` on and before `to`.
struct EvidencePeriod {
  std::string name;  // "2026-10"
  UtcTime from{}, to{};
};
// "2026-10", "2026-Q4", "2026", "2026-10-05..2026-10-11" (both days included). Throws
// Error(invalid), also for one that has not begun.
EvidencePeriod parse_period(const std::string& text, UtcTime now);
// The calendar month before `now`'s.
EvidencePeriod last_month(UtcTime now);

struct EvidenceBackup {
  std::string id, kind, database;
  UtcTime created_at{};
  std::vector<std::string> stores;
  uint64_t bytes = 0, tables = 0, rows = 0;
  bool sealed = false, held = false, damaged = false;
  std::string proof_level, verdict;  // empty: not proven
  std::optional<UtcTime> proven_at;
  bool proof_ok = false;
};

struct EvidenceStore {
  std::string name, location;
  bool off_site = false;       // a bucket
  bool locks_objects = false;  // S3 Object Lock
  bool encrypted_way = false;  // https, or this machine
  std::string unreadable;      // why it could not be looked at; empty: it was
};

struct EvidenceFacts {
  EvidencePeriod period;
  UtcTime made_at{};
  std::string organization, host, holdfast_version, source;
  std::vector<EvidenceStore> stores;
  std::vector<EvidenceBackup> backups;  // that the stores hold, made in the period
  std::vector<DrillRecord> drills;      // of the period
  std::vector<std::string> damaged_records;
  bool audit_off = false;
  std::vector<AuditRecord> events;    // of the period, oldest first
  std::optional<AuditVerdict> chain;  // nothing: there is no trail
  std::string chain_error;            // why it could not be verified
  int audit_years = 0;                // for how long it is kept
  std::string sslmode;           // of the connection to the source; empty: no source is configured
  bool source_is_local = false;  // a unix socket or this machine
  std::vector<std::string> critical_tables;
  int retention_days = 0, retention_months = 0;
  std::optional<int64_t> rto_target_seconds, rpo_target_seconds;
};

enum class EvidenceVerdict { pass, gap, not_measured };
std::string_view evidence_verdict_name(EvidenceVerdict verdict);  // "PASS", "GAP", "NOT MEASURED"

struct EvidenceRow {
  std::string citation;  // "164.308(a)(7)(ii)(A)"
  bool required = false;
  std::string requirement;
  EvidenceVerdict verdict = EvidenceVerdict::not_measured;
  std::string evidence;  // what it rests on, or what is missing
};

struct EvidenceFailure {
  UtcTime at{};
  std::string action, target, outcome, error, run;
  std::optional<UtcTime> resolved_at;  // the next success of the same
};

struct EvidenceRemoval {
  UtcTime at{};
  std::string backup, store, rule, actor;
};

struct EvidenceAccess {
  UtcTime at{};
  std::string actor, address, action, target, outcome;
};

struct EvidenceReport {
  EvidenceFacts facts;
  std::vector<EvidenceRow> rows;
  // Whole days of the period, up to now, and those of them without a backup that was proven.
  int days = 0;
  std::vector<std::string> days_without_proof;
  std::vector<EvidenceFailure> failures;
  std::vector<EvidenceRemoval> removals;
  std::vector<EvidenceAccess> accesses;  // restores, reads of data and passwords, changes of keys
  bool ok() const;                       // no row is a gap
};

EvidenceReport make_evidence(EvidenceFacts facts);

// The rows over the rest of the report, in the order of the rule (evidence_rules.cc).
std::vector<EvidenceRow> evidence_rows(const EvidenceReport& report);

std::string evidence_markdown(const EvidenceReport& report);
std::string evidence_html(const EvidenceReport& report);  // one page that needs nothing else
std::string evidence_json(const EvidenceReport& report);

}  // namespace holdfast
