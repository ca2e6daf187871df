// When a lag of WAL is told, and what an incident says of it.
#include "cli/lag_alerts.h"

#include <gtest/gtest.h>

#include "cli/arguments.h"
#include "cli/engine_config.h"

namespace holdfast {
namespace {

using Word = LagRhythm::Word;

TEST(LagRhythm, EachChangeIsToldOnceAndATroubleAgainWhileItLasts) {
  LagRhythm rhythm;
  EXPECT_EQ(rhythm.next(100'000, WalLagState::undecided), Word::nothing);
  EXPECT_EQ(rhythm.next(100'005, WalLagState::well), Word::good);
  EXPECT_EQ(rhythm.next(186'400, WalLagState::well), Word::nothing);
  EXPECT_EQ(rhythm.next(200'000, WalLagState::behind), Word::failed);
  EXPECT_EQ(rhythm.next(200'005, WalLagState::behind), Word::nothing);
  EXPECT_EQ(rhythm.next(200'010, WalLagState::undecided), Word::nothing);
  EXPECT_EQ(rhythm.next(200'015, WalLagState::behind), Word::nothing);
  EXPECT_EQ(rhythm.next(200'899, WalLagState::behind), Word::nothing);
  EXPECT_EQ(rhythm.next(200'900, WalLagState::behind), Word::failed);
  EXPECT_EQ(rhythm.next(200'905, WalLagState::lost), Word::failed);  // it has become worse
  EXPECT_EQ(rhythm.next(200'910, WalLagState::well), Word::good);
  EXPECT_EQ(rhythm.next(200'915, WalLagState::lost), Word::failed);
}

TEST(LagRhythm, ATroubleAtTheFirstLookIsTold) {
  LagRhythm rhythm;
  EXPECT_EQ(rhythm.next(5, WalLagState::lost), Word::failed);
}

TEST(LagFacts, SayWhatWasMeasuredAndWhatIsAllowed) {
  WalLagLimits limits{60, 1 << 20};
  WalLag lag;
  lag.state = WalLagState::behind;
  lag.seconds = 65.9;
  lag.bytes = 300;
  lag.code = ErrorCode::violated;
  FailureFacts facts = lag_facts(lag, limits);
  EXPECT_EQ(facts.measured_seconds, 65);
  EXPECT_EQ(facts.target_seconds, 60);
  EXPECT_EQ(facts.measured_bytes, 300);
  EXPECT_EQ(facts.target_bytes, 1 << 20);
  EXPECT_EQ(facts.code, ErrorCode::violated);
  EXPECT_EQ(lag_severity(lag), Severity::warning);

  lag.state = WalLagState::silent;
  lag.bytes = 0;  // that are known of
  EXPECT_FALSE(lag_facts(lag, limits).measured_bytes);
  EXPECT_EQ(lag_severity(lag), Severity::warning);

  lag.state = WalLagState::lost;
  lag.losses = 2;
  lag.lost_bytes = 5 << 20;
  facts = lag_facts(lag, limits);
  EXPECT_EQ(facts.problems, 2);
  EXPECT_EQ(facts.measured_bytes, 5 << 20);
  EXPECT_EQ(facts.target_bytes, 0);
  EXPECT_FALSE(facts.measured_seconds);
  EXPECT_EQ(lag_severity(lag), Severity::critical);
}

TEST(LagLimits, AreThoseOfTheConfiguration) {
  auto limits = [](const Environment& environment) {
    return wal_lag_limits(Config::load(parse_arguments({"serve"}), environment));
  };
  EXPECT_EQ(limits({}).seconds, 300);
  EXPECT_EQ(limits({}).bytes, uint64_t{1} << 30);
  WalLagLimits given = limits(
      {{"HOLDFAST_ENGINE_WAL_LAG_SECONDS", "10"}, {"HOLDFAST_ENGINE_WAL_LAG_BYTES", "1048576"}});
  EXPECT_EQ(given.seconds, 10);
  EXPECT_EQ(given.bytes, 1u << 20);
  EXPECT_THROW(limits({{"HOLDFAST_ENGINE_WAL_LAG_SECONDS", "9"}}), Error);
  EXPECT_THROW(limits({{"HOLDFAST_ENGINE_WAL_LAG_BYTES", "1048575"}}), Error);
}

}  // namespace
}  // namespace holdfast
