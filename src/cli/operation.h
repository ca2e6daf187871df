// What a command tells of itself while it works: the one seam to the audit trail and to the alerts.
//
// A command begins one or more parts (`backup` has one for each leg); each is an event `begun`
// before the work and one with its outcome after it, with the same run. What it does not end itself
// ends with the command, by its exit code and error. Texts of errors are never recorded, as
// PostgreSQL's quote rows: their codes are.
//
// Without a working trail: what reads or changes data for somebody, or removes backups, is refused
// (AuditNeed::required); a backup or a proof is made all the same, with a warning. audit.required
// and audit.mode say otherwise (docs/audit.md). Failures and successes for alerts go through
// alerts(). Thread-safe; parts live as long as the operation.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "audit/record.h"
#include "audit/writer.h"
#include "base/run.h"
#include "cli/alerting.h"
#include "cli/config.h"

namespace holdfast {

enum class AuditNeed { wanted, required };

using AuditDetail = std::map<std::string, std::string>;

class Operation;

class OperationPart {
 public:
  // What it turned out to be on: a backup's id, say.
  void target(const std::string& name);
  void detail(const std::string& key, const std::string& value);  // an empty value is none
  // Writes the event; only the first end counts.
  void end(AuditOutcome outcome);
  void end(const std::optional<Error>& error);  // nothing: ok

 private:
  friend class Operation;
  Operation* operation_ = nullptr;
  AuditEvent event_;
  bool ended_ = false;
};

class Operation {
 public:
  // `run` and `config` outlive it. Opens nothing. `action`: of the event that says that the command
  // failed before it began any part ("" for commands that only look), and `target` on what it was
  // to be; `alerting`: what its failure means to alerts, if anything.
  Operation(const Config& config, const Run& run, std::string action, std::string target,
            std::optional<IncidentKind> alerting);

  // Throws Error(denied) if it is required and cannot be recorded.
  OperationPart& begin(const std::string& action, const std::string& target,
                       AuditNeed need = AuditNeed::wanted, AuditDetail detail = {});
  // A thing that was done, said at once: a backup that retention removed.
  void event(const std::string& action, const std::string& target, AuditDetail detail);
  // Whether a removal could be recorded (or need not be). Says so if not. Throws nothing.
  bool may_remove();

  // The command is over: what was not ended ends with it, and its failure is told. `error` is what
  // it threw, if it did.
  void finish(int exit_code, const std::optional<Error>& error);

  const std::string& run_id() const { return run_id_; }
  CommandAlerts& alerts() { return alerts_; }

 private:
  friend class OperationPart;

  AuditEvent new_event(const std::string& action, const std::string& target) const;
  // Throws what the writer does.
  void write(const AuditEvent& event);
  void write_or_warn(const AuditEvent& event) noexcept;
  void end_part(OperationPart& part, AuditOutcome outcome) noexcept;

  const Config& config_;
  const Run& run_;
  const std::string run_id_, action_, target_;
  const std::optional<IncidentKind> alerting_;
  CommandAlerts alerts_;
  AuditWho who_;
  std::mutex mutex_;                     // guards what follows
  std::unique_ptr<AuditWriter> writer_;  // null: not recorded, or not yet
  std::list<OperationPart> parts_;
  bool warned_ = false;
};

// The outcome of a command by its exit code.
AuditOutcome outcome_of_exit(int exit_code);

}  // namespace holdfast
