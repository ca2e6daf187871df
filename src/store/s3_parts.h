// How large the parts of an upload are.
//
// S3 takes 10,000 parts, and memory should not be spent on parts larger than needed. So parts are
// of one size (R2 insists on that) that lets the estimate be wrong by 10 times up to 16 GiB, and by
// 2 times beyond; if the object still outgrows it, parts become 4 times as large after 5,000, and
// 16 times after 7,000: 61,000 times the first size in all. Pure functions.
#pragma once

#include <algorithm>
#include <cstdint>

namespace holdfast {

constexpr int kS3PartsMax = 10'000;
constexpr uint64_t kS3PartBytesMax = uint64_t{5} << 30;

// `bytes_expected` 0: unknown.
constexpr uint64_t s3_first_part_bytes(uint64_t bytes_expected, uint64_t part_bytes_min) {
  constexpr uint64_t kRoomy = uint64_t{16} << 20;
  uint64_t bytes = bytes_expected == 0 ? kRoomy
                                       : std::max(std::min(bytes_expected / 1000, kRoomy),
                                                  bytes_expected / 5000 + 1);
  return std::clamp(bytes, part_bytes_min, kS3PartBytesMax);
}

// Of part `number`, counted from 1; the last one may be smaller.
constexpr uint64_t s3_part_bytes(uint64_t first_part_bytes, int number) {
  uint64_t factor = number <= 5'000 ? 1 : number <= 7'000 ? 4 : 16;
  return std::min(first_part_bytes * factor, kS3PartBytesMax);
}

}  // namespace holdfast
