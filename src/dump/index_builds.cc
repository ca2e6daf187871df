#include "dump/index_builds.h"

#include <algorithm>
#include <map>

#include "base/text.h"

namespace holdfast {
namespace {

// A pg_restore of its own takes some 30 ms to start.
constexpr uint64_t kLargeTableBytes = 32 << 20;
// What a row adds by being sorted, and what an index that takes rows apart costs, measured on
// PostgreSQL 15 beside reading the table.
constexpr double kSortBytesPerRow = 200;
constexpr double kInvertedCost = 4;

// By dump id of the TABLE: large ones with data in the archive.
std::map<int, const TableRecord*> large_tables(const ArchiveToc& toc, const Manifest& manifest) {
  std::map<int, const TableRecord*> by_data;
  for (const TableRecord& table : manifest.tables)
    if (table.text_bytes >= kLargeTableBytes) by_data[table.dump_id] = &table;
  std::set<int> tables;
  for (const TocEntry& entry : toc.entries)
    if (entry.desc == "TABLE") tables.insert(entry.dump_id);
  std::map<int, const TableRecord*> large;
  for (const TocEntry& entry : toc.entries) {
    auto data = by_data.find(entry.dump_id);
    if (entry.desc != "TABLE DATA" || data == by_data.end()) continue;
    for (int id : entry.dependencies)
      if (tables.contains(id)) large[id] = data->second;
  }
  return large;
}

double cost_of(const TocEntry& entry, const TableRecord& table) {
  double cost = static_cast<double>(table.text_bytes) +
                kSortBytesPerRow * static_cast<double>(table.sum.rows);
  return contains(entry.defn, " USING gin ") ? cost * kInvertedCost : cost;
}

// ADD CONSTRAINT locks the table, and so does what stands after CREATE INDEX for some: CLUSTER ON,
// REPLICA IDENTITY.
bool locks_table(const TocEntry& entry) {
  return entry.desc == "CONSTRAINT" || contains(entry.defn, "ALTER TABLE");
}

}  // namespace

std::vector<IndexBuild> plan_index_builds(const ArchiveToc& toc, const Manifest& manifest,
                                          const std::vector<int>& after_data, int jobs) {
  std::map<int, const TableRecord*> tables = large_tables(toc, manifest);
  std::set<int> after(after_data.begin(), after_data.end());
  std::vector<IndexBuild> builds;
  double all = 0;
  std::map<int, double> of_table;
  for (const TocEntry& entry : toc.entries) {
    if (!after.contains(entry.dump_id) || (entry.desc != "INDEX" && entry.desc != "CONSTRAINT"))
      continue;
    std::set<int> of;  // named once for each of its columns
    bool waits = false;
    for (int id : entry.dependencies) {
      if (tables.contains(id)) of.insert(id);
      waits |= after.contains(id);
    }
    if (of.size() != 1 || waits) continue;
    int table = *of.begin();
    double cost = cost_of(entry, *tables[table]);
    builds.push_back({entry.dump_id, table, cost, locks_table(entry), false});
    all += cost;
    of_table[table] += cost;
  }
  // Ids decide between equals: the order is the same in every run.
  std::sort(builds.begin(), builds.end(), [](const IndexBuild& a, const IndexBuild& b) {
    return a.cost != b.cost ? a.cost > b.cost : a.dump_id < b.dump_id;
  });
  for (IndexBuild& build : builds) {
    bool waited_for = build.cost * 2 * jobs > all;
    bool alone = build.exclusive && of_table[build.table] * 2 > all;
    build.parallel = waited_for || alone;
  }
  return builds;
}

std::optional<IndexBuild> IndexBuildQueue::take() {
  std::unique_lock lock(mutex_);
  while (!stopped_ && !waiting_.empty()) {
    auto next = std::find_if(waiting_.begin(), waiting_.end(),
                             [&](const IndexBuild& build) { return can_begin(build); });
    if (next != waiting_.end()) {
      IndexBuild build = *next;
      waiting_.erase(next);
      busy_tables_.insert(build.table);
      if (build.exclusive) locked_tables_.insert(build.table);
      return build;
    }
    changed_.wait(lock);
  }
  return std::nullopt;
}

void IndexBuildQueue::done(const IndexBuild& build) {
  std::lock_guard lock(mutex_);
  busy_tables_.erase(busy_tables_.find(build.table));
  if (build.exclusive) locked_tables_.erase(build.table);
  changed_.notify_all();
}

void IndexBuildQueue::stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

bool IndexBuildQueue::can_begin(const IndexBuild& build) const {
  return build.exclusive ? !busy_tables_.contains(build.table)
                         : !locked_tables_.contains(build.table);
}

}  // namespace holdfast
