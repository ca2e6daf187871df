// The file form of the state: docs/format/incidents.md.
#include <algorithm>

#include "alert/alert_state.h"
#include "alert/redact.h"
#include "audit/anchor.h"
#include "seal/document.h"
#include "seal/json_fields.h"

namespace holdfast {
namespace {

constexpr const char* kFormat = "holdfast-incidents";
constexpr uint64_t kVersion = 1;
constexpr std::string_view kStateSeal = "state_sha256";
constexpr size_t kTextMax = 400;
// A remembered one for each that is open, and more were never written.
constexpr size_t kIncidentsMax = 4 * kOpenIncidentsMax;
constexpr size_t kSinksMax = 100;

// --- writing ---

Json time_json(UtcTime time) {
  return format_rfc3339(time);
}

Json time_json(const std::optional<UtcTime>& time) {
  return time ? Json(format_rfc3339(*time)) : Json();
}

Json facts_json(const FailureFacts& facts) {
  Json json = Json::object();
  auto number = [&](const char* name, const std::optional<int64_t>& value) {
    if (value) json[name] = *value;
  };
  auto text = [&](const char* name, const std::string& value) {
    if (!value.empty()) json[name] = value;
  };
  if (facts.code) json["code"] = error_code_name(*facts.code);
  text("backup", facts.backup);
  number("exit_code", facts.exit_code);
  number("measured_seconds", facts.measured_seconds);
  number("target_seconds", facts.target_seconds);
  number("measured_bytes", facts.measured_bytes);
  number("target_bytes", facts.target_bytes);
  number("problems", facts.problems);
  if (facts.first_missed_at) json["first_missed_at"] = time_json(*facts.first_missed_at);
  if (facts.last_missed_at) json["last_missed_at"] = time_json(*facts.last_missed_at);
  text("host", facts.host);
  text("run_url", facts.run_url);
  return json;
}

Json incident_json(const Incident& incident) {
  return {{"id", incident.id},
          {"kind", incident_kind_name(incident.key.kind)},
          {"source", incident.key.source},
          {"store", incident.key.store},
          {"severity", severity_name(incident.severity)},
          {"opened_at", time_json(incident.opened_at)},
          {"last_failure_at", time_json(incident.last_failure_at)},
          {"last_message_at", time_json(incident.last_message_at)},
          {"next_update_at", time_json(incident.next_update_at)},
          {"failures", incident.failures},
          {"failures_told", incident.failures_told},
          {"updates", incident.updates},
          {"escalations", incident.escalations},
          {"relapses", incident.relapses},
          {"good_since", time_json(incident.good_since)},
          {"closed_at", time_json(incident.closed_at)},
          {"facts", facts_json(incident.facts)}};
}

Json pending_json(const PendingMessage& pending) {
  const AlertMessage& message = pending.message;
  Json json = {{"id", message.id},
               {"type", message_type_name(message.type)},
               {"at", time_json(message.at)},
               {"step", message.step},
               {"run_id", message.run_id},
               {"exit_code", message.exit_code},
               {"incident", incident_json(message.incident)},
               {"attempts", pending.attempts}};
  if (message.audit_head) json["audit_head"] = audit_head_line(*message.audit_head);
  return json;
}

Json sink_json(const AlertSinkState& sink) {
  Json pending = Json::array();
  for (const PendingMessage& one : sink.pending) pending.push_back(pending_json(one));
  return {{"name", sink.name},
          {"problem", sink.problem},
          {"failed_attempts", sink.failed_attempts},
          {"next_attempt_at", time_json(sink.next_attempt_at)},
          {"down_since", time_json(sink.down_since)},
          {"given_up", sink.given_up},
          {"given_up_since", time_json(sink.given_up_since)},
          {"state_lost", sink.state_lost},
          {"tickets", sink.tickets},
          {"pending", pending}};
}

// --- reading ---

std::string plain(const std::string& text, const char* what) {
  if (text.size() > kTextMax || printable(text, kTextMax) != text)
    throw Error(ErrorCode::corrupt, fmt::format("field {} is no name", what));
  return text;
}

std::string plain_text(const JsonFields& fields, const char* key) {
  return plain(fields.text(key), key);
}

std::optional<UtcTime> optional_time(const JsonFields& fields, const char* key) {
  if (fields.at(key).is_null()) return std::nullopt;
  return fields.time(key);
}

int64_t count_of(const JsonFields& fields, const char* key) {
  return static_cast<int64_t>(fields.number(key));
}

int64_t any_number(const Json& value, const char* key) {
  if (!value.is_number_integer() ||
      (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{INT64_MAX}))
    throw Error(ErrorCode::corrupt, fmt::format("field {} is not a whole number", key));
  return value.get<int64_t>();
}

FailureFacts facts_of(const Json& json) {
  JsonFields fields(json, "facts");  // it is an object
  FailureFacts facts;
  auto number = [&](const char* key, std::optional<int64_t>& into) {
    if (json.contains(key)) into = any_number(json.at(key), key);
  };
  auto text = [&](const char* key, std::string& into) {
    if (json.contains(key)) into = plain_text(fields, key);
  };
  auto time = [&](const char* key, std::optional<UtcTime>& into) {
    if (json.contains(key)) into = fields.time(key);
  };
  if (json.contains("code")) facts.code = parse_error_code(fields.text("code"));
  text("backup", facts.backup);
  number("exit_code", facts.exit_code);
  number("measured_seconds", facts.measured_seconds);
  number("target_seconds", facts.target_seconds);
  number("measured_bytes", facts.measured_bytes);
  number("target_bytes", facts.target_bytes);
  number("problems", facts.problems);
  time("first_missed_at", facts.first_missed_at);
  time("last_missed_at", facts.last_missed_at);
  text("host", facts.host);
  text("run_url", facts.run_url);
  return facts;
}

Incident incident_of(const Json& json) {
  JsonFields fields(json, "incident");
  Incident incident;
  incident.id = plain_text(fields, "id");
  incident.key.kind = parse_incident_kind(fields.text("kind"));
  incident.key.source = plain_text(fields, "source");
  incident.key.store = plain_text(fields, "store");
  incident.severity = parse_severity(fields.text("severity"));
  incident.opened_at = fields.time("opened_at");
  incident.last_failure_at = fields.time("last_failure_at");
  incident.last_message_at = fields.time("last_message_at");
  incident.next_update_at = fields.time("next_update_at");
  incident.failures = count_of(fields, "failures");
  incident.failures_told = count_of(fields, "failures_told");
  incident.updates = count_of(fields, "updates");
  incident.escalations = count_of(fields, "escalations");
  incident.relapses = count_of(fields, "relapses");
  incident.good_since = optional_time(fields, "good_since");
  incident.closed_at = optional_time(fields, "closed_at");
  incident.facts = facts_of(fields.at("facts"));
  return incident;
}

AuditHead audit_head_of(const std::string& line) {
  try {
    return parse_audit_head_line(line);
  } catch (const Error& error) {
    throw Error(ErrorCode::corrupt, fmt::format("field audit_head: {}", error.what()));
  }
}

PendingMessage pending_of(const Json& json) {
  JsonFields fields(json, "message");
  PendingMessage pending;
  pending.message.id = plain_text(fields, "id");
  pending.message.type = parse_message_type(fields.text("type"));
  pending.message.at = fields.time("at");
  pending.message.step = count_of(fields, "step");
  pending.message.run_id = plain_text(fields, "run_id");
  pending.message.exit_code = any_number(fields.at("exit_code"), "exit_code");
  pending.message.incident = incident_of(fields.at("incident"));
  pending.attempts = count_of(fields, "attempts");
  if (json.contains("audit_head"))
    pending.message.audit_head = audit_head_of(fields.text("audit_head"));
  return pending;
}

AlertSinkState sink_of(const Json& json) {
  JsonFields fields(json, "sink");
  AlertSinkState sink;
  sink.name = plain_text(fields, "name");
  if (json.contains("problem")) sink.problem = plain_text(fields, "problem");
  sink.failed_attempts = count_of(fields, "failed_attempts");
  sink.next_attempt_at = fields.time("next_attempt_at");
  sink.down_since = optional_time(fields, "down_since");
  sink.given_up = count_of(fields, "given_up");
  sink.given_up_since = optional_time(fields, "given_up_since");
  sink.state_lost = fields.boolean("state_lost");
  const Json& tickets = fields.at("tickets");
  if (!tickets.is_object() || tickets.size() > kIncidentsMax)
    throw Error(ErrorCode::corrupt, "field tickets is no object, or too large");
  for (auto entry = tickets.begin(); entry != tickets.end(); ++entry)
    sink.tickets[plain(entry.key(), "tickets")] = plain(text_of(entry.value(), "ticket"), "ticket");
  const Json& pending = fields.list("pending");
  if (pending.size() > kPendingMax) throw Error(ErrorCode::corrupt, "field pending is too long");
  for (const Json& one : pending) sink.pending.push_back(pending_of(one));
  return sink;
}

}  // namespace

std::string write_alert_state(const AlertState& state) {
  Json json = {{"format", kFormat}, {"version", kVersion}, {"next_sequence", state.next_sequence}};
  json["incidents"] = Json::array();
  for (const Incident& incident : state.incidents)
    json["incidents"].push_back(incident_json(incident));
  json["sinks"] = Json::array();
  for (const AlertSinkState& sink : state.sinks) json["sinks"].push_back(sink_json(sink));
  std::string text = json.dump(2, ' ', false, Json::error_handler_t::replace);
  text.resize(text.size() - std::string_view("\n}").size());
  return seal_document(std::move(text), kStateSeal);
}

AlertState read_alert_state(const std::string& text) {
  if (text.size() > kStateBytesMax) throw Error(ErrorCode::corrupt, "it is too large");
  Json json = parse_sealed(text, kStateSeal);
  JsonFields fields(json, "");
  check_format(fields, kFormat, kVersion);
  AlertState state;
  state.next_sequence = count_of(fields, "next_sequence");
  if (fields.list("incidents").size() > kIncidentsMax || fields.list("sinks").size() > kSinksMax)
    throw Error(ErrorCode::corrupt, "it has more entries than were ever written");
  for (const Json& incident : fields.list("incidents"))
    state.incidents.push_back(incident_of(incident));
  for (const Json& sink : fields.list("sinks")) state.sinks.push_back(sink_of(sink));
  return state;
}

}  // namespace holdfast
