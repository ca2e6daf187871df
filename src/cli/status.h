// What the configured stores, the schedule and the settings say of a source, gathered and measured:
// what `holdfast status`, the metrics of `holdfast serve` and the report are made of.
//
// The stores are asked all at once, each for a bounded time, so that one that hangs delays nobody
// for long. What cannot be looked at is said to be so; nothing here fails because of a store.
#pragma once

#include <string>

#include "base/run.h"
#include "cli/config.h"
#include "operate/objectives.h"

namespace holdfast {

// Throws Error(invalid) for settings that cannot be right, and where no database is configured and
// the stores hold backups of several: measured together, one could hide another's silence.
StatusFacts gather_status(const Config& config, const Run& run);

// gather_status, measured.
StatusReport measure_status(const Config& config, const Run& run);

// objectives.* as configured. Throws Error(invalid) for what is no duration, and where
// stale_critical is below stale_after.
ObjectiveTargets objective_targets(const Config& config);

// A setting that is a duration ("90m", "4h", "1h30m"), in seconds. Throws Error(invalid).
int64_t duration_seconds(const Config& config, const std::string& option);

// The jobs that have a schedule, and when they run next after `now`. Throws Error(invalid).
std::vector<ScheduledRun> scheduled_runs(const Config& config, UtcTime now);

}  // namespace holdfast
