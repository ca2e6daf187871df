// What the program says while it works: phases, notes and warnings, on stderr, one line each.
//
// A seam: commands are handed a Log; tests collect the lines. Lines are for people, lower-case, and
// hold no secret (Secret cannot be formatted). Thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

enum class LogLevel { debug, info, warning, error };

class Log {
 public:
  virtual ~Log() = default;
  virtual void line(LogLevel level, std::string_view text) = 0;

  void debug(std::string_view text) { line(LogLevel::debug, text); }
  void info(std::string_view text) { line(LogLevel::info, text); }
  void warning(std::string_view text) { line(LogLevel::warning, text); }
  void error(std::string_view text) { line(LogLevel::error, text); }
};

// Says nothing.
class NullLog final : public Log {
 public:
  void line(LogLevel, std::string_view) override {}
};

}  // namespace holdfast
