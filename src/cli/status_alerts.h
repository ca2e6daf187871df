// `status --alert`: what is not as promised becomes incidents, and what is again ends them.
#pragma once

#include "cli/alerting.h"
#include "operate/objectives.h"

namespace holdfast {

// Per kind and store. What could not be looked at ends nothing; that a drill is overdue is ended by
// a drill.
void tell_status(CommandAlerts& alerts, const StatusReport& report);

}  // namespace holdfast
