// Segments of one timeline as files: which there are in its folders, and their bytes in order,
// across the borders between them.
//
// A folder may hold a segment complete and as `.partial`, may hold recycled files with names of the
// future, and changes while it is looked at. Errors: denied, unavailable. One thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/file.h"
#include "pg/wal_format.h"

namespace holdfast {

struct WalSegmentFile {
  std::string path;
  bool partial = false;
  uint64_t bytes = 0;
  int64_t changed_at = 0;  // nanoseconds since 1970
};

// A segment → its file.
using WalSegmentFiles = std::map<uint64_t, WalSegmentFile>;

// What a folder holds that has to do with WAL. A folder that is not there holds nothing.
struct WalFolderListing {
  std::map<WalFileName, WalSegmentFile> segments;  // in the order of timelines and positions
  std::map<Timeline, std::string> histories;       // timeline → path
};
WalFolderListing list_wal_folder(const std::string& folder);

// Adds to `files` the segments of `timeline` in `listing` that are missing there or are better than
// what is there: complete instead of partial, of the right place instead of recycled.
void add_wal_segments(WalSegmentFiles& files, const WalFolderListing& listing, Timeline timeline,
                      uint32_t segment_bytes);

// The header of a file's first page, if it is of a segment of a size that is known and right.
std::optional<WalPageHeader> read_first_wal_header(const WalSegmentFile& file);

// Reads bytes of consecutive segments in blocks, small ones first: what is new of a growing segment
// is mostly little. `files` must outlive it.
class WalSegmentSource {
 public:
  WalSegmentSource(const WalSegmentFiles& files, uint32_t segment_bytes, Lsn from)
      : files_(files), segment_bytes_(segment_bytes), at_(from.value) {}

  // The next bytes, valid until the next call; empty where there are none, and then why() says so.
  ByteView read();
  Lsn at() const { return {at_}; }
  const std::string& why() const { return why_; }
  bool damaged() const { return damaged_; }  // why() is about a file that is not whole
  uint64_t bytes() const { return bytes_; }  // that were read

 private:
  bool open_segment(uint64_t segment);

  const WalSegmentFiles& files_;
  const uint32_t segment_bytes_;
  uint64_t at_;
  std::optional<uint64_t> segment_;  // that file_ is of
  Fd file_;
  std::string path_;
  bool partial_ = false;
  std::vector<uint8_t> block_;
  size_t block_bytes_ = 0;
  std::string why_;
  bool damaged_ = false;
  uint64_t bytes_ = 0;
};

}  // namespace holdfast
