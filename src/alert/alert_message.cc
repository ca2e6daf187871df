#include "alert/alert_message.h"

#include <fmt/format.h>

#include "audit/anchor.h"
#include "base/text.h"

namespace holdfast {
namespace {

constexpr const char* kBackupsWithinADay =
    "This is a critical compliance issue. Backups must be restored within 24 hours.";

// Of one job's runs that were missed, or failed: the job is the key's store.
bool is_of_job(const IncidentKey& key) {
  return key.kind == IncidentKind::missed_run || key.kind == IncidentKind::job;
}

bool is_of_backups(const IncidentKey& key) {
  return key.store.empty() || key.store == "backup";
}

// Told by `status`, which gives no code: no drill has failed, but the next one is due.
bool is_overdue_drill(const Incident& incident) {
  return incident.key.kind == IncidentKind::drill && !incident.facts.code &&
         incident.facts.target_seconds && incident.severity == Severity::warning;
}

std::string_view headline(const Incident& incident) {
  if (is_overdue_drill(incident)) return "Recovery Drill Overdue";
  switch (incident.key.kind) {
    case IncidentKind::backup:
      return "Database Backup Failed";
    case IncidentKind::proof:
      return "Database Backup Not Proven";
    case IncidentKind::drill:
      return "Recovery Drill Failed";
    case IncidentKind::prune:
      return "Backup Retention Failed";
    case IncidentKind::policy:
      return "Backup Policy Violated";
    case IncidentKind::rpo:
      return "Recovery Point Objective Missed";
    case IncidentKind::rto:
      return "Recovery Time Objective Missed";
    case IncidentKind::missed_run:
      return is_of_backups(incident.key) ? "Database Backup Missed" : "Scheduled Run Missed";
    case IncidentKind::job:
      return "Scheduled Job Failed";
    case IncidentKind::clock:
      return "Clock Set Back";
    case IncidentKind::wal_lag:
      return "WAL Archive Lags Behind";
    case IncidentKind::alerts:
      return "Alerts Not Delivered";
    case IncidentKind::test:
      return "Test Alert";
  }
  return "Database Backup Alert";
}

// For people: what an error of this code means, without the error's own text.
std::string_view meaning(ErrorCode code) {
  switch (code) {
    case ErrorCode::not_found:
      return "something it needs is not there";
    case ErrorCode::exists:
      return "something is in the way";
    case ErrorCode::corrupt:
      return "stored bytes are not what was written";
    case ErrorCode::denied:
      return "a right or a credential is missing";
    case ErrorCode::busy:
      return "somebody else holds what it needs";
    case ErrorCode::unavailable:
      return "something it needs does not answer";
    case ErrorCode::invalid:
      return "the configuration or the request is wrong";
    case ErrorCode::unsupported:
      return "this combination is not supported";
    case ErrorCode::cancelled:
      return "it was interrupted";
    case ErrorCode::violated:
      return "a policy or an objective is not met";
    case ErrorCode::partial:
      return "one part failed, the rest is safe";
    case ErrorCode::internal:
      return "an unexpected failure";
  }
  return "an unexpected failure";
}

std::string subject(const IncidentKey& key) {
  if (is_of_job(key)) {
    if (is_of_backups(key)) return key.source;
    return key.source.empty() ? key.store : fmt::format("{} of {}", key.store, key.source);
  }
  std::string text = key.source;
  if (!key.store.empty()) text += (text.empty() ? "" : " in ") + key.store;
  return text;
}

std::string duration(UtcTime from, UtcTime to) {
  double seconds = std::chrono::duration<double>(to - from).count();
  return human_seconds(std::max(seconds, 0.0));
}

std::string failures_of(const Incident& incident) {
  return plural(static_cast<uint64_t>(incident.failures), "failure");
}

std::string missed_sentence(const FailureFacts& facts) {
  if (!facts.problems || !facts.first_missed_at || !facts.last_missed_at)
    return "A run was missed.";
  if (*facts.problems == 1)
    return fmt::format("The run of {} was missed.", format_rfc3339(*facts.last_missed_at));
  return fmt::format("{} were missed, from {} to {}.",
                     plural(static_cast<uint64_t>(*facts.problems), "run"),
                     format_rfc3339(*facts.first_missed_at), format_rfc3339(*facts.last_missed_at));
}

// What is neither a failure that lasts nor one that has been repeated; empty: it is one.
std::string sentence_of_schedule(const Incident& incident, bool recovered) {
  if (incident.key.kind == IncidentKind::missed_run)
    return (recovered ? "It runs again. " : "") + missed_sentence(incident.facts);
  if (incident.key.kind != IncidentKind::clock) return {};
  return recovered ? "Jobs run by the clock as it is now."
                   : "The machine's clock was set back by more than an hour: it had been wrong, or "
                     "is now. The schedule goes on from the time that it shows.";
}

std::string measured_seconds(const FailureFacts& facts) {
  std::string text = human_seconds(static_cast<double>(*facts.measured_seconds));
  if (facts.target_seconds)
    text += fmt::format(" (target {})", human_seconds(static_cast<double>(*facts.target_seconds)));
  return text;
}

std::string measured_bytes(const FailureFacts& facts) {
  std::string text = human_bytes(static_cast<uint64_t>(*facts.measured_bytes));
  if (facts.target_bytes)
    text += fmt::format(" (target {})", human_bytes(static_cast<uint64_t>(*facts.target_bytes)));
  return text;
}

std::string run_sentence(const AlertMessage& message) {
  if (message.type == MessageType::started) return "A run has started.";
  if (message.type == MessageType::succeeded) return "A run has ended well.";
  return fmt::format("A run has failed with exit code {}.", message.exit_code);
}

}  // namespace

bool is_of_run(MessageType type) {
  return type == MessageType::started || type == MessageType::succeeded ||
         type == MessageType::failed;
}

bool may_wait(const AlertMessage& message) {
  return !is_of_run(message.type) && message.incident.severity != Severity::critical &&
         message.type != MessageType::escalated && message.incident.key.kind != IncidentKind::test;
}

std::string incident_title(const Incident& incident) {
  std::string about = subject(incident.key);
  return fmt::format("🚨 {}{}{}", headline(incident), about.empty() ? "" : ": ", about);
}

std::string alert_title(const AlertMessage& message) {
  const Incident& incident = message.incident;
  std::string about = subject(incident.key);
  std::string_view what = headline(incident);
  std::string_view colon = about.empty() ? "" : ": ";
  switch (message.type) {
    case MessageType::update:
      return fmt::format("🔁 Still: {}{}{}", what, colon, about);
    case MessageType::escalated:
      return fmt::format("⏫ Escalated (step {}): {}{}{}", message.step, what, colon, about);
    case MessageType::recovered:
      return fmt::format("✅ Recovered: {}{}{}", what, colon, about);
    case MessageType::started:
    case MessageType::succeeded:
    case MessageType::failed:
      return fmt::format("Holdfast: {}{}{}", run_sentence(message), about.empty() ? "" : " ",
                         about);
    case MessageType::opened:
      break;
  }
  return incident_title(incident);
}

std::string alert_sentence(const AlertMessage& message) {
  const Incident& incident = message.incident;
  if (is_of_run(message.type)) return run_sentence(message);
  if (message.type == MessageType::recovered) {
    // A host without a memory of its own knows only that it is well now.
    if (incident.failures == 0) return "It is well again.";
    if (std::string said = sentence_of_schedule(incident, true); !said.empty()) return said;
    UtcTime end = incident.good_since.value_or(message.at);
    return fmt::format("It is well again after {} and {}.", duration(incident.opened_at, end),
                       failures_of(incident));
  }
  if (std::string said = sentence_of_schedule(incident, false); !said.empty()) return said;
  std::string cause =
      incident.facts.code ? fmt::format(": {}", meaning(*incident.facts.code)) : std::string();
  if (message.type == MessageType::opened && incident.failures <= 1)
    return is_overdue_drill(incident) ? "No drill has passed in time."
                                      : fmt::format("It failed{}.", cause);
  return fmt::format("It has been failing for {}, {} so far{}.",
                     duration(incident.opened_at, message.at), failures_of(incident), cause);
}

AlertLines alert_facts(const AlertMessage& message) {
  const Incident& incident = message.incident;
  const FailureFacts& facts = incident.facts;
  AlertLines lines;
  auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) lines.emplace_back(name, value);
  };
  add("Source", incident.key.source);
  add(is_of_job(incident.key) ? "Job" : "Store", incident.key.store);
  add("Backup", facts.backup);
  add("Time", format_rfc3339(message.at));
  if (is_of_run(message.type)) return lines;
  if (incident.failures > 0) {
    add("Severity", std::string(severity_name(incident.severity)));
    add("Since", format_rfc3339(incident.opened_at));
  }
  if (incident.failures > 1) add("Last failure", format_rfc3339(incident.last_failure_at));
  if (facts.code) add("Error", std::string(error_code_name(*facts.code)));
  if (facts.exit_code) add("Exit code", fmt::format("{}", *facts.exit_code));
  if (facts.measured_seconds) add("Measured", measured_seconds(facts));
  if (facts.measured_bytes) add("Measured size", measured_bytes(facts));
  if (facts.first_missed_at) add("First missed", format_rfc3339(*facts.first_missed_at));
  if (facts.last_missed_at) add("Last missed", format_rfc3339(*facts.last_missed_at));
  if (facts.problems)
    add(incident.key.kind == IncidentKind::missed_run ? "Missed" : "Problems",
        fmt::format("{}", *facts.problems));
  add("Host", facts.host);
  return lines;
}

std::string alert_audit_line(const AlertMessage& message) {
  return message.audit_head ? audit_head_line(*message.audit_head) : std::string();
}

std::vector<std::string> alert_checklist(const Incident& incident) {
  switch (incident.key.kind) {
    case IncidentKind::backup:
      return {"Check the run's log for the error and its hint",
              "`holdfast doctor`: database, Neon API credentials, S3 bucket access, disk space",
              "Run the backup by hand if needed: `holdfast backup`",
              "See that the newest backup is proven: `holdfast list`"};
    case IncidentKind::proof:
      return {"See what was found, table by table: `holdfast verify`",
              "Make a new backup and prove it: `holdfast backup`",
              "Hold an older proven backup until then: `holdfast hold`",
              "If the damage is in a store, check that store and its other backups"};
    case IncidentKind::drill:
      return {"Check the drill's log for the step that failed",
              "See that the backup itself is sound: `holdfast verify`",
              "Check that the server's programs and extensions are installed: `holdfast doctor`",
              "Repeat the drill, and file its result with the corrective action"};
    case IncidentKind::prune:
      return {"See what should go and why it stays: `holdfast prune --dry-run`",
              "Check the rights of the store's credentials: `holdfast doctor`",
              "Nothing has been lost: what could not be removed is still there"};
    case IncidentKind::policy:
      return {
          "See what is violated: `holdfast verify`",
          "Too few backups: find out why runs failed; too old ones: `holdfast prune --dry-run`"};
    case IncidentKind::rpo:
      return {"See when the last proven backup was made: `holdfast list`",
              "Make a backup now: `holdfast backup`", "Check that the schedule still runs"};
    case IncidentKind::rto:
      return {"See how long recoveries take, and what of it: the drill's report",
              "Consider more connections, a nearer store, or branch backups",
              "Agree on another objective if this one cannot be met"};
    case IncidentKind::missed_run:
      return {"Check that the schedule is still active (GitHub stops those of idle repositories)",
              "Check that the host is up and its clock is right",
              is_of_backups(incident.key) ? "Run the backup by hand: `holdfast backup`"
                                          : "Run the job by hand if it should not wait"};
    case IncidentKind::job:
      return {"Check the job's log for the error and its hint (it is in that of `holdfast serve`)",
              "`holdfast doctor`: configuration, credentials, stores",
              "Run the job by hand once it is mended"};
    case IncidentKind::clock:
      return {"Check the machine's clock, and what sets it (NTP)",
              "Check that backups bear the right time: `holdfast list`"};
    case IncidentKind::wal_lag:
      return {"Check that the source can be reached: `holdfast doctor`",
              "Check disk space of the archive, and of the source (its slot keeps WAL)",
              "See the recoverable windows: `holdfast branch window`"};
    case IncidentKind::alerts:
      return {"Check this sink's address and credentials", "Send a test: `holdfast alert test`"};
    case IncidentKind::test:
      return {"Nothing is to be done: somebody ran `holdfast alert test`"};
  }
  return {};
}

std::string alert_compliance(const Incident& incident) {
  switch (incident.key.kind) {
    case IncidentKind::backup:
    case IncidentKind::proof:
    case IncidentKind::rpo:
      return kBackupsWithinADay;
    case IncidentKind::missed_run:
      return is_of_backups(incident.key) ? kBackupsWithinADay : "";
    case IncidentKind::policy:
    case IncidentKind::drill:
    case IncidentKind::rto:
      return "This is evidence for contingency planning (45 CFR 164.308(a)(7)): document the "
             "corrective action here.";
    default:
      return {};
  }
}

}  // namespace holdfast
