// What a long job is handed by its command: the time, where to say things, where to count, and the
// wish to stop. Everything in it outlives the job; counting is lock-free and may be done by any
// thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

namespace holdfast {

// Counters of the running phase. `bytes` are of the uncompressed text; `bytes_total` is an estimate
// (0: unknown).
struct ProgressCounters {
  std::atomic<uint64_t> tables{0}, tables_total{0};
  std::atomic<uint64_t> rows{0};
  std::atomic<uint64_t> bytes{0}, bytes_total{0};
};

// A seam: on a terminal a live line, elsewhere one plain line per phase, in tests nothing.
class Progress {
 public:
  virtual ~Progress() = default;
  // A new phase begins ("copying tables"); counters start at zero again.
  virtual void phase(std::string_view name) = 0;
  ProgressCounters& counters() { return counters_; }

 protected:
  ProgressCounters counters_;
};

class NullProgress final : public Progress {
 public:
  void phase(std::string_view) override {}
};

struct Run {
  const Clock& clock;
  Log& log;
  Progress& progress;
  std::stop_token stop;

  // Throws Error(cancelled) once the user has asked to stop.
  void check_stop() const {
    if (stop.stop_requested()) throw Error(ErrorCode::cancelled, "interrupted");
  }
};

}  // namespace holdfast
