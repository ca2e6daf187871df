#include "base/duration.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(Duration, AgesNeverReachALimitThatTheyDidNot) {
  EXPECT_EQ(human_age(-5), "0 s");
  EXPECT_EQ(human_age(59.9), "59 s");
  EXPECT_EQ(human_age(7199), "119 min");
  EXPECT_EQ(human_age(4 * 3600), "4 h");
  EXPECT_EQ(human_age(25 * 3600 + 61), "25 h 1 min");
  EXPECT_EQ(human_age(48 * 3600 - 0.1), "47 h 59 min");
  EXPECT_EQ(human_age(31 * 86400), "31 d");
  EXPECT_EQ(human_age(76.5 * 3600), "3 d 4 h");
}

TEST(Duration, HasAUnit) {
  using std::chrono::seconds;
  EXPECT_EQ(parse_duration("45s"), seconds(45));
  EXPECT_EQ(parse_duration("90m"), seconds(5400));
  EXPECT_EQ(parse_duration("4h"), seconds(14400));
  EXPECT_EQ(parse_duration("3653d"), seconds(int64_t{3653} * 86400));
  EXPECT_EQ(parse_duration("1h30m"), seconds(5400));
  EXPECT_EQ(parse_duration("1d2h3m4s"), seconds(86400 + 7200 + 180 + 4));
  EXPECT_EQ(parse_duration("0s"), seconds(0));
  for (const char* wrong :
       {"", "h", "4", "-4h", "4 h", "4w", "3654d", "4.5h", "4hh", "99999999999h",
        "99999999999999999999s", "30m1h", "1h1h", "1h30", "3653d1s", "1h-3m", "+4h", "0x4h"})
    EXPECT_FALSE(parse_duration(wrong)) << wrong;
}

}  // namespace
}  // namespace holdfast
