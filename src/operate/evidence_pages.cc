#include "operate/evidence_pages.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.h"

namespace holdfast {
namespace {

std::string minute_text(UtcTime time) {
  return format_rfc3339(time).substr(0, 16) + "Z";
}

std::string or_dash(const std::string& text) {
  return text.empty() ? "–" : printable(text);
}

EvidenceSection about(const EvidenceReport& report) {
  const EvidenceFacts& facts = report.facts;
  EvidenceSection section{"What this is", {}, {"", ""}, {}};
  auto line = [&](const char* name, const std::string& value) {
    section.cells.push_back({name, or_dash(value)});
  };
  line("organization", facts.organization);
  line("period", fmt::format("{} ({} to {}, UTC, the end not included)", facts.period.name,
                             minute_text(facts.period.from), minute_text(facts.period.to)));
  line("source", facts.source);
  line("made at", format_rfc3339(facts.made_at));
  line("made by", fmt::format("holdfast {} on {}", facts.holdfast_version, facts.host));
  line("retention", fmt::format("{} days, then one a month for {} months", facts.retention_days,
                                facts.retention_months));
  section.paragraphs.push_back(
      "Everything here was measured: by the manifests and proofs in the stores, the records of "
      "drills, and the "
      "audit trail. What was not measured is said to be so.");
  for (const EvidenceStore& store : facts.stores)
    line("store",
         fmt::format(
             "{}: {}{}{}", store.name, store.location,
             store.locks_objects ? ", objects are locked" : "",
             store.unreadable.empty() ? "" : ", COULD NOT BE LOOKED AT: " + store.unreadable));
  return section;
}

EvidenceSection rules(const EvidenceReport& report) {
  EvidenceSection section{
      "45 CFR part 164, subpart C", {}, {"rule", "", "what it asks", "verdict", "evidence"}, {}};
  for (const EvidenceRow& row : report.rows)
    section.cells.push_back({row.citation, row.required ? "required" : "addressable",
                             row.requirement, std::string(evidence_verdict_name(row.verdict)),
                             row.evidence});
  return section;
}

EvidenceSection backups(const EvidenceReport& report) {
  EvidenceSection section{"Backups of the period that are kept",
                          {},
                          {"backup", "kind", "database", "stores", "size", "tables", "rows",
                           "encrypted", "proof", "held"},
                          {}};
  for (const EvidenceBackup& backup : report.facts.backups) {
    std::string proof =
        backup.damaged ? "DAMAGED"
        : backup.verdict.empty()
            ? "not proven"
            : fmt::format("{} {}{}", backup.proof_level, backup.verdict,
                          backup.proven_at ? " on " + minute_text(*backup.proven_at) : "");
    section.cells.push_back({backup.id, backup.kind, printable(backup.database),
                             fmt::format("{}", fmt::join(backup.stores, ", ")),
                             backup.bytes > 0 ? human_bytes(backup.bytes) : "–",
                             std::to_string(backup.tables), human_count(backup.rows),
                             backup.sealed ? "yes" : "no", proof, backup.held ? "yes" : ""});
  }
  if (!report.days_without_proof.empty())
    section.paragraphs.push_back(fmt::format("{} of {} without a proven backup: {}.",
                                             report.days_without_proof.size(),
                                             plural(static_cast<uint64_t>(report.days), "day"),
                                             fmt::join(report.days_without_proof, ", ")));
  return section;
}

EvidenceSection drills(const EvidenceReport& report) {
  EvidenceSection section{
      "Drills",
      {},
      {"drill", "backup", "verdict", "recovery time", "objective",
       "age of the newest proven backup", "rows compared", "scratch data destroyed"},
      {}};
  for (const DrillRecord& drill : report.facts.drills)
    section.cells.push_back(
        {drill.id, drill.backup, std::string(drill_verdict_name(drill.verdict)),
         human_seconds(drill.rto_seconds),
         drill.rto_target_seconds ? human_seconds(static_cast<double>(*drill.rto_target_seconds))
                                  : "–",
         drill.rpo_seconds ? human_seconds(*drill.rpo_seconds) : "not known",
         human_count(drill.rows),
         drill.destroyed_at ? minute_text(*drill.destroyed_at) : "NOT RECORDED"});
  for (const std::string& damaged : report.facts.damaged_records)
    section.paragraphs.push_back("A record that cannot be used: " + printable(damaged));
  return section;
}

EvidenceSection failures(const EvidenceReport& report) {
  EvidenceSection section{"Failures, and how they ended",
                          {},
                          {"when", "what", "of", "outcome", "error", "good again"},
                          {}};
  for (const EvidenceFailure& failure : report.failures)
    section.cells.push_back(
        {minute_text(failure.at), failure.action, or_dash(failure.target), failure.outcome,
         or_dash(failure.error),
         failure.resolved_at ? minute_text(*failure.resolved_at) : "NOT IN THIS PERIOD"});
  return section;
}

EvidenceSection removals(const EvidenceReport& report) {
  EvidenceSection section{
      "Retention ledger: what was removed", {}, {"when", "backup", "store", "rule", "by"}, {}};
  for (const EvidenceRemoval& removal : report.removals)
    section.cells.push_back({minute_text(removal.at), removal.backup, removal.store,
                             printable(removal.rule), printable(removal.actor)});
  return section;
}

EvidenceSection accesses(const EvidenceReport& report) {
  EvidenceSection section{
      "Access to data and keys", {}, {"when", "who", "from", "what", "of", "outcome"}, {}};
  for (const EvidenceAccess& access : report.accesses)
    section.cells.push_back({minute_text(access.at), printable(access.actor),
                             or_dash(access.address), access.action, or_dash(access.target),
                             access.outcome});
  return section;
}

EvidenceSection trail(const EvidenceReport& report) {
  EvidenceSection section{"The audit trail", {}, {}, {}};
  const EvidenceFacts& facts = report.facts;
  if (facts.audit_off) {
    section.paragraphs.push_back("It is switched off.");
  } else if (!facts.chain) {
    section.paragraphs.push_back("There is none. " + printable(facts.chain_error));
  } else {
    section.paragraphs.push_back(
        fmt::format("Log {}, lines {} to {}, {}; the last one has the hash {}.", facts.chain->log,
                    facts.chain->first_seq, facts.chain->last_seq,
                    facts.chain->ok() ? "whole and chained" : "DAMAGED", facts.chain->head_hash));
    for (const AuditProblem& problem : facts.chain->problems)
      section.paragraphs.push_back(printable(problem.text()));
  }
  return section;
}

EvidenceSection sign_off() {
  return {"Reviewed and certified",
          {"By signing, the reviewer confirms having read this report, and that each gap has a "
           "corrective action."},
          {"", ""},
          {{"reviewed by", ""},
           {"role", ""},
           {"corrective actions, with dates", ""},
           {"signature", ""},
           {"date", ""}}};
}

}  // namespace

EvidencePages evidence_pages(const EvidenceReport& report) {
  EvidencePages pages;
  pages.title = fmt::format("Evidence of backup and recovery, {}", report.facts.period.name);
  pages.sections = {about(report),    rules(report),    backups(report),
                    drills(report),   failures(report), removals(report),
                    accesses(report), trail(report),    sign_off()};
  for (EvidenceSection& section : pages.sections)
    if (!section.columns.empty() && section.cells.empty()) {
      section.columns.clear();
      section.paragraphs.push_back("None.");
    }
  return pages;
}

}  // namespace holdfast
