// For tests of received WAL: the size of its segments there, and a unit to count in.
#pragma once

#include <cstdint>

namespace holdfast {

inline constexpr uint32_t kSegment = 1 << 20;
inline constexpr uint64_t kMiB = 1 << 20;

}  // namespace holdfast
