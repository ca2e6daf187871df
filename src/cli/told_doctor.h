// What doctor says of the audit trail and of alerts: whether runs could be recorded and told.
// Neither keeps a backup from being made, so there are notes and no failures.
#pragma once

#include <vector>

#include "cli/config.h"
#include "dump/preflight.h"

namespace holdfast {

std::vector<Finding> told_findings(const Config& config, const Clock& clock);

}  // namespace holdfast
