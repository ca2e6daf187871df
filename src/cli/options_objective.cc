// [objectives] of holdfast.toml: what is promised, for `holdfast status` to hold against what is.
#include "cli/option_groups.h"

namespace holdfast {

std::vector<Option> objective_options() {
  using enum OptionKind;
  constexpr const char* kGroup = "Objectives";
  constexpr unsigned kMeasured = kStatus | kDrill;
  return {
      {"objectives_rpo", "--rpo", "HOLDFAST_RPO", "objectives.rpo", text, "DURATION", "24h",
       kMeasured, kGroup,
       "the recovery point objective: how much of the past may be lost at most (90m, 24h, 2d); the "
       "newest proven backup may be no older"},
      {"objectives_rto", "--rto", "HOLDFAST_RTO", "objectives.rto", text, "DURATION", "4h",
       kMeasured, kGroup,
       "the recovery time objective: how long a recovery may take at most; drills measure it"},
      {"objectives_drill_every", "", "", "objectives.drill_every", text, "DURATION", "31d", 0,
       kGroup, "how often a recovery is to be rehearsed; a longer silence is a violation"},
      {"objectives_stale_after", "", "", "objectives.stale_after", text, "DURATION", "25h", 0,
       kGroup, "a store whose newest backup of a kind is older than this is a warning"},
      {"objectives_stale_critical", "", "", "objectives.stale_critical", text, "DURATION", "48h", 0,
       kGroup, "and from this age on it is critical"},
      {"status_alert", "--alert", "", "", flag, "", "", kStatus, kGroup,
       "tell those who are alerted what is not as promised, and what is again; as the schedule's "
       "runs do"},
      {"prometheus", "--prometheus", "", "", flag, "", "", kStatus, kGroup,
       "print metrics in Prometheus' text format instead"},
  };
}

}  // namespace holdfast
