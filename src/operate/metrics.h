// Reports as metrics in Prometheus' text format, version 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/): for `holdfast status
// --prometheus` (a textfile collector takes it) and for /metrics of `holdfast serve`.
//
// What was not measured has no sample: an alert on it needs absent(), as packaging/prometheus has
// them. Names and labels are an interface (docs/status.md): they may be added to, never renamed.
// Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "operate/objectives.h"

namespace holdfast {

// Of one or several sources; metrics of all that is in the table, each with HELP and TYPE, and only
// with samples of what is known. `version`: of the program.
std::string prometheus_text(std::span<const StatusReport> reports, std::string_view version);

}  // namespace holdfast
