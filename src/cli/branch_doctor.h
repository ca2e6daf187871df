// What doctor says of the branch leg: whether the key is taken and the project there, how far back
// it can be gone, whether the plan has room for what retention keeps, whether a compute wakes.
#pragma once

#include <vector>

#include "cli/config.h"
#include "dump/preflight.h"

namespace holdfast {

// Nothing is changed but that the live branch's compute is woken, if it slept. Never throws but
// Error(cancelled): what fails is a finding.
std::vector<Finding> branch_leg_findings(const Config& config, const Run& run);

}  // namespace holdfast
