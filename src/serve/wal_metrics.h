// How the engine receives its source's WAL, in Prometheus's text format: a part of /metrics of
// `holdfast serve` (serve/schedule_pages.h). Names and labels are an interface (docs/engine.md):
// they may be added to, never renamed. Pure.
#pragma once

#include <string>

#include "engine/branch_storage.h"
#include "engine/wal_lag.h"

namespace holdfast {

// `source`, `database`: the labels, as those of the metrics of backups are.
std::string wal_metrics(const std::string& source, const std::string& database,
                        const StorageHealth& health, const WalLag& lag, const WalLagLimits& limits);

}  // namespace holdfast
