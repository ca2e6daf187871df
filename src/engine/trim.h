// What may go: which snapshots and which WAL neither the window to be kept nor any of the points
// that are needed require. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "engine/branch_storage.h"
#include "engine/wal_folder.h"
#include "engine/windows.h"

namespace holdfast {

// A point that something needs, on the part of its path that lies on `main`.
struct NeededPoint {
  Lineage lineage;  // up to the point, or to where its line left `main`
  Lsn end;
};

struct TrimPlan {
  std::vector<std::string> snapshots;  // to be removed, oldest first
  // WAL that stays: parts of timelines; a `to` of 0 is all that is there and comes.
  std::vector<WalPart> kept;
  bool everything = false;  // nothing may be removed: there is no snapshot to begin with
};

// `main`: the source's lineage, open at its end. Keeps of the window the newest snapshot that
// ended by `keep_since` (else the oldest there is) and all that follow.
TrimPlan plan_trim(const Lineage& main, const std::vector<SnapshotInfo>& snapshots,
                   UtcTime keep_since, const std::vector<NeededPoint>& needed);

bool is_kept(const TrimPlan& plan, const SegmentFile& segment, uint32_t segment_bytes);

}  // namespace holdfast
