#include "engine/line_archives.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "pg/wal_format.h"

namespace holdfast {
namespace {

constexpr size_t kLineDepthMax = 64;  // branches of branches of branches

Error no_line(const std::string& id) {
  return Error(ErrorCode::not_found, fmt::format("no line {} is known", id));
}

std::set<Timeline> histories_in(const std::string& folder) {
  std::set<Timeline> found;
  std::error_code failed;
  std::filesystem::directory_iterator entries(folder, failed);
  if (failed) throw system_error("read folder " + folder, failed.value());
  for (; entries != std::filesystem::directory_iterator(); entries.increment(failed)) {
    if (failed) throw system_error("read folder " + folder, failed.value());
    if (auto timeline = parse_history_file_name(entries->path().filename().string()))
      found.insert(*timeline);
  }
  return found;
}

Lineage history_in(const std::string& folder, Timeline timeline) {
  std::string path = folder + "/" + history_file_name(timeline);
  return with_context("read " + path, [&] {
    return parse_timeline_history(timeline, read_file(path, kTimelineHistoryBytesMax));
  });
}

}  // namespace

Lineage main_lineage(const std::vector<PathPart>& path) {
  Lineage found;
  for (const PathPart& each : path)
    if (each.line == kMainLine) found.push_back(each.part);
  return found;
}

LineArchives::LineArchives(const WalFolder& wal, const std::string& index_folder)
    : wal_(wal), index_folder_(index_folder) {
  make_folders(index_folder_);
}

LineArchives::~LineArchives() = default;

void LineArchives::expect(uint64_t system_identifier) {
  std::unique_lock lock(main_mutex_);
  if (system_identifier_ == system_identifier) return;
  system_identifier_ = system_identifier;
  if (main_) main_->expect_system(system_identifier);
}

void LineArchives::refresh_main() {
  std::lock_guard one_at_a_time(refresh_mutex_);
  {
    std::shared_lock lock(main_mutex_);
    if (main_ && wal_.timelines() == main_timelines_) {
      main_->refresh();
      return;
    }
  }
  std::unique_lock lock(main_mutex_);
  refresh_main_locked();
}

void LineArchives::change_main(const std::function<void()>& work) {
  std::lock_guard one_at_a_time(refresh_mutex_);
  std::unique_lock lock(main_mutex_);
  work();
  refresh_main_locked();
}

void LineArchives::refresh_main_locked() {
  std::vector<Timeline> timelines = wal_.timelines();
  if (timelines != main_timelines_) {
    WalArchive::Folders folders;
    for (Timeline each : timelines) folders[each] = wal_.folders();
    main_.reset();  // two archives must not share an index
    if (!timelines.empty()) {
      std::string index = index_folder_ + "/main";
      make_folders(index);
      main_ = std::make_unique<WalArchive>(folders, index);
      if (system_identifier_ != 0) main_->expect_system(system_identifier_);
    }
    main_timelines_ = timelines;
  }
  if (main_) main_->refresh();
}

Lineage LineArchives::main_lineage_of(Timeline timeline) const {
  Lineage found;
  with_main([&](const WalArchive& archive) {
    std::vector<Timeline> there = archive.timelines();
    auto is_there = [&](Timeline each) {
      return std::find(there.begin(), there.end(), each) != there.end();
    };
    Lineage whole = timeline <= 1 ? first_timeline(timeline) : Lineage{};
    try {
      if (timeline > 1) whole = archive.lineage(timeline);
    } catch (const Error& error) {
      // Its history is not here yet. Without it, what was there before is all there is.
      if (error.code() != ErrorCode::not_found || there.empty()) throw;
      Timeline newest = 0;
      for (Timeline each : there)
        if (each < timeline) newest = std::max(newest, each);
      if (newest != 0) whole = newest == 1 ? first_timeline(1) : archive.lineage(newest);
    }
    while (!whole.empty() && !is_there(whole.back().timeline)) {
      whole.pop_back();
      if (!whole.empty()) whole.back().to = {};
    }
    found = whole;
  });
  return found;
}

void LineArchives::add(const Line& line) {
  std::lock_guard lock(branches_mutex_);
  auto found = branches_.find(line.id);
  if (found != branches_.end()) {
    const Line& known = found->second.line;
    if (known.wal_folder == line.wal_folder && known.parent.line == line.parent.line &&
        known.parent.timeline == line.parent.timeline && known.parent.end == line.parent.end)
      return;
    branches_.erase(found);
  }
  branches_[line.id].line = line;
}

void LineArchives::remove(const std::string& id) {
  std::lock_guard lock(branches_mutex_);
  branches_.erase(id);
  std::error_code ignored;  // a cache
  std::filesystem::remove_all(index_folder_ + "/" + id, ignored);
}

std::optional<Line> LineArchives::line(const std::string& id) const {
  std::lock_guard lock(branches_mutex_);
  auto found = branches_.find(id);
  return found == branches_.end() ? std::nullopt : std::optional(found->second.line);
}

LineArchives::Branch& LineArchives::branch(const std::string& id) const {
  auto found = branches_.find(id);
  if (found == branches_.end()) throw no_line(id);
  return found->second;
}

Timeline LineArchives::newest_timeline(const Line& line) const {
  std::set<Timeline> histories = histories_in(line.wal_folder);
  Timeline newest = histories.empty() ? 0 : *histories.rbegin();
  return std::max(newest, line.parent.timeline);
}

// From where it left its parent's line. A line that went on with its parent's timeline has one part
// of that; otherwise its history says where it forked, which is the point that it was made at.
Lineage LineArchives::own_lineage(const Line& line, Timeline timeline) const {
  if (timeline == line.parent.timeline) return {{timeline, line.parent.end, {}}};
  Lineage own;
  for (const WalPart& part : history_in(line.wal_folder, timeline))
    if (part.timeline > line.parent.timeline) own.push_back(part);
  if (own.empty())
    throw Error(ErrorCode::invalid,
                fmt::format("timeline {} is not one of the line {}", timeline, line.id));
  return own;
}

void LineArchives::make_archive(Branch& branch) const {
  std::set<Timeline> own;
  for (Timeline each : histories_in(branch.line.wal_folder))
    if (each > branch.line.parent.timeline) own.insert(each);
  if (own.empty()) own.insert(branch.line.parent.timeline);
  std::vector<Timeline> timelines(own.begin(), own.end());
  if (branch.archive && timelines == branch.timelines) return;
  branch.archive.reset();
  WalArchive::Folders folders;
  for (Timeline each : timelines) folders[each] = {branch.line.wal_folder};
  std::string index = index_folder_ + "/" + branch.line.id;
  make_folders(index);
  branch.archive = std::make_unique<WalArchive>(folders, index);
  branch.timelines = timelines;
}

void LineArchives::refresh(const std::string& line) {
  if (line == kMainLine) return refresh_main();
  std::lock_guard lock(branches_mutex_);
  Branch& found = branch(line);
  make_archive(found);
  found.archive->refresh();
}

std::vector<PathPart> LineArchives::path(const std::string& line, Timeline timeline) const {
  std::vector<PathPart> found;
  if (line == kMainLine) {
    Lineage lineage = main_lineage_of(timeline);
    if (lineage.empty() || lineage.back().timeline != timeline)
      throw Error(ErrorCode::invalid, fmt::format("no WAL of timeline {} is here", timeline));
    for (const WalPart& part : lineage) found.push_back({line, part, wal_.folders()});
    return found;
  }
  Line here;
  {
    std::lock_guard lock(branches_mutex_);
    here = branch(line).line;
  }
  found = path(here.parent);
  if (found.size() > kLineDepthMax)
    throw Error(ErrorCode::invalid, fmt::format("the line {} has too many ancestors", line));
  for (const WalPart& part : own_lineage(here, timeline == 0 ? newest_timeline(here) : timeline)) {
    std::vector<std::string> folders = {here.wal_folder};
    // A segment that a line shares with its parent is whole in its own folder only.
    if (!found.empty() && found.back().part.timeline == part.timeline)
      folders.insert(folders.end(), found.back().folders.begin(), found.back().folders.end());
    found.push_back({line, part, folders});
  }
  return found;
}

std::vector<PathPart> LineArchives::path(const RestorePoint& point) const {
  std::vector<PathPart> found = path(point.line, point.timeline);
  while (!found.empty() && found.back().part.from >= point.end) found.pop_back();
  if (found.empty())
    throw Error(ErrorCode::invalid,
                fmt::format("{} is before the beginning of its line", format_lsn(point.end)));
  Lsn& to = found.back().part.to;
  to = to.value == 0 ? point.end : std::min(to, point.end);
  return found;
}

template <typename Work>
void LineArchives::with_archive(const std::string& line, Work&& work) const {
  if (line == kMainLine) return with_main(work);
  std::lock_guard lock(branches_mutex_);
  Branch& found = branch(line);
  if (!found.archive) {
    make_archive(found);
    found.archive->refresh();
  }
  work(static_cast<const WalArchive&>(*found.archive));
}

std::optional<WalPoint> LineArchives::head(const Line& line) const {
  std::optional<WalPoint> found;
  // While it recovers, its pg_wal holds segments of its parent's, with what came after the fork.
  if (file_exists(line.wal_folder + "/../recovery.signal")) return found;
  Lineage own = own_lineage(line, newest_timeline(line));
  with_archive(line.id, [&](const WalArchive& archive) {
    try {
      found = archive.head(own);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::invalid) throw;  // it has written nothing of its own yet
    }
  });
  if (found && found->end <= line.parent.end) return std::nullopt;
  return found;
}

std::optional<WalPoint> LineArchives::at_lsn(const Line& line, Lsn lsn) const {
  std::optional<WalPoint> last = head(line);
  if (!last || lsn <= line.parent.end) {
    if (lsn <= line.parent.end) return std::nullopt;
    throw Error(ErrorCode::invalid, fmt::format("{} is beyond the end of the branch, {}",
                                                format_lsn(lsn), format_lsn(line.parent.end)));
  }
  if (lsn > last->end)
    throw Error(ErrorCode::invalid, fmt::format("{} is beyond the end of the branch, {}",
                                                format_lsn(lsn), format_lsn(last->end)));
  std::optional<WalPoint> found;
  with_archive(line.id, [&](const WalArchive& archive) {
    try {
      found = archive.at_lsn(own_lineage(line, newest_timeline(line)), lsn);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::invalid) throw;  // before the end of its own first record
    }
  });
  if (found && found->end <= line.parent.end) return std::nullopt;
  return found;
}

std::optional<WalTimePoint> LineArchives::at_time(const Line& line, UtcTime time) const {
  if (!head(line)) return std::nullopt;
  std::optional<WalTimePoint> found;
  with_archive(line.id, [&](const WalArchive& archive) {
    try {
      found = archive.at_time(own_lineage(line, newest_timeline(line)), time);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::invalid) throw;  // its own first record is later
    }
  });
  if (found && found->point.end <= line.parent.end) return std::nullopt;
  return found;
}

LineArchives::Parts LineArchives::by_line(const std::vector<PathPart>& path, Lsn from) {
  Parts found;
  for (const PathPart& each : path) {
    WalPart part = each.part;
    if (part.to.value != 0 && part.to <= from) continue;
    part.from = std::max(part.from, from);
    found[each.line].push_back(part);
  }
  return found;
}

std::optional<std::string> LineArchives::missing(const std::vector<PathPart>& path,
                                                 Lsn from) const {
  std::optional<std::string> found;
  for (const auto& [line, lineage] : by_line(path, from)) {
    bool asked = false;
    with_archive(line, [&](const WalArchive& archive) {
      asked = true;
      if (std::optional<std::string> more = archive.missing(lineage))
        found = line == kMainLine ? *more : fmt::format("line {}: {}", line, *more);
    });
    if (!asked) found = "no WAL was received yet";
    if (found) return found;
  }
  return found;
}

WalNeeds LineArchives::needs(const std::vector<PathPart>& path, Lsn from) const {
  WalNeeds all;
  for (const auto& [line, lineage] : by_line(path, from))
    with_archive(line, [&](const WalArchive& archive) {
      WalNeeds each = archive.needs(lineage);
      all.max_connections = std::max(all.max_connections, each.max_connections);
      all.max_worker_processes = std::max(all.max_worker_processes, each.max_worker_processes);
      all.max_wal_senders = std::max(all.max_wal_senders, each.max_wal_senders);
      all.max_prepared_transactions =
          std::max(all.max_prepared_transactions, each.max_prepared_transactions);
      all.max_locks_per_transaction =
          std::max(all.max_locks_per_transaction, each.max_locks_per_transaction);
      all.tablespaces.insert(all.tablespaces.end(), each.tablespaces.begin(),
                             each.tablespaces.end());
      if (each.minimal_wal && !all.minimal_wal) all.minimal_wal = each.minimal_wal;
    });
  return all;
}

}  // namespace holdfast
