#include "engine/trim.h"

#include <algorithm>
#include <set>

namespace holdfast {
namespace {

void keep_parts(const Lineage& lineage, Lsn from, std::vector<WalPart>& kept) {
  for (WalPart part : lineage) {
    if (part.to.value != 0 && part.to <= from) continue;
    part.from = std::max(part.from, from);
    if (std::find(kept.begin(), kept.end(), part) == kept.end()) kept.push_back(part);
  }
}

}  // namespace

TrimPlan plan_trim(const Lineage& main, const std::vector<SnapshotInfo>& snapshots,
                   UtcTime keep_since, const std::vector<NeededPoint>& needed) {
  TrimPlan plan;
  std::set<std::string> stay;
  const SnapshotInfo* base = nullptr;
  const SnapshotInfo* oldest = nullptr;
  std::vector<const SnapshotInfo*> on_main;
  for (const SnapshotInfo& each : snapshots) {
    if (timeline_of(main, each.end) != each.timeline) continue;
    on_main.push_back(&each);
    if (oldest == nullptr || each.end < oldest->end) oldest = &each;
    if (each.ended_at <= keep_since && (base == nullptr || base->end < each.end)) base = &each;
  }
  if (base == nullptr) base = oldest;
  if (base == nullptr) {
    plan.everything = true;
    return plan;
  }
  for (const SnapshotInfo* each : on_main)
    if (each->end >= base->end) stay.insert(each->id);
  keep_parts(main, base->start, plan.kept);
  for (const NeededPoint& point : needed) {
    std::vector<SnapshotInfo> before = snapshots_before(point.lineage, snapshots, point.end);
    if (before.empty()) continue;  // it could not be recovered as it is
    stay.insert(before.front().id);
    keep_parts(point.lineage, before.front().start, plan.kept);
  }
  for (const SnapshotInfo& each : snapshots)
    if (!stay.contains(each.id)) plan.snapshots.push_back(each.id);
  return plan;
}

bool is_kept(const TrimPlan& plan, const SegmentFile& segment, uint32_t segment_bytes) {
  if (plan.everything) return true;
  return std::any_of(plan.kept.begin(), plan.kept.end(), [&](const WalPart& part) {
    return part.timeline == segment.timeline && segment.end(segment_bytes) > part.from &&
           (part.to.value == 0 || segment.start(segment_bytes) < part.to);
  });
}

}  // namespace holdfast
