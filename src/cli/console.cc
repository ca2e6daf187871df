#include "cli/console.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>

#include "base/text.h"

namespace holdfast {
namespace {

constexpr auto kRedrawEvery = std::chrono::milliseconds(100);
constexpr size_t kColumnsUnknown = 80;
constexpr size_t kLineBytesMax = 4000;

const char* const kClearLine = "\r\033[K";
const char* const kRed = "\033[31m";
const char* const kYellow = "\033[33m";
const char* const kPlain = "\033[0m";

size_t terminal_columns(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kColumnsUnknown;
  return size.ws_col;
}

}  // namespace

ConsoleOptions console_options(bool quiet, bool no_color, const std::string& term) {
  ConsoleOptions options;
  bool terminal = ::isatty(options.fd) == 1 && term != "dumb" && !term.empty();
  options.live = terminal && !quiet;
  options.color = terminal && !no_color;
  options.quiet = quiet;
  return options;
}

Console::Console(const ConsoleOptions& options, const Clock& clock)
    : options_(options), clock_(clock) {
  if (options_.live)
    drawer_ = std::jthread([this](const std::stop_token& stop) { draw_until_stopped(stop); });
}

Console::~Console() {
  drawer_ = {};  // stopped and joined before the line is cleared for good
  std::lock_guard lock(mutex_);
  clear_locked();
}

void Console::line(LogLevel level, std::string_view text) {
  if (level == LogLevel::debug) return;
  if (level == LogLevel::info && options_.quiet) return;
  std::string label, color;
  if (level == LogLevel::warning) label = "warning: ", color = kYellow;
  if (level == LogLevel::error) label = "error: ", color = kRed;
  if (options_.color && !label.empty()) label = color + label + kPlain;
  std::lock_guard lock(mutex_);
  clear_locked();
  write(label + printable(text, kLineBytesMax) + "\n");
}

void Console::phase(std::string_view name) {
  std::lock_guard lock(mutex_);
  end_phase_locked();
  counters_.tables = 0, counters_.tables_total = 0;
  counters_.rows = 0;
  counters_.bytes = 0, counters_.bytes_total = 0;
  phase_ = printable(name, 200);
  phase_start_ = clock_.monotonic_seconds();
  rate_.reset();
}

void Console::finish_phase() {
  std::lock_guard lock(mutex_);
  end_phase_locked();
}

void Console::failure(const Error& error) {
  {
    std::lock_guard lock(mutex_);
    phase_.clear();  // it did not end: no line that looks as if it had
    clear_locked();
  }
  line(LogLevel::error, error.what());
  std::string hint = error.hint().empty() ? std::string(general_hint(error.code())) : error.hint();
  if (hint.empty()) return;
  std::lock_guard lock(mutex_);
  write("hint: " + printable(hint, kLineBytesMax) + "\n");
}

ProgressSnapshot Console::snapshot() const {
  ProgressSnapshot progress;
  progress.phase = phase_;
  progress.tables = counters_.tables, progress.tables_total = counters_.tables_total;
  progress.rows = counters_.rows;
  progress.bytes = counters_.bytes, progress.bytes_total = counters_.bytes_total;
  progress.seconds = clock_.monotonic_seconds() - phase_start_;
  return progress;
}

void Console::end_phase_locked() {
  if (phase_.empty()) return;
  clear_locked();
  if (!options_.live && !options_.quiet) write(phase_line(snapshot()) + "\n");
  phase_.clear();
}

void Console::draw_locked() {
  if (phase_.empty()) return;
  ProgressSnapshot progress = snapshot();
  progress.bytes_per_second = rate_.add(progress.seconds, progress.bytes);
  // One column less: a line that fills the last one wraps on some terminals.
  write(kClearLine + live_line(progress, terminal_columns(options_.fd) - 1));
  drawn_ = true;
}

void Console::clear_locked() {
  if (!drawn_) return;
  write(kClearLine);
  drawn_ = false;
}

// Nowhere is left to report it if standard error cannot be written.
void Console::write(const std::string& text) {
  size_t done = 0;
  while (done < text.size()) {
    ssize_t count = ::write(options_.fd, text.data() + done, text.size() - done);
    if (count <= 0) return;
    done += static_cast<size_t>(count);
  }
}

void Console::draw_until_stopped(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    draw_locked();
    wake_.wait_for(lock, stop, kRedrawEvery, [] { return false; });
  }
}

}  // namespace holdfast
