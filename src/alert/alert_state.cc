#include "alert/alert_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"

namespace holdfast {
namespace {

void count_given_up(AlertSinkState& sink, const AlertMessage& message) {
  ++sink.given_up;
  sink.given_up_since =
      sink.given_up_since ? std::min(*sink.given_up_since, message.at) : message.at;
}

bool is_replaced_by(const AlertMessage& older, const AlertMessage& newer) {
  if (is_of_run(newer.type))
    return is_of_run(older.type) && older.incident.key.source == newer.incident.key.source;
  bool says_more = newer.type == MessageType::update || newer.type == MessageType::escalated;
  return says_more && older.type == MessageType::update && older.incident.id == newer.incident.id;
}

// Keeps what an operator needs longest: beginnings and ends of incidents.
void make_room(AlertSinkState& sink) {
  if (sink.pending.size() < kPendingMax) return;
  auto found = std::find_if(sink.pending.begin(), sink.pending.end(), [](const auto& one) {
    return one.message.type == MessageType::update || one.message.type == MessageType::escalated;
  });
  if (found == sink.pending.end()) found = sink.pending.begin();
  count_given_up(sink, found->message);
  sink.pending.erase(found);
}

}  // namespace

Incident* find_incident(AlertState& state, const IncidentKey& key) {
  Incident* latest = nullptr;
  for (Incident& incident : state.incidents)
    if (incident.key == key && (latest == nullptr || !incident.closed_at)) latest = &incident;
  return latest;
}

bool has_open(const AlertState& state, const std::string& key_id) {
  return std::any_of(state.incidents.begin(), state.incidents.end(), [&](const Incident& one) {
    return !one.closed_at && incident_key_id(one.key) == key_id;
  });
}

void enqueue(AlertState& state, AlertSinkState& sink, AlertMessage message) {
  std::string about = is_of_run(message.type) ? "run" : message.incident.id;
  message.id = fmt::format("{}-{}", about, state.next_sequence++);
  if (message.type == MessageType::update) {
    // One that never heard of it hears all at once.
    for (PendingMessage& waiting : sink.pending)
      if (waiting.message.type == MessageType::opened && waiting.attempts == 0 &&
          waiting.message.incident.id == message.incident.id) {
        waiting.message.incident = message.incident;
        waiting.message.at = message.at;
        if (message.audit_head) waiting.message.audit_head = message.audit_head;
        return;
      }
  }
  std::erase_if(sink.pending, [&](const PendingMessage& waiting) {
    return is_replaced_by(waiting.message, message);
  });
  make_room(sink);
  sink.pending.push_back({std::move(message), 0});
}

void give_up_old(AlertState& state, UtcTime now) {
  for (AlertSinkState& sink : state.sinks) {
    auto age = [&](const PendingMessage& one) { return now - one.message.at; };
    // Of those whose beginning never arrived, the end is no news.
    std::set<std::string> never_heard_of;
    for (const PendingMessage& one : sink.pending)
      if (one.message.type == MessageType::opened && age(one) >= kGiveUpAfter &&
          !has_open(state, incident_key_id(one.message.incident.key)))
        never_heard_of.insert(one.message.incident.id);
    std::erase_if(sink.pending, [&](const PendingMessage& one) {
      MessageType type = one.message.type;
      if (is_of_run(type)) return age(one) >= kRunMessageAge;  // its silence says it
      bool old = false;
      if (type == MessageType::update || type == MessageType::escalated)
        old = age(one) >= kGiveUpAfter;
      else if (type == MessageType::recovered)
        old = age(one) >= kGiveUpClosingAfter;
      if (!old && !never_heard_of.count(one.message.incident.id)) return false;
      count_given_up(sink, one.message);
      return true;
    });
  }
}

void forget_closed(AlertState& state, UtcTime now, const IncidentRules& rules) {
  std::erase_if(state.incidents,
                [&](const Incident& incident) { return is_forgotten(incident, now, rules); });
  std::set<std::string> known;
  for (const Incident& incident : state.incidents) known.insert(incident_key_id(incident.key));
  for (AlertSinkState& sink : state.sinks) {
    std::set<std::string> waited_for = known;
    for (const PendingMessage& one : sink.pending)
      waited_for.insert(incident_key_id(one.message.incident.key));
    std::erase_if(sink.tickets, [&](const auto& entry) { return !waited_for.count(entry.first); });
  }
}

std::string note_of(const AlertSinkState& sink) {
  std::string note;
  if (sink.state_lost)
    note =
        "The record of earlier alerts was damaged and has been begun anew: what waited to be "
        "delivered then is lost. ";
  if (sink.given_up > 0)
    note += fmt::format("{} since {} could not be delivered here.",
                        plural(static_cast<uint64_t>(sink.given_up), "earlier message"),
                        format_rfc3339(sink.given_up_since.value_or(UtcTime{})));
  return std::string(trim(note));
}

}  // namespace holdfast
