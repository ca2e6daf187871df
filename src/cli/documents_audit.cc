#include "cli/documents_audit.h"

#include "cli/document_json.h"

namespace holdfast {
namespace {

Json event_json(const AuditRecord& record) {
  const AuditEvent& event = record.event;
  return {{"seq", record.seq},
          {"time", format_rfc3339(record.time)},
          {"organization", text_or_null(event.who.organization)},
          {"actor_kind", audit_actor_kind_name(event.who.kind)},
          {"actor", event.who.actor},
          {"host", event.who.host},
          {"address", event.who.address},
          {"action", event.action},
          {"target", event.target},
          {"outcome", audit_outcome_name(event.outcome)},
          {"run", event.run},
          {"detail", event.detail},
          {"hash", record.hash}};
}

Json faults_json(const std::vector<AuditProblem>& problems) {
  Json all = Json::array();
  for (const AuditProblem& problem : problems)
    all.push_back({{"file", text_or_null(problem.file)},
                   {"line", problem.line == 0 ? Json(nullptr) : Json(problem.line)},
                   {"fault", audit_fault_name(problem.fault)},
                   {"what", problem.what}});
  return all;
}

Json proof_of_export_json(const AuditProof& proof) {
  return {{"log", proof.log},
          {"first_seq", proof.first_seq},
          {"last_seq", proof.last_seq},
          {"last_hash", proof.last_hash},
          {"bytes", proof.bytes},
          {"sha256", proof.sha256},
          {"anchors", proof.anchors.size()}};
}

Json incident_json(const Incident& incident) {
  Json object = {{"id", incident.id},
                 {"kind", incident_kind_name(incident.key.kind)},
                 {"source", text_or_null(incident.key.source)},
                 {"store", text_or_null(incident.key.store)},
                 {"severity", severity_name(incident.severity)},
                 {"opened_at", format_rfc3339(incident.opened_at)},
                 {"last_failure_at", format_rfc3339(incident.last_failure_at)},
                 {"failures", incident.failures},
                 {"escalations", incident.escalations},
                 {"good_since", time_or_null(incident.good_since)},
                 {"backup", text_or_null(incident.facts.backup)}};
  object["error"] = incident.facts.code ? Json(error_code_name(*incident.facts.code)) : nullptr;
  return object;
}

}  // namespace

std::string audit_page_document(const std::string& folder, const AuditPage& page) {
  Json events = Json::array();
  for (const AuditEntry& entry : page.entries)
    events.push_back(entry.record ? event_json(*entry.record)
                                  : Json{{"damaged", entry.line}, {"file", entry.file}});
  return document_text(
      {{"folder", folder},
       {"events", events},
       {"older", page.older ? Json(format_audit_cursor(*page.older)) : Json(nullptr)}});
}

std::string audit_verdict_document(const std::string& folder, const AuditVerdict& verdict) {
  auto time_of = [&](UtcTime time) {
    return verdict.lines == 0 ? Json(nullptr) : Json(format_rfc3339(time));
  };
  return document_text({{"ok", verdict.ok()},
                        {"folder", folder},
                        {"log", text_or_null(verdict.log)},
                        {"segments", verdict.segments},
                        {"lines", verdict.lines},
                        {"bytes", verdict.bytes},
                        {"first_seq", verdict.first_seq},
                        {"last_seq", verdict.last_seq},
                        {"first_at", time_of(verdict.first_time)},
                        {"last_at", time_of(verdict.last_time)},
                        {"head", text_or_null(verdict.head_hash)},
                        {"begins_after_retention", verdict.begins_after_retention},
                        {"anchors_compared", verdict.anchors_compared},
                        {"anchored_seq", verdict.anchored_seq},
                        {"lines_not_anchored", verdict.lines_not_anchored()},
                        {"other_logs", verdict.other_logs},
                        {"problem_count", verdict.problem_count},
                        {"problems", faults_json(verdict.problems)}});
}

std::string audit_export_verdict_document(const std::string& file, const AuditProof& proof,
                                          const std::vector<AuditProblem>& problems) {
  return document_text({{"ok", problems.empty()},
                        {"file", file},
                        {"proof", proof_of_export_json(proof)},
                        {"problems", faults_json(problems)}});
}

std::string audit_export_document(const std::string& file, const std::string& format,
                                  const std::optional<AuditProof>& proof,
                                  const std::string& proof_file) {
  return document_text({{"file", file},
                        {"format", format},
                        {"proof_file", text_or_null(proof_file)},
                        {"proof", proof ? proof_of_export_json(*proof) : Json(nullptr)}});
}

std::string audit_anchor_document(const std::optional<AuditHead>& head,
                                  const std::vector<AnchorOutcome>& outcomes) {
  Json stores = Json::array();
  for (const AnchorOutcome& outcome : outcomes) {
    Json store = {{"name", outcome.store},
                  {"location", outcome.location},
                  {"status", outcome.error ? "failed" : "ok"},
                  {"object", text_or_null(outcome.object)},
                  {"locked_until", time_or_null(outcome.locked_until)}};
    add_error(store, outcome.error);
    stores.push_back(std::move(store));
  }
  Json document = {{"log", nullptr},  {"seq", nullptr},  {"hash", nullptr},
                   {"time", nullptr}, {"line", nullptr}, {"stores", stores}};
  if (head)
    document.update({{"log", head->log},
                     {"seq", head->seq},
                     {"hash", head->hash},
                     {"time", format_rfc3339(head->time)},
                     {"line", audit_head_line(*head)}});
  return document_text(document);
}

std::string alert_test_document(const std::vector<SinkProblem>& results) {
  Json sinks = Json::array();
  bool ok = true;
  for (const SinkProblem& result : results) {
    ok = ok && result.problem.empty();
    sinks.push_back({{"name", result.sink},
                     {"ok", result.problem.empty()},
                     {"problem", text_or_null(result.problem)}});
  }
  return document_text({{"ok", ok}, {"sinks", sinks}});
}

std::string alert_state_document(const std::string& folder, const AlertState& state) {
  Json incidents = Json::array(), sinks = Json::array();
  for (const Incident& incident : state.incidents)
    if (!incident.closed_at) incidents.push_back(incident_json(incident));
  for (const AlertSinkState& sink : state.sinks) {
    Json waiting = Json::array();
    for (const PendingMessage& pending : sink.pending)
      waiting.push_back({{"type", message_type_name(pending.message.type)},
                         {"at", format_rfc3339(pending.message.at)},
                         {"incident", text_or_null(pending.message.incident.id)},
                         {"attempts", pending.attempts}});
    sinks.push_back({{"name", sink.name},
                     {"down_since", time_or_null(sink.down_since)},
                     {"problem", text_or_null(sink.problem)},
                     {"given_up", sink.given_up},
                     {"waiting", waiting}});
  }
  return document_text({{"folder", folder}, {"incidents", incidents}, {"sinks", sinks}});
}

}  // namespace holdfast
