#include "seal/row_checksum.h"

#include <cstring>
#include <new>

#include "base/error.h"

namespace holdfast {

std::string RowChecksum::sum_hex() const {
  uint8_t bytes[16];
  for (int i = 0; i < 8; ++i) {
    bytes[i] = static_cast<uint8_t>(high >> (56 - 8 * i));
    bytes[8 + i] = static_cast<uint8_t>(low >> (56 - 8 * i));
  }
  return to_hex(bytes);
}

RowChecksum RowChecksum::from(uint64_t rows, const std::string& hex) {
  std::string bytes = from_hex(hex);
  if (bytes.size() != 16) throw Error(ErrorCode::corrupt, "a row checksum is not 32 hex digits");
  RowChecksum sum;
  sum.rows = rows;
  for (int i = 0; i < 8; ++i) {
    sum.high = sum.high << 8 | static_cast<uint8_t>(bytes[static_cast<size_t>(i)]);
    sum.low = sum.low << 8 | static_cast<uint8_t>(bytes[static_cast<size_t>(8 + i)]);
  }
  return sum;
}

RowSummer::RowSummer() : state_(XXH3_createState()) {
  if (state_ == nullptr) throw std::bad_alloc();
}

RowSummer::~RowSummer() {
  XXH3_freeState(state_);
}

void RowSummer::reset() {
  sum_ = {};
  in_line_ = false;
}

void RowSummer::add_text(ByteView text) {
  while (!text.empty()) {
    auto* newline = static_cast<const uint8_t*>(std::memchr(text.data(), '\n', text.size()));
    size_t length = newline == nullptr ? text.size() : static_cast<size_t>(newline - text.data());
    if (newline != nullptr && !in_line_) {
      add_line(text.first(length));
    } else {
      if (!in_line_) XXH3_128bits_reset(state_);
      XXH3_128bits_update(state_, text.data(), length);
      in_line_ = newline == nullptr;
      if (newline != nullptr) {
        XXH128_hash_t hash = XXH3_128bits_digest(state_);
        sum_.add_hash(hash.low64, hash.high64);
      }
    }
    if (newline == nullptr) return;
    text = text.subspan(length + 1);
  }
}

}  // namespace holdfast
