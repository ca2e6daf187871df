// [audit] of holdfast.toml: the audit trail (docs/audit.md).
#include "cli/option_groups.h"

namespace holdfast {
namespace {

const char* const kAuditGroup = "Audit";

std::vector<Option> trail_options() {
  using enum OptionKind;
  return {
      {"audit",
       "",
       "HOLDFAST_AUDIT",
       "audit.mode",
       choice,
       "MODE",
       "on",
       0,
       kAuditGroup,
       "whether operations are recorded in the audit trail",
       {"on", "off"}},
      {"audit_dir", "--audit-dir", "HOLDFAST_AUDIT_DIR", "audit.dir", text, "FOLDER", "", kAudit,
       kAuditGroup,
       "the folder of the audit trail; else /var/log/holdfast/audit where /var/log/holdfast is "
       "this user's, or "
       "$XDG_STATE_HOME/holdfast/audit"},
      {"audit_required",
       "",
       "HOLDFAST_AUDIT_REQUIRED",
       "audit.required",
       choice,
       "YES|NO",
       "yes",
       0,
       kAuditGroup,
       "whether what reads or changes data for somebody, or removes backups, is refused while it "
       "cannot be recorded; backups and proofs are made all the same",
       {"yes", "no"}},
      {"audit_organization", "", "HOLDFAST_AUDIT_ORGANIZATION", "audit.organization", text, "NAME",
       "", 0, kAuditGroup, "whose backups these are, as every event says it"},
      {"audit_keep_years",
       "",
       "HOLDFAST_AUDIT_KEEP_YEARS",
       "audit.keep_years",
       number,
       "N",
       "6",
       0,
       kAuditGroup,
       "how long the trail is kept; prune removes what is older (HIPAA asks for six years)",
       {},
       6,
       100},
      {"audit_api_reads", "", "HOLDFAST_AUDIT_API_READS", "audit.api_reads", flag, "", "", 0,
       kAuditGroup,
       "serve: record calls that only read as well; those that read a password always are"},
  };
}

std::vector<Option> look_options() {
  using enum OptionKind;
  return {
      {"audit_since", "--since", "", "", text, "TIME", "", kAudit, kAuditGroup,
       "only events from then on: 2026-11-01 or 2026-11-01T02:00:00Z (show, export)"},
      {"audit_until", "--until", "", "", text, "TIME", "", kAudit, kAuditGroup,
       "only events up to then; a day is meant with its end (show, export)"},
      {"audit_action", "--action", "", "", text, "ACTION", "", kAudit, kAuditGroup,
       "only these: backup is backup.dump and backup.branch as well (show, export as CSV)"},
      {"audit_actor", "--actor", "", "", text, "WHO", "", kAudit, kAuditGroup,
       "only of whose name this is a part (show, export as CSV)"},
      {"audit_target", "--target", "", "", text, "WHAT", "", kAudit, kAuditGroup,
       "only on what this is a part of the name of (show, export as CSV)"},
      {"audit_outcome",
       "--outcome",
       "",
       "",
       choice,
       "OUTCOME",
       "",
       kAudit,
       kAuditGroup,
       "only events that ended so (show, export as CSV)",
       {"begun", "ok", "partial", "failed", "denied", "cancelled"}},
      {"audit_limit",
       "--limit",
       "",
       "",
       number,
       "N",
       "50",
       kAudit,
       kAuditGroup,
       "how many events are shown at most, the newest first",
       {},
       1,
       10'000},
      {"audit_before", "--before", "", "", text, "PLACE", "", kAudit, kAuditGroup,
       "go on with older events, where the last page says"},
      {"audit_head", "--head", "", "", list, "LINE", "", kAudit, kAuditGroup,
       "verify: also compare with a head that an alert brought or that was written down, as a "
       "whole line; may be repeated"},
      {"audit_format",
       "--format",
       "",
       "",
       choice,
       "FORMAT",
       "jsonl",
       kAudit,
       kAuditGroup,
       "export: the lines themselves, with a proof beside them, or a table for reading",
       {"jsonl", "csv"}},
      {"audit_out", "--out", "", "", text, "FILE", "", kAudit, kAuditGroup,
       "export: the file to write; it must not be there yet"},
  };
}

}  // namespace

std::vector<Option> audit_options() {
  std::vector<Option> all = trail_options();
  for (Option& option : look_options()) all.push_back(std::move(option));
  return all;
}

}  // namespace holdfast
