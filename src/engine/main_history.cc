#include "engine/main_history.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace holdfast {
namespace {

UtcTime to_milliseconds(WalTime time) {
  return std::chrono::floor<std::chrono::milliseconds>(time);
}

Lineage of_range(const Lineage& lineage, const RecoverableRange& range) {
  return clipped(lineage, range.base_start, range.to);
}

}  // namespace

RestorePoint on_line(const std::string& line, const WalPoint& point) {
  RestorePoint found{line, point.timeline, point.record, point.end, {}};
  if (point.commit_time) found.commit_time = to_milliseconds(*point.commit_time);
  return found;
}

MainHistory::MainHistory(const LineArchives& archives, const SnapshotCatalog& catalog,
                         const StorageRecordFile& record)
    : archives_(archives), catalog_(catalog), record_(record) {}

Lineage MainHistory::current() const {
  Timeline timeline = record_.get().timeline;
  return timeline == 0 ? Lineage{} : archives_.main_lineage_of(timeline);
}

std::vector<RecoverableRange> MainHistory::ranges(const Lineage& lineage) const {
  std::vector<RecoverableRange> found;
  archives_.with_main([&](const WalArchive& archive) {
    std::vector<CoveredRange> covered =
        covered_ranges(lineage, archive.stretches(), archive.segment_bytes());
    std::vector<Lsn> obstacles;
    for (const CoveredRange& range : covered) {
      WalNeeds needs = archive.needs(clipped(lineage, range.from, range.to));
      for (const WalTablespace& each : needs.tablespaces) obstacles.push_back(each.record);
      if (needs.minimal_wal) obstacles.push_back(*needs.minimal_wal);
    }
    std::sort(obstacles.begin(), obstacles.end());
    found = recoverable_ranges(lineage, covered, catalog_.list(), obstacles);
  });
  return found;
}

// Before a gap the source was known up to when the receiver had last caught up with it; otherwise
// only its commits say how far it had come.
UtcTime MainHistory::known_until(const Lineage& lineage, const RecoverableRange& range,
                                 std::optional<UtcTime> caught_up_at) const {
  UtcTime until = range.first.ended_at;
  archives_.with_main([&](const WalArchive& archive) {
    WalPoint last = archive.head(of_range(lineage, range));
    if (last.commit_time) until = std::max(until, to_milliseconds(*last.commit_time));
  });
  if (range.at_head) {
    if (caught_up_at) until = std::max(until, *caught_up_at);
    return until;
  }
  StorageRecord record = record_.get();
  for (const StorageGap& gap : record.gaps)
    if (gap.caught_up_at && gap.to > range.to &&
        gap.from.value / record.segment_bytes * record.segment_bytes <= range.to.value)
      return std::max(until, *gap.caught_up_at);
  return until;
}

std::vector<Window> MainHistory::windows(const Lineage& lineage,
                                         std::optional<UtcTime> caught_up_at) const {
  std::vector<Window> found;
  for (const RecoverableRange& each : ranges(lineage))
    found.push_back({kMainLine, each.timeline, each.from, each.to, each.first.ended_at,
                     known_until(lineage, each, caught_up_at)});
  return found;
}

Error MainHistory::outside(const std::string& what, const Lineage& lineage,
                           std::optional<UtcTime> caught_up_at) const {
  return Error(ErrorCode::invalid,
               fmt::format("{} cannot be recovered to; what can: {}", what,
                           describe_windows(windows(lineage, caught_up_at))),
               "choose a point within these");
}

RestorePoint MainHistory::head(const Lineage& lineage, std::optional<UtcTime> caught_up_at) const {
  std::vector<RecoverableRange> there = ranges(lineage);
  if (there.empty() || !there.back().at_head) {
    std::string damage = damage_at_head();
    throw outside("the head" + (damage.empty() ? "" : " (" + damage + ")"), lineage, caught_up_at);
  }
  RestorePoint found;
  archives_.with_main([&](const WalArchive& archive) {
    found = on_line(kMainLine, archive.head(of_range(lineage, there.back())));
  });
  return found;
}

RestorePoint MainHistory::at_lsn(const Lineage& lineage, Lsn lsn,
                                 std::optional<UtcTime> caught_up_at) const {
  std::optional<RestorePoint> found;
  for (const RecoverableRange& range : ranges(lineage)) {
    if (lsn < range.from || lsn > range.to) continue;
    archives_.with_main([&](const WalArchive& archive) {
      found = on_line(kMainLine, archive.at_lsn(of_range(lineage, range), lsn));
    });
    if (found && found->end >= range.from) return *found;
  }
  throw outside(format_lsn(lsn), lineage, caught_up_at);
}

TimedPoint MainHistory::at_time(const Lineage& lineage, UtcTime time,
                                std::optional<UtcTime> caught_up_at,
                                const std::optional<RestorePoint>& end) const {
  std::vector<RecoverableRange> there = ranges(lineage);
  for (auto range = there.rbegin(); range != there.rend(); ++range) {
    if (time < range->first.ended_at) continue;
    std::optional<WalTimePoint> found;
    archives_.with_main([&](const WalArchive& archive) {
      found = archive.at_time(of_range(lineage, *range), time);
    });
    if (!found || found->point.end < range->from) break;
    TimedPoint answer{on_line(kMainLine, found->point), found->later_commit_seen};
    if (answer.exact) return answer;
    if (end && range->to >= end->end) return {*end, true};
    if (time <= known_until(lineage, *range, caught_up_at)) answer.exact = true;
    if (answer.exact || range->at_head) return answer;
    break;
  }
  throw outside(format_rfc3339(time), lineage, caught_up_at);
}

std::string MainHistory::wants_snapshot() const {
  if (catalog_.list().empty()) return {};
  Lineage lineage = current();
  std::vector<RecoverableRange> there = ranges(lineage);
  if (!there.empty() && there.back().at_head) return {};
  if (!damage_at_head().empty()) return {};
  return there.empty()
             ? "no snapshot leads to what was received"
             : fmt::format("nothing after {} can be recovered to until there is a new snapshot",
                           format_lsn(there.back().to));
}

std::string MainHistory::damage_at_head() const {
  Lineage lineage = current();
  std::string why;
  if (lineage.empty()) return why;
  archives_.with_main([&](const WalArchive& archive) {
    std::vector<WalStretch> stretches = archive.stretches(lineage.back().timeline);
    if (!stretches.empty() && stretches.back().ending == StretchEnd::damage)
      why = stretches.back().why;
  });
  return why;
}

}  // namespace holdfast
