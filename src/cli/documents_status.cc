#include "cli/documents_status.h"

#include "cli/document_json.h"

namespace holdfast {
namespace {

Json seconds_or_null(const std::optional<double>& seconds) {
  return seconds ? Json(rounded(*seconds)) : Json(nullptr);
}

template <typename Number>
Json number_or_null(const std::optional<Number>& number) {
  return number ? Json(*number) : Json(nullptr);
}

Json objective_json(const ObjectiveStatus& objective) {
  return {{"target_seconds", objective.target_seconds},
          {"actual_seconds", seconds_or_null(objective.actual_seconds)},
          {"met", objective.measured() ? Json(objective.met()) : Json(nullptr)},
          {"by", text_or_null(objective.by)},
          {"why", objective.why}};
}

Json point_json(const std::optional<BackupPoint>& point) {
  if (!point) return nullptr;
  return {{"id", point->id},
          {"created_at", format_rfc3339(point->created_at)},
          {"age_seconds", rounded(point->age_seconds)},
          {"proof", proof_state_name(point->proof)},
          {"bytes", number_or_null(point->bytes)}};
}

Json place_json(const PlaceStatus& place) {
  Json object = {{"kind", backup_kind_name(place.kind)},
                 {"store", place.name},
                 {"location", place.location},
                 {"reachable", place.reachable()}};
  if (!place.reachable()) {
    object["error"] = place.unreachable;
    return object;
  }
  object["count"] = place.count;
  object["proven"] = place.proven;
  object["damaged"] = place.broken;
  object["held"] = place.held;
  object["bytes"] = number_or_null(place.bytes);
  object["stale"] = place.stale ? Json(violation_severity_name(*place.stale)) : Json(nullptr);
  object["last"] = point_json(place.last);
  object["last_proven"] = point_json(place.last_proven);
  return object;
}

Json backups_json(const StatusReport& report) {
  Json object = {{"proven", report.window.points},
                 {"oldest", time_or_null(report.window.oldest)},
                 {"newest", time_or_null(report.window.newest)},
                 {"history_seconds", number_or_null(report.history_seconds)}};
  object["stores"] = Json::array();
  for (const PlaceStatus& place : report.places) object["stores"].push_back(place_json(place));
  object["trend"] = {{"days", kTrendDays.count()},
                     {"backups", report.trend.backups},
                     {"bytes_per_day", seconds_or_null(report.trend.bytes_per_day)},
                     {"bytes_projected", number_or_null(report.trend.bytes_projected)}};
  return object;
}

Json moment_json(const std::optional<DrillMoment>& moment) {
  if (!moment) return nullptr;
  constexpr const char* kVerdicts[] = {"passed", "failed", "inconclusive"};
  return {{"id", moment->id},
          {"backup", moment->backup},
          {"at", format_rfc3339(moment->at)},
          {"age_seconds", rounded(moment->age_seconds)},
          {"verdict", kVerdicts[static_cast<size_t>(moment->verdict)]},
          {"rto_seconds", rounded(moment->rto_seconds)}};
}

Json drills_json(const StatusReport& report) {
  Json object = {{"every_seconds", report.targets.drill_every_seconds}};
  for (const DrillStatus& drill : report.drills)
    object[std::string(backup_kind_name(drill.kind))] = {
        {"last", moment_json(drill.last)},
        {"last_passed", moment_json(drill.last_passed)},
        {"overdue", drill.overdue}};
  return object;
}

Json rules_json(const StatusReport& report) {
  Json object = {{"met", report.rules_met()}, {"of", report.rules.size()}};
  object["rules"] = Json::array();
  for (const RuleStatus& rule : report.rules)
    object["rules"].push_back({{"name", rule.name},
                               {"rule", rule.rule},
                               {"verdict", rule_verdict_name(rule.verdict)},
                               {"why", rule.why}});
  return object;
}

Json violation_json(const Violation& violation) {
  return {{"what", violation.what},
          {"severity", violation_severity_name(violation.severity)},
          {"kind", violation_kind_name(violation.kind)},
          {"source", violation.source},
          {"store", text_or_null(violation.store)},
          {"measured", seconds_or_null(violation.measured)},
          {"target", seconds_or_null(violation.target)}};
}

}  // namespace

std::string status_document(const StatusReport& report) {
  Json document = {{"ok", report.ok()},
                   {"source", report.source},
                   {"database", text_or_null(report.database)},
                   {"at", format_rfc3339(report.now)}};
  document["objectives"] = {{"rpo", objective_json(report.rpo)},
                            {"rto", objective_json(report.rto)}};
  document["backups"] = backups_json(report);
  document["drills"] = drills_json(report);
  document["retention"] = {{"days", report.retention.days},
                           {"months", report.retention.months},
                           {"dailies_min", report.retention.dailies_min}};
  document["schedule"] = Json::array();
  for (const ScheduledRun& run : report.schedule)
    document["schedule"].push_back(
        {{"job", run.job}, {"schedule", run.schedule}, {"next", time_or_null(run.next)}});
  document["rule_32110"] = rules_json(report);
  document["violations"] = Json::array();
  for (const Violation& violation : report.violations)
    document["violations"].push_back(violation_json(violation));
  return document_text(document);
}

}  // namespace holdfast
