#include "engine/plain_storage.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <list>
#include <mutex>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "engine/bring.h"
#include "engine/line_archives.h"
#include "engine/main_history.h"
#include "engine/snapshot_catalog.h"
#include "engine/snapshot_taker.h"
#include "engine/source_link.h"
#include "engine/storage_record.h"
#include "engine/trim.h"
#include "engine/wal_folder.h"
#include "engine/wal_receiver.h"

namespace holdfast {
namespace {

constexpr std::chrono::milliseconds kLookPause{1000}, kWalPoll{50};
constexpr std::chrono::milliseconds kCatchUp{3000}, kCatchUpTo{5000}, kFirstContact{60'000};
constexpr double kWalSecondsMax = 600;  // without any WAL coming in
constexpr int kLooksBeforeSnapshot = 3;
constexpr double kSnapshotPauseSeconds = 30, kSnapshotPauseSecondsMax = 1800;

std::string made(const std::string& folder) {
  make_folders(folder);
  return folder;
}

}  // namespace

class PlainStorage::Parts {
 public:
  Parts(const PlainStorageSettings& settings, const Clock& clock, Log& log)
      : settings_(settings),
        clock_(clock),
        log_(log),
        lock_(made(settings.folder) + "/lock", "the storage folder " + settings.folder),
        record_(settings.folder),
        wal_(settings.folder),
        link_(settings.source, record_.get().slot()),
        archives_(wal_, settings.folder + "/wal-index"),
        catalog_(settings.folder, log),
        history_(archives_, catalog_, record_),
        receiver_({settings.folder, settings.source, settings.tools, settings.held_bytes_max},
                  record_, wal_, archives_, link_, clock, log) {
    try {
      refresh_main();
    } catch (const Error& error) {
      log_.error(fmt::format("reading the WAL that is here: {}", error.what()));
    }
    receiver_.start();
    keeper_ = std::jthread([this](std::stop_token stop) { keep(stop); });
  }

  StorageHealth health() const;
  SnapshotInfo take_snapshot(const Run& run);
  RestorePoint head(const std::string& line);
  RestorePoint at_lsn(const std::string& line, Lsn lsn);
  RestorePoint at_time(const std::string& line, UtcTime time);
  std::vector<Window> windows() const {
    return history_.windows(history_.current(), receiver_.caught_up_at());
  }
  BroughtFolder bring(const RestorePoint& point, const std::string& folder, const Run& run);
  void trim(UtcTime keep_since, const std::vector<RestorePoint>& needed);
  void adopt_timeline(const std::string& data_folder, const RestorePoint& fork);
  RestorePoint at_lsn_within(const RestorePoint& limit, Lsn lsn);
  TimedPoint at_time_within(const RestorePoint& limit, UtcTime time);

  WalReceiver& receiver() { return receiver_; }
  SnapshotCatalog& catalog() { return catalog_; }
  LineArchives& archives() { return archives_; }

 private:
  void keep(const std::stop_token& stop);
  void look();
  void refresh_main();
  Line known_line(const std::string& id) const;
  Lineage main_to(const RestorePoint& limit) const;
  void wait_for_wal(const BackupRange& range, const Run& run);
  StoredSnapshot choose_snapshot(BringOrder& order, const RestorePoint& point);
  std::vector<std::string> histories_for(const BringOrder& order) const;

  const PlainStorageSettings settings_;
  const Clock& clock_;
  Log& log_;
  FileLock lock_;
  StorageRecordFile record_;
  WalFolder wal_;
  SourceLink link_;
  LineArchives archives_;
  SnapshotCatalog catalog_;
  MainHistory history_;
  WalReceiver receiver_;

  std::mutex snapshot_mutex_;  // held while one is taken
  std::mutex trim_mutex_;      // held by trim(): no bring() begins meanwhile
  mutable std::mutex mutex_;   // of what follows; taken last
  std::condition_variable_any waking_;
  std::string trouble_;  // of what was received
  HeadTrouble head_trouble_ = HeadTrouble::none;
  std::list<RestorePoint> bringing_;  // their WAL stays

  // Of the keeper's thread.
  int looks_in_vain_ = 0;
  double snapshot_not_before_ = 0, snapshot_pause_ = 0;
  std::jthread keeper_;  // last: ends before all else does
};

void PlainStorage::Parts::refresh_main() {
  if (uint64_t known = record_.get().system_identifier) archives_.expect(known);
  archives_.refresh_main();
}

void PlainStorage::Parts::keep(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    try {
      look();
      if (looks_in_vain_ >= kLooksBeforeSnapshot &&
          clock_.monotonic_seconds() >= snapshot_not_before_) {
        NullProgress progress;
        snapshot_pause_ =
            std::clamp(2 * snapshot_pause_, kSnapshotPauseSeconds, kSnapshotPauseSecondsMax);
        snapshot_not_before_ = clock_.monotonic_seconds() + snapshot_pause_;
        log_.info("taking a snapshot: " + history_.wants_snapshot());
        take_snapshot({clock_, log_, progress, stop});
        snapshot_pause_ = 0;
      }
    } catch (const Error& error) {
      if (!stop.stop_requested()) log_.warning(fmt::format("storage: {}", error.what()));
    }
    std::unique_lock lock(mutex_);
    waking_.wait_for(lock, stop, kLookPause, [] { return false; });
  }
}

void PlainStorage::Parts::look() {
  refresh_main();
  std::string wants = history_.wants_snapshot();
  std::string damage = history_.damage_at_head();
  looks_in_vain_ = wants.empty() ? 0 : looks_in_vain_ + 1;
  if (wants.empty()) snapshot_not_before_ = 0;
  if (!receiver_.health().receiving) looks_in_vain_ = 0;
  std::lock_guard lock(mutex_);
  std::string trouble = damage.empty() ? wants : "what was received is damaged: " + damage;
  if (trouble != trouble_ && !trouble.empty()) log_.warning(trouble);
  trouble_ = trouble;
  head_trouble_ = !damage.empty()  ? HeadTrouble::damaged
                  : !wants.empty() ? HeadTrouble::no_snapshot
                                   : HeadTrouble::none;
}

StorageHealth PlainStorage::Parts::health() const {
  StorageHealth found = receiver_.health();
  // A source that crashed has forgotten how much of its slot was confirmed: what is here counts.
  for (const RecoverableRange& each : history_.ranges(history_.current()))
    found.received = std::max(found.received, each.to);
  std::lock_guard lock(mutex_);
  if (found.trouble.empty()) found.trouble = trouble_;
  found.head = head_trouble_;
  return found;
}

void PlainStorage::Parts::wait_for_wal(const BackupRange& range, const Run& run) {
  double last_news = clock_.monotonic_seconds();
  for (Lsn seen;;) {
    run.check_stop();
    receiver_.catch_up(kCatchUp);
    refresh_main();
    std::optional<std::string> missing = "no WAL was received yet";
    archives_.with_main([&](const WalArchive& archive) {
      missing = archive.missing({{range.timeline, range.start, range.end}});
    });
    if (!missing) return;
    StorageHealth now = receiver_.health();
    if (now.received != seen) last_news = clock_.monotonic_seconds();
    seen = now.received;
    if (clock_.monotonic_seconds() - last_news > kWalSecondsMax)
      throw Error(ErrorCode::unavailable,
                  fmt::format("the snapshot's WAL does not arrive: {}; {}", *missing, now.trouble));
    std::this_thread::sleep_for(kWalPoll);
  }
}

SnapshotInfo PlainStorage::Parts::take_snapshot(const Run& run) {
  std::lock_guard lock(snapshot_mutex_);
  // Nothing would ever be received from it, so there is nothing to wait for.
  if (uint64_t known = record_.get().system_identifier)
    check_same_cluster(known, link_.status().system_identifier);
  // The backup has to begin behind where receiving does.
  receiver_.wait_caught_up(kFirstContact, run);
  StoredSnapshot record = take_base_backup(
      {settings_.source, settings_.tools, link_.slot() + "_snapshot"}, link_, catalog_,
      record_.get().system_identifier, [&](const BackupRange& range) { wait_for_wal(range, run); },
      run);
  log_.info(fmt::format("snapshot {} of {} to {} is there", record.info.id,
                        format_lsn(record.info.start), format_lsn(record.info.end)));
  return record.info;
}

Line PlainStorage::Parts::known_line(const std::string& id) const {
  std::optional<Line> line = archives_.line(id);
  if (!line) throw Error(ErrorCode::not_found, fmt::format("no line {} is known", id));
  return *line;
}

Lineage PlainStorage::Parts::main_to(const RestorePoint& limit) const {
  return clipped(archives_.main_lineage_of(limit.timeline), {}, limit.end);
}

RestorePoint PlainStorage::Parts::head(const std::string& line) {
  if (line == kMainLine) {
    receiver_.catch_up(kCatchUp);
    refresh_main();
    return history_.head(history_.current(), receiver_.caught_up_at());
  }
  Line known = known_line(line);
  archives_.refresh(line);
  std::optional<WalPoint> found = archives_.head(known);
  return found ? on_line(line, *found) : known.parent;
}

RestorePoint PlainStorage::Parts::at_lsn_within(const RestorePoint& limit, Lsn lsn) {
  if (lsn >= limit.end) return limit;
  if (limit.line == kMainLine)
    return history_.at_lsn(main_to(limit), lsn, receiver_.caught_up_at());
  Line known = known_line(limit.line);
  std::optional<WalPoint> found = archives_.at_lsn(known, lsn);
  return found ? on_line(limit.line, *found) : at_lsn_within(known.parent, lsn);
}

RestorePoint PlainStorage::Parts::at_lsn(const std::string& line, Lsn lsn) {
  refresh_main();
  if (line != kMainLine) {
    Line known = known_line(line);
    archives_.refresh(line);
    std::optional<WalPoint> found = archives_.at_lsn(known, lsn);
    return found ? on_line(line, *found) : at_lsn_within(known.parent, lsn);
  }
  std::vector<RecoverableRange> there = history_.ranges(history_.current());
  if (!there.empty() && lsn > there.back().to) {
    receiver_.catch_up(kCatchUp);
    refresh_main();
  }
  return history_.at_lsn(history_.current(), lsn, receiver_.caught_up_at());
}

TimedPoint PlainStorage::Parts::at_time_within(const RestorePoint& limit, UtcTime time) {
  if (limit.line == kMainLine)
    return history_.at_time(main_to(limit), time, receiver_.caught_up_at(), limit);
  Line known = known_line(limit.line);
  // Along the whole history, oldest first: the first commit that is later ends it.
  if (std::optional<WalTimePoint> own = archives_.at_time(known, time)) {
    TimedPoint before = at_time_within(known.parent, time);
    if (before.point.end < known.parent.end) return before;
    RestorePoint point = on_line(limit.line, own->point);
    if (point.end >= limit.end) return {limit, true};
    if (!point.commit_time) point.commit_time = known.parent.commit_time;
    return {point, own->later_commit_seen};
  }
  return at_time_within(known.parent, time);
}

RestorePoint PlainStorage::Parts::at_time(const std::string& line, UtcTime time) {
  refresh_main();
  if (line != kMainLine) {
    if (time > clock_.now())
      throw Error(ErrorCode::invalid,
                  fmt::format("{} lies in the future of the branch", format_rfc3339(time)));
    return at_time_within(head(line), time).point;
  }
  TimedPoint found = history_.at_time(history_.current(), time, receiver_.caught_up_at());
  if (!found.exact) {
    receiver_.catch_up_to(time, kCatchUpTo);
    std::optional<UtcTime> caught_up_at = receiver_.caught_up_at();
    refresh_main();
    found = history_.at_time(history_.current(), time, caught_up_at);
  }
  if (found.exact) return found.point;
  throw Error(ErrorCode::invalid,
              fmt::format("{} lies in the future, or what the source wrote until then was not "
                          "received yet; what can be recovered to: {}",
                          format_rfc3339(time), describe_windows(windows())),
              "choose a point within these");
}

// The nearest one from which every byte up to the point is there and can be replayed.
StoredSnapshot PlainStorage::Parts::choose_snapshot(BringOrder& order, const RestorePoint& point) {
  Lineage main = main_lineage(order.path);
  std::string why = "no snapshot lies before it";
  for (const SnapshotInfo& each : snapshots_before(main, catalog_.list(), main.back().to)) {
    if (std::optional<std::string> missing = archives_.missing(order.path, each.start)) {
      why = *missing;
      continue;
    }
    order.needs = archives_.needs(order.path, each.start);
    if (order.needs.minimal_wal) {
      why = fmt::format("wal_level was minimal at {}", format_lsn(*order.needs.minimal_wal));
    } else if (!order.needs.tablespaces.empty()) {
      const WalTablespace& made = order.needs.tablespaces.front();
      why = fmt::format("a tablespace was made at {}, in {}, after the last snapshot before it",
                        format_lsn(made.record), made.path);
    } else {
      return catalog_.get(each.id);
    }
  }
  throw Error(ErrorCode::invalid,
              fmt::format("{} of line {} cannot be recovered to: {}; what can, of main: {}",
                          format_lsn(point.end), point.line, why, describe_windows(windows())),
              "choose a point within these");
}

std::vector<std::string> PlainStorage::Parts::histories_for(const BringOrder& order) const {
  std::map<std::string, std::string> by_name;
  auto add = [&](const std::string& folder, Timeline timeline) {
    std::string name = history_file_name(timeline);
    if (timeline > 1 && file_exists(folder + "/" + name))
      by_name.emplace(name, folder + "/" + name);
  };
  for (const PathPart& each : order.path)
    add(each.line == kMainLine ? wal_.current() : each.folders.front(), each.part.timeline);
  // A data folder that is to take the source's place must not reuse the number of a timeline that
  // the source has had.
  if (order.point.line == kMainLine)
    archives_.with_main([&](const WalArchive& archive) {
      for (Timeline each : archive.timelines()) add(wal_.current(), each);
    });
  std::vector<std::string> found;
  for (const auto& [name, path] : by_name) found.push_back(path);
  return found;
}

BroughtFolder PlainStorage::Parts::bring(const RestorePoint& point, const std::string& folder,
                                         const Run& run) {
  struct Bringing {
    Parts& parts;
    std::list<RestorePoint>::iterator place;
    Bringing(Parts& all, const RestorePoint& point) : parts(all) {
      std::scoped_lock lock(parts.trim_mutex_, parts.mutex_);
      place = parts.bringing_.insert(parts.bringing_.end(), point);
    }
    ~Bringing() {
      std::lock_guard lock(parts.mutex_);
      parts.bringing_.erase(place);
    }
  } bringing(*this, point);
  BringOrder order;
  order.point = point;
  order.copy_jobs = settings_.copy_jobs;
  refresh_main();
  order.path = archives_.path(point);
  std::set<std::string> lines;
  for (const PathPart& each : order.path)
    if (each.line != kMainLine && lines.insert(each.line).second) archives_.refresh(each.line);
  order.snapshot = choose_snapshot(order, point);
  SnapshotCatalog::Lease lease(catalog_, order.snapshot.info.id);
  order.histories = histories_for(order);
  return bring_folder(order, catalog_, folder, run);
}

void PlainStorage::Parts::trim(UtcTime keep_since, const std::vector<RestorePoint>& needed) {
  std::lock_guard nobody_begins(trim_mutex_);
  StorageRecord record = record_.get();
  if (record.segment_bytes == 0) return;  // nothing was ever received
  refresh_main();
  std::vector<RestorePoint> points = needed;
  {
    std::lock_guard lock(mutex_);
    points.insert(points.end(), bringing_.begin(), bringing_.end());
  }
  std::vector<NeededPoint> on_main;
  for (const RestorePoint& each : points) {
    Lineage lineage = main_lineage(archives_.path(each));
    on_main.push_back({lineage, lineage.back().to});
  }
  Lineage current = history_.current();
  if (current.empty()) return;
  TrimPlan plan = plan_trim(current, catalog_.list(), keep_since, on_main);
  for (const std::string& id : plan.snapshots) {
    try {
      catalog_.remove(id);
      log_.info(fmt::format("removed snapshot {}: nothing needs it any more", id));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::busy) return;  // it is being copied: its WAL is needed, too
      if (error.code() != ErrorCode::not_found) throw;
    }
  }
  archives_.change_main([&] {
    wal_.remove([&](const SegmentFile& each) { return !is_kept(plan, each, record.segment_bytes); },
                record.segment_bytes);
  });
}

void PlainStorage::Parts::adopt_timeline(const std::string& data_folder, const RestorePoint& fork) {
  StorageRecord record = record_.get();
  std::string pg_wal = data_folder + "/pg_wal";
  Line line{"adopted", pg_wal, fork};
  Timeline timeline = archives_.newest_timeline(line);
  if (fork.line != kMainLine || timeline == fork.timeline)
    throw Error(ErrorCode::invalid,
                fmt::format("{} has no timeline that began on main", data_folder));
  Lineage lineage = parse_timeline_history(
      timeline, read_file(pg_wal + "/" + history_file_name(timeline), kTimelineHistoryBytesMax));
  if (lineage.size() < 2 || lineage[lineage.size() - 2].timeline != fork.timeline ||
      lineage.back().from != fork.end)
    throw Error(ErrorCode::invalid, fmt::format("timeline {} of {} did not begin at {}", timeline,
                                                data_folder, format_lsn(fork.end)));
  WalArchive theirs(WalArchive::Folders{{timeline, {pg_wal}}}, "");
  theirs.expect_system(record.system_identifier);
  theirs.refresh();
  WalPoint end = theirs.head({{timeline, fork.end, {}}});
  archives_.change_main([&] { wal_.adopt(pg_wal, timeline, end.end, record.segment_bytes); });
  Lsn first{fork.end.value - fork.end.value % record.segment_bytes};
  record_.change([&](StorageRecord& changed) {
    changed.timeline = timeline;
    changed.receive_from = std::min(changed.receive_from, first);
  });
  refresh_main();
  log_.info(
      fmt::format("the source goes on with timeline {} from {}", timeline, format_lsn(fork.end)));
}

PlainStorage::PlainStorage(const PlainStorageSettings& settings, const Clock& clock, Log& log)
    : parts_(std::make_unique<Parts>(settings, clock, log)) {}
PlainStorage::~PlainStorage() = default;

StorageHealth PlainStorage::health() const {
  return parts_->health();
}
SnapshotInfo PlainStorage::take_snapshot(const Run& run) {
  return parts_->take_snapshot(run);
}
std::vector<SnapshotInfo> PlainStorage::snapshots() const {
  return parts_->catalog().list();
}
void PlainStorage::remove_snapshot(const std::string& id) {
  parts_->catalog().remove(id);
}
std::vector<Window> PlainStorage::windows() const {
  return parts_->windows();
}
RestorePoint PlainStorage::head(const std::string& line) {
  return parts_->head(line);
}
RestorePoint PlainStorage::at_lsn(const std::string& line, Lsn lsn) {
  return parts_->at_lsn(line, lsn);
}
RestorePoint PlainStorage::at_time(const std::string& line, UtcTime time) {
  return parts_->at_time(line, time);
}
RestorePoint PlainStorage::at_lsn_within(const RestorePoint& limit, Lsn lsn) {
  parts_->archives().refresh(limit.line);
  return parts_->at_lsn_within(limit, lsn);
}
RestorePoint PlainStorage::at_time_within(const RestorePoint& limit, UtcTime time) {
  parts_->archives().refresh(limit.line);
  return parts_->at_time_within(limit, time).point;
}
void PlainStorage::add_line(const Line& line) {
  parts_->archives().add(line);
}
void PlainStorage::remove_line(const std::string& id) {
  parts_->archives().remove(id);
}
BroughtFolder PlainStorage::bring(const RestorePoint& point, const std::string& folder,
                                  const Run& run) {
  return parts_->bring(point, folder, run);
}
void PlainStorage::trim(UtcTime keep_since, const std::vector<RestorePoint>& needed) {
  parts_->trim(keep_since, needed);
}
void PlainStorage::pause() {
  parts_->receiver().pause();
}
void PlainStorage::adopt_timeline(const std::string& data_folder, const RestorePoint& fork) {
  parts_->adopt_timeline(data_folder, fork);
}
void PlainStorage::resume() {
  parts_->receiver().resume();
}

}  // namespace holdfast
