// Alerts as the program's commands tell of what happened (docs/alerts.md): what failed opens an
// incident, what went well closes it, per kind, source and store.
//
// Nothing here throws and nothing changes a command's exit code: trouble with alerts is a warning.
// Without a sink, and with --no-alert, nothing is done. What a sink does not take within
// kAlertDeliveryMax waits for the next run. Thread-safe.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "alert/alert_settings.h"
#include "alert/alerts.h"
#include "base/run.h"
#include "cli/config.h"

namespace holdfast {

inline constexpr std::chrono::seconds kAlertDeliveryMax{20};
// Of the ping that a run begins: what waits for it is a backup.
inline constexpr std::chrono::seconds kAlertStartMax{5};

// As configured; secrets are read from their files. Throws Error(invalid).
AlertSettings alert_settings(const Config& config);
OutboxSettings alert_outbox(const Config& config, const AlertSettings& settings);

// Of what kind the incidents are that a command tells of by itself, when it fails and when all is
// well; nothing for those that tell of none.
std::optional<IncidentKind> incident_of_command(std::string_view command);

// The source as incidents name it: its name, without one its database, "" if neither is known.
std::string alert_source(const Config& config);
// What every failure says of itself: the machine, and the CI system's page of the run.
FailureFacts alert_facts(const Config& config);

class CommandAlerts {
 public:
  // Opens nothing until it is told something. `run_id`: a UUID, for ping services.
  CommandAlerts(const Config& config, const Run& run, std::string run_id);
  ~CommandAlerts();

  // `store` is a store's name, "branches", or empty: of none.
  void failed(IncidentKind kind, const std::string& store, Severity severity,
              FailureFacts facts) noexcept;
  // By its code; an interrupted command tells nothing.
  void failed(IncidentKind kind, const std::string& store, const Error& error,
              const std::string& backup = "") noexcept;
  // `as_of`: when it was seen to be good, if that was not now (Outbox::good).
  void good(IncidentKind kind, const std::string& store,
            std::optional<UtcTime> as_of = {}) noexcept;

  // What a command as a whole died of. What a person mistyped is no incident but of a backup: a
  // setting, and an id that is not there where a person gave one (`named`).
  void command_failed(IncidentKind kind, const Error& error, bool named) noexcept;

  // Of a backup, for dead-man services. An end without a start says nothing.
  void run_started() noexcept;
  void run_ended(int exit_code) noexcept;

  // What was told, and what waits from earlier runs; nothing if nothing was told. The operation
  // does so at a command's end; what runs on (a daemon) does so itself.
  void deliver() noexcept;
  // The same also where others told it: of what is configured.
  void deliver_waiting() noexcept;

 private:
  struct Open;
  Open* open() noexcept;  // null: there is nobody to tell

  const Config& config_;
  const Run& run_;
  const std::string run_id_;
  std::mutex mutex_;  // guards what follows
  bool tried_ = false, started_ = false;
  std::unique_ptr<Open> open_;
};

}  // namespace holdfast
