// `status --alert`: what is not as promised becomes incidents, and what is again ends them.
#pragma once

#include <set>
#include <string>
#include <utility>

#include "cli/alerting.h"
#include "operate/objectives.h"

namespace holdfast {

// What an incident is about: its kind, and the store or "".
using StatusTrouble = std::pair<IncidentKind, std::string>;

// One fact is one incident: where no store is fresh, that they are stale is the source's rpo.
StatusTrouble trouble_of(const Violation& violation, const StatusReport& report);

// What was seen to be well unless a violation says otherwise. What could not be looked at is not
// among it, nor is policy where there is no backup to judge, nor a drill without one that passed.
std::set<StatusTrouble> seen_by_status(const StatusReport& report);

// Per kind and store. A drill that passed, wherever, ends what was told before it.
void tell_status(CommandAlerts& alerts, const StatusReport& report);

}  // namespace holdfast
