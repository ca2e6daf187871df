// The durable queue of alerts: incidents and pending deliveries in one folder
// (docs/format/incidents.md), changed by atomic replacement, so that a crash between any two lines
// loses nothing and says nothing twice to a sink that can tell.
//
// Recording (failed, good, run, tick) takes milliseconds and never touches a network. Delivering
// (deliver) ends by its deadline whatever a sink does; one process at a time delivers, and whoever
// records meanwhile leaves it to that one. Each sink has its own queue and its own back-off: 1 min,
// doubling to 1 h, with jitter, or what the sink asked for. Healthy sinks go first.
//
// Quiet hours hold a non-critical incident's messages back until they are over; a critical message
// takes those of its incident that wait before it along.
//
// Failure: Error of the disk (denied, internal, …) or Error(busy) if another process holds the
// state for seconds. The caller decides that no alert ever fails a backup (alert/alerts.h). One
// thread at a time uses an Outbox; any number of processes the folder.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "alert/alert_state.h"
#include "alert/notifier.h"

namespace holdfast {

struct OutboxSettings {
  std::string folder;
  IncidentRules rules{};
  std::function<bool(UtcTime)> is_quiet{};  // empty: never
  std::function<double()> chance{};         // 0 to 1 for jitter; empty: real dice
  // Where the audit trail stands: what messages are to say of it. Asked when one is made, while the
  // state is locked, so it answers within kAuditHeadMax; it throws nothing. Empty: nothing is said.
  std::function<std::optional<AuditHead>()> audit_head{};
};

inline constexpr std::chrono::minutes kSinkBackoffFirst{1}, kSinkBackoffMax{60};
inline constexpr std::chrono::hours kSinkWaitMax{6};  // a sink that asks for more is asked again
inline constexpr std::chrono::seconds kAttemptMax{20};
inline constexpr std::chrono::seconds kStateLockMax{10};
inline constexpr std::chrono::seconds kAuditHeadMax{2};  // below what others wait for the state
inline constexpr std::chrono::hours kSinkDownAlert{24};  // then the others are told

struct RunReport {
  MessageType type = MessageType::started;  // started, succeeded, failed
  std::string source{};
  std::string run_id{};  // a UUID, the same for start and end
  int64_t exit_code = 0;
  std::string host{};  // where it runs
};

struct SinkProblem {
  std::string sink, problem;
  bool again = true;  // the message waits; else it arrived, though not everywhere
};

struct DeliveryReport {
  int delivered = 0;
  size_t pending = 0;           // what waits for any sink, quiet hours included
  bool busy_elsewhere = false;  // another process delivers
  bool out_of_time = false;
  std::vector<SinkProblem> problems{};  // of this pass
};

class Outbox {
 public:
  // `sinks` outlive the outbox. Makes the folder if need be.
  Outbox(OutboxSettings settings, std::vector<Notifier*> sinks, const Clock& clock);

  void failed(IncidentKey key, Severity severity, FailureFacts facts);
  // `as_of`: what was seen to be good was good then, and ends no failure that a run told since.
  // What only `status` saw (a failure without a code) ends by what it sees.
  void good(IncidentKey key, std::optional<UtcTime> as_of = {});
  void run(RunReport report);
  void tick();  // nothing happened, but time passed

  DeliveryReport deliver(std::chrono::milliseconds time_max);

  // As it is on disk now, for `status` and tests.
  AlertState state();

 private:
  struct Work;

  AlertState load();
  AlertState fresh_state(bool lost);
  void save(const AlertState& state);
  template <typename Change>
  void change(Change&& change);
  AlertMessage new_message(MessageType type, const Incident& incident);
  void meet_sinks(AlertState& state);
  void pass_time(AlertState& state);
  void say(AlertState& state, const Incident& incident, MessageType type);
  void record_failure(AlertState& state, const IncidentKey& key, Severity severity,
                      const FailureFacts& facts);
  void record_good(AlertState& state, const IncidentKey& key);

  bool deliver_round(const DeliveryBudget& pass, DeliveryReport& report);
  bool choose(AlertState& state, Work& work);
  void attempt(const Work& work, const DeliveryBudget& pass, DeliveryReport& report);
  bool succeeded(const Work& work, const DeliveryReceipt& receipt);
  void refused(const Work& work, const Error& error);
  void asked_to_wait(const Work& work, std::chrono::milliseconds wait);
  std::chrono::milliseconds backoff(int64_t failed_attempts);

  OutboxSettings settings_;
  std::vector<Notifier*> sinks_;
  const Clock& clock_;
  bool fresh_ = false;  // there was no state: this host may forget all between two runs
  std::optional<std::optional<AuditHead>> head_;  // of the change that is being made, once asked
  std::set<IncidentKey> asked_;  // that sinks with a memory were asked about, once each
  // Of this pass: sinks that failed, and incidents whose message was refused by a sink.
  std::set<std::string> failed_sinks_;
  std::set<std::string> refused_;
};

}  // namespace holdfast
