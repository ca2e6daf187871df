// Bytes in fixed order, in hexadecimal and in base64. Little helpers instead of struct casts, so
// that every format is the same on every machine. All functions are pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace holdfast {

using ByteView = std::span<const uint8_t>;

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline uint32_t load_be32(const uint8_t* p) {
  return uint32_t{p[0]} << 24 | uint32_t{p[1]} << 16 | uint32_t{p[2]} << 8 | uint32_t{p[3]};
}
inline void store_be32(uint8_t* p, uint32_t value) {
  for (int i = 0; i < 4; ++i) p[i] = static_cast<uint8_t>(value >> (24 - 8 * i));
}
inline uint32_t load_le32(const uint8_t* p) {
  return uint32_t{p[3]} << 24 | uint32_t{p[2]} << 16 | uint32_t{p[1]} << 8 | uint32_t{p[0]};
}
inline void store_le32(uint8_t* p, uint32_t value) {
  for (int i = 0; i < 4; ++i) p[i] = static_cast<uint8_t>(value >> (8 * i));
}

inline uint16_t load_le16(const uint8_t* p) {
  return static_cast<uint16_t>(p[1] << 8 | p[0]);
}
inline void store_le16(uint8_t* p, uint16_t value) {
  for (int i = 0; i < 2; ++i) p[i] = static_cast<uint8_t>(value >> (8 * i));
}
inline uint64_t load_le64(const uint8_t* p) {
  return uint64_t{load_le32(p + 4)} << 32 | load_le32(p);
}
inline void store_le64(uint8_t* p, uint64_t value) {
  for (int i = 0; i < 8; ++i) p[i] = static_cast<uint8_t>(value >> (8 * i));
}

// RFC 4648 section 4: with padding, without line breaks.
std::string to_base64(ByteView bytes);

// Lower-case hexadecimal, two digits a byte.
std::string to_hex(ByteView bytes);

// The bytes that `hex` spells, or an empty string if it holds anything but lower-case pairs.
std::string from_hex(std::string_view hex);

}  // namespace holdfast
