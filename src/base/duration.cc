#include "base/duration.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

namespace holdfast {

std::string human_age(double seconds) {
  auto two = [](uint64_t large, const char* unit, uint64_t small, const char* small_unit) {
    return small == 0 ? fmt::format("{} {}", large, unit)
                      : fmt::format("{} {} {} {}", large, unit, small, small_unit);
  };
  auto whole = static_cast<uint64_t>(std::max(seconds, 0.0));
  if (whole < 60) return fmt::format("{} s", whole);
  uint64_t minutes = whole / 60, hours = minutes / 60, days = hours / 24;
  if (hours < 2) return fmt::format("{} min", minutes);
  if (days < 2) return two(hours, "h", minutes % 60, "min");
  return two(days, "d", hours % 24, "h");
}

std::optional<std::chrono::seconds> parse_duration(std::string_view text) {
  constexpr int64_t kSecondsMax = int64_t{86400} * 3653;
  constexpr std::pair<char, int64_t> kUnits[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
  int64_t total = 0, unit_before = kSecondsMax;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    int64_t number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    if (error != std::errc() || text.empty() || number < 0) return std::nullopt;
    const auto* unit = std::find_if(std::begin(kUnits), std::end(kUnits),
                                    [&](const auto& known) { return known.first == text[0]; });
    if (unit == std::end(kUnits) || unit->second >= unit_before) return std::nullopt;
    if (number > (kSecondsMax - total) / unit->second) return std::nullopt;
    total += number * unit->second;
    unit_before = unit->second;
    text.remove_prefix(1);
  }
  return std::chrono::seconds(total);
}

}  // namespace holdfast
