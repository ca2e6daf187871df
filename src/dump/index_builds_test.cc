#include "dump/index_builds.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <map>
#include <thread>
#include <vector>

namespace holdfast {
namespace {

constexpr uint64_t kMiB = 1 << 20;

TocEntry toc_entry(int id, const char* desc, std::vector<int> dependencies, const char* defn = "") {
  TocEntry made;
  made.dump_id = id;
  made.desc = desc;
  made.defn = defn;
  made.dependencies = std::move(dependencies);
  return made;
}

TableRecord data_of(int dump_id, uint64_t bytes, uint64_t rows = 0) {
  TableRecord table;
  table.dump_id = dump_id;
  table.text_bytes = bytes;
  table.sum.rows = rows;
  return table;
}

// Table 1 is of 100 MiB, 2 of 60, 3 is small.
struct IndexCase {
  ArchiveToc toc;
  Manifest manifest;
  std::vector<int> after;

  IndexCase() {
    toc.entries = {toc_entry(1, "TABLE", {}),        toc_entry(2, "TABLE", {}),
                   toc_entry(3, "TABLE", {}),        toc_entry(11, "TABLE DATA", {1}),
                   toc_entry(12, "TABLE DATA", {2}), toc_entry(13, "TABLE DATA", {3})};
    manifest.tables = {data_of(11, 100 * kMiB), data_of(12, 60 * kMiB), data_of(13, kMiB)};
  }
  void add(TocEntry entry) {
    after.push_back(entry.dump_id);
    toc.entries.push_back(std::move(entry));
  }
  std::vector<IndexBuild> plan(int jobs = 2) const {
    return plan_index_builds(toc, manifest, after, jobs);
  }
  std::vector<int> ids(int jobs = 2) const {
    std::vector<int> ids;
    for (const IndexBuild& build : plan(jobs)) ids.push_back(build.dump_id);
    return ids;
  }
};

TEST(IndexBuilds, IndexesOfLargeTablesMostCostlyFirst) {
  IndexCase c;
  c.add(toc_entry(20, "INDEX", {2}));
  c.add(toc_entry(21, "INDEX", {1, 1, 1}));  // named once for each column
  c.add(toc_entry(22, "CONSTRAINT", {1}));
  c.add(toc_entry(23, "INDEX", {3}));
  c.add(toc_entry(24, "INDEX", {2}, "CREATE INDEX i ON public.t USING gin (words);\n"));
  EXPECT_EQ(c.ids(), (std::vector<int>{24, 21, 22, 20}));
}

TEST(IndexBuilds, RowsToSortCount) {
  IndexCase c;
  c.manifest.tables[1].sum.rows = 1'000'000;
  c.add(toc_entry(20, "INDEX", {1}));
  c.add(toc_entry(21, "INDEX", {2}));
  EXPECT_EQ(c.ids(), (std::vector<int>{21, 20}));
}

TEST(IndexBuilds, WhatIsNoIndexOrNeedsOneOrIsNotRestoredIsLeft) {
  IndexCase c;
  c.add(toc_entry(20, "CONSTRAINT", {1}));
  c.add(toc_entry(21, "FK CONSTRAINT", {1, 20}));
  c.add(toc_entry(22, "TRIGGER", {1}));
  c.add(toc_entry(23, "INDEX", {1, 20}));  // needs what comes after the data as well
  c.add(toc_entry(24, "CONSTRAINT", {1, 2}));
  c.add(toc_entry(25, "INDEX", {}));
  c.toc.entries.push_back(toc_entry(26, "INDEX", {1}));  // not among the selected
  EXPECT_EQ(c.ids(), (std::vector<int>{20}));
}

TEST(IndexBuilds, WhatLocksItsTableIsKnown) {
  IndexCase c;
  c.add(toc_entry(20, "CONSTRAINT", {1}));
  c.add(toc_entry(21, "INDEX", {1}, "CREATE INDEX i ON t USING btree (a);\n"));
  c.add(toc_entry(22, "INDEX", {1},
                  "CREATE INDEX j ON t USING btree (a);\n\nALTER TABLE t CLUSTER ON j;\n"));
  std::map<int, bool> exclusive;
  for (const IndexBuild& build : c.plan()) {
    exclusive[build.dump_id] = build.exclusive;
    EXPECT_EQ(build.table, 1);
  }
  EXPECT_EQ(exclusive, (std::map<int, bool>{{20, true}, {21, false}, {22, true}}));
}

TEST(IndexBuilds, OnlyWhatWouldBeWaitedForIsBuiltByMoreThanOneProcess) {
  IndexCase c;
  c.add(toc_entry(20, "INDEX", {1}));
  EXPECT_TRUE(c.plan().front().parallel);
  for (int id = 21; id < 30; ++id) c.add(toc_entry(id, "INDEX", {1}));
  for (const IndexBuild& build : c.plan(2)) EXPECT_FALSE(build.parallel);
  for (const IndexBuild& build : c.plan(8)) EXPECT_TRUE(build.parallel);
}

TEST(IndexBuilds, WhatLocksTheTableThatHasMostIsBuiltByMoreThanOneProcess) {
  IndexCase c;
  c.add(toc_entry(20, "CONSTRAINT", {1}));
  c.add(toc_entry(21, "CONSTRAINT", {2}));
  for (int id = 22; id < 40; ++id) c.add(toc_entry(id, "INDEX", {1}));
  for (const IndexBuild& build : c.plan()) EXPECT_EQ(build.parallel, build.dump_id == 20);
}

TEST(IndexBuildQueue, NoBuildWaitsForALockOfItsTable) {
  IndexBuildQueue queue({{1, 100, 9, true, false},
                         {2, 100, 8, false, false},
                         {3, 200, 7, false, false},
                         {4, 200, 6, true, false},
                         {5, 200, 5, false, false}});
  IndexBuild first = *queue.take(), second = *queue.take(), third = *queue.take();
  EXPECT_EQ(first.dump_id, 1);
  EXPECT_EQ(second.dump_id, 3);  // not 2, whose table is locked
  EXPECT_EQ(third.dump_id, 5);   // not 4, which would wait for 3
  queue.done(first);
  EXPECT_EQ(queue.take()->dump_id, 2);
  queue.done(second);
  queue.done(third);
  EXPECT_EQ(queue.take()->dump_id, 4);
  EXPECT_EQ(queue.take(), std::nullopt);
}

TEST(IndexBuildQueue, WhoMustWaitGoesOnWhenTheTableIsFree) {
  IndexBuildQueue queue({{1, 100, 9, true, false}, {2, 100, 8, true, false}});
  IndexBuild first = *queue.take();
  std::atomic<bool> begun{false};
  std::jthread other([&] {
    EXPECT_EQ(queue.take()->dump_id, 2);
    begun = true;
  });
  EXPECT_FALSE(begun);
  queue.done(first);
  other.join();
  EXPECT_TRUE(begun);
}

TEST(IndexBuildQueue, StoppingWakesThoseWhoWait) {
  IndexBuildQueue queue({{1, 100, 9, true, false}, {2, 100, 8, true, false}});
  queue.take();
  std::jthread other([&] { EXPECT_EQ(queue.take(), std::nullopt); });
  queue.stop();
  other.join();
  EXPECT_EQ(queue.take(), std::nullopt);
}

TEST(IndexBuildQueue, ManyWorkersTakeEachBuildOnceAndNeverInEachOthersWay) {
  std::vector<IndexBuild> builds;
  for (int id = 0; id < 400; ++id) builds.push_back({id, id % 7, 1.0 * id, id % 3 == 0, false});
  IndexBuildQueue queue(builds);
  std::array<std::atomic<int>, 7> busy{}, locked{};
  std::atomic<int> taken{0}, in_the_way{0};
  {
    std::vector<std::jthread> workers;
    for (int i = 0; i < 8; ++i)
      workers.emplace_back([&] {
        while (std::optional<IndexBuild> build = queue.take()) {
          auto table = static_cast<size_t>(build->table);
          int others = busy[table]++;
          if (build->exclusive) ++locked[table];
          if (locked[table] > 0 && others > 0) ++in_the_way;
          ++taken;
          std::this_thread::yield();
          if (build->exclusive) --locked[table];
          --busy[table];
          queue.done(*build);
        }
      });
  }
  EXPECT_EQ(taken, 400);
  EXPECT_EQ(in_the_way, 0);
}

}  // namespace
}  // namespace holdfast
