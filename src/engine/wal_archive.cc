#include "engine/wal_archive.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "base/error.h"
#include "base/file.h"
#include "engine/wal_lineage.h"
#include "engine/wal_timeline.h"

namespace holdfast {
namespace {

std::string range_text(Lsn from, Lsn to) {
  return format_lsn(from) + " to " + format_lsn(to);
}

Error outside(const std::string& what) {
  return Error(ErrorCode::invalid, what, "choose a point within the WAL that is there");
}

}  // namespace

struct WalArchive::State {
  std::string folder;  // all timelines of it; else:
  Folders folders;
  std::string index_folder;

  mutable std::mutex mutex;  // guards all below
  uint64_t system_identifier = 0;
  uint32_t segment_bytes = 0;
  std::map<Timeline, WalTimeline> timelines;
  std::map<Timeline, std::string> histories;  // paths

  std::map<std::string, WalFolderListing> list() const;
  std::vector<std::string> folders_of(Timeline timeline) const;
  bool is_source(const std::string& path, Timeline timeline) const;
  void learn_cluster(const std::map<std::string, WalFolderListing>& listings);
  WalRefresh refresh();

  const std::vector<WalStretch>& stretches_of(Timeline timeline) const;
  Lineage lineage(Timeline timeline) const;
  std::optional<std::string> missing(const WalPart& part) const;
  WalPart fill_in(const WalPart& part) const;
  WalPieces pieces(const Lineage& lineage) const;
  WalPoint head(const WalPieces& pieces) const;
};

std::map<std::string, WalFolderListing> WalArchive::State::list() const {
  std::map<std::string, WalFolderListing> listings;
  if (!folder.empty()) listings[folder] = list_wal_folder(folder);
  for (const auto& [timeline, paths] : folders)
    for (const std::string& path : paths)
      if (!listings.contains(path)) listings[path] = list_wal_folder(path);
  return listings;
}

std::vector<std::string> WalArchive::State::folders_of(Timeline timeline) const {
  if (!folder.empty()) return {folder};
  auto found = folders.find(timeline);
  return found == folders.end() ? std::vector<std::string>{} : found->second;
}

bool WalArchive::State::is_source(const std::string& path, Timeline timeline) const {
  std::vector<std::string> wanted = folders_of(timeline);
  return std::find(wanted.begin(), wanted.end(), path) != wanted.end();
}

// The size of segments and the cluster stand in the first page of every segment.
void WalArchive::State::learn_cluster(const std::map<std::string, WalFolderListing>& listings) {
  for (const auto& [path, listing] : listings)
    for (const auto& [name, file] : listing.segments) {
      if (!is_source(path, name.timeline)) continue;
      auto header = read_first_wal_header(file);
      if (!header ||
          name.segment(header->segment_bytes) != header->address.value / header->segment_bytes)
        continue;
      if (system_identifier != 0 && header->system_identifier != system_identifier) continue;
      segment_bytes = header->segment_bytes;
      system_identifier = header->system_identifier;
      return;
    }
}

WalRefresh WalArchive::State::refresh() {
  WalRefresh done;
  std::map<std::string, WalFolderListing> listings = list();
  histories.clear();
  for (const auto& [path, listing] : listings)
    for (const auto& [timeline, history] : listing.histories)
      if (is_source(path, timeline)) histories.try_emplace(timeline, history);
  if (segment_bytes == 0) learn_cluster(listings);
  if (segment_bytes == 0) return done;
  for (const auto& [path, listing] : listings)
    for (const auto& [name, file] : listing.segments) {
      if (!is_source(path, name.timeline)) continue;
      std::string index =
          index_folder.empty() ? "" : fmt::format("{}/{:08X}.walidx", index_folder, name.timeline);
      timelines.try_emplace(name.timeline, name.timeline, segment_bytes, system_identifier, index);
    }
  try {
    if (!index_folder.empty()) make_folders(index_folder);
  } catch (const Error& error) {
    done.index_trouble = error.what();
  }
  for (auto& [timeline, wal] : timelines) {
    WalSegmentFiles files;
    for (const std::string& path : folders_of(timeline))
      add_wal_segments(files, listings.at(path), timeline, segment_bytes);
    wal.refresh(std::move(files), done);
  }
  return done;
}

const std::vector<WalStretch>& WalArchive::State::stretches_of(Timeline timeline) const {
  static const std::vector<WalStretch> none;
  auto found = timelines.find(timeline);
  return found == timelines.end() ? none : found->second.stretches();
}

Lineage WalArchive::State::lineage(Timeline timeline) const {
  if (timeline <= 1) return first_timeline(1);
  auto found = histories.find(timeline);
  if (found == histories.end())
    throw Error(ErrorCode::not_found, fmt::format("{} is not there", history_file_name(timeline)),
                "it says which timelines this one came from; copy it from the server's pg_wal");
  return parse_timeline_history(timeline, read_file(found->second, kTimelineHistoryBytesMax));
}

// A part without ends left open. Those of a timeline that has written nothing yet are its `from`.
WalPart WalArchive::State::fill_in(const WalPart& part) const {
  const std::vector<WalStretch>& stretches = stretches_of(part.timeline);
  WalPart filled = part;
  if (filled.to.value == 0)
    filled.to = std::max(part.from, stretches.empty() ? Lsn{} : stretches.back().to);
  if (filled.from.value == 0) {
    for (const WalStretch& stretch : stretches)
      if (stretch.from < filled.to && filled.to <= stretch.to) filled.from = stretch.from;
    if (filled.from.value == 0 && !stretches.empty()) filled.from = stretches.back().from;
  }
  return filled;
}

std::optional<std::string> WalArchive::State::missing(const WalPart& part) const {
  WalPart whole = fill_in(part);
  if (whole.from >= whole.to && part.from.value != 0) return std::nullopt;
  auto say = [&](Lsn from, Lsn to, const std::string& why) {
    return fmt::format("timeline {}: {} is missing{}{}", part.timeline, range_text(from, to),
                       why.empty() ? "" : ": ", why);
  };
  const std::vector<WalStretch>& stretches = stretches_of(part.timeline);
  if (stretches.empty()) return fmt::format("timeline {}: no WAL of it is there", part.timeline);
  Lsn first = wal_record_position(whole.from, segment_bytes);
  auto after = std::find_if(stretches.begin(), stretches.end(),
                            [&](const WalStretch& stretch) { return stretch.from > first; });
  Lsn lost_to = after == stretches.end() ? whole.to : std::min(after->from, whole.to);
  if (after == stretches.begin()) return say(whole.from, lost_to, "");
  const WalStretch& stretch = *std::prev(after);
  if (first <= wal_record_position(stretch.to, segment_bytes) && whole.to <= stretch.to)
    return std::nullopt;
  return say(std::max(stretch.to, whole.from), lost_to, stretch.why);
}

WalPieces WalArchive::State::pieces(const Lineage& lineage) const {
  if (lineage.empty()) throw Error(ErrorCode::invalid, "a lineage without parts");
  WalPieces pieces;
  for (const WalPart& part : lineage) {
    if (auto lost = missing(part)) throw outside(*lost);
    WalPart whole = fill_in(part);
    auto found = timelines.find(part.timeline);
    if (found != timelines.end()) pieces.push_back({&found->second, whole.from, whole.to});
  }
  return pieces;
}

WalPoint WalArchive::State::head(const WalPieces& pieces) const {
  auto point = last_record_until(pieces, {~uint64_t{0}});
  if (!point) throw outside("no whole record is there");
  return *point;
}

WalArchive::WalArchive(const std::string& folder, const std::string& index_folder)
    : state_(std::make_unique<State>()) {
  state_->folder = folder;
  state_->index_folder = index_folder;
}

WalArchive::WalArchive(Folders folders, const std::string& index_folder)
    : state_(std::make_unique<State>()) {
  state_->folders = std::move(folders);
  state_->index_folder = index_folder;
}

WalArchive::~WalArchive() = default;

void WalArchive::expect_system(uint64_t system_identifier) {
  std::lock_guard lock(state_->mutex);
  if (state_->system_identifier == system_identifier) return;
  state_->system_identifier = system_identifier;
  state_->segment_bytes = 0;  // whatever was learnt, it was from another cluster
  state_->timelines.clear();
}

WalRefresh WalArchive::refresh() {
  std::lock_guard lock(state_->mutex);
  return state_->refresh();
}

uint64_t WalArchive::system_identifier() const {
  std::lock_guard lock(state_->mutex);
  return state_->system_identifier;
}

uint32_t WalArchive::segment_bytes() const {
  std::lock_guard lock(state_->mutex);
  return state_->segment_bytes;
}

std::vector<Timeline> WalArchive::timelines() const {
  std::lock_guard lock(state_->mutex);
  std::vector<Timeline> found;
  for (const auto& [timeline, wal] : state_->timelines)
    if (!wal.stretches().empty()) found.push_back(timeline);
  return found;
}

std::vector<WalStretch> WalArchive::stretches(Timeline timeline) const {
  std::lock_guard lock(state_->mutex);
  if (timeline != 0) return state_->stretches_of(timeline);
  std::vector<WalStretch> all;
  for (const auto& [number, wal] : state_->timelines)
    all.insert(all.end(), wal.stretches().begin(), wal.stretches().end());
  return all;
}

Lineage WalArchive::lineage(Timeline timeline) const {
  std::lock_guard lock(state_->mutex);
  return state_->lineage(timeline);
}

WalPoint WalArchive::head(const Lineage& lineage) const {
  std::lock_guard lock(state_->mutex);
  return state_->head(state_->pieces(lineage));
}

WalPoint WalArchive::at_lsn(const Lineage& lineage, Lsn lsn) const {
  std::lock_guard lock(state_->mutex);
  WalPieces pieces = state_->pieces(lineage);
  if (pieces.empty() || lsn > pieces.back().to)
    throw outside(fmt::format("{} is later than the WAL that is there, which ends at {}",
                              format_lsn(lsn),
                              format_lsn(pieces.empty() ? Lsn{} : pieces.back().to)));
  auto point = last_record_until(pieces, lsn);
  if (!point)
    throw outside(fmt::format("{} is before the WAL that is there, which begins at {}",
                              format_lsn(lsn), format_lsn(pieces.front().from)));
  return *point;
}

WalTimePoint WalArchive::at_time(const Lineage& lineage, WalTime time) const {
  std::lock_guard lock(state_->mutex);
  WalPieces pieces = state_->pieces(lineage);
  auto commit = first_commit_after(pieces, time);
  if (!commit) return {state_->head(pieces), false};
  if (commit->before) return {*commit->before, true};
  // The first record of all is too late already. With a given start, that is the point.
  if (lineage.front().from.value == 0)
    throw outside("the first record that is there is later than the instant");
  return {{pieces.front().wal->timeline(), commit->prev, lineage.front().from, std::nullopt}, true};
}

WalNeeds WalArchive::needs(const Lineage& lineage) const {
  std::lock_guard lock(state_->mutex);
  return needs_of(state_->pieces(lineage));
}

std::optional<std::string> WalArchive::missing(const Lineage& lineage) const {
  std::lock_guard lock(state_->mutex);
  for (const WalPart& part : lineage)
    if (auto lost = state_->missing(part)) return lost;
  return std::nullopt;
}

}  // namespace holdfast
