#include "engine/wal_lag.h"

#include <algorithm>

namespace holdfast {
namespace {

double seconds_since(const std::optional<double>& since, double at) {
  return since ? at - *since : 0;
}

void hold_since(std::optional<double>& since, bool holds, double at) {
  if (!holds) since.reset();
  if (holds && !since) since = at;
}

}  // namespace

bool is_receiving(const StorageHealth& health) {
  return health.source_answers && health.receiving && health.slot_active;
}

WalLag WalLagWatch::look(double at, const StorageHealth& health) {
  WalLag lag;
  // A slot without a position says nothing of how much is missing.
  if (health.received.value != 0 && health.source > health.received)
    lag.bytes = health.source.value - health.received.value;
  note_losses(health);
  if (health.paused) {
    forget_times();
  } else {
    note_position(at, health);
    note_receiver(at, health);
    hold_since(bytes_since_, lag.bytes > limits_.bytes, at);
    hold_since(head_since_, health.head != HeadTrouble::none, at);
  }
  lag.losses = losses_seen_ - losses_before_;
  lag.lost_bytes = lost_bytes_seen_ - lost_bytes_before_;
  lag.seconds =
      std::max({behind(at), seconds_since(down_since_, at), seconds_since(head_since_, at)});
  judge(at, health, lag);
  if (lag.state == WalLagState::undecided) return lag;
  open_ = is_lag(lag.state);
  if (open_) return lag;
  losses_before_ = losses_seen_;
  lost_bytes_before_ = lost_bytes_seen_;
  return lag;
}

double WalLagWatch::behind(double at) const {
  return marks_.empty() ? 0 : at - marks_.front().at;
}

void WalLagWatch::forget_times() {
  marks_.clear();
  down_since_.reset();
  head_since_.reset();
  bytes_since_.reset();
  was_sound_ = false;
}

// Counters of the engine's life; a look that learnt nothing has none.
void WalLagWatch::note_losses(const StorageHealth& health) {
  int losses = health.new_gaps + health.lost_slots;
  newly_lost_ = losses > losses_seen_;
  losses_seen_ = std::max(losses_seen_, losses);
  lost_bytes_seen_ = std::max(lost_bytes_seen_, health.lost_bytes);
}

void WalLagWatch::note_position(double at, const StorageHealth& health) {
  // A source that was put back to an earlier point has taken back what it had written.
  if (health.source_answers && !marks_.empty() && health.source < marks_.back().flushed)
    marks_.clear();
  for (; !marks_.empty() && marks_.front().flushed <= health.received; marks_.pop_front())
    arrived_ = true;
  if (!health.source_answers) return;
  bool news = marks_.empty() || health.source > marks_.back().flushed;
  if (news && marks_.size() < kMarksMax) marks_.push_back({at, health.source});
}

void WalLagWatch::note_receiver(double at, const StorageHealth& health) {
  bool sound = is_receiving(health);
  bool runs = sound && was_sound_ && health.restarts == restarts_;
  hold_since(down_since_, !runs, at);
  was_sound_ = sound;
  restarts_ = health.restarts;
}

void WalLagWatch::judge(double at, const StorageHealth& health, WalLag& lag) {
  auto limit = static_cast<double>(limits_.seconds);
  bool calm = !health.paused && !down_since_ && !head_since_;
  bool over = calm && arrived_ && 2 * behind(at) <= limit && lag.bytes <= limits_.bytes / 2;
  bool still_lost = lag.losses > 0 && !over && !health.paused;
  if (newly_lost_ || still_lost || seconds_since(head_since_, at) > limit) {
    lag.state = WalLagState::lost;
    lag.code = health.head == HeadTrouble::damaged ? ErrorCode::corrupt : ErrorCode::not_found;
  } else if (seconds_since(down_since_, at) > limit) {
    lag.state = WalLagState::silent;
    lag.code = health.trouble_code.value_or(ErrorCode::unavailable);
  } else if (behind(at) > limit || seconds_since(bytes_since_, at) >= kWalLagBytesSeconds) {
    lag.state = WalLagState::behind;
    lag.code = ErrorCode::violated;
  } else if (over || (calm && !open_)) {
    lag.state = WalLagState::well;
  }
}

}  // namespace holdfast
