// Whether the archive lags behind the source's WAL: what is worth telling somebody who is not
// looking. A judgement of the looks at StorageHealth that are taken every few seconds, with the
// time passed in; nothing here knows how history is received.
//
// What counts, and from when on:
//   behind  WAL that the source had written `seconds` ago is still not here, or more than `bytes`
//           are missing for kWalLagBytesSeconds. A source that writes nothing is never behind.
//   silent  the source does not answer, or nobody receives from it, for `seconds`: nothing is known
//           to be missing, and nothing would be noticed.
//   lost    at once, when a gap or the loss of the slot is noticed, until receiving goes on and the
//           newest of it can be recovered to; and when the newest cannot be for `seconds`.
//
// A receiver counts as running when it was seen twice in a row, not started again between: one that
// starts and dies again is down, one that was away for a moment is not worth a word. What was told
// is over when nothing is wrong and less than half of a limit is left. Bounded memory; not thread-
// safe.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "base/error.h"
#include "engine/branch_storage.h"

namespace holdfast {

// How long more than the limit of bytes may be missing: a bulk load is faster than any network.
inline constexpr double kWalLagBytesSeconds = 30;

struct WalLagLimits {
  int64_t seconds = 300;
  uint64_t bytes = uint64_t{1} << 30;
};

enum class WalLagState {
  undecided,  // nothing to tell: too short, not yet over, or receiving is paused on purpose
  well,
  behind,
  silent,
  lost,
};

constexpr bool is_lag(WalLagState state) {
  return state == WalLagState::behind || state == WalLagState::silent || state == WalLagState::lost;
}

// The source answers, and somebody receives from it.
bool is_receiving(const StorageHealth& health);

// As of one look.
struct WalLag {
  WalLagState state = WalLagState::undecided;
  double seconds = 0;             // for how long something is missing, or nothing could be received
  uint64_t bytes = 0;             // that are known to be missing and may still come
  uint64_t lost_bytes = 0;        // of this trouble: about so many will never come
  int losses = 0;                 // of this trouble: gaps and lost slots
  std::optional<ErrorCode> code;  // of what stands in the way, where something is wrong
};

class WalLagWatch {
 public:
  explicit WalLagWatch(const WalLagLimits& limits) : limits_(limits) {}

  // `at`: Clock::monotonic_seconds(). Looks come in the order of time.
  WalLag look(double at, const StorageHealth& health);

  // Looks that are remembered: five hours and a half of them; of more, the oldest stay.
  static constexpr size_t kMarksMax = 4096;
  size_t marks() const { return marks_.size(); }

 private:
  struct Mark {
    double at;
    Lsn flushed;  // the source had written so much by then
  };

  void forget_times();
  void note_losses(const StorageHealth& health);
  void note_position(double at, const StorageHealth& health);
  void note_receiver(double at, const StorageHealth& health);
  double behind(double at) const;
  void judge(double at, const StorageHealth& health, WalLag& lag);

  const WalLagLimits limits_;
  std::deque<Mark> marks_;  // what has not arrived yet; ascending
  std::optional<double> down_since_, head_since_, bytes_since_;
  bool was_sound_ = false;  // at the last look
  int restarts_ = 0;        // by then
  int losses_seen_ = 0, losses_before_ = 0;
  uint64_t lost_bytes_seen_ = 0, lost_bytes_before_ = 0;  // "before": those that are over
  bool newly_lost_ = false;                               // at this look
  bool arrived_ = false;  // once, all that the source had written by an earlier look
  bool open_ = true;      // a trouble that is not over: maybe one of an earlier run
};

}  // namespace holdfast
