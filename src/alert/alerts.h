// Alerts as a command uses them: it says what happened, and no trouble with alerts ever becomes its
// own. Nothing here throws; what went wrong is a warning in the log.
//
// One thread at a time. Without a sink nothing is recorded and nothing said.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "alert/outbox.h"
#include "base/log.h"

namespace holdfast {

class Alerts {
 public:
  // `sinks` and `log` outlive it. A folder that cannot be used is a warning, and then silence.
  Alerts(const OutboxSettings& settings, std::vector<Notifier*> sinks, const Clock& clock,
         Log& log) noexcept;

  void failed(const IncidentKey& key, Severity severity, const FailureFacts& facts) noexcept;
  void good(const IncidentKey& key, std::optional<UtcTime> as_of = {}) noexcept;
  void run(const RunReport& report) noexcept;
  // Time passed; then what is due is delivered, for at most `time_max`.
  void deliver(std::chrono::milliseconds time_max) noexcept;

 private:
  template <typename Work>
  void safely(const char* step, Work&& work) noexcept;

  Log& log_;
  std::unique_ptr<Outbox> outbox_;  // null: nothing to do
};

// A run's id for ping services: a random UUID (RFC 4122, version 4).
std::string new_run_id();

// `alert test`: to every sink at once, past queue and quiet hours, with the head of the audit trail
// if there is one. An empty problem is a success.
std::vector<SinkProblem> test_alert_sinks(const std::vector<Notifier*>& sinks,
                                          const std::string& source, const Clock& clock,
                                          std::chrono::milliseconds each_max,
                                          const std::optional<AuditHead>& audit_head = {});

}  // namespace holdfast
