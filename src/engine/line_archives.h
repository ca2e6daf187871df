// The WAL of all lines: `main`, as it was received, and every branch that has had a compute, in its
// compute's pg_wal. Finds its way through a branch's history: on its own line back to where it
// left its parent's, and so on to `main`.
//
// A path is what recovery has to go: parts of timelines, oldest first, each on its line and with
// the folders that hold it. Timelines are unique along a path but for one case: a data folder that
// was put aside as it was (an in-place restore) is a line that goes on with its parent's timeline.
//
// Thread-safe. Throws not_found (no such line), invalid (not on a path, not covered).
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "engine/branch_storage.h"
#include "engine/wal_archive.h"
#include "engine/wal_folder.h"

namespace holdfast {

struct PathPart {
  std::string line;
  WalPart part;
  std::vector<std::string> folders;
};

// The part of a path that lies on `main`.
Lineage main_lineage(const std::vector<PathPart>& path);

class LineArchives {
 public:
  LineArchives(const WalFolder& wal, const std::string& index_folder);
  ~LineArchives();

  // Of the source, from the moment on that they are known.
  void expect(uint64_t system_identifier);

  void add(const Line& line);
  void remove(const std::string& id);
  std::optional<Line> line(const std::string& id) const;

  void refresh_main();
  // Runs `work`, which moves, adds or removes segments of `main`, while nobody reads them, and then
  // reads what there is. Not from within with_main().
  void change_main(const std::function<void()>& work);
  void refresh(const std::string& line);

  // Calls `work(archive)` on that of `main`. Nothing if no WAL was received yet.
  template <typename Work>
  void with_main(Work&& work) const {
    std::shared_lock lock(main_mutex_);
    if (main_) work(static_cast<const WalArchive&>(*main_));
  }

  // The lineage of `timeline` on `main`, or of the nearest ancestor of it whose WAL is there. Empty
  // if there is none.
  Lineage main_lineage_of(Timeline timeline) const;
  // The timeline that a line writes on: the newest in its folder.
  Timeline newest_timeline(const Line& line) const;

  // To the end of `timeline` on `line`; of 0: of the timeline that it writes on. For `main`, 0 is
  // refused: the source says which is its own.
  std::vector<PathPart> path(const std::string& line, Timeline timeline) const;
  // To a point.
  std::vector<PathPart> path(const RestorePoint& point) const;

  // On a line other than `main`, beyond where it left its parent's: nothing if what is asked for
  // lies before that.
  std::optional<WalPoint> head(const Line& line) const;
  std::optional<WalPoint> at_lsn(const Line& line, Lsn lsn) const;
  std::optional<WalTimePoint> at_time(const Line& line, UtcTime time) const;

  // What is missing of the WAL of `path` from `from` on, in words.
  std::optional<std::string> missing(const std::vector<PathPart>& path, Lsn from) const;
  WalNeeds needs(const std::vector<PathPart>& path, Lsn from) const;

 private:
  struct Branch {
    Line line;
    std::unique_ptr<WalArchive> archive;
    std::vector<Timeline> timelines;  // that it was made with
  };
  using Parts = std::map<std::string, Lineage>;
  static Parts by_line(const std::vector<PathPart>& path, Lsn from);
  Branch& branch(const std::string& id) const;
  void make_archive(Branch& branch) const;
  Lineage own_lineage(const Line& line, Timeline timeline) const;
  template <typename Work>
  void with_archive(const std::string& line, Work&& work) const;

  void refresh_main_locked();

  const WalFolder& wal_;
  std::mutex refresh_mutex_;  // one refresh of `main` at a time; taken before main_mutex_
  const std::string index_folder_;

  mutable std::shared_mutex main_mutex_;  // of the two behind it
  std::unique_ptr<WalArchive> main_;
  std::vector<Timeline> main_timelines_;
  uint64_t system_identifier_ = 0;

  // Held while a branch's archive is used. Never together with main_mutex_.
  mutable std::recursive_mutex branches_mutex_;
  mutable std::map<std::string, Branch> branches_;
};

}  // namespace holdfast
