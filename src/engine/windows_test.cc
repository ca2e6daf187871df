#include "engine/windows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/segment_samples.h"

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

WalStretch stretch(Timeline timeline, uint64_t from, uint64_t to,
                   StretchEnd ending = StretchEnd::head) {
  WalStretch made;
  made.timeline = timeline;
  made.from = {from};
  made.to = {to};
  made.ending = ending;
  return made;
}

SnapshotInfo snapshot(const std::string& id, Timeline timeline, uint64_t start, uint64_t end) {
  SnapshotInfo made;
  made.id = id;
  made.timeline = timeline;
  made.start = {start};
  made.end = {end};
  made.ended_at = UtcTime(std::chrono::milliseconds(end));
  return made;
}

std::vector<std::pair<uint64_t, uint64_t>> bounds(const std::vector<RecoverableRange>& ranges) {
  std::vector<std::pair<uint64_t, uint64_t>> found;
  for (const RecoverableRange& each : ranges) found.emplace_back(each.from.value, each.to.value);
  return found;
}

// Timeline 2 left timeline 1 within segment 8.
const Lineage kForked = {{1, {}, {8 * kMiB + 512}}, {2, {8 * kMiB + 512}, {}}};

TEST(Windows, StretchesJoinAcrossAFork) {
  // What timeline 1 had beyond the fork is no part of it; the fork's segment begins before it.
  std::vector<CoveredRange> found = covered_ranges(
      kForked, {stretch(1, 6 * kMiB, 9 * kMiB), stretch(2, 8 * kMiB + 40, 10 * kMiB)}, kSegment);
  EXPECT_THAT(found, ElementsAre(CoveredRange{{6 * kMiB}, {10 * kMiB}, true}));
}

TEST(Windows, AGapDoesNotJoin) {
  std::vector<CoveredRange> found = covered_ranges(
      first_timeline(1),
      {stretch(1, 6 * kMiB, 7 * kMiB, StretchEnd::gap), stretch(1, 8 * kMiB, 9 * kMiB)}, kSegment);
  EXPECT_THAT(found, ElementsAre(CoveredRange{{6 * kMiB}, {7 * kMiB}, false},
                                 CoveredRange{{8 * kMiB}, {9 * kMiB}, true}));
}

TEST(Windows, WhatEndsInDamageIsNotTheHead) {
  std::vector<CoveredRange> found = covered_ranges(
      first_timeline(1), {stretch(1, 6 * kMiB, 7 * kMiB, StretchEnd::damage)}, kSegment);
  EXPECT_THAT(found, ElementsAre(CoveredRange{{6 * kMiB}, {7 * kMiB}, false}));
}

TEST(Windows, BeginWhereTheFirstSnapshotIsConsistent) {
  std::vector<CoveredRange> covered = {{{1000}, {9000}, true}};
  auto ranges = recoverable_ranges(
      first_timeline(1), covered,
      {snapshot("b", 1, 5000, 6000), snapshot("a", 1, 2000, 3000), snapshot("early", 1, 500, 1500)},
      {});
  EXPECT_THAT(bounds(ranges), ElementsAre(std::pair(3000ul, 9000ul)));
  EXPECT_EQ(ranges[0].first.id, "a");
  EXPECT_EQ(ranges[0].base_start.value, 2000u);
  EXPECT_TRUE(ranges[0].at_head);
  EXPECT_TRUE(recoverable_ranges(first_timeline(1), covered, {}, {}).empty());
}

TEST(Windows, NothingIsOfferedBehindAnObstacleUntilTheNextSnapshot) {
  std::vector<CoveredRange> covered = {{{1000}, {9000}, true}};
  std::vector<SnapshotInfo> snapshots = {snapshot("a", 1, 2000, 3000),
                                         snapshot("b", 1, 5000, 6000)};
  // One before b begins; and one within b's own backup, which spoils it.
  EXPECT_THAT(bounds(recoverable_ranges(first_timeline(1), covered, snapshots, {{4000}})),
              ElementsAre(std::pair(3000ul, 4000ul), std::pair(6000ul, 9000ul)));
  auto spoilt = recoverable_ranges(first_timeline(1), covered, snapshots, {{5500}});
  EXPECT_THAT(bounds(spoilt), ElementsAre(std::pair(3000ul, 5500ul)));
  EXPECT_FALSE(spoilt[0].at_head);
}

TEST(Windows, OverlappingSnapshotsMakeOne) {
  std::vector<CoveredRange> covered = {{{1000}, {9000}, true}};
  auto ranges =
      recoverable_ranges(first_timeline(1), covered,
                         {snapshot("a", 1, 2000, 3000), snapshot("b", 1, 3500, 3900)}, {{4000}});
  EXPECT_THAT(bounds(ranges), ElementsAre(std::pair(3000ul, 4000ul)));
}

TEST(Windows, ASnapshotOfALeftTimelineCountsOnlyBeforeTheFork) {
  std::vector<CoveredRange> covered = {{{6 * kMiB}, {10 * kMiB}, true}};
  auto before = snapshot("before", 1, 7 * kMiB, 7 * kMiB + 100);
  auto beyond = snapshot("beyond", 1, 8 * kMiB + 600, 8 * kMiB + 700);
  auto on_new = snapshot("new", 2, 9 * kMiB, 9 * kMiB + 100);
  auto ranges = recoverable_ranges(kForked, covered, {beyond}, {});
  EXPECT_TRUE(ranges.empty());
  ranges = recoverable_ranges(kForked, covered, {before, beyond, on_new}, {});
  EXPECT_THAT(bounds(ranges), ElementsAre(std::pair(7 * kMiB + 100, 10 * kMiB)));
  EXPECT_EQ(ranges[0].timeline, 2u);
  auto nearest = snapshots_before(kForked, {before, beyond, on_new}, {10 * kMiB});
  ASSERT_EQ(nearest.size(), 2u);
  EXPECT_EQ(nearest[0].id, "new");
  EXPECT_EQ(nearest[1].id, "before");
}

TEST(Windows, ClipsALineage) {
  EXPECT_THAT(clipped(kForked, {8 * kMiB}, {9 * kMiB}),
              ElementsAre(WalPart{1, {8 * kMiB}, {8 * kMiB + 512}},
                          WalPart{2, {8 * kMiB + 512}, {9 * kMiB}}));
  EXPECT_THAT(clipped(kForked, {9 * kMiB}, {10 * kMiB}),
              ElementsAre(WalPart{2, {9 * kMiB}, {10 * kMiB}}));
}

TEST(Windows, AreNamedInMessages) {
  EXPECT_THAT(describe_windows({}), HasSubstr("nothing yet"));
  Window window;
  window.from = {0x3000148};
  window.to = {0x5000060};
  EXPECT_THAT(describe_windows({window}), HasSubstr("0/3000148 to 0/5000060"));
}

}  // namespace
}  // namespace holdfast
