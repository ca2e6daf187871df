// One message about an incident or a run, and its text for people, the same in every sink: title,
// sentence, facts, and what to do. Built from typed fields only (alert/redact.h); a sink adds its
// own escaping and nothing else. Pure.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "alert/incident.h"
#include "audit/record.h"

namespace holdfast {

struct AlertMessage {
  std::string id{};  // the same for every attempt: what makes a second delivery recognisable
  MessageType type = MessageType::opened;
  UtcTime at{};
  Incident incident{};  // as it was then; only its key's source with messages of runs
  int64_t step = 0;     // of an escalation, from 1
  std::string run_id{};
  int64_t exit_code = 0;
  // Where this host's audit trail stood when the message was made, so that whoever has the message
  // can tell whether the trail was cut or rewritten since. None: nothing is known of a trail.
  std::optional<AuditHead> audit_head{};
  bool operator==(const AlertMessage&) const = default;
};

bool is_of_run(MessageType type);  // started, succeeded, failed
// Whether it may wait for the end of quiet hours.
bool may_wait(const AlertMessage& message);

using AlertLines = std::vector<std::pair<std::string, std::string>>;

// "🚨 Database Backup Failed: care" for an incident's first message; the recovery's says it is over.
std::string alert_title(const AlertMessage& message);
// The title of the incident itself, whatever the message says of it: an issue's.
std::string incident_title(const Incident& incident);
// One sentence: what happened, since when, how often.
std::string alert_sentence(const AlertMessage& message);
// "Source" → "care", …, in the order in which they are shown.
AlertLines alert_facts(const AlertMessage& message);
// The head of the audit trail as `holdfast audit verify --head` takes it; "" if there is none.
std::string alert_audit_line(const AlertMessage& message);
// What to do about this kind of incident, one step a line, as a checklist.
std::vector<std::string> alert_checklist(const Incident& incident);
// The note that says by when HIPAA wants it mended; empty for kinds that it does not concern.
std::string alert_compliance(const Incident& incident);

}  // namespace holdfast
