// When the archive counts as lagging behind its source, look by look.
#include "engine/wal_lag.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

constexpr uint64_t kMegabyte = 1 << 20;

// A source and its receiver, looked at every five seconds with the limits of 60 s and 64 MiB.
class WalLagTest : public ::testing::Test {
 protected:
  WalLagTest() {
    health_.receiving = health_.source_answers = health_.slot_active = true;
    health_.source = health_.received = Lsn{kMegabyte};
  }
  WalLag look() {
    now_ += 5;
    return watch_->look(now_, health_);
  }
  // The states that were seen, each once in a row.
  std::vector<WalLagState> look_for(int duration) {
    std::vector<WalLagState> seen;
    for (int i = 0; i < duration; i += 5) {
      last_ = look();
      if (seen.empty() || seen.back() != last_.state) seen.push_back(last_.state);
    }
    return seen;
  }
  void write(uint64_t bytes) { health_.source.value += bytes; }
  void receive_all() { health_.received = health_.source; }
  void well() {
    for (int i = 0; i < 3; ++i) look();
    ASSERT_EQ(look().state, WalLagState::well);
  }

  using States = std::vector<WalLagState>;
  static constexpr WalLagState kUndecided = WalLagState::undecided, kWell = WalLagState::well,
                               kBehind = WalLagState::behind, kSilent = WalLagState::silent,
                               kLost = WalLagState::lost;

  std::optional<WalLagWatch> watch_{WalLagLimits{60, 64 * kMegabyte}};
  StorageHealth health_;
  double now_ = 1000;
  WalLag last_;
};

TEST_F(WalLagTest, AnIdleSourceIsNeverBehind) {
  EXPECT_EQ(look_for(86'400), (States{kUndecided, kWell}));
  EXPECT_EQ(last_.seconds, 0);
  EXPECT_EQ(last_.bytes, 0u);
}

TEST_F(WalLagTest, ABusySourceIsNotBehindThoughItIsNeverSeenEqual) {
  well();
  for (int i = 0; i < 2000; ++i) {
    receive_all();
    write(3 * kMegabyte);
    EXPECT_EQ(look().state, kWell);
  }
}

TEST_F(WalLagTest, WhatIsMissingForTooLongIsALag) {
  well();
  write(100);
  EXPECT_EQ(look_for(65), States{kWell});
  EXPECT_EQ(last_.seconds, 60);  // not more
  WalLag lag = look();
  EXPECT_EQ(lag.state, kBehind);
  EXPECT_EQ(lag.seconds, 65);
  EXPECT_EQ(lag.bytes, 100u);
  EXPECT_EQ(lag.code, ErrorCode::violated);
  receive_all();
  EXPECT_EQ(look().state, kWell);
  EXPECT_EQ(look().seconds, 0);
}

// The oldest that is missing counts, whatever arrives meanwhile.
TEST_F(WalLagTest, AReceiverThatIsTooSlowFallsBehindThoughItReceives) {
  well();
  for (int i = 0; i < 100 && last_.state != kBehind; ++i) {
    write(1000);
    health_.received.value += 500;
    last_ = look();
  }
  EXPECT_EQ(last_.state, kBehind);
  EXPECT_EQ(last_.seconds, 65);
}

TEST_F(WalLagTest, ALagIsOverWhenLessThanHalfOfItIsLeft) {
  well();
  for (int i = 0; i < 20; ++i) {
    write(1000);
    look();
  }
  // What arrives is what was written 45 seconds ago; then 20.
  health_.received.value = health_.source.value - 9 * 1000;
  EXPECT_EQ(look().state, kUndecided);
  health_.received.value = health_.source.value - 4 * 1000;
  EXPECT_EQ(look().state, kWell);
}

TEST_F(WalLagTest, ManyMissingBytesAreALagAfterHalfAMinute) {
  watch_.emplace(WalLagLimits{3600, 64 * kMegabyte});
  well();
  write(65 * kMegabyte);
  EXPECT_EQ(look_for(30), States{kWell});
  EXPECT_EQ(look().state, kBehind);
  health_.received.value = health_.source.value - 33 * kMegabyte;
  EXPECT_EQ(look().state, kUndecided);
  health_.received.value = health_.source.value - 32 * kMegabyte;
  EXPECT_EQ(look().state, kWell);
  // A bulk load that is received soon enough is none.
  receive_all();
  write(100 * kMegabyte);
  EXPECT_EQ(look_for(25), States{kWell});
  receive_all();
  EXPECT_EQ(look_for(600), States{kWell});
}

TEST_F(WalLagTest, ASourceThatIsDownIsSaidSo) {
  well();
  health_.source_answers = health_.receiving = false;
  health_.trouble_code = ErrorCode::denied;
  EXPECT_EQ(look_for(65), States{kUndecided});
  WalLag lag = look();
  EXPECT_EQ(lag.state, kSilent);
  EXPECT_EQ(lag.seconds, 65);
  EXPECT_EQ(lag.code, ErrorCode::denied);
  health_.source_answers = health_.receiving = true;
  EXPECT_EQ(look().state, kSilent);  // seen once
  EXPECT_EQ(look().state, kWell);
}

TEST_F(WalLagTest, NobodyReceivingIsATroubleAlsoWhileTheSourceIsIdle) {
  well();
  health_.slot_active = false;
  EXPECT_EQ(look_for(65), States{kUndecided});
  EXPECT_EQ(look().state, kSilent);
  EXPECT_EQ(look().code, ErrorCode::unavailable);
}

TEST_F(WalLagTest, AReceiverThatRestartsOnceIsNoTrouble) {
  well();
  for (int i = 0; i < 20; ++i) {
    health_.receiving = health_.slot_active = false;
    EXPECT_EQ(look().state, kUndecided);
    health_.receiving = health_.slot_active = true;
    ++health_.restarts;
    EXPECT_EQ(look_for(40), (States{kUndecided, kWell}));
  }
}

TEST_F(WalLagTest, AReceiverThatKeepsDyingIsDown) {
  well();
  States seen;
  for (int i = 0; i < 14; ++i) {
    ++health_.restarts;  // whenever it is looked at, it runs
    seen.push_back(look().state);
  }
  EXPECT_EQ(seen.front(), kUndecided);
  EXPECT_EQ(seen.back(), kSilent);
}

TEST_F(WalLagTest, AGapIsToldAtOnceAndUntilTheNewestCanBeRecoveredTo) {
  well();
  health_.new_gaps = 1;
  health_.lost_bytes = 5 * kMegabyte;
  WalLag lag = look();
  EXPECT_EQ(lag.state, kLost);
  EXPECT_EQ(lag.losses, 1);
  EXPECT_EQ(lag.lost_bytes, 5 * kMegabyte);
  EXPECT_EQ(lag.code, ErrorCode::not_found);
  health_.head = HeadTrouble::no_snapshot;
  EXPECT_EQ(look_for(3600), States{kLost});
  health_.head = HeadTrouble::none;
  EXPECT_EQ(look().state, kWell);
  EXPECT_EQ(look().losses, 0);
  // The next one is another one.
  health_.new_gaps = 2;
  health_.lost_bytes = 6 * kMegabyte;
  EXPECT_EQ(look().lost_bytes, kMegabyte);
  EXPECT_EQ(look().state, kWell);
}

// The engine notices what was lost while it was down before anybody looks.
TEST_F(WalLagTest, WhatWasNoticedBeforeTheFirstLookIsTold) {
  health_.new_gaps = 1;
  EXPECT_EQ(look().state, kLost);
}

TEST_F(WalLagTest, ALostSlotIsToldAtOnce) {
  well();
  health_.lost_slots = 1;
  EXPECT_EQ(look().state, kLost);
  EXPECT_EQ(look().state, kWell);
}

TEST_F(WalLagTest, ALookThatLearntNothingTakesNoLossBack) {
  well();
  health_.new_gaps = 1;
  EXPECT_EQ(look().state, kLost);
  StorageHealth nothing;
  now_ += 5;
  EXPECT_EQ(watch_->look(now_, nothing).losses, 1);
  EXPECT_EQ(look().state, kLost);
  EXPECT_EQ(look().state, kWell);
  EXPECT_EQ(look().state, kWell);
}

TEST_F(WalLagTest, AHeadThatStaysUnrecoverableIsLost) {
  well();
  health_.head = HeadTrouble::damaged;
  EXPECT_EQ(look_for(65), States{kUndecided});
  EXPECT_EQ(look().state, kLost);
  EXPECT_EQ(look().code, ErrorCode::corrupt);
  health_.head = HeadTrouble::none;
  EXPECT_EQ(look().state, kWell);
}

TEST_F(WalLagTest, WhileReceivingIsPausedNothingIsTold) {
  well();
  write(100);
  look_for(30);
  health_.paused = true;
  health_.receiving = health_.slot_active = health_.source_answers = false;
  EXPECT_EQ(look_for(86'400), States{kUndecided});
  EXPECT_EQ(last_.seconds, 0);
  // The source was put back: what it had written is not missing.
  health_.paused = false;
  health_.receiving = health_.slot_active = health_.source_answers = true;
  health_.source.value -= 50;
  health_.received = health_.source;
  EXPECT_EQ(look_for(600), (States{kUndecided, kWell}));
}

TEST_F(WalLagTest, ASourceThatWasPutBackIsNotWaitedFor) {
  well();
  write(1000);
  look();
  health_.source.value -= 900;
  receive_all();
  EXPECT_EQ(look_for(600), States{kWell});
}

// An incident that an earlier run opened must not be closed by one that knows nothing yet.
TEST_F(WalLagTest, NothingIsWellBeforeWhatWasMissingHasArrived) {
  write(1000);
  EXPECT_EQ(look_for(60), States{kUndecided});
  receive_all();
  EXPECT_EQ(look().state, kWell);
}

TEST_F(WalLagTest, ALagOfDaysTakesNoMemoryWithoutEnd) {
  well();
  for (int i = 0; i < 20'000; ++i) {
    write(1000);
    last_ = look();
  }
  EXPECT_EQ(last_.state, kBehind);
  EXPECT_EQ(last_.seconds, 5 * 19'999);
  EXPECT_EQ(watch_->marks(), WalLagWatch::kMarksMax);
  receive_all();
  EXPECT_EQ(look().state, kWell);
}

}  // namespace
}  // namespace holdfast
