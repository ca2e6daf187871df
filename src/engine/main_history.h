// Questions about the history of `main`: what can be recovered to, and which point an LSN or an
// instant is. Everything is asked along a lineage: that of the source as it is now, or that of a
// branch, which ends where the branch began. Answers are for what was last read
// (LineArchives::refresh_main).
//
// Thread-safe. Throws invalid for a point outside the windows; the message names them.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "engine/line_archives.h"
#include "engine/snapshot_catalog.h"
#include "engine/storage_record.h"
#include "engine/windows.h"

namespace holdfast {

struct TimedPoint {
  RestorePoint point;
  // A later commit was seen, or nothing of the lineage comes after it: the point is exact. If not,
  // it is the head, and exact only up to the instant that the source is known of.
  bool exact = false;
};

RestorePoint on_line(const std::string& line, const WalPoint& point);

class MainHistory {
 public:
  MainHistory(const LineArchives& archives, const SnapshotCatalog& catalog,
              const StorageRecordFile& record);

  Lineage current() const;  // of the source
  std::vector<RecoverableRange> ranges(const Lineage& lineage) const;
  // `caught_up_at`: up to when the source is known to have written no more than was received.
  std::vector<Window> windows(const Lineage& lineage, std::optional<UtcTime> caught_up_at) const;

  RestorePoint head(const Lineage& lineage, std::optional<UtcTime> caught_up_at) const;
  RestorePoint at_lsn(const Lineage& lineage, Lsn lsn, std::optional<UtcTime> caught_up_at) const;
  // `end`: where the lineage ends for the one who asks (a branch's beginning); then the last commit
  // up to there is exact.
  TimedPoint at_time(const Lineage& lineage, UtcTime time, std::optional<UtcTime> caught_up_at,
                     const std::optional<RestorePoint>& end = {}) const;

  // Why the source's head cannot be recovered to, where that is so and lasts until there is a new
  // snapshot; empty if it can, or before the first snapshot.
  std::string wants_snapshot() const;
  // WAL that was received and is not what PostgreSQL wrote; empty: none at the head.
  std::string damage_at_head() const;

 private:
  UtcTime known_until(const Lineage& lineage, const RecoverableRange& range,
                      std::optional<UtcTime> caught_up_at) const;
  Error outside(const std::string& what, const Lineage& lineage,
                std::optional<UtcTime> caught_up_at) const;

  const LineArchives& archives_;
  const SnapshotCatalog& catalog_;
  const StorageRecordFile& record_;
};

}  // namespace holdfast
