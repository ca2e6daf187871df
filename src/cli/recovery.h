// A recovery as it is configured: --to, --database, hooks, checks and keys. Shared by `recover` and
// by `doctor`, which asks beforehand whether it could be done.
#pragma once

#include "cli/config.h"
#include "dump/recover.h"

namespace holdfast {

// Throws Error(invalid) for a --to that is none, or that names another database; and what
// configured_keys throws.
RecoverOptions configured_recovery(const Config& config, const Backup& backup);

}  // namespace holdfast
