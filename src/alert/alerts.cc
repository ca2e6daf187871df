#include "alert/alerts.h"

#include <fmt/format.h>

#include "alert/redact.h"
#include "base/file.h"

namespace holdfast {

template <typename Work>
void Alerts::safely(const char* step, Work&& work) noexcept {
  try {
    work();
  } catch (const Error& error) {
    log_.warning(fmt::format("{}: {}", step, error.in_one_line()));
  } catch (const std::exception& error) {
    log_.warning(fmt::format("{}: {}", step, error.what()));
  }
}

Alerts::Alerts(const OutboxSettings& settings, std::vector<Notifier*> sinks, const Clock& clock,
               Log& log) noexcept
    : log_(log) {
  if (sinks.empty()) return;
  safely("alerts", [&] { outbox_ = std::make_unique<Outbox>(settings, std::move(sinks), clock); });
}

void Alerts::failed(const IncidentKey& key, Severity severity, const FailureFacts& facts) noexcept {
  if (outbox_) safely("record an alert", [&] { outbox_->failed(key, severity, facts); });
}

void Alerts::good(const IncidentKey& key, std::optional<UtcTime> as_of) noexcept {
  if (outbox_) safely("record an alert", [&] { outbox_->good(key, as_of); });
}

void Alerts::run(const RunReport& report) noexcept {
  if (outbox_) safely("record an alert", [&] { outbox_->run(report); });
}

void Alerts::deliver(std::chrono::milliseconds time_max) noexcept {
  if (!outbox_) return;
  safely("deliver alerts", [&] {
    DeliveryReport report = outbox_->deliver(time_max);
    for (const SinkProblem& problem : report.problems)
      log_.warning(fmt::format("alert to {}: {}{}", problem.sink, problem.problem,
                               problem.again ? "; it is tried again" : ""));
  });
}

std::string new_run_id() {
  std::string hex = random_hex(16);
  hex[12] = '4';
  hex[16] = "89ab"[hex[16] & 3];
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4),
                     hex.substr(16, 4), hex.substr(20));
}

std::vector<SinkProblem> test_alert_sinks(const std::vector<Notifier*>& sinks,
                                          const std::string& source, const Clock& clock,
                                          std::chrono::milliseconds each_max,
                                          const std::optional<AuditHead>& audit_head) {
  std::vector<SinkProblem> results;
  UtcTime now = clock.now();
  AlertMessage message;
  message.at = now;
  message.audit_head = audit_head;
  message.incident = open_incident({IncidentKind::test, safe_name(source), ""}, Severity::warning,
                                   {}, now, nullptr, {});
  message.incident.good_since = now;
  message.id = message.incident.id + "-test";
  for (Notifier* sink : sinks) {
    DeliveryBudget budget(clock, each_max);
    std::string problem;
    try {
      sink->test(message, budget);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      problem = error.in_one_line();
    }
    results.push_back({sink->name(), problem});
  }
  return results;
}

}  // namespace holdfast
