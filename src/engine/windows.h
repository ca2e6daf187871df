// What can be recovered to, from what is there: stretches of WAL along a lineage, snapshots, and
// what no recovery gets past. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/branch_storage.h"
#include "engine/wal_archive.h"

namespace holdfast {

// WAL without a gap along a lineage, across its forks.
struct CoveredRange {
  Lsn from, to;
  bool at_head = false;  // it ends where nothing more was received yet
  bool operator==(const CoveredRange&) const = default;
};

// Oldest first. `lineage` as of WalArchive::lineage: from 0, open at its end.
std::vector<CoveredRange> covered_ranges(const Lineage& lineage,
                                         const std::vector<WalStretch>& stretches,
                                         uint32_t segment_bytes);

// A window, and the snapshot that begins it.
struct RecoverableRange {
  Lsn from, to;
  bool at_head = false;
  Timeline timeline = 0;  // at `to`
  Lsn base_start;         // of the first snapshot: WAL is there from here
  SnapshotInfo first;
};

// `obstacles`: starts of records that cannot be replayed (in the order of the WAL).
std::vector<RecoverableRange> recoverable_ranges(const Lineage& lineage,
                                                 const std::vector<CoveredRange>& covered,
                                                 const std::vector<SnapshotInfo>& snapshots,
                                                 const std::vector<Lsn>& obstacles);

// The part of `lineage` from `from` to `to`.
Lineage clipped(const Lineage& lineage, Lsn from, Lsn to);

// Snapshots on `lineage` with an end at or before `end`, the nearest first.
std::vector<SnapshotInfo> snapshots_before(const Lineage& lineage,
                                           const std::vector<SnapshotInfo>& snapshots, Lsn end);

// "0/3000148 to 0/5000060 (2026-11-10T14:30:00.123Z to …)", joined by "; ".
std::string describe_windows(const std::vector<Window>& windows);

}  // namespace holdfast
