// For tests: a log that keeps its lines.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"

namespace holdfast {

class LinesLog final : public Log {
 public:
  void line(LogLevel, std::string_view text) override { lines.emplace_back(text); }
  std::vector<std::string> lines;
};

}  // namespace holdfast
