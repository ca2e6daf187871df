// The words of the progress: pure functions from counters to a line, so that tests need neither a
// terminal nor time.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

namespace holdfast {

struct ProgressSnapshot {
  std::string phase;
  uint64_t tables = 0, tables_total = 0;
  uint64_t rows = 0;
  uint64_t bytes = 0, bytes_total = 0;  // total 0: unknown
  double seconds = 0;                   // since the phase began
  double bytes_per_second = 0;          // of the last seconds; 0: unknown
};

// "copying tables  12/105 tables · 2.1 M rows · 1.2 of 3.4 GiB · 148 MiB/s · 15 s left", cut to
// `columns`.
std::string live_line(const ProgressSnapshot& progress, size_t columns);

// "copying tables: 105 tables, 2.1 M rows, 1.2 GiB in 8.1 s"
std::string phase_line(const ProgressSnapshot& progress);

// How many characters UTF-8 `text` has, each taken for one column.
size_t columns_of(std::string_view text);

// The first `columns` characters of UTF-8 `text`; "…" marks a cut.
std::string cut_to_columns(std::string_view text, size_t columns);

// The rate over the last few seconds, so that the time left follows changes of pace.
class RateMeter {
 public:
  void reset() { samples_.clear(); }
  // `seconds` never go back. Returns the rate, or 0 while too little is known.
  double add(double seconds, uint64_t bytes);

 private:
  std::deque<std::pair<double, uint64_t>> samples_;
};

}  // namespace holdfast
