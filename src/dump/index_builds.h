// The order in which the indexes of large tables are built, several at a time.
//
// pg_restore -j takes them by number, so that the longest may come last and be waited for, and lets
// each build sort with several processes, which costs more than one sort does: right for one index,
// not where there are more indexes than cores. Here the longest come first and, as long as others
// fill the cores, each is built by one process. Everything else that comes after the data is left
// to pg_restore -j.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "dump/manifest.h"
#include "pg/archive.h"

namespace holdfast {

struct IndexBuild {
  int dump_id = 0;  // of an INDEX, or of a CONSTRAINT that is one
  int table = 0;    // dump id of its TABLE
  double cost = 0;  // a rough measure of the time it takes: bytes to read, and what sorting adds
  // It locks its table against the table's other builds.
  bool exclusive = false;
  // Several processes build it: it is so large a part of all that it would be waited for, or no
  // other is likely to run beside it.
  bool parallel = false;
};

// The builds among the entries `after_data` that are worth it, the most costly first: those of
// large tables that need nothing else of `after_data`.
std::vector<IndexBuild> plan_index_builds(const ArchiveToc& toc, const Manifest& manifest,
                                          const std::vector<int>& after_data, int jobs);

// Hands out builds so that none has to wait for another's lock. Used by all workers' threads.
class IndexBuildQueue {
 public:
  explicit IndexBuildQueue(std::vector<IndexBuild> builds) : waiting_(std::move(builds)) {}
  // The most costly that can begin, as soon as one can. Nothing when none is left, or after stop().
  std::optional<IndexBuild> take();
  void done(const IndexBuild& build);
  void stop();

 private:
  bool can_begin(const IndexBuild& build) const;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<IndexBuild> waiting_;
  std::multiset<int> busy_tables_;  // one for each build that runs
  std::set<int> locked_tables_;     // by exclusive ones
  bool stopped_ = false;
};

}  // namespace holdfast
