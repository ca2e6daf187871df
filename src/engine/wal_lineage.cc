#include "engine/wal_lineage.h"

#include <algorithm>

namespace holdfast {
namespace {

using Segments = std::map<uint64_t, IndexedSegment>;

// Calls `visit(number, entry)` for the segments of `piece` in which records begin, from the last
// one that can hold a record that ends at or before `end` backwards, until it returns true.
template <typename Visit>
bool backwards(const WalPiece& piece, Lsn end, const Visit& visit) {
  if (end <= piece.from) return false;
  uint64_t bytes = piece.wal->segment_bytes(), least = piece.from.value / bytes;
  const Segments& segments = piece.wal->segments();
  auto at = segments.upper_bound((end.value - 1) / bytes);
  while (at != segments.begin()) {
    --at;
    if (at->first < least) break;
    if (at->second.entry.records > 0 && visit(at->first, at->second.entry)) return true;
  }
  return false;
}

std::optional<WalTime> commit_time(const WalRecord& record, int major) {
  WalEvent event = decode_wal_record(record, major);
  auto* ended = std::get_if<WalTransactionEnd>(&event);
  if (ended == nullptr || !ended->committed) return std::nullopt;
  return ended->time;
}

std::optional<WalTime> last_commit_until(const WalPieces& pieces, size_t last, Lsn end) {
  std::optional<WalTime> found;
  for (size_t i = last + 1; i-- > 0; end = pieces[i].from) {
    const WalPiece& piece = pieces[i];
    Lsn to = std::min(end, piece.to);
    bool done = backwards(piece, to, [&](uint64_t number, const WalIndexEntry& entry) {
      if (entry.commits == 0) return false;
      if (entry.last_end <= to && entry.last_commit_record >= piece.first()) {
        found = entry.last_commit;
        return true;
      }
      piece.wal->scan(number, [&](const WalRecord& record, int major) {
        if (record.end > to) return false;
        if (!piece.holds(record)) return true;
        if (auto time = commit_time(record, major)) found = time;
        return true;
      });
      return found.has_value();
    });
    if (done) break;
  }
  return found;
}

void take_greatest(WalNeeds& needs, const WalParameters& set) {
  auto raise = [](int& known, int value) { known = std::max(known, value); };
  raise(needs.max_connections, set.max_connections);
  raise(needs.max_worker_processes, set.max_worker_processes);
  raise(needs.max_wal_senders, set.max_wal_senders);
  raise(needs.max_prepared_transactions, set.max_prepared_transactions);
  raise(needs.max_locks_per_transaction, set.max_locks_per_transaction);
}

}  // namespace

std::optional<WalPoint> last_record_until(const WalPieces& pieces, Lsn end) {
  for (size_t i = pieces.size(); i-- > 0;) {
    const WalPiece& piece = pieces[i];
    Lsn to = std::min(end, piece.to);
    WalPoint point;
    bool done = backwards(piece, to, [&](uint64_t number, const WalIndexEntry& entry) {
      if (entry.last_end <= to && entry.last_record >= piece.first()) {
        point.record = entry.last_record;
        point.end = entry.last_end;
        if (entry.commits > 0 && entry.last_commit_record >= piece.first())
          point.commit_time = entry.last_commit;
        return true;
      }
      piece.wal->scan(number, [&](const WalRecord& record, int major) {
        if (record.end > to) return false;
        if (!piece.holds(record)) return true;
        point.record = record.start;
        point.end = record.end;
        if (auto time = commit_time(record, major)) point.commit_time = time;
        return true;
      });
      return point.end.value != 0;
    });
    if (!done) continue;
    point.timeline = piece.wal->timeline();
    if (!point.commit_time) point.commit_time = last_commit_until(pieces, i, point.end);
    return point;
  }
  return std::nullopt;
}

std::optional<WalCommit> first_commit_after(const WalPieces& pieces, WalTime time) {
  for (const WalPiece& piece : pieces) {
    if (piece.from >= piece.to) continue;
    uint64_t bytes = piece.wal->segment_bytes();
    const Segments& segments = piece.wal->segments();
    auto end = segments.upper_bound((piece.to.value - 1) / bytes);
    for (auto at = segments.lower_bound(piece.from.value / bytes); at != end; ++at) {
      const WalIndexEntry& entry = at->second.entry;
      if (entry.commits == 0 || entry.greatest_commit <= time) continue;
      std::optional<WalCommit> found;
      WalPoint before;
      before.timeline = piece.wal->timeline();
      piece.wal->scan(at->first, [&](const WalRecord& record, int major) {
        if (record.end > piece.to) return false;
        if (!piece.holds(record)) return true;
        auto committed_at = commit_time(record, major);
        if (committed_at > time) {
          found = WalCommit{record.start, record.prev, {}};
          return false;
        }
        before.record = record.start;
        before.end = record.end;
        if (committed_at) before.commit_time = committed_at;
        return true;
      });
      if (!found) continue;
      if (before.commit_time)
        found->before = before;  // all that there is to know was in this segment
      else
        found->before = last_record_until(pieces, found->record);
      return found;
    }
  }
  return std::nullopt;
}

WalNeeds needs_of(const WalPieces& pieces) {
  WalNeeds needs;
  for (const WalPiece& piece : pieces) {
    if (piece.from >= piece.to) continue;
    uint64_t bytes = piece.wal->segment_bytes();
    const Segments& segments = piece.wal->segments();
    auto end = segments.upper_bound((piece.to.value - 1) / bytes);
    for (auto at = segments.lower_bound(piece.from.value / bytes); at != end; ++at) {
      for (const WalNeed& need : piece.wal->needs_in(at->first)) {
        if (need.start < piece.first() || need.end > piece.to) continue;
        if (auto* set = std::get_if<WalParameters>(&need.event)) {
          take_greatest(needs, *set);
          if (set->wal_level == WalLevel::minimal && !needs.minimal_wal)
            needs.minimal_wal = need.start;
        } else if (auto* created = std::get_if<WalTablespaceCreated>(&need.event)) {
          needs.tablespaces.push_back({need.start, created->oid, created->path});
        }
      }
    }
  }
  return needs;
}

}  // namespace holdfast
