// The shape of PostgreSQL's write-ahead log: names of its files, headers of its pages, positions of
// its records. PostgreSQL 13 to 18 on little-endian machines with pages of 8 KiB, as every
// distribution builds it (src/include/access/xlog_internal.h, xlogrecord.h).
//
// WAL is cut into segments (files, 16 MiB by default), those into pages, each with a header; the
// first page of a segment has a long one. Records begin at multiples of 8 and run on behind the
// header of the next page where a page is full. All functions are pure.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "pg/lsn.h"

namespace holdfast {

inline constexpr uint32_t kWalPageBytes = 8192;
inline constexpr uint32_t kWalShortHeaderBytes = 24;
inline constexpr uint32_t kWalLongHeaderBytes = 40;
inline constexpr uint32_t kWalRecordHeaderBytes = 24;
inline constexpr uint32_t kWalRecordCrcOffset = 20;
inline constexpr uint32_t kWalRecordBytesMax = (1u << 30) - 1;  // PostgreSQL's MaxAllocSize
inline constexpr uint32_t kWalSegmentBytesMin = 1u << 20, kWalSegmentBytesMax = 1u << 30;

// xlp_info
inline constexpr uint16_t kWalPageContinues = 0x0001;   // begins with the rest of a record
inline constexpr uint16_t kWalPageLongHeader = 0x0002;  // is the first one of a segment
inline constexpr uint16_t kWalPageOverwrites = 0x0008;  // the rest of the record never came
inline constexpr uint16_t kWalPageFlagsKnown = 0x000F;  // 0x0004: of no meaning to a reader

struct WalPageHeader {
  uint16_t magic = 0;
  uint16_t info = 0;
  Timeline timeline = 0;
  Lsn address;                   // of the page
  uint32_t continued_bytes = 0;  // of a record that began on an earlier page
  uint32_t padding = 0;
  // Of a long header:
  uint64_t system_identifier = 0;
  uint32_t segment_bytes = 0;
  uint32_t page_bytes = 0;

  bool is_long() const { return (info & kWalPageLongHeader) != 0; }
};

// `page` has kWalPageBytes. Reads the fields; judges nothing.
WalPageHeader load_wal_page_header(const uint8_t* page);

// The major version whose WAL pages have this magic number; 0 for any other than 13 to 18.
int wal_major_version(uint16_t magic);

inline bool is_wal_segment_size(uint64_t bytes) {
  return bytes >= kWalSegmentBytesMin && bytes <= kWalSegmentBytesMax && (bytes & (bytes - 1)) == 0;
}

inline Lsn wal_page_start(Lsn lsn) {
  return {lsn.value & ~uint64_t{kWalPageBytes - 1}};
}

// Where the record is that comes next at `lsn`, an end of a record: `lsn` itself, or behind the
// page header that stands there. Idempotent.
Lsn wal_record_position(Lsn lsn, uint32_t segment_bytes);

// A file of WAL: `TTTTTTTTXXXXXXXXYYYYYYYY`, timeline and LSN in upper-case hexadecimal, with
// `.partial` behind it while it is not complete.
struct WalFileName {
  Timeline timeline = 0;
  uint32_t high = 0, low = 0;
  bool partial = false;

  // Counted from LSN 0; nothing if no segment of that size has this name.
  std::optional<uint64_t> segment(uint32_t segment_bytes) const;
  auto operator<=>(const WalFileName&) const = default;
};

std::optional<WalFileName> parse_wal_file_name(std::string_view name);
std::string wal_file_name(Timeline timeline, uint64_t segment, uint32_t segment_bytes);

// `TTTTTTTT.history` → the timeline.
std::optional<Timeline> parse_history_file_name(std::string_view name);
std::string history_file_name(Timeline timeline);

}  // namespace holdfast
