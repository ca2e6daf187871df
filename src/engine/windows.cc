#include "engine/windows.h"

#include <fmt/format.h>

#include <algorithm>

#include "pg/wal_format.h"

namespace holdfast {
namespace {

constexpr size_t kWindowsShown = 5;

// Whether WAL that begins with `next` (a stretch's first whole record) leaves nothing out behind
// `end`, the end of a record.
bool joins(Lsn end, Lsn next, uint32_t segment_bytes) {
  return next <= end || next <= wal_record_position(end, segment_bytes);
}

}  // namespace

std::vector<CoveredRange> covered_ranges(const Lineage& lineage,
                                         const std::vector<WalStretch>& stretches,
                                         uint32_t segment_bytes) {
  std::vector<CoveredRange> found;
  for (const WalPart& part : lineage)
    for (const WalStretch& stretch : stretches) {
      if (stretch.timeline != part.timeline) continue;
      Lsn from = std::max(stretch.from, part.from);
      Lsn to = part.to.value == 0 ? stretch.to : std::min(stretch.to, part.to);
      if (to <= from) continue;
      // A fork's segment holds its parent's bytes, too: the stretch itself counts, not the part.
      bool at_head = part.to.value == 0 && stretch.ending == StretchEnd::head;
      if (!found.empty() && joins(found.back().to, stretch.from, segment_bytes))
        found.back() = {found.back().from, std::max(found.back().to, to), at_head};
      else
        found.push_back({from, to, at_head});
    }
  return found;
}

std::vector<RecoverableRange> recoverable_ranges(const Lineage& lineage,
                                                 const std::vector<CoveredRange>& covered,
                                                 const std::vector<SnapshotInfo>& snapshots,
                                                 const std::vector<Lsn>& obstacles) {
  std::vector<SnapshotInfo> usable;
  for (const SnapshotInfo& each : snapshots)
    if (timeline_of(lineage, each.end) == each.timeline) usable.push_back(each);
  std::sort(usable.begin(), usable.end(),
            [](const SnapshotInfo& a, const SnapshotInfo& b) { return a.end < b.end; });
  std::vector<RecoverableRange> found;
  for (const CoveredRange& range : covered) {
    bool open = false;  // whether the last one found lies in this range
    for (const SnapshotInfo& each : usable) {
      if (each.start < range.from || each.end > range.to) continue;
      auto obstacle = std::lower_bound(obstacles.begin(), obstacles.end(), each.start);
      Lsn to = obstacle == obstacles.end() ? range.to : std::min(range.to, *obstacle);
      if (to < each.end) continue;
      bool at_head = range.at_head && to == range.to;
      if (open && each.end <= found.back().to) {
        found.back().to = to;
        found.back().at_head = at_head;
        found.back().timeline = timeline_of(lineage, to);
        continue;
      }
      found.push_back({each.end, to, at_head, timeline_of(lineage, to), each.start, each});
      open = true;
    }
  }
  return found;
}

Lineage clipped(const Lineage& lineage, Lsn from, Lsn to) {
  Lineage found;
  for (const WalPart& part : lineage) {
    Lsn begins = std::max(part.from, from);
    Lsn ends = part.to.value == 0 ? to : std::min(part.to, to);
    if (begins < ends) found.push_back({part.timeline, begins, ends});
  }
  return found;
}

std::vector<SnapshotInfo> snapshots_before(const Lineage& lineage,
                                           const std::vector<SnapshotInfo>& snapshots, Lsn end) {
  std::vector<SnapshotInfo> found;
  for (const SnapshotInfo& each : snapshots)
    if (each.end <= end && timeline_of(lineage, each.end) == each.timeline) found.push_back(each);
  std::sort(found.begin(), found.end(),
            [](const SnapshotInfo& a, const SnapshotInfo& b) { return a.end > b.end; });
  return found;
}

std::string describe_windows(const std::vector<Window>& windows) {
  if (windows.empty()) return "nothing yet: the first snapshot is not there";
  std::string text;
  size_t first = windows.size() > kWindowsShown ? windows.size() - kWindowsShown : 0;
  if (first > 0) text = fmt::format("{} older windows; ", first);
  for (size_t i = first; i < windows.size(); ++i) {
    const Window& each = windows[i];
    text += fmt::format("{}{} to {} ({} to {})", i == first ? "" : "; ", format_lsn(each.from),
                        format_lsn(each.to), format_rfc3339(each.from_time),
                        format_rfc3339(each.to_time));
  }
  return text;
}

}  // namespace holdfast
