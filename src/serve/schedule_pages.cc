#include "serve/schedule_pages.h"

#include <fmt/format.h>

#include <cstdlib>
#include <map>
#include <set>

#include "base/prometheus.h"
#include "base/text.h"

namespace holdfast {
namespace {

double epoch_seconds(UtcTime time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

bool is_metric_name(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  for (char c : name)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
          c == ':'))
      return false;
  return true;
}

// The name and the labels of a sample's line, which tell it from others; "" if it is none.
std::string_view sample_key(std::string_view line) {
  size_t name_end = line.find_first_of("{ ");
  if (name_end == line.npos || !is_metric_name(line.substr(0, name_end))) return {};
  if (line[name_end] == ' ') return line.substr(0, name_end);
  bool quoted = false;
  for (size_t i = name_end; i < line.size(); ++i) {
    if (quoted && line[i] == '\\')
      ++i;
    else if (line[i] == '"')
      quoted = !quoted;
    else if (!quoted && line[i] == '}')
      return line.substr(0, i + 1);
  }
  return {};
}

// Whether a number stands behind the key, and at most a time behind that.
bool has_value(const std::string& line, size_t key_size) {
  const char* begin = line.c_str() + key_size;
  char* end = nullptr;
  if (*begin != ' ') return false;
  std::strtod(begin, &end);
  if (end == begin) return false;
  while (*end == ' ' || *end == '-' || (*end >= '0' && *end <= '9')) ++end;
  return *end == '\0';
}

// Metrics in the order in which they were first met.
class MetricsJoiner {
 public:
  void add(const std::string& text) {
    std::string typed;  // a histogram's samples have names that begin with its own
    for (const std::string& line : split(text, '\n')) {
      std::string_view view(line);
      if (view.starts_with("# HELP ") || view.starts_with("# TYPE ")) {
        std::string name(view.substr(7, view.find(' ', 7) - 7));
        if (!is_metric_name(name)) continue;
        typed = name;
        std::string& kept = view[2] == 'H' ? family(name).help : family(name).type;
        if (kept.empty()) kept = line;
        continue;
      }
      std::string key(sample_key(view));
      if (key.empty() || !has_value(line, key.size()) || !seen_.insert(key).second) continue;
      std::string name = key.substr(0, key.find('{'));
      bool of_typed = !typed.empty() && name.starts_with(typed + "_") &&
                      families_[typed].type.find(" histogram") != std::string::npos;
      family(of_typed ? typed : name).samples.push_back(line);
    }
  }

  std::string text() const {
    std::string out;
    for (const std::string& name : order_) {
      const Family& each = families_.at(name);
      if (each.samples.empty()) continue;
      for (const std::string& line : {each.help, each.type})
        if (!line.empty()) out += line + "\n";
      for (const std::string& sample : each.samples) out += sample + "\n";
    }
    return out;
  }

 private:
  struct Family {
    std::string help, type;
    std::vector<std::string> samples;
  };
  Family& family(const std::string& name) {
    if (families_.count(name) == 0) order_.push_back(name);
    return families_[name];
  }

  std::vector<std::string> order_;
  std::map<std::string, Family> families_;
  std::set<std::string> seen_;
};

using JobValue = std::function<std::optional<double>(const JobView&)>;

void add_per_job(std::string& out, const ScheduleView& view, const char* name, const char* type,
                 const char* help, const JobValue& value) {
  out += metric_header(name, type, help);
  for (const JobView& job : view.jobs)
    if (std::optional<double> number = value(job))
      out += fmt::format("{}{{source=\"{}\",job=\"{}\"}} {:.15g}\n", name, metric_label(job.source),
                         metric_label(job.job), *number);
}

std::optional<double> seconds_or_none(const std::optional<UtcTime>& time) {
  return time ? std::optional(epoch_seconds(*time)) : std::nullopt;
}

std::string own_metrics(const ScheduleView& view, const std::optional<UtcTime>& status_at,
                        UtcTime now) {
  std::string out = program_metrics();
  add_per_job(out, view, "holdfast_schedule_last_start_timestamp_seconds", "gauge",
              "When the last run of the job began.",
              [](const JobView& job) { return seconds_or_none(job.last_start); });
  add_per_job(out, view, "holdfast_schedule_last_end_timestamp_seconds", "gauge",
              "When the last run of the job ended; missing while it runs.",
              [](const JobView& job) { return seconds_or_none(job.last_end); });
  add_per_job(out, view, "holdfast_schedule_last_exit_code", "gauge",
              "The exit code of the job's last run on this host.", [](const JobView& job) {
                return job.last_exit_code ? std::optional<double>(*job.last_exit_code)
                                          : std::nullopt;
              });
  add_per_job(out, view, "holdfast_schedule_next_run_timestamp_seconds", "gauge",
              "When the job is started next.",
              [](const JobView& job) { return seconds_or_none(job.next_run); });
  add_per_job(out, view, "holdfast_schedule_running", "gauge", "1: a run of the job is going on.",
              [](const JobView& job) { return std::optional(job.running ? 1.0 : 0.0); });
  add_per_job(out, view, "holdfast_schedule_missed_total", "counter", "Runs that were missed.",
              [](const JobView& job) { return std::optional(static_cast<double>(job.missed)); });
  out += metric_header(
      "holdfast_schedule_state_stored", "gauge",
      "0: the schedule's state cannot be stored; after a restart runs might be repeated.");
  out += fmt::format("holdfast_schedule_state_stored {}\n", view.problem.empty() ? 1 : 0);
  if (!status_at) return out;
  out += metric_header("holdfast_status_age_seconds", "gauge",
                       "How old the metrics of backups and objectives are.");
  out += fmt::format("holdfast_status_age_seconds {:.3f}\n",
                     std::chrono::duration<double>(now - *status_at).count());
  return out;
}

}  // namespace

void StatusMetrics::set(std::vector<std::string> texts, UtcTime now) {
  std::lock_guard lock(mutex_);
  answer_ = {std::move(texts), now};
}

StatusMetrics::Answer StatusMetrics::get() const {
  std::lock_guard lock(mutex_);
  return answer_;
}

HealthAnswer schedule_health(const ScheduleView& view, const Clock& clock) {
  std::chrono::duration<double> age(clock.monotonic_seconds() - view.last_round_monotonic);
  bool begun = view.last_round != UtcTime{};
  size_t running = 0;
  for (const JobView& job : view.jobs) running += job.running ? 1 : 0;
  return health_answer(begun && age <= kHealthOverdue,
                       fmt::format(R"(,"last_round":{},"jobs":{},"running":{},"state_stored":{})",
                                   begun ? json_quoted(format_rfc3339(view.last_round)) : "null",
                                   view.jobs.size(), running, view.problem.empty()));
}

std::string schedule_metrics(const ScheduleView& view, const StatusMetrics::Answer& status,
                             UtcTime now, const std::string& more) {
  std::vector<std::string> texts = {own_metrics(view, status.at, now), more};
  texts.insert(texts.end(), status.texts.begin(), status.texts.end());
  return join_metrics(texts);
}

std::string join_metrics(const std::vector<std::string>& texts) {
  MetricsJoiner joiner;
  for (const std::string& text : texts) joiner.add(text);
  return joiner.text();
}

WebHandler schedule_pages(const Scheduler& scheduler, const StatusMetrics& status,
                          const Clock& clock, std::function<std::string()> more) {
  HealthPages pages;
  pages.health = [&scheduler, &clock] { return schedule_health(scheduler.view(), clock); };
  pages.metrics = [&scheduler, &status, &clock, more = std::move(more)] {
    return schedule_metrics(scheduler.view(), status.get(), clock.now(),
                            more ? more() : std::string());
  };
  return [pages = std::move(pages)](const WebRequest& request) {
    if (std::optional<WebResponse> page = health_page(request, pages)) return *std::move(page);
    WebResponse response;
    response.status = 404;
    response.body = "{\"message\":\"there is /healthz and /metrics\"}\n";
    return response;
  };
}

}  // namespace holdfast
