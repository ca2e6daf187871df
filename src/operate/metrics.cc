#include "operate/metrics.h"

#include <fmt/format.h>

#include <map>
#include <vector>

#include "base/prometheus.h"

namespace holdfast {
namespace {

using Labels = std::vector<std::pair<std::string_view, std::string>>;

struct MetricInfo {
  std::string_view name, help;
};

// All are gauges: each is what was seen at one moment.
constexpr MetricInfo kMetrics[] = {
    {"holdfast_build_info", "The program that measured; always 1."},
    {"holdfast_status_timestamp_seconds", "When this was measured, Unix time."},
    {"holdfast_ok", "1 if nothing is violated."},
    {"holdfast_violations", "Violations, by kind and severity."},
    {"holdfast_rpo_seconds", "Age of the newest proven backup; no sample: none is proven."},
    {"holdfast_rpo_target_seconds", "How old it may be."},
    {"holdfast_rto_seconds",
     "What a recovery took in the drills that count; no sample: not measured."},
    {"holdfast_rto_target_seconds", "What it may take."},
    {"holdfast_store_up", "1 if the store could be looked at."},
    {"holdfast_backups", "Backups in the store."},
    {"holdfast_backups_proven", "Backups in the store whose proof succeeded."},
    {"holdfast_backups_damaged", "Backups in the store that are known to be damaged."},
    {"holdfast_backups_held", "Backups in the store that somebody holds."},
    {"holdfast_store_bytes", "Bytes of all backups in the store."},
    {"holdfast_backup_last_success_timestamp_seconds",
     "The moment that the newest sound backup holds, Unix time."},
    {"holdfast_backup_last_proven_timestamp_seconds",
     "The moment that the newest proven backup holds, Unix time."},
    {"holdfast_backup_age_seconds", "Age of the newest sound backup."},
    {"holdfast_backup_proven_age_seconds", "Age of the newest proven backup."},
    {"holdfast_backup_age_warning_seconds", "The age above which a backup is late."},
    {"holdfast_backup_age_critical_seconds", "The age from which on that is critical."},
    {"holdfast_backup_last_bytes", "Size of the newest sound backup."},
    {"holdfast_backup_proof_ok", "1 if the newest sound backup is proven."},
    {"holdfast_backup_growth_bytes_per_day", "How much larger dumps get each day."},
    {"holdfast_recovery_point_oldest_timestamp_seconds",
     "The moment that the oldest proven backup holds, Unix time."},
    {"holdfast_recovery_points", "Different proven backups over all stores."},
    {"holdfast_drill_last_passed_timestamp_seconds",
     "When the newest drill that passed ended, Unix time."},
    {"holdfast_drill_rto_seconds", "What the recovery took in it."},
    {"holdfast_drill_last_ok", "1 if the newest drill passed."},
    {"holdfast_drill_interval_seconds", "How often a drill is to pass."},
    {"holdfast_next_run_timestamp_seconds", "When the job runs next by its schedule, Unix time."},
    {"holdfast_rule_met", "3-2-1-1-0: 1 if it is met, 0 if not; no sample: not measured."},
};

// The samples of each metric, under its name.
class SampleTable {
 public:
  void add(std::string_view metric, const Labels& labels, const std::string& value) {
    std::string line(metric);
    for (size_t i = 0; i < labels.size(); ++i)
      line += fmt::format("{}{}=\"{}\"", i == 0 ? "{" : ",", labels[i].first,
                          metric_label(labels[i].second));
    samples_[metric] += fmt::format("{}{} {}\n", line, labels.empty() ? "" : "}", value);
  }
  void add(std::string_view metric, const Labels& labels, uint64_t value) {
    add(metric, labels, fmt::format("{}", value));
  }
  void add_seconds(std::string_view metric, const Labels& labels, double seconds) {
    add(metric, labels, fmt::format("{:.3f}", seconds));
  }
  void add_time(std::string_view metric, const Labels& labels, UtcTime time) {
    add_seconds(metric, labels, std::chrono::duration<double>(time.time_since_epoch()).count());
  }

  std::string text() const {
    std::string all;
    for (const MetricInfo& metric : kMetrics) {
      all += metric_header(metric.name, "gauge", metric.help);
      if (auto found = samples_.find(metric.name); found != samples_.end()) all += found->second;
    }
    return all;
  }

 private:
  std::map<std::string_view, std::string> samples_;
};

Labels with(Labels labels, std::string_view name, std::string value) {
  labels.emplace_back(name, std::move(value));
  return labels;
}

void add_objectives(SampleTable& table, const Labels& labels, const StatusReport& report) {
  table.add_time("holdfast_status_timestamp_seconds", labels, report.now);
  table.add("holdfast_ok", labels, uint64_t{report.ok()});
  for (ViolationKind kind : kViolationKinds)
    for (ViolationSeverity severity : {ViolationSeverity::warning, ViolationSeverity::critical})
      table.add("holdfast_violations",
                with(with(labels, "kind", std::string(violation_kind_name(kind))), "severity",
                     std::string(violation_severity_name(severity))),
                uint64_t{report.count(kind, severity)});
  if (report.rpo.measured())
    table.add_seconds("holdfast_rpo_seconds", labels, *report.rpo.actual_seconds);
  table.add("holdfast_rpo_target_seconds", labels, uint64_t(report.rpo.target_seconds));
  if (report.rto.measured())
    table.add_seconds("holdfast_rto_seconds", labels, *report.rto.actual_seconds);
  table.add("holdfast_rto_target_seconds", labels, uint64_t(report.rto.target_seconds));
  table.add("holdfast_backup_age_warning_seconds", labels,
            uint64_t(report.targets.stale_after_seconds));
  table.add("holdfast_backup_age_critical_seconds", labels,
            uint64_t(report.targets.stale_critical_seconds));
  if (report.window.oldest)
    table.add_time("holdfast_recovery_point_oldest_timestamp_seconds", labels,
                   *report.window.oldest);
  if (report.looked_at())
    table.add("holdfast_recovery_points", labels, uint64_t{report.window.points});
  if (report.trend.bytes_per_day)
    table.add_seconds("holdfast_backup_growth_bytes_per_day", labels, *report.trend.bytes_per_day);
}

void add_place(SampleTable& table, const Labels& source, const PlaceStatus& place) {
  Labels labels =
      with(with(source, "kind", std::string(backup_kind_name(place.kind))), "store", place.name);
  table.add("holdfast_store_up", labels, uint64_t{place.reachable()});
  if (!place.reachable()) return;
  table.add("holdfast_backups", labels, uint64_t{place.count});
  table.add("holdfast_backups_proven", labels, uint64_t{place.proven});
  table.add("holdfast_backups_damaged", labels, uint64_t{place.broken});
  table.add("holdfast_backups_held", labels, uint64_t{place.held});
  if (place.bytes) table.add("holdfast_store_bytes", labels, *place.bytes);
  if (place.last) {
    table.add_time("holdfast_backup_last_success_timestamp_seconds", labels,
                   place.last->created_at);
    table.add_seconds("holdfast_backup_age_seconds", labels, place.last->age_seconds);
    table.add("holdfast_backup_proof_ok", labels,
              uint64_t{place.last->proof == ProofState::passed});
    if (place.last->bytes) table.add("holdfast_backup_last_bytes", labels, *place.last->bytes);
  }
  if (place.last_proven) {
    table.add_time("holdfast_backup_last_proven_timestamp_seconds", labels,
                   place.last_proven->created_at);
    table.add_seconds("holdfast_backup_proven_age_seconds", labels, place.last_proven->age_seconds);
  }
}

void add_drills(SampleTable& table, const Labels& source, const StatusReport& report) {
  table.add("holdfast_drill_interval_seconds", source,
            uint64_t(report.targets.drill_every_seconds));
  for (const DrillStatus& drill : report.drills) {
    Labels labels = with(source, "kind", std::string(backup_kind_name(drill.kind)));
    if (drill.last)
      table.add("holdfast_drill_last_ok", labels,
                uint64_t{drill.last->verdict == DrillVerdict::passed});
    if (!drill.last_passed) continue;
    table.add_time("holdfast_drill_last_passed_timestamp_seconds", labels, drill.last_passed->at);
    table.add_seconds("holdfast_drill_rto_seconds", labels, drill.last_passed->rto_seconds);
  }
}

}  // namespace

std::string prometheus_text(std::span<const StatusReport> reports, std::string_view version) {
  SampleTable table;
  table.add("holdfast_build_info", {{"version", std::string(version)}}, uint64_t{1});
  for (const StatusReport& report : reports) {
    Labels labels = {{"source", report.source}, {"database", report.database}};
    add_objectives(table, labels, report);
    for (const PlaceStatus& place : report.places) add_place(table, labels, place);
    add_drills(table, labels, report);
    for (const ScheduledRun& run : report.schedule)
      if (run.next)
        table.add_time("holdfast_next_run_timestamp_seconds", with(labels, "job", run.job),
                       *run.next);
    for (const RuleStatus& rule : report.rules)
      if (rule.verdict != RuleVerdict::not_measured)
        table.add("holdfast_rule_met", with(labels, "rule", rule.name),
                  uint64_t{rule.verdict == RuleVerdict::yes});
  }
  return table.text();
}

}  // namespace holdfast
