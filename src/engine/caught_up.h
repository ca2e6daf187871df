// Up to which instant everything that the source wrote has been received. Pure.
//
// A commit takes its time a moment before its record is written, and a commit that does not wait
// for the disk (synchronous_commit = off) is flushed some 200 ms later. So an instant counts as
// complete only if the source was seen again kSettle after it and what was flushed by then has
// arrived. On a source that never rests, received and flushed are hardly ever seen equal: what was
// flushed at an earlier look is held against what has arrived now.
#pragma once

#include <chrono>
#include <deque>
#include <optional>

#include "base/clock.h"
#include "pg/lsn.h"

namespace holdfast {

class CaughtUp {
 public:
  static constexpr std::chrono::milliseconds kSettle{600};
  static constexpr std::chrono::milliseconds kOutOfOrder{5000};
  static constexpr size_t kLooksMax = 4096;  // an hour of them; the oldest are forgotten

  // A look at the source: its clock, read before `flushed`; and what is safe here by then.
  // Positions are of one timeline: call restart() when it changes.
  void look(UtcTime clock, Lsn flushed, Lsn received) {
    if (!looks_.empty() && clock < looks_.back().clock) {
      // Two lookers at once come in any order; a clock that was set back goes back further.
      if (looks_.back().clock - clock < kOutOfOrder) return;
      restart();
    }
    looks_.push_back({clock, flushed});
    if (looks_.size() > kLooksMax) looks_.pop_front();
    size_t arrived = 0;
    while (arrived < looks_.size() && looks_[arrived].flushed <= received) ++arrived;
    if (arrived == 0) return;
    UtcTime seen = looks_[arrived - 1].clock;
    size_t settled = 0;
    while (settled < looks_.size() && looks_[settled].clock + kSettle <= seen) ++settled;
    if (settled == 0) return;
    if (!at_ || *at_ < looks_[settled - 1].clock) at_ = looks_[settled - 1].clock;
    looks_.erase(looks_.begin(), looks_.begin() + static_cast<ptrdiff_t>(settled - 1));
  }

  void restart() { looks_.clear(); }

  std::optional<UtcTime> at() const { return at_; }
  void begin_with(std::optional<UtcTime> at) { at_ = at; }

 private:
  struct Look {
    UtcTime clock;
    Lsn flushed;
  };
  std::deque<Look> looks_;
  std::optional<UtcTime> at_;
};

}  // namespace holdfast
