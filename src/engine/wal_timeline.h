// The WAL of one timeline: reads its segments once, remembers what they hold, and says which
// stretches of them are whole. The part of WalArchive (wal_archive.h) that knows no lineage.
//
// A segment is *settled* when every record that begins in it was verified to its end, which may lie
// in a later segment, and the place of the next one is known. Settled complete segments are kept in
// the index and read again only if their file changes. All others are *open*: at each refresh()
// reading goes on behind the last record that was whole, which also finds out whether what was
// damaged has been replaced.
//
// Not thread-safe. Errors: denied and unavailable (files); corrupt (scan() only).
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/wal_archive.h"
#include "engine/wal_index.h"
#include "engine/wal_segments.h"
#include "pg/wal_reader.h"

namespace holdfast {

// A record that matters to what recovery needs: a change of parameters, a new tablespace.
struct WalNeed {
  Lsn start, end;
  WalEvent event;
};

struct IndexedSegment {
  WalIndexEntry entry;
  bool settled = false;
  bool indexed = false;         // is in the index file
  std::optional<WalStop> stop;  // why an open one goes no further
  // What needs_in() has found among the first `needs_of` records: asked for again and again.
  mutable std::vector<WalNeed> needs;
  mutable uint64_t needs_of = 0;
};

class WalTimeline {
 public:
  // `index_file` empty: keeps no index.
  WalTimeline(Timeline timeline, uint32_t segment_bytes, uint64_t system_identifier,
              const std::string& index_file);

  // `files`: all segments that are there now.
  void refresh(WalSegmentFiles files, WalRefresh& done);

  Timeline timeline() const { return header_.timeline; }
  uint32_t segment_bytes() const { return header_.segment_bytes; }
  const std::vector<WalStretch>& stretches() const { return stretches_; }
  const std::map<uint64_t, IndexedSegment>& segments() const { return segments_; }

  // Hands out the verified records that begin in a segment, in order, until `visit` returns false.
  // Throws Error(corrupt) if they are not what they were when they were verified.
  using Visit = std::function<bool(const WalRecord& record, int major)>;
  void scan(uint64_t segment, const Visit& visit) const;

  const std::vector<WalNeed>& needs_in(uint64_t segment) const;

 private:
  struct Pass;

  void load_index();
  void forget_changed();
  uint64_t read_from(uint64_t segment, WalRefresh& done);
  WalReaderStart begin(uint64_t segment) const;
  bool advance(Pass& pass, Lsn next);
  void write_index(WalRefresh& done);
  void find_stretches();
  void end_stretch(uint64_t segment);
  bool linked(const IndexedSegment& before, const IndexedSegment& segment, Lsn last_record) const;
  Lsn last_record_before(uint64_t segment) const;
  uint64_t segment_of(Lsn lsn) const { return lsn.value / header_.segment_bytes; }

  const WalIndexHeader header_;
  WalIndexFile index_;
  bool index_loaded_ = false;
  WalSegmentFiles files_;
  std::map<uint64_t, IndexedSegment> segments_;
  std::vector<WalStretch> stretches_;
};

}  // namespace holdfast
