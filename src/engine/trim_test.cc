#include "engine/trim.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/segment_samples.h"

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

UtcTime second(int64_t number) {
  return UtcTime(std::chrono::seconds(number));
}

// Number n begins at the segment 10 * n, ends 100 bytes later, at n * 10 s.
SnapshotInfo snapshot(int n, Timeline timeline = 1) {
  SnapshotInfo made;
  made.id = "snap-" + std::to_string(n);
  made.timeline = timeline;
  made.start = {10 * static_cast<uint64_t>(n) * kMiB};
  made.end = {made.start.value + 100};
  made.ended_at = second(10 * n);
  return made;
}

SegmentFile segment(uint64_t number, Timeline timeline = 1) {
  SegmentFile made;
  made.timeline = timeline;
  made.number = number;
  return made;
}

TEST(Trim, KeepsTheSnapshotThatTheWindowBeginsWith) {
  TrimPlan plan =
      plan_trim(first_timeline(1), {snapshot(1), snapshot(2), snapshot(3)}, second(25), {});
  EXPECT_THAT(plan.snapshots, ElementsAre("snap-1"));
  EXPECT_FALSE(is_kept(plan, segment(19), kSegment));
  EXPECT_TRUE(is_kept(plan, segment(20), kSegment));
  EXPECT_TRUE(is_kept(plan, segment(1000), kSegment));
}

TEST(Trim, NeverTakesTheLastSnapshot) {
  EXPECT_THAT(plan_trim(first_timeline(1), {snapshot(1)}, second(1000), {}).snapshots, IsEmpty());
  EXPECT_THAT(plan_trim(first_timeline(1), {snapshot(5), snapshot(6)}, second(1), {}).snapshots,
              IsEmpty());
  TrimPlan nothing = plan_trim(first_timeline(1), {}, second(1000), {});
  EXPECT_TRUE(is_kept(nothing, segment(1), kSegment));
}

TEST(Trim, KeepsWhatANeededPointTakes) {
  Lineage lineage = {{1, {}, {15 * kMiB}}};
  TrimPlan plan = plan_trim(first_timeline(1), {snapshot(1), snapshot(2), snapshot(3)}, second(35),
                            {{lineage, {15 * kMiB}}});
  EXPECT_THAT(plan.snapshots, ElementsAre("snap-2"));
  EXPECT_FALSE(is_kept(plan, segment(9), kSegment));
  EXPECT_TRUE(is_kept(plan, segment(10), kSegment));
  EXPECT_TRUE(is_kept(plan, segment(14), kSegment));
  EXPECT_FALSE(is_kept(plan, segment(15), kSegment));
  EXPECT_FALSE(is_kept(plan, segment(29), kSegment));
  EXPECT_TRUE(is_kept(plan, segment(30), kSegment));
}

TEST(Trim, ATimelineThatTheSourceLeftStaysOnlyForThoseWhoNeedIt) {
  Lineage main = {{1, {}, {12 * kMiB}}, {2, {12 * kMiB}, {}}};
  std::vector<SnapshotInfo> snapshots = {snapshot(1), snapshot(2), snapshot(3, 2)};
  TrimPlan plan = plan_trim(main, snapshots, second(12), {});
  EXPECT_THAT(plan.snapshots, ElementsAre("snap-2"));
  EXPECT_TRUE(is_kept(plan, segment(11), kSegment));
  EXPECT_FALSE(is_kept(plan, segment(22), kSegment));
  EXPECT_TRUE(is_kept(plan, segment(22, 2), kSegment));
  Lineage old = {{1, {}, {25 * kMiB}}};
  plan = plan_trim(main, snapshots, second(12), {{old, {25 * kMiB}}});
  EXPECT_THAT(plan.snapshots, IsEmpty());
  EXPECT_TRUE(is_kept(plan, segment(22), kSegment));
}

}  // namespace
}  // namespace holdfast
