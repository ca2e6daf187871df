// When scheduled snapshots are due. Pure: the chores themselves are the engine's (core.h), once a
// second, each at its own pace.
#pragma once

#include "base/clock.h"
#include "neon/types.h"

namespace holdfast {

// The last instant at or before `now` (UTC) that the item names. What it leaves open is the first:
// hour 0, day 1 (weekly: Monday), month January. A day that a month does not have is its last one.
UtcTime last_due(const neon::ScheduleItem& item, UtcTime now);

}  // namespace holdfast
