#include "alert/outbox.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>

#include "alert/redact.h"
#include "base/file.h"

namespace holdfast {
namespace {

using std::chrono::milliseconds;

constexpr size_t kSinkNamesMax = 50;  // of sinks that were ever configured
constexpr int64_t kRefusalsMax = 10;  // of one message, before it is given up
constexpr int kMinimumMs = 1000;      // less time than this is not worth beginning with
constexpr int kRoundsMax = 3;         // of a pass: what others recorded while it ended
constexpr size_t kRunIdBytesMax = 64;
constexpr size_t kProblemBytesMax = 350;

double real_chance() {
  thread_local std::minstd_rand generator{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(generator);
}

FailureFacts safe_facts(FailureFacts facts) {
  facts.backup = safe_name(facts.backup);
  facts.host = safe_name(facts.host);
  facts.run_url = safe_url(facts.run_url);
  return facts;
}

IncidentKey safe_key(IncidentKey key) {
  return {key.kind, safe_name(key.source), safe_name(key.store)};
}

AlertSinkState* sink_named(AlertState& state, const std::string& name) {
  for (AlertSinkState& sink : state.sinks)
    if (sink.name == name) return &sink;
  return nullptr;
}

bool has_room(const AlertState& state) {
  auto open = std::count_if(state.incidents.begin(), state.incidents.end(),
                            [](const Incident& one) { return !one.closed_at; });
  return static_cast<size_t>(open) < kOpenIncidentsMax;
}

}  // namespace

struct Outbox::Work {
  Notifier* sink = nullptr;
  AlertMessage message;
  std::string key_id, ticket, note;
  int64_t given_up_told = 0;
  int attempt = 1;
};

Outbox::Outbox(OutboxSettings settings, std::vector<Notifier*> sinks, const Clock& clock)
    : settings_(std::move(settings)), sinks_(std::move(sinks)), clock_(clock) {
  if (!settings_.is_quiet) settings_.is_quiet = [](UtcTime) { return false; };
  if (!settings_.chance) settings_.chance = real_chance;
  if (!settings_.audit_head) settings_.audit_head = [] { return std::nullopt; };
  make_folders(settings_.folder);
}

// --- the file ---

AlertState Outbox::fresh_state(bool lost) {
  AlertState state;
  // Ids of messages must not repeat those of a state that is gone.
  state.next_sequence = std::max<int64_t>(1, clock_.now().time_since_epoch().count());
  fresh_ = true;
  for (Notifier* sink : sinks_) {
    AlertSinkState& made = state.sinks.emplace_back();
    made.name = sink->name();
    made.state_lost = lost;
  }
  return state;
}

AlertState Outbox::load() {
  std::string path = settings_.folder + "/incidents.json";
  if (!file_exists(path)) return fresh_state(false);
  try {
    AlertState state = read_alert_state(read_file(path, kStateBytesMax));
    meet_sinks(state);
    return state;
  } catch (const Error& error) {
    bool damaged = error.code() == ErrorCode::corrupt || error.code() == ErrorCode::invalid;
    if (!damaged) throw error.within("read the state of alerts");
  }
  write_file_atomic(path + ".damaged", read_file(path, 1 << 30));
  return fresh_state(true);
}

void Outbox::save(const AlertState& state) {
  write_file_atomic(settings_.folder + "/incidents.json", write_alert_state(state));
}

template <typename Change>
void Outbox::change(Change&& change) {
  FileLock lock(settings_.folder + "/incidents.lock", "the state of alerts", kStateLockMax);
  head_.reset();
  AlertState state = load(), before = state;
  change(state);
  if (!(state == before)) save(state);
}

AlertState Outbox::state() {
  FileLock lock(settings_.folder + "/incidents.lock", "the state of alerts", kStateLockMax);
  return load();
}

// Every message of the queue is made here: it says when, and where the audit trail stood.
AlertMessage Outbox::new_message(MessageType type, const Incident& incident) {
  if (!head_) head_ = settings_.audit_head();
  AlertMessage message;
  message.type = type;
  message.at = clock_.now();
  message.incident = incident;
  message.audit_head = *head_;
  return message;
}

// A sink that is new hears of what is open. One that is not configured at the moment keeps its
// queue, which is bounded and grows old: it may be missing in this run's environment only.
void Outbox::meet_sinks(AlertState& state) {
  std::set<std::string> configured;
  for (Notifier* sink : sinks_) configured.insert(sink->name());
  if (state.sinks.size() > kSinkNamesMax)
    std::erase_if(state.sinks, [&](const auto& sink) { return !configured.count(sink.name); });
  for (Notifier* sink : sinks_) {
    if (sink_named(state, sink->name()) != nullptr) continue;
    AlertSinkState& made = state.sinks.emplace_back();
    made.name = sink->name();
    if (!sink->wants(MessageType::opened)) continue;
    for (const Incident& incident : state.incidents) {
      if (incident.closed_at) continue;
      enqueue(state, made, new_message(MessageType::opened, incident));
    }
  }
}

// --- recording ---

void Outbox::say(AlertState& state, const Incident& incident, MessageType type) {
  for (AlertSinkState& sink : state.sinks) {
    if (incident.key.kind == IncidentKind::alerts && incident.key.store == sink.name) continue;
    bool wanted = true;
    for (Notifier* known : sinks_)
      if (known->name() == sink.name) wanted = known->wants(type);
    if (!wanted) continue;
    AlertMessage message = new_message(type, incident);
    if (type == MessageType::escalated) message.step = incident.escalations;
    enqueue(state, sink, message);
  }
}

void Outbox::record_failure(AlertState& state, const IncidentKey& key, Severity severity,
                            const FailureFacts& facts) {
  UtcTime now = clock_.now();
  Incident* known = find_incident(state, key);
  if (known != nullptr && !known->closed_at) {
    if (auto type = note_failure(*known, severity, facts, now, settings_.rules))
      say(state, *known, *type);
    return;
  }
  if (!has_room(state))
    throw Error(ErrorCode::busy,
                fmt::format("{} incidents are open, and no more are remembered", kOpenIncidentsMax),
                "mend some of them first");
  Incident opened = open_incident(key, severity, facts, now, known, settings_.rules);
  std::erase_if(state.incidents, [&](const Incident& one) { return one.key == key; });
  state.incidents.push_back(opened);
  say(state, opened, MessageType::opened);
}

void Outbox::record_good(AlertState& state, const IncidentKey& key) {
  UtcTime now = clock_.now();
  Incident* known = find_incident(state, key);
  if (known != nullptr) {
    if (known->closed_at) return;
    if (auto type = note_good(*known, now, settings_.rules)) say(state, *known, *type);
    return;
  }
  if (!fresh_ || !asked_.insert(key).second) return;
  // Nothing is known here, but a sink that remembers may have an open one of an earlier run.
  std::string key_id = incident_key_id(key);
  for (Notifier* notifier : sinks_) {
    AlertSinkState* sink = sink_named(state, notifier->name());
    if (sink == nullptr || !notifier->remembers()) continue;
    bool waits = std::any_of(sink->pending.begin(), sink->pending.end(),
                             [&](const auto& one) { return one.message.incident.key == key; });
    if (waits || sink->tickets.count(key_id)) continue;
    Incident unknown;
    unknown.key = key;
    unknown.id = key_id + "-unknown";
    unknown.opened_at = unknown.last_failure_at = now;
    unknown.closed_at = now;
    enqueue(state, *sink, new_message(MessageType::recovered, unknown));
  }
}

void Outbox::failed(IncidentKey key, Severity severity, FailureFacts facts) {
  key = safe_key(std::move(key));
  facts = safe_facts(std::move(facts));
  change([&](AlertState& state) {
    record_failure(state, key, severity, facts);
    pass_time(state);  // afterwards, so that no reminder is said just before the news
  });
}

void Outbox::good(IncidentKey key, std::optional<UtcTime> as_of) {
  key = safe_key(std::move(key));
  change([&](AlertState& state) {
    const Incident* known = find_incident(state, key);
    bool counts =
        !as_of || (known != nullptr && (!known->facts.code || known->last_failure_at < *as_of));
    if (counts) record_good(state, key);
    pass_time(state);
  });
}

void Outbox::run(RunReport report) {
  Incident about;
  about.key.source = safe_name(report.source);
  about.facts.host = safe_name(report.host);
  change([&](AlertState& state) {
    pass_time(state);
    for (Notifier* sink : sinks_) {
      if (!sink->wants(report.type)) continue;
      AlertMessage message = new_message(report.type, about);
      message.run_id = safe_name(report.run_id).substr(0, kRunIdBytesMax);
      message.exit_code = report.exit_code;
      enqueue(state, *sink_named(state, sink->name()), std::move(message));
    }
  });
}

void Outbox::tick() {
  change([&](AlertState& state) { pass_time(state); });
}

void Outbox::pass_time(AlertState& state) {
  UtcTime now = clock_.now();
  for (size_t i = 0; i < state.incidents.size(); ++i)
    if (auto type = note_time(state.incidents[i], now, settings_.rules))
      say(state, Incident(state.incidents[i]), *type);
  give_up_old(state, now);
  forget_closed(state, now, settings_.rules);
  for (AlertSinkState& sink : state.sinks)  // a clock that was wrong, see incident.h
    sink.next_attempt_at = std::min<UtcTime>(sink.next_attempt_at, now + kSinkWaitMax);
}

// --- delivering ---

bool Outbox::choose(AlertState& state, Work& work) {
  UtcTime now = clock_.now();
  bool quiet = settings_.is_quiet(now);
  std::vector<std::pair<AlertSinkState*, Notifier*>> order;
  for (Notifier* sink : sinks_) order.emplace_back(sink_named(state, sink->name()), sink);
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return a.first->failed_attempts < b.first->failed_attempts;
  });
  for (auto& [sink, notifier] : order) {
    if (failed_sinks_.count(sink->name) || sink->next_attempt_at > now) continue;
    std::erase_if(sink->pending,
                  [&](const auto& one) { return !notifier->wants(one.message.type); });
    std::map<std::string, bool> urgent;  // whether an incident has a message that may not wait
    for (const PendingMessage& one : sink->pending)
      urgent[one.message.incident.id] |= !may_wait(one.message);
    for (PendingMessage& one : sink->pending) {
      const Incident& incident = one.message.incident;
      if (refused_.count(sink->name + " " + incident.id)) continue;
      if (quiet && !urgent[incident.id]) continue;
      ++one.attempts;
      work.sink = notifier;
      work.message = one.message;
      work.attempt = static_cast<int>(one.attempts);
      work.key_id = incident_key_id(incident.key);
      auto ticket = sink->tickets.find(work.key_id);
      work.ticket = ticket == sink->tickets.end() ? "" : ticket->second;
      work.note = is_of_run(one.message.type) ? "" : note_of(*sink);
      work.given_up_told = work.note.empty() ? 0 : sink->given_up;
      return true;
    }
  }
  return false;
}

bool Outbox::deliver_round(const DeliveryBudget& pass, DeliveryReport& report) {
  if (pass.left_ms() < kMinimumMs) {
    report.out_of_time = true;
    return false;
  }
  Work work;
  bool found = false;
  change([&](AlertState& state) {
    pass_time(state);
    found = choose(state, work);
  });
  if (found) attempt(work, pass, report);
  return found && !report.out_of_time;
}

void Outbox::attempt(const Work& work, const DeliveryBudget& pass, DeliveryReport& report) {
  milliseconds time = std::min<milliseconds>(kAttemptMax, milliseconds(pass.left_ms()));
  DeliveryBudget budget(clock_, time);
  try {
    DeliveryReceipt receipt =
        work.sink->deliver({work.message, work.ticket, work.attempt, work.note, budget});
    if (receipt.wait > milliseconds(0)) {
      report.problems.push_back({work.sink->name(), "it asked to be left alone for a while"});
      return asked_to_wait(work, receipt.wait);
    }
    if (succeeded(work, receipt) && !receipt.problem.empty())
      report.problems.push_back({work.sink->name(), receipt.problem, /*again=*/false});
    ++report.delivered;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) {
      report.out_of_time = true;  // the user asked to stop; the next pass goes on
      return;
    }
    report.problems.push_back({work.sink->name(), error.in_one_line()});
    refused(work, error);
  }
}

// Whether what it has to say of itself is news.
bool Outbox::succeeded(const Work& work, const DeliveryReceipt& receipt) {
  bool news = false;
  change([&](AlertState& state) {
    AlertSinkState& sink = *sink_named(state, work.sink->name());
    std::string problem = printable(receipt.problem, kProblemBytesMax);
    news = sink.problem != problem;
    sink.problem = problem;
    std::erase_if(sink.pending, [&](const auto& one) { return one.message.id == work.message.id; });
    sink.failed_attempts = 0;
    sink.down_since.reset();
    if (!work.note.empty()) {
      sink.given_up -= std::min(sink.given_up, work.given_up_told);
      if (sink.given_up == 0) sink.given_up_since.reset();
      sink.state_lost = false;
    }
    if (!receipt.ticket.empty()) sink.tickets[work.key_id] = receipt.ticket;
    IncidentKey down{IncidentKind::alerts, "", sink.name};
    if (has_open(state, incident_key_id(down))) record_good(state, down);
  });
  return news;
}

void Outbox::asked_to_wait(const Work& work, milliseconds wait) {
  failed_sinks_.insert(work.sink->name());
  change([&](AlertState& state) {
    AlertSinkState& sink = *sink_named(state, work.sink->name());
    ++sink.failed_attempts;
    milliseconds time = std::max(backoff(sink.failed_attempts), wait);
    sink.next_attempt_at = clock_.now() + std::min<milliseconds>(time, kSinkWaitMax);
    if (!sink.down_since) sink.down_since = clock_.now();
  });
}

void Outbox::refused(const Work& work, const Error& error) {
  bool this_message = error.code() == ErrorCode::invalid;
  if (!this_message) failed_sinks_.insert(work.sink->name());
  refused_.insert(work.sink->name() + " " + work.message.incident.id);
  change([&](AlertState& state) {
    AlertSinkState& sink = *sink_named(state, work.sink->name());
    UtcTime now = clock_.now();
    if (!sink.down_since) sink.down_since = now;
    if (!this_message) {
      ++sink.failed_attempts;
      sink.next_attempt_at = now + backoff(sink.failed_attempts);
    } else if (work.attempt >= kRefusalsMax) {
      sink.given_up += static_cast<int64_t>(std::erase_if(
          sink.pending, [&](const auto& one) { return one.message.id == work.message.id; }));
      sink.given_up_since = std::min(sink.given_up_since.value_or(now), work.message.at);
    }
    // One that takes no message for a day is down, even if it says that each is wrong.
    if (now - *sink.down_since < kSinkDownAlert || !has_room(state)) return;
    FailureFacts facts;
    facts.code = error.code();
    record_failure(state, {IncidentKind::alerts, "", sink.name}, Severity::warning, facts);
  });
}

// Half of it is certain, the other half is the dice's.
milliseconds Outbox::backoff(int64_t failed_attempts) {
  int64_t doublings = std::clamp<int64_t>(failed_attempts - 1, 0, 10);
  milliseconds most = std::min<milliseconds>(kSinkBackoffFirst * (1 << doublings), kSinkBackoffMax);
  return milliseconds(
      static_cast<int64_t>(static_cast<double>(most.count()) * (0.5 + 0.5 * settings_.chance())));
}

DeliveryReport Outbox::deliver(milliseconds time_max) {
  DeliveryReport report;
  DeliveryBudget pass(clock_, time_max);
  failed_sinks_.clear();
  refused_.clear();
  // What another process recorded just as this one ended its last round is looked for once more.
  for (int round = 0; round < kRoundsMax && !report.out_of_time; ++round) {
    int before = report.delivered;
    std::optional<FileLock> lock;
    try {
      lock.emplace(settings_.folder + "/delivery.lock", "the delivery of alerts");
    } catch (const Error& error) {
      if (error.code() != ErrorCode::busy) throw;
      report.busy_elsewhere = round == 0;
      break;
    }
    while (deliver_round(pass, report)) {
    }
    if (round > 0 && report.delivered == before) break;
  }
  for (const AlertSinkState& sink : state().sinks) report.pending += sink.pending.size();
  return report;
}

}  // namespace holdfast
