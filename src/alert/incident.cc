#include "alert/incident.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/bytes.h"
#include "base/text.h"
#include "seal/sha256.h"

namespace holdfast {
namespace {

using std::chrono::minutes;

constexpr size_t kKeyDigits = 16;
constexpr int kDoublingsMax = 20;
constexpr int64_t kRelapseLevels = 2;  // a relapse counts as so many updates

template <typename Value>
using NameTable = std::pair<Value, std::string_view>;

constexpr std::array<NameTable<IncidentKind>, 13> kKinds{{
    {IncidentKind::backup, "backup"},
    {IncidentKind::proof, "proof"},
    {IncidentKind::drill, "drill"},
    {IncidentKind::prune, "prune"},
    {IncidentKind::policy, "policy"},
    {IncidentKind::rpo, "rpo"},
    {IncidentKind::rto, "rto"},
    {IncidentKind::missed_run, "missed_run"},
    {IncidentKind::job, "job"},
    {IncidentKind::clock, "clock"},
    {IncidentKind::wal_lag, "wal_lag"},
    {IncidentKind::alerts, "alerts"},
    {IncidentKind::test, "test"},
}};
constexpr std::array<NameTable<Severity>, 2> kSeverities{{
    {Severity::warning, "warning"},
    {Severity::critical, "critical"},
}};
constexpr std::array<NameTable<MessageType>, 7> kMessageTypes{{
    {MessageType::opened, "opened"},
    {MessageType::update, "update"},
    {MessageType::escalated, "escalated"},
    {MessageType::recovered, "recovered"},
    {MessageType::started, "started"},
    {MessageType::succeeded, "succeeded"},
    {MessageType::failed, "failed"},
}};

template <typename Value, size_t count>
std::string_view name_in(const std::array<NameTable<Value>, count>& table, Value value) {
  for (const auto& [entry, name] : table)
    if (entry == value) return name;
  return "unknown";
}

template <typename Value, size_t count>
Value value_in(const std::array<NameTable<Value>, count>& table, std::string_view name,
               const char* what) {
  for (const auto& [entry, known] : table)
    if (known == name) return entry;
  throw Error(ErrorCode::corrupt, fmt::format("'{}' is no {}", printable(name, 40), what));
}

minutes doubled(minutes first, int64_t times, minutes most) {
  return std::min(first * (1 << std::clamp<int64_t>(times, 0, kDoublingsMax)), most);
}

// Called with every message that is said: the next one waits twice as long.
void told(Incident& incident, UtcTime now, const IncidentRules& rules) {
  incident.last_message_at = now;
  incident.failures_told = incident.failures;
  // One that keeps coming back is said less and less often.
  int64_t level = incident.updates + kRelapseLevels * incident.relapses;
  incident.next_update_at = now + doubled(rules.update_first, level, rules.update_max);
}

// Times that lie further ahead than any rule puts them come from a clock that was wrong.
void mend_times(Incident& incident, UtcTime now, const IncidentRules& rules) {
  incident.next_update_at = std::min(incident.next_update_at, now + rules.update_max);
  incident.last_message_at = std::min(incident.last_message_at, now);
  incident.opened_at = std::min(incident.opened_at, now);
  if (incident.good_since) incident.good_since = std::min(*incident.good_since, now);
}

bool may_update(const Incident& incident, UtcTime now, const IncidentRules& rules) {
  if (now < incident.next_update_at) return false;
  return incident.failures > incident.failures_told ||
         now >= incident.last_message_at + rules.reminder;
}

MessageType say_update(Incident& incident, UtcTime now, const IncidentRules& rules) {
  ++incident.updates;
  told(incident, now, rules);
  return MessageType::update;
}

// Runs that are missed while others still are: how many in all, and since when.
FailureFacts with_earlier_misses(FailureFacts facts, const FailureFacts& earlier) {
  if (!facts.first_missed_at || !facts.last_missed_at) return facts;
  if (!earlier.first_missed_at || !earlier.last_missed_at) return facts;
  facts.problems = facts.problems.value_or(0) + earlier.problems.value_or(0);
  facts.first_missed_at = std::min(*facts.first_missed_at, *earlier.first_missed_at);
  facts.last_missed_at = std::max(*facts.last_missed_at, *earlier.last_missed_at);
  return facts;
}

MessageType close_now(Incident& incident, UtcTime now) {
  incident.closed_at = now;
  incident.last_message_at = now;
  return MessageType::recovered;
}

}  // namespace

std::string incident_key_id(const IncidentKey& key) {
  std::string text(incident_kind_name(key.kind));
  text.push_back('\0');
  text.append(key.source).push_back('\0');
  text.append(key.store).push_back('\0');
  return sha256_hex(as_bytes(text)).substr(0, kKeyDigits);
}

Incident open_incident(const IncidentKey& key, Severity severity, const FailureFacts& facts,
                       UtcTime now, const Incident* before, const IncidentRules& rules) {
  Incident incident;
  incident.key = key;
  incident.id = fmt::format("{}-{}", incident_key_id(key), now.time_since_epoch().count());
  incident.severity = severity;
  incident.opened_at = incident.last_failure_at = now;
  incident.failures = 1;
  incident.facts = facts;
  if (before != nullptr && !is_forgotten(*before, now, rules)) {
    incident.relapses = before->relapses + 1;
    if (incident.id == before->id)  // opened, closed and opened again within a millisecond
      incident.id = fmt::format(
          "{}-{}", incident_key_id(key),
          (now + incident.relapses * std::chrono::milliseconds(1)).time_since_epoch().count());
  }
  told(incident, now, rules);
  return incident;
}

std::optional<MessageType> note_failure(Incident& incident, Severity severity,
                                        const FailureFacts& facts, UtcTime now,
                                        const IncidentRules& rules) {
  mend_times(incident, now, rules);
  ++incident.failures;
  incident.last_failure_at = now;
  incident.good_since.reset();
  incident.facts = with_earlier_misses(facts, incident.facts);
  bool worse = severity > incident.severity;
  incident.severity = std::max(incident.severity, severity);
  if (worse || may_update(incident, now, rules)) return say_update(incident, now, rules);
  return std::nullopt;
}

std::optional<MessageType> note_good(Incident& incident, UtcTime now, const IncidentRules& rules) {
  mend_times(incident, now, rules);
  if (!incident.good_since) incident.good_since = now;
  if (now - *incident.good_since < settle_time(incident.relapses, rules)) return std::nullopt;
  return close_now(incident, now);
}

std::optional<MessageType> note_time(Incident& incident, UtcTime now, const IncidentRules& rules) {
  if (incident.closed_at) return std::nullopt;
  mend_times(incident, now, rules);
  if (incident.good_since) return note_good(incident, now, rules);
  size_t passed = 0;
  for (minutes after : rules.escalate_after)
    if (now - incident.opened_at >= after) ++passed;
  if (passed > static_cast<size_t>(incident.escalations)) {
    // After a time without any run several steps may be due: the last one says it all.
    incident.escalations = static_cast<int64_t>(passed);
    told(incident, now, rules);
    return MessageType::escalated;
  }
  if (may_update(incident, now, rules)) return say_update(incident, now, rules);
  return std::nullopt;
}

bool is_forgotten(const Incident& incident, UtcTime now, const IncidentRules& rules) {
  if (!incident.closed_at) return false;
  auto since = now - *incident.closed_at;
  return since >= rules.relapse_window || since <= -rules.relapse_window;
}

minutes settle_time(int64_t relapses, const IncidentRules& rules) {
  return relapses == 0 ? minutes(0) : doubled(rules.settle_first, relapses - 1, rules.settle_max);
}

std::string_view incident_kind_name(IncidentKind kind) {
  return name_in(kKinds, kind);
}

std::string_view severity_name(Severity severity) {
  return name_in(kSeverities, severity);
}

std::string_view message_type_name(MessageType type) {
  return name_in(kMessageTypes, type);
}

IncidentKind parse_incident_kind(std::string_view name) {
  return value_in(kKinds, name, "kind of incident");
}

Severity parse_severity(std::string_view name) {
  return value_in(kSeverities, name, "severity");
}

MessageType parse_message_type(std::string_view name) {
  return value_in(kMessageTypes, name, "type of message");
}

ErrorCode parse_error_code(std::string_view name) {
  for (int code = 0; code <= static_cast<int>(ErrorCode::internal); ++code)
    if (error_code_name(static_cast<ErrorCode>(code)) == name) return static_cast<ErrorCode>(code);
  throw Error(ErrorCode::corrupt, fmt::format("'{}' is no error code", printable(name, 40)));
}

}  // namespace holdfast
