#include "engine/wal_timeline.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace holdfast {
namespace {

// An index with so many more entries than there are segments is written anew.
constexpr size_t kDeadEntriesMax = 1024;

}  // namespace

// One walk over consecutive segments.
struct WalTimeline::Pass {
  WalReader reader;
  WalSegmentSource source;
  uint64_t current;  // the segment that the next record belongs to, as far as is known
  WalRefresh& done;
};

WalTimeline::WalTimeline(Timeline timeline, uint32_t segment_bytes, uint64_t system_identifier,
                         const std::string& index_file)
    : header_{timeline, segment_bytes, system_identifier}, index_(index_file) {}

void WalTimeline::refresh(WalSegmentFiles files, WalRefresh& done) {
  files_ = std::move(files);
  try {
    if (!index_loaded_) load_index();
  } catch (const Error& error) {
    done.index_trouble = error.what();  // the segments say it all again
  }
  forget_changed();
  for (auto at = files_.begin(); at != files_.end();) {
    auto known = segments_.find(at->first);
    uint64_t next = known != segments_.end() && known->second.settled ? at->first + 1
                                                                      : read_from(at->first, done);
    at = files_.lower_bound(next);
  }
  write_index(done);
  find_stretches();
}

void WalTimeline::load_index() {
  index_loaded_ = true;
  std::vector<WalIndexEntry> entries = index_.load(header_);
  for (const WalIndexEntry& entry : entries) {
    IndexedSegment segment;
    segment.entry = entry;
    segment.settled = segment.indexed = true;
    segments_[entry.segment] = segment;
  }
  forget_changed();
  if (entries.size() > 2 * segments_.size() + kDeadEntriesMax) {
    std::vector<WalIndexEntry> living;
    for (const auto& [number, segment] : segments_) living.push_back(segment.entry);
    index_.replace(header_, living);
  }
}

void WalTimeline::forget_changed() {
  std::erase_if(segments_, [&](const auto& item) {
    auto file = files_.find(item.first);
    return file == files_.end() ||
           (item.second.settled && file->second.changed_at != item.second.entry.file_time);
  });
}

Lsn WalTimeline::last_record_before(uint64_t segment) const {
  while (segment-- > 0) {
    auto before = segments_.find(segment);
    if (before == segments_.end() || !before->second.settled) break;
    if (before->second.entry.records > 0) return before->second.entry.last_record;
  }
  return {};
}

WalReaderStart WalTimeline::begin(uint64_t segment) const {
  WalReaderStart start;
  start.timeline = header_.timeline;
  start.segment_bytes = header_.segment_bytes;
  start.system_identifier = header_.system_identifier;
  auto known = segments_.find(segment);
  auto before = segment > 0 ? segments_.find(segment - 1) : segments_.end();
  if (known != segments_.end() && known->second.entry.records > 0) {
    start.record = known->second.entry.next_record;
    start.prev = known->second.entry.last_record;
  } else if (before != segments_.end() && before->second.settled) {
    start.record = before->second.entry.next_record;
    start.prev = last_record_before(segment);
  }
  start.at =
      start.record.value != 0 ? wal_page_start(start.record) : Lsn{segment * header_.segment_bytes};
  return start;
}

// The next record begins at `next`: settles the segments before that one. False if reading is to
// end there: that segment is not there, or is known already.
bool WalTimeline::advance(Pass& pass, Lsn next) {
  for (; pass.current < segment_of(next); ++pass.current) {
    auto file = files_.find(pass.current);
    if (file == files_.end()) return false;
    IndexedSegment& segment = segments_[pass.current];
    segment.settled = true;
    segment.stop.reset();
    segment.entry.segment = pass.current;
    segment.entry.file_time = file->second.changed_at;
    segment.entry.next_record = next;
    segment.entry.magic = pass.reader.magic();
    ++pass.done.segments_verified;
    auto following = segments_.find(pass.current + 1);
    if (following != segments_.end()) {
      if (following->second.settled) {
        ++pass.current;
        return false;
      }
      segments_.erase(following);
    }
  }
  return files_.contains(pass.current);
}

// Reads on from `segment`, which is open, as far as it goes; returns the first segment behind.
uint64_t WalTimeline::read_from(uint64_t segment, WalRefresh& done) {
  WalReaderStart start = begin(segment);
  Pass pass{WalReader(start), WalSegmentSource(files_, header_.segment_bytes, start.at), segment,
            done};
  WalReader& reader = pass.reader;
  if (start.record.value != 0 && !advance(pass, start.record)) return segment + 1;
  segments_[pass.current].entry.segment = pass.current;
  for (bool more = true; more;) {
    WalRecord record;
    while (more && reader.next(record)) {
      more = advance(pass, record.start);
      if (!more) break;
      WalIndexEntry& entry = segments_[pass.current].entry;
      entry.segment = pass.current;
      try {
        entry.add(record, reader.next_record(), wal_major_version(reader.magic()));
      } catch (const Error& error) {
        reader.stop(WalStop::Kind::damage, record.start, error.what());
        break;
      }
      more = advance(pass, reader.next_record());
    }
    if (!more || reader.stopped()) break;
    ByteView bytes = pass.source.read();
    if (bytes.empty()) {
      reader.stop(pass.source.damaged() ? WalStop::Kind::damage : WalStop::Kind::end,
                  pass.source.at(), format_lsn(pass.source.at()) + ": " + pass.source.why());
    }
    reader.feed(bytes);
  }
  done.read_bytes += pass.source.bytes();
  auto current = segments_.find(pass.current);
  if (reader.stopped() && files_.contains(pass.current)) {
    segments_[pass.current].entry.segment = pass.current;
    segments_[pass.current].stop = reader.stopped();
    if (reader.stopped()->kind == WalStop::Kind::damage) ++done.segments_damaged;
  } else if (current != segments_.end() && !current->second.settled) {
    segments_.erase(current);
  }
  return std::max(segment, pass.current) + (files_.contains(pass.current) ? 1 : 0);
}

void WalTimeline::write_index(WalRefresh& done) {
  std::vector<WalIndexEntry> entries;
  std::vector<IndexedSegment*> written;
  for (auto& [number, segment] : segments_) {
    if (!segment.settled || segment.indexed || files_.at(number).partial) continue;
    entries.push_back(segment.entry);
    written.push_back(&segment);
  }
  try {
    index_.append(header_, entries);
    for (IndexedSegment* segment : written) segment->indexed = true;
  } catch (const Error& error) {
    done.index_trouble = error.what();  // tried again at the next refresh
  }
}

bool WalTimeline::linked(const IndexedSegment& before, const IndexedSegment& segment,
                         Lsn last_record) const {
  const WalIndexEntry& entry = segment.entry;
  if (!before.settled || before.entry.segment + 1 != entry.segment) return false;
  if (entry.records == 0) return !segment.settled || entry.next_record == before.entry.next_record;
  return entry.first_record == before.entry.next_record && entry.first_prev == last_record;
}

void WalTimeline::find_stretches() {
  stretches_.clear();
  const IndexedSegment* before = nullptr;  // the stretch's last segment so far
  for (const auto& [number, segment] : segments_) {
    const WalIndexEntry& entry = segment.entry;
    if (before != nullptr && !linked(*before, segment, stretches_.back().last_record)) {
      end_stretch(before->entry.segment);
      before = nullptr;
    }
    if (before == nullptr && entry.records == 0) continue;
    if (before == nullptr) {
      stretches_.emplace_back();
      stretches_.back().timeline = header_.timeline;
      stretches_.back().from = entry.first_record;
    }
    before = &segment;
    WalStretch& stretch = stretches_.back();
    if (entry.records > 0) {
      stretch.to = entry.last_end;
      stretch.last_record = entry.last_record;
    }
    if (entry.commits > 0) {
      if (!stretch.first_commit) stretch.first_commit = entry.first_commit;
      stretch.last_commit = entry.last_commit;
      stretch.commits += entry.commits;
    }
  }
  if (before != nullptr) end_stretch(before->entry.segment);
}

// `segment`: the last one that the last stretch reaches.
void WalTimeline::end_stretch(uint64_t segment) {
  WalStretch& stretch = stretches_.back();
  const IndexedSegment& last = segments_.at(segment);
  bool later = std::any_of(segments_.upper_bound(segment), segments_.end(),
                           [](const auto& item) { return item.second.entry.records > 0; });
  StretchEnd quiet = later ? StretchEnd::gap : StretchEnd::head;
  if (last.stop) {
    stretch.ending = last.stop->kind == WalStop::Kind::damage ? StretchEnd::damage : quiet;
    stretch.why = last.stop->why;
  } else if (!files_.contains(segment + 1)) {
    stretch.ending = quiet;
    stretch.why = wal_file_name(header_.timeline, segment + 1, header_.segment_bytes) +
                  (later ? " is missing" : " was not received yet");
  } else {
    stretch.ending = StretchEnd::damage;
    stretch.why = fmt::format("{} does not follow on the segment before",
                              wal_file_name(header_.timeline, segment + 1, header_.segment_bytes));
  }
}

void WalTimeline::scan(uint64_t segment, const Visit& visit) const {
  auto known = segments_.find(segment);
  if (known == segments_.end() || known->second.entry.records == 0) return;
  const WalIndexEntry& entry = known->second.entry;
  WalReaderStart start;
  start.timeline = header_.timeline;
  start.segment_bytes = header_.segment_bytes;
  start.system_identifier = header_.system_identifier;
  start.at = wal_page_start(entry.first_record);
  start.record = entry.first_record;
  start.prev = entry.first_prev;
  WalReader reader(start);
  WalSegmentSource source(files_, header_.segment_bytes, start.at);
  while (true) {
    WalRecord record;
    while (reader.next(record)) {
      if (record.start > entry.last_record || !visit(record, wal_major_version(reader.magic())))
        return;
      if (record.start == entry.last_record) return;
    }
    ByteView bytes = reader.stopped() ? ByteView{} : source.read();
    if (bytes.empty())
      throw Error(ErrorCode::corrupt,
                  fmt::format("{} is not what it was when it was verified: {}",
                              wal_file_name(header_.timeline, segment, header_.segment_bytes),
                              reader.stopped() ? reader.stopped()->why : source.why()));
    reader.feed(bytes);
  }
}

const std::vector<WalNeed>& WalTimeline::needs_in(uint64_t segment) const {
  const IndexedSegment& known = segments_.at(segment);
  if (known.entry.flags == 0 || known.needs_of == known.entry.records) return known.needs;
  known.needs.clear();
  scan(segment, [&](const WalRecord& record, int major) {
    WalEvent event = decode_wal_record(record, major);
    if (std::holds_alternative<WalParameters>(event) ||
        std::holds_alternative<WalTablespaceCreated>(event))
      known.needs.push_back({record.start, record.end, std::move(event)});
    return true;
  });
  known.needs_of = known.entry.records;
  return known.needs;
}

}  // namespace holdfast
