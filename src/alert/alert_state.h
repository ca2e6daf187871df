// What alerts remember between runs (docs/format/incidents.md): incidents, and for each sink what
// waits to be delivered. Here: the data, its file form, and the changes that the outbox makes to
// it, as pure functions, so that every rule of the queue can be tested without a disk.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "alert/alert_message.h"

namespace holdfast {

inline constexpr size_t kOpenIncidentsMax = 500;    // sources × stores × kinds of one host
inline constexpr size_t kPendingMax = 500;          // of one sink; half a kilobyte each
inline constexpr size_t kStateBytesMax = 16 << 20;  // above what the two allow
inline constexpr std::chrono::hours kGiveUpAfter{72};
inline constexpr std::chrono::hours kGiveUpClosingAfter{30 * 24};  // of an end that should be said
inline constexpr std::chrono::hours kRunMessageAge{6};  // a later ping would hide a missed run

struct PendingMessage {
  AlertMessage message{};
  int64_t attempts = 0;  // begun; written before each
  bool operator==(const PendingMessage&) const = default;
};

struct AlertSinkState {
  std::string name{};
  std::string problem{};  // of the last delivery: it arrived, but not everywhere
  int64_t failed_attempts = 0;
  UtcTime next_attempt_at{};
  std::optional<UtcTime> down_since{};
  int64_t given_up = 0;
  std::optional<UtcTime> given_up_since{};
  bool state_lost = false;  // what waited for it before is unknown; until it was said
  std::map<std::string, std::string> tickets{};  // by key id
  std::vector<PendingMessage> pending{};         // oldest first
  bool operator==(const AlertSinkState&) const = default;
};

struct AlertState {
  int64_t next_sequence = 1;
  std::vector<Incident> incidents{};
  std::vector<AlertSinkState> sinks{};
  bool operator==(const AlertState&) const = default;
};

// Throws Error(corrupt) for anything but what the other wrote, Error(unsupported) for a later
// version.
std::string write_alert_state(const AlertState& state);
AlertState read_alert_state(const std::string& text);

Incident* find_incident(AlertState& state, const IncidentKey& key);  // open or remembered; or null
bool has_open(const AlertState& state, const std::string& key_id);

// Gives the message its id and lets it wait in `sink`; replaces what it makes needless: an older
// update, an older message of a run.
void enqueue(AlertState& state, AlertSinkState& sink, AlertMessage message);

// Messages that nobody needs any more, or that waited too long: given up and counted.
void give_up_old(AlertState& state, UtcTime now);

// Closed incidents past their time, and tickets of incidents that nothing is known of.
void forget_closed(AlertState& state, UtcTime now, const IncidentRules& rules);

// "3 earlier messages since … could not be delivered here."; empty if there is nothing to say.
std::string note_of(const AlertSinkState& sink);

}  // namespace holdfast
