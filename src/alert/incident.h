// Incidents: when one opens, is worth another message, escalates, and is over. Pure functions with
// the time passed in; what they say is delivered by the outbox.
//
// One incident is one kind of trouble of one source and one store (the key). It opens with its
// first failure; further failures are updates, each at least twice as long after the last message
// as the one before, up to 20 hours, so that a nightly failure is said every night and nothing more
// often; without news a reminder comes after 26 hours: not before a night's run had its say.
// Escalation steps come at set times after the opening, each once. It is over with the first
// success, unless it came back within half a day of its last end: then it has to stay good for a
// while, twice as long with every relapse, so that flapping becomes one lasting incident.
//
// A clock that was wrong for a while silences nothing for longer than the longest wait.
// Everything in an incident is a typed field: there is no free text that could hold a secret or a
// row of data, and names pass alert/redact.h on their way in.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace holdfast {

enum class IncidentKind {
  backup,      // a backup failed
  proof,       // a backup could not be proven, or is damaged
  drill,       // a rehearsed recovery failed
  prune,       // what should go could not be removed
  policy,      // a policy is violated: too few backups, one kept too long
  rpo,         // more could be lost than the objective allows
  rto,         // a recovery takes longer than the objective allows
  missed_run,  // a run that should have been was not (its job is the key's store)
  job,         // a scheduled job failed that tells of nothing itself (its name is the key's store)
  clock,       // the clock that the schedule goes by was set back
  wal_lag,     // the archive lags behind the source's WAL
  alerts,      // a sink of alerts takes none (its name is the key's store)
  test,        // `alert test`
};

enum class Severity { warning, critical };

struct IncidentKey {
  IncidentKind kind = IncidentKind::backup;
  std::string source{};  // of the database; may be empty
  std::string store{};   // may be empty
  auto operator<=>(const IncidentKey&) const = default;
};

// 16 hexadecimal digits that stand for the key, everywhere and for ever.
std::string incident_key_id(const IncidentKey& key);

// What a failure says of itself.
struct FailureFacts {
  std::optional<ErrorCode> code{};
  std::string backup{};  // its id
  std::optional<int64_t> exit_code{};
  std::optional<int64_t> measured_seconds{}, target_seconds{};
  std::optional<int64_t> measured_bytes{}, target_bytes{};
  std::optional<int64_t> problems{};  // how many; of missed runs, how many were missed
  std::optional<UtcTime> first_missed_at{}, last_missed_at{};
  std::string host{};     // where it ran
  std::string run_url{};  // where its log can be read
  bool operator==(const FailureFacts&) const = default;
};

struct Incident {
  std::string id{};  // <key id>-<opened_at in milliseconds>
  IncidentKey key{};
  Severity severity = Severity::warning;  // the worst so far
  UtcTime opened_at{}, last_failure_at{}, last_message_at{}, next_update_at{};
  int64_t failures = 0, failures_told = 0;
  int64_t updates = 0, escalations = 0, relapses = 0;
  std::optional<UtcTime> good_since{}, closed_at{};
  FailureFacts facts{};  // of the last failure; of missed runs, of all of them together
  bool operator==(const Incident&) const = default;
};

struct IncidentRules {
  std::chrono::minutes update_first{60};
  std::chrono::minutes update_max{20 * 60};
  std::chrono::minutes reminder{26 * 60};
  std::chrono::minutes relapse_window{12 * 60};
  std::chrono::minutes settle_first{30};  // of the first relapse; doubles
  std::chrono::minutes settle_max{12 * 60};
  std::vector<std::chrono::minutes> escalate_after{};  // ascending
};

enum class MessageType { opened, update, escalated, recovered, started, succeeded, failed };

// A first failure. `before`: the last incident of this key if it is still remembered, else null.
Incident open_incident(const IncidentKey& key, Severity severity, const FailureFacts& facts,
                       UtcTime now, const Incident* before, const IncidentRules& rules);

// Another failure of an open incident; what is to be said, if anything.
std::optional<MessageType> note_failure(Incident& incident, Severity severity,
                                        const FailureFacts& facts, UtcTime now,
                                        const IncidentRules& rules);

// A success. Says `recovered` (and closes it), or nothing while it has to settle.
std::optional<MessageType> note_good(Incident& incident, UtcTime now, const IncidentRules& rules);

// Time has passed: recovery that has settled, an escalation step, a reminder; at most one of them.
std::optional<MessageType> note_time(Incident& incident, UtcTime now, const IncidentRules& rules);

// Whether a closed one is past the time in which its return would be a relapse.
bool is_forgotten(const Incident& incident, UtcTime now, const IncidentRules& rules);

// How long an incident with so many relapses must be good before it is over.
std::chrono::minutes settle_time(int64_t relapses, const IncidentRules& rules);

// As in docs/format/incidents.md and in messages to programs. The reverse throws Error(corrupt).
std::string_view incident_kind_name(IncidentKind kind);
std::string_view severity_name(Severity severity);
std::string_view message_type_name(MessageType type);
IncidentKind parse_incident_kind(std::string_view name);
Severity parse_severity(std::string_view name);
MessageType parse_message_type(std::string_view name);
ErrorCode parse_error_code(std::string_view name);

}  // namespace holdfast
