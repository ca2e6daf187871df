#include <nlohmann/json.hpp>

#include "operate/evidence.h"

namespace holdfast {
namespace {

using EvidenceJson = nlohmann::ordered_json;

EvidenceJson text_or_none(const std::string& text) {
  return text.empty() ? EvidenceJson(nullptr) : EvidenceJson(text);
}
EvidenceJson time_or_none(const std::optional<UtcTime>& time) {
  return time ? EvidenceJson(format_rfc3339(*time)) : EvidenceJson(nullptr);
}

EvidenceJson chain_json(const EvidenceFacts& facts) {
  if (!facts.chain)
    return {{"ok", nullptr}, {"off", facts.audit_off}, {"error", text_or_none(facts.chain_error)}};
  const AuditVerdict& chain = *facts.chain;
  EvidenceJson problems = EvidenceJson::array();
  for (const AuditProblem& problem : chain.problems) problems.push_back(problem.text());
  return {{"ok", chain.ok()},
          {"off", facts.audit_off},
          {"log", chain.log},
          {"lines", chain.lines},
          {"first_seq", chain.first_seq},
          {"last_seq", chain.last_seq},
          {"head_hash", chain.head_hash},
          {"anchors", chain.anchors_compared},
          {"anchored_seq", chain.anchored_seq},
          {"problems", problems}};
}

EvidenceJson backup_json(const EvidenceBackup& backup) {
  return {{"id", backup.id},
          {"kind", backup.kind},
          {"database", backup.database},
          {"created_at", format_rfc3339(backup.created_at)},
          {"stores", backup.stores},
          {"bytes", backup.bytes},
          {"tables", backup.tables},
          {"rows", backup.rows},
          {"encrypted", backup.sealed},
          {"held", backup.held},
          {"damaged", backup.damaged},
          {"proof", backup.verdict.empty() ? EvidenceJson(nullptr)
                                           : EvidenceJson{{"level", backup.proof_level},
                                                          {"verdict", backup.verdict},
                                                          {"at", time_or_none(backup.proven_at)},
                                                          {"ok", backup.proof_ok}}}};
}

EvidenceJson drill_json(const DrillRecord& drill) {
  return {
      {"id", drill.id},
      {"kind", drill_kind_name(drill.kind)},
      {"backup", drill.backup},
      {"verdict", drill_verdict_name(drill.verdict)},
      {"began_at", format_rfc3339(drill.began_at)},
      {"rto_seconds", drill.rto_seconds},
      {"rto_target_seconds",
       drill.rto_target_seconds ? EvidenceJson(*drill.rto_target_seconds) : EvidenceJson(nullptr)},
      {"rpo_seconds", drill.rpo_seconds ? EvidenceJson(*drill.rpo_seconds) : EvidenceJson(nullptr)},
      {"rows", drill.rows},
      {"destroyed_at", time_or_none(drill.destroyed_at)}};
}

}  // namespace

std::string evidence_json(const EvidenceReport& report) {
  const EvidenceFacts& facts = report.facts;
  EvidenceJson rows = EvidenceJson::array(), backups = EvidenceJson::array(),
               drills = EvidenceJson::array(), failures = EvidenceJson::array(),
               removals = EvidenceJson::array(), accesses = EvidenceJson::array(),
               stores = EvidenceJson::array();
  for (const EvidenceRow& row : report.rows)
    rows.push_back({{"citation", row.citation},
                    {"required", row.required},
                    {"requirement", row.requirement},
                    {"verdict", evidence_verdict_name(row.verdict)},
                    {"evidence", row.evidence}});
  for (const EvidenceStore& store : facts.stores)
    stores.push_back({{"name", store.name},
                      {"location", store.location},
                      {"off_site", store.off_site},
                      {"locks_objects", store.locks_objects},
                      {"error", text_or_none(store.unreadable)}});
  for (const EvidenceBackup& backup : facts.backups) backups.push_back(backup_json(backup));
  for (const DrillRecord& drill : facts.drills) drills.push_back(drill_json(drill));
  for (const EvidenceFailure& failure : report.failures)
    failures.push_back({{"at", format_rfc3339(failure.at)},
                        {"action", failure.action},
                        {"target", failure.target},
                        {"outcome", failure.outcome},
                        {"error", text_or_none(failure.error)},
                        {"resolved_at", time_or_none(failure.resolved_at)}});
  for (const EvidenceRemoval& removal : report.removals)
    removals.push_back({{"at", format_rfc3339(removal.at)},
                        {"backup", removal.backup},
                        {"store", removal.store},
                        {"rule", removal.rule},
                        {"actor", removal.actor}});
  for (const EvidenceAccess& access : report.accesses)
    accesses.push_back({{"at", format_rfc3339(access.at)},
                        {"actor", access.actor},
                        {"address", text_or_none(access.address)},
                        {"action", access.action},
                        {"target", access.target},
                        {"outcome", access.outcome}});
  EvidenceJson document = {{"format", "holdfast-evidence"},
                           {"version", 1},
                           {"ok", report.ok()},
                           {"period", facts.period.name},
                           {"from", format_rfc3339(facts.period.from)},
                           {"to", format_rfc3339(facts.period.to)},
                           {"made_at", format_rfc3339(facts.made_at)},
                           {"organization", text_or_none(facts.organization)},
                           {"source", facts.source},
                           {"host", facts.host},
                           {"holdfast_version", facts.holdfast_version},
                           {"rules", rows},
                           {"stores", stores},
                           {"days", report.days},
                           {"days_without_proof", report.days_without_proof},
                           {"backups", backups},
                           {"drills", drills},
                           {"failures", failures},
                           {"removals", removals},
                           {"accesses", accesses},
                           {"audit", chain_json(facts)}};
  return document.dump(2, ' ', false, EvidenceJson::error_handler_t::replace);
}

}  // namespace holdfast
