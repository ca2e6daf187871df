#include "pg/lsn.h"

#include <fmt/format.h>

#include <charconv>

#include "base/error.h"

namespace holdfast {

std::string format_lsn(Lsn lsn) {
  return fmt::format("{:X}/{:X}", lsn.value >> 32, lsn.value & 0xffffffffu);
}

Lsn parse_lsn(std::string_view text) {
  auto half = [&](std::string_view digits) {
    uint32_t value = 0;
    auto [end, failure] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, /*base=*/16);
    if (digits.empty() || digits.size() > 8 || failure != std::errc() ||
        end != digits.data() + digits.size())
      throw Error(ErrorCode::invalid, "not a position in the WAL", "one looks like 16/B374D848");
    return value;
  };
  size_t slash = text.find('/');
  if (slash == std::string_view::npos)
    throw Error(ErrorCode::invalid, "not a position in the WAL", "one looks like 16/B374D848");
  return {uint64_t{half(text.substr(0, slash))} << 32 | half(text.substr(slash + 1))};
}

}  // namespace holdfast
