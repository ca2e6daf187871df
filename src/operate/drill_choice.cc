#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "operate/drill.h"

namespace holdfast {
namespace {

using YearMonth = std::chrono::year_month;

YearMonth month_of(UtcTime at) {
  std::chrono::year_month_day day(std::chrono::floor<std::chrono::days>(at));
  return day.year() / day.month();
}

// splitmix64 (Steele, Lea and Flood 2014): a fixed function of the seed, so that a choice can be
// made again by any version.
uint64_t mixed(uint64_t seed) {
  uint64_t z = seed + 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

}  // namespace

DrillChoice choose_drill(const std::vector<DrillCandidate>& candidates, UtcTime now,
                         uint64_t seed) {
  YearMonth last = month_of(now) - std::chrono::months(1);
  std::string month = fmt::format("{:04}-{:02}", int(last.year()), unsigned(last.month()));
  std::vector<size_t> eligible;
  for (size_t i = 0; i < candidates.size(); ++i)
    if (month_of(candidates[i].at) == last) eligible.push_back(i);
  DrillChoice choice;
  choice.chosen = "random of " + month;
  if (eligible.empty()) {
    eligible.resize(candidates.size());
    std::iota(eligible.begin(), eligible.end(), size_t{0});
    choice.chosen = fmt::format("random of all ({} has none)", month);
  }
  std::sort(eligible.begin(), eligible.end(),
            [&](size_t a, size_t b) { return candidates[a].id < candidates[b].id; });
  choice.index = eligible[mixed(seed) % eligible.size()];
  return choice;
}

}  // namespace holdfast
