#include "cli/lag_alerts.h"

#include <fmt/format.h>

#include "base/text.h"
#include "cli/engine_config.h"
#include "serve/wal_metrics.h"

namespace holdfast {
namespace {

double in_seconds(std::chrono::seconds time) {
  return static_cast<double>(time.count());
}

std::string lag_text(const WalLag& lag, const WalLagLimits& limits) {
  std::string age = human_seconds(lag.seconds);
  std::string age_max = human_seconds(static_cast<double>(limits.seconds));
  switch (lag.state) {
    case WalLagState::behind:
      return fmt::format("{} of WAL are not here yet, the oldest since {} (at most {} and {})",
                         human_bytes(lag.bytes), age, human_bytes(limits.bytes), age_max);
    case WalLagState::silent:
      return fmt::format("no WAL could be received for {} (at most {})", age, age_max);
    case WalLagState::lost:
      return lag.losses > 0
                 ? fmt::format("{} of WAL are lost, or what held them for us (see above)",
                               human_bytes(lag.lost_bytes))
                 : fmt::format("what was received cannot be recovered to for {} (at most {})", age,
                               age_max);
    case WalLagState::undecided:
    case WalLagState::well:
      break;
  }
  return "the archive has what the source wrote";
}

}  // namespace

LagRhythm::Word LagRhythm::next(double at, WalLagState state) {
  bool again = is_lag(state) && at - told_at_ >= in_seconds(kLagToldEvery);
  if (state == WalLagState::undecided || (state == told_ && !again)) return Word::nothing;
  told_ = state;
  told_at_ = at;
  return is_lag(state) ? Word::failed : Word::good;
}

FailureFacts lag_facts(const WalLag& lag, const WalLagLimits& limits) {
  FailureFacts facts;
  facts.code = lag.code;
  if (lag.losses > 0) {
    facts.problems = lag.losses;
    facts.measured_bytes = static_cast<int64_t>(lag.lost_bytes);
    facts.target_bytes = 0;
    return facts;
  }
  facts.measured_seconds = static_cast<int64_t>(lag.seconds);
  facts.target_seconds = limits.seconds;
  if (lag.bytes > 0) {
    facts.measured_bytes = static_cast<int64_t>(lag.bytes);
    facts.target_bytes = static_cast<int64_t>(limits.bytes);
  }
  return facts;
}

Severity lag_severity(const WalLag& lag) {
  return lag.state == WalLagState::lost ? Severity::critical : Severity::warning;
}

LagAlerts::LagAlerts(const Config& config, const Run& run)
    : run_(run),
      limits_(wal_lag_limits(config)),
      source_(config.source_name()),
      database_(config.source_conninfo().dbname()),
      alerts_(config, run, new_run_id()),
      watch_(limits_) {}

void LagAlerts::look(const StorageHealth& health) noexcept {
  try {
    WalLag lag = watch_.look(run_.clock.monotonic_seconds(), health);
    std::string metrics = wal_metrics(source_, database_, health, lag, limits_);
    {
      std::lock_guard lock(mutex_);
      metrics_ = std::move(metrics);
    }
    tell(lag);
  } catch (const std::exception& error) {
    run_.log.warning(fmt::format("watching the lag of WAL: {}", error.what()));
  }
}

void LagAlerts::tell(const WalLag& lag) {
  double at = run_.clock.monotonic_seconds();
  LagRhythm::Word word = rhythm_.next(at, lag.state);
  if (word == LagRhythm::Word::failed)
    alerts_.failed(IncidentKind::wal_lag, "", lag_severity(lag), lag_facts(lag, limits_));
  if (word == LagRhythm::Word::good) alerts_.good(IncidentKind::wal_lag, "");
  if (word != LagRhythm::Word::nothing && lag.state != logged_) {
    std::string text = "WAL lag: " + lag_text(lag, limits_);
    word == LagRhythm::Word::failed ? run_.log.warning(text) : run_.log.info(text);
    logged_ = lag.state;
  }
  if (word == LagRhythm::Word::nothing && at - delivered_at_ < in_seconds(kLagDeliverEvery)) return;
  alerts_.deliver();
  delivered_at_ = run_.clock.monotonic_seconds();
}

std::string LagAlerts::metrics() const {
  std::lock_guard lock(mutex_);
  return metrics_;
}

}  // namespace holdfast
