// What `holdfast serve` shows of its schedule over HTTP, on the pages of serve/health_pages.h. For
// everybody who can reach the address, so by default only this machine; there are no secrets and no
// data of anybody in them.
//
// The metrics of backups and objectives are those of `holdfast status --prometheus`, asked for from
// time to time (status may take long, a scrape must not) and joined with the schedule's own and,
// where there is an engine, with its (serve/wal_metrics.h).
// Pure, but for StatusMetrics, which any thread may use.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "serve/health_pages.h"
#include "serve/scheduler.h"

namespace holdfast {

// The last good answers of `status --prometheus`.
class StatusMetrics {
 public:
  // `texts`: of each source.
  void set(std::vector<std::string> texts, UtcTime now);
  struct Answer {
    std::vector<std::string> texts;
    std::optional<UtcTime> at;  // nothing: never
  };
  Answer get() const;

 private:
  mutable std::mutex mutex_;
  Answer answer_;
};

HealthAnswer schedule_health(const ScheduleView& view, const Clock& clock);

std::string schedule_metrics(const ScheduleView& view, const StatusMetrics::Answer& status,
                             UtcTime now, const std::string& more = {});

// Texts in Prometheus's format as one: the samples of each metric stand together, and are described
// once. Of samples that stand there twice the first counts. Lines that are none are left out.
std::string join_metrics(const std::vector<std::string>& texts);

// The two pages; 404 for others. `more`: metrics that others have, as they are now.
WebHandler schedule_pages(const Scheduler& scheduler, const StatusMetrics& status,
                          const Clock& clock, std::function<std::string()> more = {});

}  // namespace holdfast
