// Random histories of failures, recoveries, sinks that are down, and crashes: what must hold of
// what arrives, said without knowing how it is done.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <map>
#include <set>

#include "alert/alert_fakes.h"
#include "alert/outbox.h"
#include "base/file.h"

namespace holdfast {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

struct Crash {};  // the process ends here

// Evenly from the first run on: histories that grow slowly would mostly be without a crash.
int pick(int low, int high) {
  return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange(low, high));
}

// Notes every message with its id; dies before or after noting it, as it is told.
class HistorySink final : public Notifier {
 public:
  explicit HistorySink(std::string name) : name_(std::move(name)) {}
  const std::string& name() const override { return name_; }
  bool wants(MessageType type) const override { return !is_of_run(type); }
  DeliveryReceipt deliver(const Delivery& delivery) override {
    if (crash == 1) throw Crash{};
    if (down) throw Error(ErrorCode::unavailable, "it is down");
    RC_ASSERT(delivery.attempt >= 1);
    if (!seen.insert(delivery.message.id).second) {
      RC_ASSERT(delivery.attempt > 1);  // what may have arrived is said to be a repetition
      ++repetitions;
    } else {
      arrived.push_back(delivery.message);
      notes += delivery.note;
    }
    if (crash == 2) throw Crash{};
    return {"t", {}};
  }
  void test(const AlertMessage&, const DeliveryBudget&) override {}

  bool down = false;
  int crash = 0, repetitions = 0;
  std::set<std::string> seen;
  std::vector<AlertMessage> arrived;
  std::string notes;

 private:
  std::string name_;
};

class World {
 public:
  World() {
    settings_.folder = folder_.path() + "/alerts";
    settings_.chance = [] { return 0.5; };
    settings_.rules.escalate_after = {hours(4), hours(24)};
    settings_.is_quiet = parse_quiet();
  }

  void run(int steps) {
    UtcTime end = clock_.now() + hours(60);
    for (int i = 0; i < steps && clock_.now() < end; ++i) step();
    heal();
    check();
  }

 private:
  struct Failed {
    IncidentKey key;
    UtcTime at;
  };

  static std::function<bool(UtcTime)> parse_quiet() {
    return [](UtcTime now) {
      auto hour = (now - std::chrono::floor<std::chrono::days>(now)) / hours(1);
      return hour >= 22 || hour < 6;
    };
  }
  Outbox outbox() { return Outbox(settings_, {&a_, &b_}, clock_); }

  void step() {
    IncidentKey key{*rc::gen::element(IncidentKind::backup, IncidentKind::wal_lag), "care",
                    *rc::gen::element<std::string>("s3", "local")};
    Severity severity = *rc::gen::element(Severity::warning, Severity::critical);
    switch (pick(0, 8)) {
      case 0:
      case 1:
        outbox().failed(key, severity, {});
        failures_.push_back({key, clock_.now()});
        break;
      case 2:
        outbox().good(key);
        break;
      case 3:
        clock_.advance(minutes(pick(0, 6 * 60)));
        break;
      case 4:
        a_.down = !a_.down;
        break;
      case 5:
        b_.down = !b_.down;
        break;
      case 6:
        (*rc::gen::element(&a_, &b_))->crash = pick(1, 3);
        deliver();
        break;
      default:
        deliver();
    }
  }

  void deliver() {
    try {
      (void)outbox().deliver(seconds(60));
    } catch (const Crash&) {
      ++crashes_;
    }
    a_.crash = b_.crash = 0;
  }

  // All is well again, for long enough that every incident ends.
  void heal() {
    a_.down = b_.down = false;
    for (int turn = 0; turn < 14; ++turn) {
      for (const Failed& failed : failures_) healthy_.insert(failed.key);
      for (const IncidentKey& key : healthy_) outbox().good(key);
      clock_.advance(hours(3));
      deliver();
    }
    for (const AlertSinkState& sink : outbox().state().sinks) RC_ASSERT(sink.pending.empty());
  }

  void check() {
    auto first = by_incident(a_), second = by_incident(b_);
    RC_ASSERT(first.size() == second.size());
    for (const auto& [id, messages] : first) {
      RC_ASSERT(second.count(id) == 1u);
      check_incident(messages);
      check_incident(second[id]);
    }
    for (const Failed& failed : failures_) {
      bool told = false;
      for (const auto& [id, messages] : first)
        told = told || (messages[0].incident.key == failed.key &&
                        messages[0].incident.opened_at <= failed.at &&
                        failed.at <= *messages.back().incident.closed_at);
      RC_ASSERT(told);
    }
    RC_ASSERT(a_.repetitions + b_.repetitions <= crashes_);
    RC_ASSERT(a_.notes + b_.notes == "");
  }

  static std::map<std::string, std::vector<AlertMessage>> by_incident(const HistorySink& sink) {
    std::map<std::string, std::vector<AlertMessage>> all;
    for (const AlertMessage& message : sink.arrived)
      if (message.incident.key.kind != IncidentKind::alerts)
        all[message.incident.id].push_back(message);
    return all;
  }

  static void check_incident(const std::vector<AlertMessage>& messages) {
    RC_ASSERT(messages.front().type == MessageType::opened);
    RC_ASSERT(messages.back().type == MessageType::recovered);
    std::map<MessageType, int> count;
    std::set<int64_t> steps;
    for (const AlertMessage& message : messages) {
      ++count[message.type];
      if (message.type == MessageType::escalated) RC_ASSERT(steps.insert(message.step).second);
    }
    RC_ASSERT(count[MessageType::opened] == 1);
    RC_ASSERT(count[MessageType::recovered] == 1);
    const Incident& over = messages.back().incident;
    double open_hours =
        std::chrono::duration<double, std::ratio<3600>>(*over.closed_at - over.opened_at).count();
    RC_ASSERT(count[MessageType::update] <= std::log2(open_hours + 1) + open_hours / 20 + 2);
    RC_ASSERT(count[MessageType::escalated] <= 2);
  }

  TempFolder folder_{"history", "/dev/shm"};  // order is tested, not the disk
  ManualClock clock_{alert_time("02T02:00")};
  HistorySink a_{"a"}, b_{"b"};
  OutboxSettings settings_;
  std::vector<Failed> failures_;
  std::set<IncidentKey> healthy_;
  int crashes_ = 0;
};

TEST(AlertHistory, EachIncidentOpensOnceEndsOnceAndIsNeverLost) {
  EXPECT_TRUE(rc::check([] { World().run(pick(20, 80)); }));
}

}  // namespace
}  // namespace holdfast
