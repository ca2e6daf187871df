// What `holdfast serve` tells of how its engine receives WAL: those who are alerted (the incident
// `wal_lag`, docs/alerts.md), the log and /metrics. What counts as lag is judged in
// engine/wal_lag.h.
//
// As everything about alerts: nothing here throws, and trouble with it is a warning.
#pragma once

#include <mutex>
#include <string>

#include "cli/alerting.h"
#include "engine/wal_lag.h"

namespace holdfast {

// A trouble that lasts is told again so often: news for the incident, whose own rules decide when
// that is worth a message.
inline constexpr std::chrono::minutes kLagToldEvery{15};
// Time has to pass for an incident also when nothing happens: reminders, settling, sinks that were
// down.
inline constexpr std::chrono::minutes kLagDeliverEvery{1};

// When a look at the lag is worth telling: when its state is another one, and again while a trouble
// lasts; that all is well once. Pure.
class LagRhythm {
 public:
  enum class Word { nothing, failed, good };
  // `at`: in seconds, in order.
  Word next(double at, WalLagState state);

 private:
  WalLagState told_ = WalLagState::undecided;
  double told_at_ = 0;
};

// What an incident says of it, and how bad it is. Pure.
FailureFacts lag_facts(const WalLag& lag, const WalLagLimits& limits);
Severity lag_severity(const WalLag& lag);

class LagAlerts {
 public:
  // Both outlive it. Throws Error(invalid) where no source is configured.
  LagAlerts(const Config& config, const Run& run);

  // One look, by one thread at a time. Takes up to kAlertDeliveryMax where a sink does.
  void look(const StorageHealth& health) noexcept;

  // Of the last look, in Prometheus's format; empty before. Any thread.
  std::string metrics() const;

 private:
  void tell(const WalLag& lag);

  const Run& run_;
  const WalLagLimits limits_;
  const std::string source_, database_;
  CommandAlerts alerts_;
  WalLagWatch watch_;
  LagRhythm rhythm_;
  WalLagState logged_ = WalLagState::well;
  double delivered_at_ = 0;
  mutable std::mutex mutex_;  // of what follows
  std::string metrics_;
};

}  // namespace holdfast
