// A position in PostgreSQL's write-ahead log, and the number of the timeline that it is on.
// Plain values; the text form is PostgreSQL's own (`16/B374D848`, two hexadecimal halves).
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast {

// Byte position in the WAL; 0 is no position (InvalidXLogRecPtr).
struct Lsn {
  uint64_t value = 0;
  auto operator<=>(const Lsn&) const = default;
};

using Timeline = uint32_t;  // from 1; 0 is none

std::string format_lsn(Lsn lsn);

// Throws Error(invalid) for anything but `H/H` with 1 to 8 hexadecimal digits on either side.
Lsn parse_lsn(std::string_view text);

}  // namespace holdfast
