#include "engine/wal_segments.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/error.h"

namespace holdfast {
namespace {

constexpr size_t kBlockBytesMin = 64 << 10, kBlockBytesMax = 1 << 20;

struct CloseFolder {
  void operator()(DIR* folder) const { closedir(folder); }
};

std::string base_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

// Whether the file begins with the page that its name promises.
bool in_place(const WalSegmentFile& file, uint64_t segment, uint32_t segment_bytes) {
  auto header = read_first_wal_header(file);
  return header && header->address.value == segment * segment_bytes;
}

}  // namespace

WalFolderListing list_wal_folder(const std::string& folder) {
  WalFolderListing found;
  std::unique_ptr<DIR, CloseFolder> open(opendir(folder.c_str()));
  if (!open) {
    if (errno == ENOENT) return found;
    throw system_error(folder, errno);
  }
  errno = 0;
  while (const dirent* entry = readdir(open.get())) {
    std::string path = folder + "/" + entry->d_name;
    if (auto timeline = parse_history_file_name(entry->d_name)) {
      found.histories[*timeline] = path;
    } else if (auto name = parse_wal_file_name(entry->d_name)) {
      struct stat status {};
      if (fstatat(dirfd(open.get()), entry->d_name, &status, 0) != 0) {
        if (errno != ENOENT) throw system_error(path, errno);
      } else if (S_ISREG(status.st_mode)) {
        found.segments[*name] = {
            path, name->partial, static_cast<uint64_t>(status.st_size),
            int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec};
      }
    }
    errno = 0;
  }
  if (errno != 0) throw system_error(folder, errno);
  return found;
}

void add_wal_segments(WalSegmentFiles& files, const WalFolderListing& listing, Timeline timeline,
                      uint32_t segment_bytes) {
  for (auto at = listing.segments.lower_bound({timeline, 0, 0, false});
       at != listing.segments.end() && at->first.timeline == timeline; ++at) {
    auto segment = at->first.segment(segment_bytes);
    if (!segment) continue;
    auto [there, added] = files.try_emplace(*segment, at->second);
    if (added) continue;
    bool was_in_place = in_place(there->second, *segment, segment_bytes);
    bool is_in_place = in_place(at->second, *segment, segment_bytes);
    if (was_in_place != is_in_place ? is_in_place : there->second.partial && !at->second.partial)
      there->second = at->second;
  }
}

std::optional<WalPageHeader> read_first_wal_header(const WalSegmentFile& file) {
  Fd open(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!open.open()) return std::nullopt;  // gone since it was listed; whoever reads it will see
  uint8_t page[kWalLongHeaderBytes] = {};
  if (pread_all(open.get(), page, sizeof page, 0, file.path) != sizeof page) return std::nullopt;
  WalPageHeader header = load_wal_page_header(page);
  if (wal_major_version(header.magic) == 0 || !header.is_long() ||
      header.page_bytes != kWalPageBytes || !is_wal_segment_size(header.segment_bytes) ||
      (!file.partial && header.segment_bytes != file.bytes))
    return std::nullopt;
  return header;
}

bool WalSegmentSource::open_segment(uint64_t segment) {
  if (segment_ == segment) return true;
  file_.close();
  segment_.reset();
  auto found = files_.find(segment);
  if (found == files_.end()) {
    why_ = "the segment is not there";
    return false;
  }
  const WalSegmentFile& file = found->second;
  path_ = file.path;
  partial_ = file.partial;
  file_ = Fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file_.open() && errno == ENOENT && partial_) {
    // The receiver has completed it since it was listed.
    path_.resize(path_.rfind('.'));
    file_ = Fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  }
  if (!file_.open()) {
    if (errno != ENOENT) throw system_error(path_, errno);
    why_ = "the segment is not there any more";
    return false;
  }
  if (!partial_ && file.bytes != segment_bytes_) {
    damaged_ = true;
    why_ = fmt::format("{} has {} bytes, not {}", base_name(path_), file.bytes, segment_bytes_);
    return false;
  }
  segment_ = segment;
  return true;
}

ByteView WalSegmentSource::read() {
  why_.clear();
  damaged_ = false;
  if (!open_segment(at_ / segment_bytes_)) return {};
  uint64_t offset = at_ % segment_bytes_;
  block_bytes_ = std::clamp(block_bytes_ * 2, kBlockBytesMin, kBlockBytesMax);
  size_t wanted = std::min<uint64_t>(block_bytes_, segment_bytes_ - offset);
  if (block_.size() < wanted) block_.resize(wanted);
  size_t count = pread_all(file_.get(), block_.data(), wanted, offset, path_);
  bytes_ += count;
  count -= count % kWalPageBytes;
  if (count == 0) {
    damaged_ = !partial_;
    why_ = base_name(path_) + " ends here";
    return {};
  }
  at_ += count;
  return {block_.data(), count};
}

}  // namespace holdfast
