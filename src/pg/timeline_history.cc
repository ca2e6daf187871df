#include "pg/timeline_history.h"

#include <fmt/format.h>

#include <charconv>

#include "base/error.h"

namespace holdfast {
namespace {

constexpr std::string_view kBlanks = " \t\r\v\f";

std::string_view skip_blanks(std::string_view text) {
  size_t at = text.find_first_not_of(kBlanks);
  return at == std::string_view::npos ? std::string_view{} : text.substr(at);
}

// The next word of `line`, which loses it.
std::string_view take_word(std::string_view& line) {
  line = skip_blanks(line);
  std::string_view word = line.substr(0, line.find_first_of(kBlanks));
  line.remove_prefix(word.size());
  return word;
}

Error damaged(Timeline timeline, size_t line, std::string_view why) {
  return Error(ErrorCode::corrupt,
               fmt::format("history of timeline {}: line {}: {}", timeline, line, why));
}

WalPart parse_line(Timeline timeline, size_t number, std::string_view line) {
  WalPart part;
  std::string_view word = take_word(line);
  auto [end, failure] = std::from_chars(word.data(), word.data() + word.size(), part.timeline);
  if (failure != std::errc() || end != word.data() + word.size() || part.timeline == 0)
    throw damaged(timeline, number, "does not begin with the number of a timeline");
  try {
    part.to = parse_lsn(take_word(line));
  } catch (const Error&) {
    throw damaged(timeline, number, "says not where that timeline was left");
  }
  return part;  // what is left of the line is a reason for people
}

}  // namespace

Lineage first_timeline(Timeline timeline) {
  return {{timeline, {}, {}}};
}

Lineage parse_timeline_history(Timeline timeline, std::string_view content) {
  if (content.size() > kTimelineHistoryBytesMax)
    throw Error(ErrorCode::corrupt,
                fmt::format("history of timeline {}: is larger than any history", timeline));
  Lineage lineage;
  size_t number = 0;
  while (!content.empty()) {
    std::string_view line = content.substr(0, content.find('\n'));
    content.remove_prefix(std::min(line.size() + 1, content.size()));
    ++number;
    std::string_view said = skip_blanks(line);
    if (said.empty() || said.front() == '#') continue;
    WalPart part = parse_line(timeline, number, said);
    if (!lineage.empty()) {
      if (part.timeline <= lineage.back().timeline)
        throw damaged(timeline, number, "timelines do not increase");
      if (part.to < lineage.back().to)
        throw damaged(timeline, number, "a timeline was left before it began");
      part.from = lineage.back().to;
    }
    lineage.push_back(part);
  }
  if (!lineage.empty() && lineage.back().timeline >= timeline)
    throw damaged(timeline, number, "an ancestor is not older than the timeline itself");
  Lsn from = lineage.empty() ? Lsn{} : lineage.back().to;
  lineage.push_back({timeline, from, {}});
  return lineage;
}

Timeline timeline_of(const Lineage& lineage, Lsn end) {
  for (const WalPart& part : lineage)
    if (end > part.from && (end <= part.to || part.to.value == 0)) return part.timeline;
  return 0;
}

}  // namespace holdfast
