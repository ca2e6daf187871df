#include "seal/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>

namespace holdfast {

uint32_t crc32c(ByteView bytes, uint32_t before) {
  constexpr size_t kPartBytes = size_t{1} << 30;  // ISA-L counts in an int
  uint32_t state = ~before;
  for (size_t at = 0; at < bytes.size(); at += kPartBytes) {
    size_t count = std::min(kPartBytes, bytes.size() - at);
    // It takes a pointer to what it does not change.
    state = crc32_iscsi(const_cast<uint8_t*>(bytes.data() + at), static_cast<int>(count), state);
  }
  return ~state;
}

}  // namespace holdfast
