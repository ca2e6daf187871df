#include "pg/archive.h"

#include <fmt/format.h>

#include <limits>

#include "base/error.h"

namespace holdfast {

namespace {

constexpr int64_t kIntMax = std::numeric_limits<int32_t>::max();
constexpr int64_t kIntMin = std::numeric_limits<int32_t>::min();

}  // namespace

std::string encode_int(int64_t value) {
  if (value < kIntMin || value > int64_t{std::numeric_limits<uint32_t>::max()}) {
    throw Error(ErrorCode::internal, fmt::format("{} does not fit an archive's integer", value));
  }
  int64_t wrapped = static_cast<int32_t>(static_cast<uint32_t>(value));
  uint64_t magnitude = static_cast<uint64_t>(wrapped < 0 ? -wrapped : wrapped);
  uint8_t bytes[kIntBytes] = {static_cast<uint8_t>(wrapped < 0 ? 1 : 0)};
  store_le32(bytes + 1, static_cast<uint32_t>(magnitude));
  return std::string(as_text(bytes));
}

int64_t decode_int(ByteView five_bytes) {
  if (five_bytes.size() != kIntBytes) {
    throw Error(ErrorCode::corrupt, "the archive ends inside an integer");
  }
  int64_t magnitude = load_le32(five_bytes.data() + 1);
  uint8_t sign = five_bytes[0];
  // pg_dump writes neither another sign byte, nor a negative zero, nor more than an int holds.
  bool sound = sign == 0   ? magnitude <= kIntMax
               : sign == 1 ? magnitude != 0 && magnitude <= -kIntMin
                           : false;
  if (!sound) {
    throw Error(ErrorCode::corrupt,
                fmt::format("{} is not an integer of the archive format", to_hex(five_bytes)));
  }
  return sign == 0 ? magnitude : -magnitude;
}

std::string encode_block_header(uint8_t type, int dump_id) {
  std::string bytes = encode_int(dump_id);
  bytes.insert(bytes.begin(), static_cast<char>(type));
  return bytes;
}

BlockHeader decode_block_header(ByteView six_bytes) {
  if (six_bytes.size() != kBlockHeaderBytes) {
    throw Error(ErrorCode::corrupt, "the archive ends inside a block header");
  }
  BlockHeader header;
  header.type = six_bytes[0];
  if (header.type != kBlockData && header.type != kBlockLargeObjects) {
    throw Error(ErrorCode::corrupt, fmt::format("unknown block type {}", header.type));
  }
  int64_t dump_id = decode_int(six_bytes.subspan(1));
  if (dump_id <= 0) {
    throw Error(ErrorCode::corrupt, fmt::format("block with dump id {}", dump_id));
  }
  header.dump_id = static_cast<int>(dump_id);
  return header;
}

}  // namespace holdfast
