#include "branch/find_moment.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <bit>
#include <set>
#include <vector>

#include "base/expect_error.h"

namespace holdfast {
namespace {

using std::chrono::seconds;
using std::chrono::sys_seconds;
using Outcome = Bisection::Outcome;

sys_seconds at(int64_t second) {
  return sys_seconds(seconds(second));
}

// ceil(log2(width)), of at least 1.
int halvings(int64_t width) {
  return std::bit_width(static_cast<uint64_t>(width) - 1);
}

TEST(BisectSeconds, FindsEveryStepOfEveryShortRange) {
  for (int64_t width = 1; width <= 70; ++width)
    for (int64_t last = 0; last < width; ++last) {
      std::set<sys_seconds> asked;
      Bisection result = bisect_seconds(at(1000), at(1000 + width), [&](sys_seconds second) {
        EXPECT_TRUE(asked.insert(second).second) << "asked twice";
        EXPECT_TRUE(at(1000) <= second && second <= at(1000 + width));
        return second <= at(1000 + last);
      });
      ASSERT_EQ(result.outcome, Outcome::found);
      ASSERT_EQ(result.last_held, at(1000 + last)) << width;
      ASSERT_EQ(static_cast<size_t>(result.probes), asked.size());
      ASSERT_LE(result.probes, halvings(width) + 2) << width;
    }
}

RC_GTEST_PROP(BisectSeconds, FindsTheStepOfAnyRange, ()) {
  int64_t from = *rc::gen::inRange<int64_t>(-2'000'000'000, 4'000'000'000);
  int64_t width = *rc::gen::inRange<int64_t>(1, 400'000'000);
  int64_t last = from + *rc::gen::inRange<int64_t>(0, width);
  Bisection result = bisect_seconds(at(from), at(from + width),
                                    [&](sys_seconds second) { return second <= at(last); });
  RC_ASSERT(result.outcome == Outcome::found);
  RC_ASSERT(result.last_held == at(last));
  RC_ASSERT(result.probes <= halvings(width) + 2);
}

// Whatever it does in between: where it held at the first second and not at the last, what is found
// is a second at which it held, just before one at which it did not.
RC_GTEST_PROP(BisectSeconds, OfSeveralChangesFindsOne, (std::vector<bool> held)) {
  held.insert(held.begin(), true);
  held.push_back(false);
  auto holds = [&](sys_seconds second) {
    return held.at(static_cast<size_t>((second - at(50)).count()));
  };
  Bisection result = bisect_seconds(at(50), at(50 + static_cast<int64_t>(held.size()) - 1), holds);
  RC_ASSERT(result.outcome == Outcome::found);
  RC_ASSERT(holds(result.last_held));
  RC_ASSERT(!holds(result.last_held + seconds(1)));
}

TEST(BisectSeconds, TheLastSecondIsAskedFirstAndThenTheFirst) {
  std::vector<sys_seconds> asked;
  auto say = [&](bool last, bool first) {
    asked.clear();
    return bisect_seconds(at(10), at(20), [&](sys_seconds second) {
      asked.push_back(second);
      return second == at(20) ? last : first;
    });
  };
  Bisection still = say(true, true);
  EXPECT_EQ(still.outcome, Outcome::still_holds);
  EXPECT_EQ(still.last_held, at(20));
  EXPECT_EQ(asked, std::vector{at(20)});
  Bisection never = say(false, false);
  EXPECT_EQ(never.outcome, Outcome::not_at_start);
  EXPECT_EQ(asked, (std::vector{at(20), at(10)}));
  EXPECT_EQ(never.probes, 2);
}

TEST(BisectSeconds, OneSecondIsOneQuestion) {
  for (bool holds : {true, false}) {
    Bisection result = bisect_seconds(at(7), at(7), [&](sys_seconds) { return holds; });
    EXPECT_EQ(result.outcome, holds ? Outcome::still_holds : Outcome::not_at_start);
    EXPECT_EQ(result.probes, 1);
  }
}

TEST(BisectSeconds, AFailedProbeEndsIt) {
  int probes = 0;
  auto fail = [&](sys_seconds) -> bool {
    if (++probes == 3) throw Error(ErrorCode::invalid, "in a gap");
    return probes == 2;
  };
  EXPECT_ERROR_SAYING(invalid, "in a gap", bisect_seconds(at(0), at(100), fail));
  EXPECT_EQ(probes, 3);
}

TEST(FindMoment, SecondsAreShownWithoutFractions) {
  EXPECT_EQ(second_text(std::chrono::floor<seconds>(parse_rfc3339("2026-11-10T14:30:59.999Z"))),
            "2026-11-10T14:30:59Z");
}

}  // namespace
}  // namespace holdfast
