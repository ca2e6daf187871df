#include "engine/caught_up.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

UtcTime instant(int64_t ms) {
  return UtcTime(std::chrono::milliseconds(ms));
}

TEST(CaughtUp, AnInstantCountsOnceItHasSettled) {
  CaughtUp caught_up;
  caught_up.look(instant(1000), {100}, {100});
  EXPECT_FALSE(caught_up.at());
  caught_up.look(instant(1500), {100}, {100});
  EXPECT_FALSE(caught_up.at());
  caught_up.look(instant(1700), {100}, {100});
  EXPECT_EQ(caught_up.at(), instant(1000));
  caught_up.look(instant(2700), {200}, {100});
  EXPECT_EQ(caught_up.at(), instant(1000));  // 200 has not arrived
  caught_up.look(instant(3700), {300}, {250});
  EXPECT_EQ(caught_up.at(), instant(1700));
}

// It never catches up with what is flushed at the same look, and still its instants pass.
TEST(CaughtUp, ABusySourceIsFollowed) {
  CaughtUp caught_up;
  for (int i = 1; i <= 100; ++i)
    caught_up.look(instant(1000 * i), {1000u * static_cast<unsigned>(i)},
                   {1000u * static_cast<unsigned>(i) - 10});
  EXPECT_EQ(caught_up.at(), instant(98'000));
}

TEST(CaughtUp, StandsStillWhileNothingArrives) {
  CaughtUp caught_up;
  for (int i = 1; i <= 5; ++i) caught_up.look(instant(1000 * i), {100}, {100});
  for (int i = 6; i <= 9000; ++i) caught_up.look(instant(1000 * i), {500}, {100});
  EXPECT_EQ(caught_up.at(), instant(4000));
}

TEST(CaughtUp, IsNotMisledByAClockThatIsSetBackNorByANewTimeline) {
  CaughtUp caught_up;
  caught_up.begin_with(instant(500));
  EXPECT_EQ(caught_up.at(), instant(500));
  caught_up.look(instant(20'000), {100}, {50});
  caught_up.look(instant(9000), {100}, {100});
  EXPECT_EQ(caught_up.at(), instant(500));
  caught_up.look(instant(11'000), {100}, {100});
  EXPECT_EQ(caught_up.at(), instant(9000));
  caught_up.look(instant(10'999), {100}, {100});  // of another looker
  caught_up.look(instant(12'000), {100}, {100});
  EXPECT_EQ(caught_up.at(), instant(11'000));
  caught_up.restart();
  caught_up.look(instant(13'000), {90}, {90});
  EXPECT_EQ(caught_up.at(), instant(11'000));
}

}  // namespace
}  // namespace holdfast
