// A sink of alerts, as a seam: GitHub issues, Slack, a webhook, e-mail, dead-man pings.
//
// The outbox hands over one message at a time, in order within an incident, again after failures:
// delivery is at least once. A sink that can recognises a second one (Delivery::attempt says that
// the first may have arrived). Whatever a sink does ends within the budget.
//
// Failure is an Error: `invalid` means that this message is refused and others may not be; anything
// else that the sink takes none for now. One thread at a time. notifier_contract.h is what every
// implementation passes.
#pragma once

#include <algorithm>
#include <chrono>
#include <string>

#include "alert/alert_message.h"
#include "base/clock.h"

namespace holdfast {

// How long a delivery may still take, all its requests together.
class DeliveryBudget {
 public:
  DeliveryBudget(const Clock& clock, std::chrono::milliseconds time)
      : clock_(clock),
        end_(clock.monotonic_seconds() + std::chrono::duration<double>(time).count()) {}
  // At least 1, so that it can be a limit; see spent().
  int left_ms() const {
    return std::max(1, static_cast<int>((end_ - clock_.monotonic_seconds()) * 1000));
  }
  // Throws Error(unavailable) once the time is over: called before each further request.
  void check() const {
    if (clock_.monotonic_seconds() >= end_)
      throw Error(ErrorCode::unavailable, "there was no time left for all of the delivery");
  }

 private:
  const Clock& clock_;
  double end_;
};

struct Delivery {
  const AlertMessage& message;
  std::string ticket{};  // what this sink calls the incident, from an earlier delivery; or ""
  int attempt = 1;       // above 1: an earlier one may have arrived
  std::string note{};    // what else has to be said: of messages that never arrived
  const DeliveryBudget& budget;
};

struct DeliveryReceipt {
  std::string ticket{};  // of the incident from now on; at most 200 bytes
  // Set (not zero) with `ticket` unused: the sink asked to be left alone for so long.
  std::chrono::milliseconds wait{0};
  // It arrived, but not everywhere: for people, to be said once ("ops@x (550)"); empty: it did.
  std::string problem{};
};

class Notifier {
 public:
  virtual ~Notifier() = default;
  virtual const std::string& name() const = 0;  // "github", …; the same from run to run
  virtual bool wants(MessageType type) const = 0;
  // Whether the sink itself knows its open incidents, so that a host which forgets all between two
  // runs can close them.
  virtual bool remembers() const { return false; }
  virtual DeliveryReceipt deliver(const Delivery& delivery) = 0;
  // Whether it can be reached and takes a message that is marked as a test; leaves nothing open.
  virtual void test(const AlertMessage& message, const DeliveryBudget& budget) = 0;
};

}  // namespace holdfast
