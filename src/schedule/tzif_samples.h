// For tests: compiled time zones that are made here, so that they can be what zic would never
// write.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "schedule/tzif.h"

namespace holdfast {

struct TzifSample {
  std::vector<std::pair<int64_t, uint8_t>> transitions;     // when, and the type from then on
  std::vector<std::pair<int32_t, bool>> types{{0, false}};  // offset, daylight saving time
  std::string names{"UTC", 4};  // with the zero byte; all types have the first one
  std::string footer = "\nUTC0\n";
  uint32_t leaps = 0;
  char version = '2';

  std::string bytes() const {
    return header(0, 0, 0, 0) +
           header(static_cast<uint32_t>(transitions.size()), static_cast<uint32_t>(types.size()),
                  static_cast<uint32_t>(names.size()), leaps) +
           block() + footer;
  }

 private:
  static std::string big_endian(uint64_t value, int size) {
    std::string bytes;
    for (int i = size - 1; i >= 0; --i) bytes.push_back(static_cast<char>(value >> (8 * i)));
    return bytes;
  }
  std::string header(uint32_t times, uint32_t type_count, uint32_t name_bytes,
                     uint32_t leap_count) const {
    std::string header = "TZif";
    header += version + std::string(15, '\0') + big_endian(0, 8);
    for (uint32_t count : {leap_count, times, type_count, name_bytes})
      header += big_endian(count, 4);
    return header;
  }
  std::string block() const {
    std::string block;
    for (const auto& [at, type] : transitions) block += big_endian(static_cast<uint64_t>(at), 8);
    for (const auto& [at, type] : transitions) block.push_back(static_cast<char>(type));
    for (const auto& [offset, dst] : types) {
      block += big_endian(static_cast<uint32_t>(offset), 4);
      block.push_back(dst ? 1 : 0);
      block.push_back(0);
    }
    return block + names + std::string(12 * leaps, '\0');
  }
};

}  // namespace holdfast
