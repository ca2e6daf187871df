#include "cli/operation.h"

#include <fmt/format.h>

#include "audit/identity.h"
#include "cli/audit_trail.h"

namespace holdfast {
namespace {

AuditOutcome outcome_of_error(ErrorCode code) {
  switch (code) {
    case ErrorCode::denied:
      return AuditOutcome::denied;
    case ErrorCode::cancelled:
      return AuditOutcome::cancelled;
    case ErrorCode::partial:
    case ErrorCode::violated:
      return AuditOutcome::partial;
    default:
      return AuditOutcome::failed;
  }
}

Error unrecorded(const Error& why) {
  return Error(ErrorCode::denied,
               fmt::format("this has to be recorded, and cannot be: {}", why.what()),
               why.hint().empty()
                   ? "name a folder that can be written (HOLDFAST_AUDIT_DIR); in an emergency, "
                     "HOLDFAST_AUDIT_REQUIRED=no goes on without a record"
                   : why.hint());
}

}  // namespace

AuditOutcome outcome_of_exit(int exit_code) {
  switch (exit_code) {
    case kExitDone:
      return AuditOutcome::ok;
    case kExitPartial:
    case kExitViolation:
      return AuditOutcome::partial;
    case kExitInterrupted:
      return AuditOutcome::cancelled;
    default:
      return AuditOutcome::failed;
  }
}

void OperationPart::target(const std::string& name) {
  std::lock_guard lock(operation_->mutex_);
  event_.target = name;
}

void OperationPart::detail(const std::string& key, const std::string& value) {
  std::lock_guard lock(operation_->mutex_);
  if (!value.empty()) event_.detail[key] = value;
}

void OperationPart::end(AuditOutcome outcome) {
  operation_->end_part(*this, outcome);
}

void OperationPart::end(const std::optional<Error>& error) {
  if (error) detail("error", std::string(error_code_name(error->code())));
  end(error ? outcome_of_error(error->code()) : AuditOutcome::ok);
}

Operation::Operation(const Config& config, const Run& run, std::string action, std::string target,
                     std::optional<IncidentKind> alerting)
    : config_(config),
      run_(run),
      run_id_(new_run_id()),
      action_(std::move(action)),
      target_(std::move(target)),
      alerting_(alerting),
      alerts_(config, run, run_id_),
      who_(audit_who(config)) {}

AuditEvent Operation::new_event(const std::string& action, const std::string& target) const {
  AuditEvent event;
  event.who = who_;
  event.action = action;
  event.target = target;
  event.run = run_id_;
  if (std::string job = ci_run_id(config_.environment()); !job.empty()) event.detail["job"] = job;
  return event;
}

void Operation::write(const AuditEvent& event) {
  if (!audit_is_on(config_)) return;
  {
    std::lock_guard lock(mutex_);
    if (!writer_) writer_ = std::make_unique<AuditWriter>(audit_folder(config_), run_.clock);
  }
  writer_->append(event);
}

void Operation::write_or_warn(const AuditEvent& event) noexcept {
  try {
    write(event);
  } catch (const std::exception& error) {
    std::lock_guard lock(mutex_);
    if (!warned_)
      run_.log.warning(fmt::format("not everything of this run is recorded: {}", error.what()));
    warned_ = true;
  }
}

OperationPart& Operation::begin(const std::string& action, const std::string& target,
                                AuditNeed need, AuditDetail detail) {
  AuditEvent event = new_event(action, target);
  for (auto& [key, value] : detail)
    if (!value.empty()) event.detail[key] = value;
  event.outcome = AuditOutcome::begun;
  if (need == AuditNeed::required && audit_is_required(config_)) {
    try {
      write(event);
    } catch (const Error& error) {
      throw unrecorded(error);
    }
  } else {
    write_or_warn(event);
  }
  std::lock_guard lock(mutex_);
  OperationPart& part = parts_.emplace_back();
  part.operation_ = this;
  part.event_ = std::move(event);
  return part;
}

void Operation::event(const std::string& action, const std::string& target, AuditDetail detail) {
  AuditEvent event = new_event(action, target);
  for (auto& [key, value] : detail)
    if (!value.empty()) event.detail[key] = value;
  write_or_warn(event);
}

bool Operation::may_remove() {
  std::lock_guard lock(mutex_);
  if (!warned_ || !audit_is_required(config_)) return true;
  run_.log.warning("nothing is removed by retention, as it could not be recorded");
  return false;
}

void Operation::end_part(OperationPart& part, AuditOutcome outcome) noexcept {
  AuditEvent event;
  {
    std::lock_guard lock(mutex_);
    if (part.ended_) return;
    part.ended_ = true;
    part.event_.outcome = outcome;
    event = part.event_;
  }
  write_or_warn(event);
}

void Operation::finish(int exit_code, const std::optional<Error>& error) {
  bool any = false;
  for (OperationPart& part : parts_) {  // no other thread is left
    any = true;
    if (part.ended_) continue;
    part.detail("exit_code", std::to_string(exit_code));
    if (error)
      part.end(error);
    else
      part.end(outcome_of_exit(exit_code));
  }
  if (!any && error && !action_.empty() && error->code() != ErrorCode::cancelled) {
    AuditEvent event = new_event(action_, target_);
    event.outcome = outcome_of_error(error->code());
    event.detail["error"] = std::string(error_code_name(error->code()));
    event.detail["exit_code"] = std::to_string(exit_code);
    write_or_warn(event);
  }
  bool named = !target_.empty() && target_ != "latest" && target_ != "random";
  if (alerting_ && error) alerts_.command_failed(*alerting_, *error, named);
  alerts_.run_ended(exit_code);
  alerts_.deliver();
}

}  // namespace holdfast
