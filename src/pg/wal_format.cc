#include "pg/wal_format.h"

#include <fmt/format.h>

namespace holdfast {
namespace {

constexpr std::string_view kPartial = ".partial";
constexpr std::string_view kHistory = ".history";

// Eight upper-case hexadecimal digits, as PostgreSQL's %08X writes them.
std::optional<uint32_t> parse_word(std::string_view digits) {
  if (digits.size() != 8) return std::nullopt;
  uint32_t value = 0;
  for (char digit : digits) {
    uint32_t nibble = 0;
    if (digit >= '0' && digit <= '9') {
      nibble = static_cast<uint32_t>(digit - '0');
    } else if (digit >= 'A' && digit <= 'F') {
      nibble = static_cast<uint32_t>(digit - 'A' + 10);
    } else {
      return std::nullopt;
    }
    value = value << 4 | nibble;
  }
  return value;
}

}  // namespace

WalPageHeader load_wal_page_header(const uint8_t* page) {
  WalPageHeader header;
  header.magic = load_le16(page);
  header.info = load_le16(page + 2);
  header.timeline = load_le32(page + 4);
  header.address = {load_le64(page + 8)};
  header.continued_bytes = load_le32(page + 16);
  header.padding = load_le32(page + 20);
  if (header.is_long()) {
    header.system_identifier = load_le64(page + 24);
    header.segment_bytes = load_le32(page + 32);
    header.page_bytes = load_le32(page + 36);
  }
  return header;
}

int wal_major_version(uint16_t magic) {
  switch (magic) {
    case 0xD106:
      return 13;
    case 0xD10D:
      return 14;
    case 0xD110:
      return 15;
    case 0xD113:
      return 16;
    case 0xD116:
      return 17;
    case 0xD118:
      return 18;
    default:
      return 0;
  }
}

Lsn wal_record_position(Lsn lsn, uint32_t segment_bytes) {
  if (lsn.value % segment_bytes == 0) return {lsn.value + kWalLongHeaderBytes};
  if (lsn.value % kWalPageBytes == 0) return {lsn.value + kWalShortHeaderBytes};
  return lsn;
}

std::optional<uint64_t> WalFileName::segment(uint32_t segment_bytes) const {
  uint64_t per_high = (uint64_t{1} << 32) / segment_bytes;
  if (low >= per_high) return std::nullopt;
  return high * per_high + low;
}

std::optional<WalFileName> parse_wal_file_name(std::string_view name) {
  WalFileName found;
  if (name.ends_with(kPartial)) {
    found.partial = true;
    name.remove_suffix(kPartial.size());
  }
  if (name.size() != 24) return std::nullopt;
  auto timeline = parse_word(name.substr(0, 8));
  auto high = parse_word(name.substr(8, 8)), low = parse_word(name.substr(16, 8));
  if (!timeline || !high || !low || *timeline == 0) return std::nullopt;
  found.timeline = *timeline;
  found.high = *high;
  found.low = *low;
  return found;
}

std::string wal_file_name(Timeline timeline, uint64_t segment, uint32_t segment_bytes) {
  uint64_t per_high = (uint64_t{1} << 32) / segment_bytes;
  return fmt::format("{:08X}{:08X}{:08X}", timeline, segment / per_high, segment % per_high);
}

std::optional<Timeline> parse_history_file_name(std::string_view name) {
  if (!name.ends_with(kHistory)) return std::nullopt;
  name.remove_suffix(kHistory.size());
  auto timeline = parse_word(name);
  if (!timeline || *timeline == 0) return std::nullopt;
  return timeline;
}

std::string history_file_name(Timeline timeline) {
  return fmt::format("{:08X}{}", timeline, kHistory);
}

}  // namespace holdfast
