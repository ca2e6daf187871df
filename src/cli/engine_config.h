// [engine] of the configuration, as the engine and its API server take it. Strict: what cannot be
// right is Error(invalid) that names its place, before a folder is touched.
#pragma once

#include <string>

#include "cli/config.h"
#include "engine/engine.h"
#include "engine/wal_lag.h"

namespace holdfast {

// Throws Error(invalid): no source, ports that are none, a start or stop command without a data
// folder, one folder within another that must not be.
EngineSettings engine_settings(const Config& config);

// From when on its archive counts as lagging behind the source.
WalLagLimits wal_lag_limits(const Config& config);

// Where the engine keeps its records and keys, from / on.
std::string engine_work_folder(const Config& config);

}  // namespace holdfast
