// Questions about a lineage whose parts are known to be there: the last record before an LSN, the
// first commit after an instant. The part of WalArchive (wal_archive.h) that knows no files.
//
// Whole segments are answered for by their index entries; only those at the ends of what is asked
// for, and the one that holds the answer, are read. Not thread-safe; errors as in wal_archive.h.
#pragma once

#include <optional>
#include <vector>

#include "engine/wal_archive.h"
#include "engine/wal_timeline.h"

namespace holdfast {

// Verified WAL of one timeline.
struct WalPiece {
  const WalTimeline* wal = nullptr;
  Lsn from, to;  // `to`: an end of a record, or less

  Lsn first() const { return wal_record_position(from, wal->segment_bytes()); }
  bool holds(const WalRecord& record) const { return record.start >= first() && record.end <= to; }
};
using WalPieces = std::vector<WalPiece>;

// The last record that ends at or before `end`, with the last commit up to there.
std::optional<WalPoint> last_record_until(const WalPieces& pieces, Lsn end);

struct WalCommit {
  Lsn record, prev;
  std::optional<WalPoint> before;  // the last record before it; nothing: none is in the pieces
};
// The first one in the order of the WAL.
std::optional<WalCommit> first_commit_after(const WalPieces& pieces, WalTime time);

WalNeeds needs_of(const WalPieces& pieces);

}  // namespace holdfast
