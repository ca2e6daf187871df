// Standard error, as the one place where log lines and the live progress line meet.
//
// On a terminal the bottom line is the progress of the running phase, redrawn ten times a second; a
// log line is put above it, and at the end it is gone. Elsewhere each phase leaves one plain line
// when it ends. A thread of its own draws, so workers only count. Thread-safe.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/clock.h"
#include "base/run.h"
#include "cli/progress_line.h"

namespace holdfast {

struct ConsoleOptions {
  int fd = 2;
  bool live = false;  // redraw a line; else plain lines
  bool color = false;
  bool quiet = false;  // no info lines, no progress
};

// What suits standard error: live if it is a terminal that can, colour unless it is unwanted.
ConsoleOptions console_options(bool quiet, bool no_color, const std::string& term);

class Console final : public Log, public Progress {
 public:
  Console(const ConsoleOptions& options, const Clock& clock);
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;
  ~Console() override;

  void line(LogLevel level, std::string_view text) override;
  void phase(std::string_view name) override;
  // The running phase is over: its plain line is written, the live one cleared.
  void finish_phase();
  // `error: …` and `hint: …`.
  void failure(const Error& error);

 private:
  ProgressSnapshot snapshot() const;
  void end_phase_locked();
  void draw_locked();
  void clear_locked();
  void write(const std::string& text);
  void draw_until_stopped(const std::stop_token& stop);

  const ConsoleOptions options_;
  const Clock& clock_;
  mutable std::mutex mutex_;  // guards everything below
  std::condition_variable_any wake_;
  std::string phase_;
  double phase_start_ = 0;
  RateMeter rate_;
  bool drawn_ = false;
  std::jthread drawer_;
};

}  // namespace holdfast
