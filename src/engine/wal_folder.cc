#include "engine/wal_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <set>
#include <tuple>

#include "base/error.h"
#include "base/file.h"

namespace holdfast {
namespace {

constexpr size_t kCopyBytes = 1 << 20;

std::string file_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

template <typename Each>
void each_name(const std::string& folder, Each&& each) {
  std::error_code failed;
  std::filesystem::directory_iterator entries(folder, failed);
  if (failed) throw system_error("read folder " + folder, failed.value());
  for (; entries != std::filesystem::directory_iterator(); entries.increment(failed)) {
    if (failed) throw system_error("read folder " + folder, failed.value());
    each(entries->path().filename().string());
  }
}

void rename_file(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) throw system_error("move " + from, errno);
}

// A copy under a temporary name, made durable, then renamed: a crash leaves all of it or nothing.
// From `end` on it holds zeros, whatever `from` holds there.
void copy_durably(const std::string& from, const std::string& to, uint64_t end = UINT64_MAX) {
  std::string temporary = to + ".adopting";
  Fd source = open_file(from, O_RDONLY);
  Fd target = open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  std::vector<uint8_t> block(kCopyBytes);
  for (uint64_t at = 0;;) {
    size_t count = pread_all(source.get(), block.data(), block.size(), at, from);
    if (count == 0) break;
    uint64_t kept = std::min<uint64_t>(count, end - std::min(at, end));
    std::fill(block.begin() + static_cast<ptrdiff_t>(kept),
              block.begin() + static_cast<ptrdiff_t>(count), 0);
    write_all(target.get(), {block.data(), count}, temporary);
    at += count;
  }
  if (::fsync(target.get()) != 0) throw system_error("write " + temporary, errno);
  rename_file(temporary, to);
}

std::optional<Lsn> end_on(const Lineage& lineage, Timeline timeline, bool& found) {
  for (const WalPart& part : lineage)
    if (part.timeline == timeline) {
      found = true;
      if (part.to.value != 0) return part.to;
      return std::nullopt;
    }
  found = false;
  return std::nullopt;
}

}  // namespace

bool may_receive_after(const SegmentFile& segment, const Lineage& source, Lsn receive_from,
                       uint32_t segment_bytes) {
  bool on_lineage = false;
  std::optional<Lsn> left = end_on(source, segment.timeline, on_lineage);
  if (!on_lineage || segment.end(segment_bytes) <= receive_from) return false;
  if (!left) return true;
  if (segment.start(segment_bytes) >= *left) return false;
  return segment.partial || segment.end(segment_bytes) <= *left;
}

std::optional<ReceiveStart> receive_start(const std::vector<SegmentFile>& segments,
                                          uint32_t segment_bytes) {
  const SegmentFile* best = nullptr;
  auto rank = [](const SegmentFile& each) {
    return std::tuple(each.number, each.timeline, !each.partial);
  };
  for (const SegmentFile& each : segments)
    if (!each.earlier && (best == nullptr || rank(*best) < rank(each))) best = &each;
  if (best == nullptr) return std::nullopt;
  return ReceiveStart{best->timeline,
                      best->partial ? best->start(segment_bytes) : best->end(segment_bytes)};
}

WalFolder::WalFolder(const std::string& storage_folder)
    : current_(storage_folder + "/wal"), earlier_(storage_folder + "/wal-earlier") {
  make_folders(current_);
  make_folders(earlier_);
}

std::vector<SegmentFile> WalFolder::list(uint32_t segment_bytes) const {
  std::vector<SegmentFile> found;
  for (const std::string& folder : folders())
    each_name(folder, [&](const std::string& name) {
      std::optional<WalFileName> parsed = parse_wal_file_name(name);
      if (!parsed) return;
      if (std::optional<uint64_t> number = parsed->segment(segment_bytes))
        found.push_back(
            {parsed->timeline, *number, parsed->partial, folder + "/" + name, folder == earlier_});
    });
  std::sort(found.begin(), found.end(), [](const SegmentFile& a, const SegmentFile& b) {
    return std::tuple(a.number, a.timeline, a.partial, a.earlier) <
           std::tuple(b.number, b.timeline, b.partial, b.earlier);
  });
  return found;
}

std::vector<Timeline> WalFolder::timelines() const {
  std::set<Timeline> found;
  for (const std::string& folder : folders())
    each_name(folder, [&](const std::string& name) {
      if (std::optional<WalFileName> parsed = parse_wal_file_name(name))
        found.insert(parsed->timeline);
    });
  return {found.begin(), found.end()};
}

void WalFolder::move(const SegmentFile& segment, const std::string& folder) const {
  std::string target = folder + "/" + file_name(segment.path);
  struct stat there {};
  if (::lstat(target.c_str(), &there) == 0) {
    // Of one timeline and name there is only one truth, and a complete segment is all of it. Of two
    // partial ones the one that was written to last reaches further.
    struct stat ours {};
    if (::lstat(segment.path.c_str(), &ours) != 0)
      throw system_error("look at " + segment.path, errno);
    bool theirs_is_newer = std::tuple(there.st_mtim.tv_sec, there.st_mtim.tv_nsec) >
                           std::tuple(ours.st_mtim.tv_sec, ours.st_mtim.tv_nsec);
    if (!segment.partial || theirs_is_newer) {
      if (::unlink(segment.path.c_str()) != 0) throw system_error("remove " + segment.path, errno);
      return;
    }
  } else if (errno != ENOENT) {
    throw system_error("look at " + target, errno);
  }
  rename_file(segment.path, target);
}

// pg_receivewal fills a new segment with zeros before it writes into it. One that was killed in the
// midst of that leaves a shorter file, and it refuses to start beside such a file for ever.
void WalFolder::mend_sizes(uint32_t segment_bytes) const {
  for (const SegmentFile& each : list(segment_bytes)) {
    if (!each.partial || each.earlier) continue;
    Fd file = open_file(each.path, O_RDWR);
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) throw system_error("look at " + each.path, errno);
    if (status.st_size == 0 || status.st_size >= off_t{segment_bytes}) continue;
    if (::ftruncate(file.get(), off_t{segment_bytes}) != 0 || ::fsync(file.get()) != 0)
      throw system_error("make " + each.path + " as long as a segment", errno);
  }
}

std::optional<ReceiveStart> WalFolder::arrange(const Lineage& source, Lsn receive_from,
                                               uint32_t segment_bytes) {
  bool moved = false;
  for (const SegmentFile& each : list(segment_bytes)) {
    bool belongs = may_receive_after(each, source, receive_from, segment_bytes);
    if (belongs != each.earlier) continue;  // it is there
    move(each, belongs ? current_ : earlier_);
    moved = true;
  }
  if (moved)
    for (const std::string& folder : folders()) fsync_folder(folder);
  mend_sizes(segment_bytes);
  return receive_start(list(segment_bytes), segment_bytes);
}

std::optional<std::string> WalFolder::history(Timeline timeline) const {
  std::string path = current_ + "/" + history_file_name(timeline);
  if (!file_exists(path)) return std::nullopt;
  return read_file(path, kTimelineHistoryBytesMax);
}

void WalFolder::adopt(const std::string& pg_wal, Timeline timeline, Lsn end,
                      uint32_t segment_bytes) {
  std::string history = history_file_name(timeline);
  uint64_t last = end.value == 0 ? 0 : (end.value - 1) / segment_bytes;
  std::vector<std::string> names;
  each_name(pg_wal, [&](const std::string& name) {
    std::optional<WalFileName> parsed = parse_wal_file_name(name);
    if (!parsed || parsed->partial || parsed->timeline != timeline) return;
    std::optional<uint64_t> number = parsed->segment(segment_bytes);
    // Those behind the last one are recycled files that wait to be used.
    if (number && *number <= last) names.push_back(name);
  });
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    bool whole =
        *parse_wal_file_name(name)->segment(segment_bytes) < last || end.value % segment_bytes == 0;
    bool is_here = false;
    for (const std::string& folder : folders())
      is_here = is_here || file_exists(folder + "/" + name) ||
                (!whole && file_exists(folder + "/" + name + ".partial"));
    if (is_here) continue;
    // Behind its end a server's segment may hold older WAL. The receiver writes up to what it has
    // got and no further, so that would be taken for what the source wrote.
    copy_durably(pg_wal + "/" + name, current_ + "/" + name + (whole ? "" : ".partial"),
                 whole ? UINT64_MAX : end.value % segment_bytes);
  }
  // Last: who sees the history finds the segments.
  if (!file_exists(current_ + "/" + history))
    copy_durably(pg_wal + "/" + history, current_ + "/" + history);
  fsync_folder(current_);
}

uint64_t WalFolder::remove(const std::function<bool(const SegmentFile&)>& unneeded,
                           uint32_t segment_bytes) {
  std::vector<SegmentFile> segments = list(segment_bytes);
  uint64_t newest = 0;
  for (const SegmentFile& each : segments)
    if (!each.earlier) newest = std::max(newest, each.number);
  uint64_t bytes = 0;
  for (const SegmentFile& each : segments) {
    if ((!each.earlier && each.number == newest) || !unneeded(each)) continue;
    if (::unlink(each.path.c_str()) == 0) {
      bytes += segment_bytes;
    } else if (errno != ENOENT) {
      throw system_error("remove " + each.path, errno);
    }
  }
  return bytes;
}

}  // namespace holdfast
