#include "cli/progress_line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "base/text.h"

namespace holdfast {
namespace {

constexpr double kRateWindowSeconds = 5;
constexpr double kRateKnownAfterSeconds = 0.5;

std::vector<std::string> amounts(const ProgressSnapshot& progress, bool live) {
  std::vector<std::string> parts;
  if (live && progress.tables_total > 0)
    parts.push_back(fmt::format("{}/{} tables", progress.tables, progress.tables_total));
  else if (progress.tables > 0)
    parts.push_back(plural(progress.tables, "table"));
  if (progress.rows > 0) parts.push_back(plural(progress.rows, "row"));
  if (live && progress.bytes_total > progress.bytes)
    parts.push_back(
        fmt::format("{} of {}", human_bytes(progress.bytes), human_bytes(progress.bytes_total)));
  else if (progress.bytes > 0)
    parts.push_back(human_bytes(progress.bytes));
  return parts;
}

std::string whole_line(const ProgressSnapshot& progress) {
  std::vector<std::string> parts = amounts(progress, true);
  if (double rate = progress.bytes_per_second; rate >= 1) {
    parts.push_back(human_bytes(static_cast<uint64_t>(rate)) + "/s");
    if (progress.bytes_total > progress.bytes) {
      double left = static_cast<double>(progress.bytes_total - progress.bytes) / rate;
      parts.push_back(human_seconds(left) + " left");
    }
  }
  if (parts.empty()) parts.push_back(human_seconds(progress.seconds));
  return fmt::format("{}  {}", progress.phase, fmt::join(parts, " · "));
}

}  // namespace

std::string live_line(const ProgressSnapshot& progress, size_t columns) {
  std::string line = whole_line(progress);
  if (columns_of(line) <= columns) return line;
  ProgressSnapshot shorter = progress;
  shorter.rows = 0;  // on a narrow terminal, the time left says more
  return cut_to_columns(whole_line(shorter), columns);
}

std::string phase_line(const ProgressSnapshot& progress) {
  std::vector<std::string> parts = amounts(progress, false);
  if (parts.empty()) return fmt::format("{}: {}", progress.phase, human_seconds(progress.seconds));
  return fmt::format("{}: {} in {}", progress.phase, fmt::join(parts, ", "),
                     human_seconds(progress.seconds));
}

size_t columns_of(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string cut_to_columns(std::string_view text, size_t columns) {
  size_t count = 0, end_of_last_but_one = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    bool starts_character = (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
    if (!starts_character) continue;
    if (count + 1 == columns) end_of_last_but_one = i;
    if (count == columns) return std::string(text.substr(0, end_of_last_but_one)) + "…";
    ++count;
  }
  return std::string(text);
}

double RateMeter::add(double seconds, uint64_t bytes) {
  samples_.emplace_back(seconds, bytes);
  while (samples_.size() > 2 && seconds - samples_[1].first >= kRateWindowSeconds)
    samples_.pop_front();
  auto [first_seconds, first_bytes] = samples_.front();
  double span = seconds - first_seconds;
  if (span < kRateKnownAfterSeconds || bytes < first_bytes) return 0;
  return static_cast<double>(bytes - first_bytes) / span;
}

}  // namespace holdfast
