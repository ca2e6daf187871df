// What doctor says of the backups there are: whether the newest one of each store can be read and
// is what was written, whether the programs here can restore it, and whether the server of --to
// would take it.
#pragma once

#include <vector>

#include "cli/command.h"
#include "cli/stores.h"
#include "dump/preflight.h"

namespace holdfast {

// Nothing is written, no proof recorded. Never throws but Error(cancelled): what fails is a
// finding.
std::vector<Finding> backup_findings(CommandContext& context, const std::vector<OpenStore>& stores);

}  // namespace holdfast
