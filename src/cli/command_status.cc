// holdfast status: whether the backups are as good as promised, on one screen.
#include <fmt/format.h>

#include <cmath>

#include "base/duration.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/documents_status.h"
#include "cli/status.h"
#include "cli/status_alerts.h"
#include "cli/table.h"
#include "operate/metrics.h"

namespace holdfast {
namespace {

std::string status_minute(UtcTime time) {
  std::string text = format_rfc3339(time).substr(0, 16);
  text[10] = ' ';
  return text;
}

std::string moment_text(const std::optional<BackupPoint>& point) {
  return point ? status_minute(point->created_at) : "none";
}

Row objective_row(const char* name, const ObjectiveStatus& objective) {
  return {name, objective.measured() ? human_age(*objective.actual_seconds) : "not measured",
          human_age(double(objective.target_seconds)),
          !objective.measured() ? "-"
          : objective.met()     ? "met"
                                : "MISSED",
          objective.why};
}

std::string state_text(const PlaceStatus& place) {
  if (place.broken > 0) return fmt::format("{} DAMAGED", place.broken);
  if (!place.stale)
    return place.last && place.last->proof != ProofState::passed ? "not proven" : "";
  return *place.stale == ViolationSeverity::critical ? "STALE" : "late";
}

Row place_row(const PlaceStatus& place) {
  std::string kind(backup_kind_name(place.kind));
  if (!place.reachable()) return {kind, place.name, "-", "-", "-", "-", "-", "-", "DOWN"};
  return {kind,
          place.name,
          moment_text(place.last),
          moment_text(place.last_proven),
          place.last_proven ? human_age(place.last_proven->age_seconds) : "-",
          human_count(place.count),
          human_count(place.proven),
          place.bytes ? human_bytes(*place.bytes) : "-",
          state_text(place)};
}

std::string drills_text(const StatusReport& report) {
  std::string text;
  for (const DrillStatus& drill : report.drills) {
    bool used = drill.kind == BackupKind::dump || drill.last;
    for (const PlaceStatus& place : report.places) used = used || place.kind == drill.kind;
    if (!used) continue;
    std::string said = "none passed";
    if (drill.last_passed)
      said = fmt::format("passed {} ago, took {}", human_age(drill.last_passed->age_seconds),
                         human_seconds(drill.last_passed->rto_seconds));
    if (drill.last && drill.last->verdict == DrillVerdict::failed) said += ", the last one FAILED";
    if (drill.overdue) said += ", OVERDUE";
    text += fmt::format("{}{}: {}", text.empty() ? "" : " · ", backup_kind_name(drill.kind), said);
  }
  return text;
}

std::string next_text(const StatusReport& report) {
  std::string text;
  for (const ScheduledRun& run : report.schedule)
    if (run.next)
      text += fmt::format("{}{} {} (in {})", text.empty() ? "" : " · ", run.job,
                          status_minute(*run.next),
                          human_age(std::chrono::duration<double>(*run.next - report.now).count()));
  return text.empty() ? "nothing is scheduled in [schedule]" : text;
}

std::string window_text(const StatusReport& report) {
  std::string text = "no proven backup";
  if (report.window.oldest)
    text = fmt::format("{} … {}, {}", status_minute(*report.window.oldest),
                       status_minute(*report.window.newest),
                       plural(report.window.points, "proven backup"));
  if (report.history_seconds && *report.history_seconds > 0)
    text += fmt::format(" · the source's own history, any second of {}",
                        human_age(double(*report.history_seconds)));
  return text;
}

std::string trend_text(double bytes_per_day, uint64_t projected) {
  auto a_day = static_cast<uint64_t>(std::abs(bytes_per_day));
  if (a_day == 0) return "a dump stays at " + human_bytes(projected);
  return fmt::format("a dump {} by {} a day: {} in {} days",
                     bytes_per_day < 0 ? "shrinks" : "grows", human_bytes(a_day),
                     human_bytes(projected), kTrendDays.count());
}

std::string storage_text(const StatusReport& report) {
  std::string text;
  for (const PlaceStatus& place : report.places)
    if (place.bytes)
      text += fmt::format("{}{} in {}", text.empty() ? "" : ", ", human_bytes(*place.bytes),
                          place.name);
  if (report.trend.bytes_per_day) {
    text += " · " + trend_text(*report.trend.bytes_per_day, *report.trend.bytes_projected);
  }
  return text.empty() ? "not known" : text;
}

std::string retention_text(const StatusReport& report) {
  const RetentionPolicy& policy = report.retention;
  size_t problems = report.count(ViolationKind::policy, ViolationSeverity::warning) +
                    report.count(ViolationKind::policy, ViolationSeverity::critical);
  return fmt::format("{} days, {} months, at least {} dailies: {}", policy.days, policy.months,
                     policy.dailies_min, problems == 0 ? "kept" : plural(problems, "problem"));
}

void show_status(Output& output, const StatusReport& report) {
  output.line(fmt::format("{} · source {} · {} UTC",
                          report.database.empty() ? "all databases" : printable(report.database),
                          report.source, status_minute(report.now)));
  output.line("");
  show_table(output, {{"OBJECTIVE", "ACTUAL", "TARGET", "", "BY"},
                      objective_row("RPO", report.rpo),
                      objective_row("RTO", report.rto)});
  output.line("");
  std::vector<Row> rows = {
      {"KIND", "STORE", "LAST", "LAST PROVEN", "AGE", "COUNT", "PROVEN", "SIZE", ""}};
  for (const PlaceStatus& place : report.places) rows.push_back(place_row(place));
  show_table(output, rows, {5, 6, 7});
  output.line("");
  show_table(output, {{"Window", window_text(report)},
                      {"Retention", retention_text(report)},
                      {"Drills", drills_text(report)},
                      {"Next run", next_text(report)},
                      {"Storage", storage_text(report)}});
  output.line("");
  rows = {{"3-2-1-1-0", fmt::format("{} of {} met", report.rules_met(), report.rules.size()), ""}};
  for (const RuleStatus& rule : report.rules)
    rows.push_back({rule.rule, std::string(rule_verdict_name(rule.verdict)), rule.why});
  show_table(output, rows);
  output.line("");
  for (const Violation& violation : report.violations)
    output.verdict(false, fmt::format("{} {}: {}",
                                      violation.severity == ViolationSeverity::critical ? "CRITICAL"
                                                                                        : "WARNING",
                                      violation_kind_name(violation.kind), violation.what));
  if (report.ok())
    output.verdict(true, report.rto.measured()
                             ? "OK · all objectives are met"
                             : "OK · nothing is violated; the recovery time is not measured yet");
  else
    output.verdict(false, plural(report.violations.size(), "violation"));
}

int exit_code_of(const StatusReport& report) {
  if (!report.looked_at()) return kExitFailed;
  return report.ok() ? kExitDone : kExitViolation;
}

}  // namespace

int command_status(CommandContext& context) {
  bool metrics = context.config.flag("prometheus");
  if (metrics && context.output.json())
    throw Error(ErrorCode::invalid, "status: both --json and --prometheus are given",
                "leave one of them out");
  StatusReport report = measure_status(context.config, context.run);
  if (context.config.flag("status_alert")) tell_status(context.operation.alerts(), report);
  if (metrics) {
    std::string text = prometheus_text(std::span(&report, 1), HOLDFAST_VERSION);
    text.pop_back();  // line() ends it again
    context.output.line(text);
  } else {
    context.output.document(status_document(report));
    show_status(context.output, report);
  }
  return exit_code_of(report);
}

}  // namespace holdfast
