#include "serve/wal_metrics.h"

#include <fmt/format.h>

#include "base/prometheus.h"

namespace holdfast {
namespace {

struct WalMetric {
  const char *name, *type, *help;
};

// In the order of the values in wal_metrics().
constexpr WalMetric kWalMetrics[] = {
    {"holdfast_wal_receiving", "gauge",
     "1 if the source answers and somebody receives its WAL; 0 also while that is paused."},
    {"holdfast_wal_lag_seconds", "gauge",
     "For how long WAL is missing that the source has written, or nothing could be received."},
    {"holdfast_wal_lag_target_seconds", "gauge", "How long that may be."},
    {"holdfast_wal_lag_bytes", "gauge", "How much WAL the source had written that is not here."},
    {"holdfast_wal_lag_target_bytes", "gauge", "How much that may be."},
    {"holdfast_wal_slot_held_bytes", "gauge", "WAL that the source has to keep for the engine."},
    {"holdfast_wal_gaps_total", "counter", "Stretches of WAL that were lost for ever."},
};

}  // namespace

std::string wal_metrics(const std::string& source, const std::string& database,
                        const StorageHealth& health, const WalLag& lag,
                        const WalLagLimits& limits) {
  const std::string values[] = {
      is_receiving(health) ? "1" : "0",  fmt::format("{:.3f}", lag.seconds),
      fmt::format("{}", limits.seconds), fmt::format("{}", lag.bytes),
      fmt::format("{}", limits.bytes),   fmt::format("{}", health.held_bytes),
      fmt::format("{}", health.gaps),
  };
  static_assert(std::size(kWalMetrics) == std::size(values));
  std::string text;
  for (size_t i = 0; i < std::size(kWalMetrics); ++i) {
    const WalMetric& metric = kWalMetrics[i];
    text += metric_header(metric.name, metric.type, metric.help);
    text += fmt::format("{}{{source=\"{}\",database=\"{}\"}} {}\n", metric.name,
                        metric_label(source), metric_label(database), values[i]);
  }
  return text;
}

}  // namespace holdfast
