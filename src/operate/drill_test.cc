#include "operate/drill.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/expect_error.h"
#include "operate/drill_query.h"

namespace holdfast {
namespace {

std::vector<DrillCandidate> candidates_of(const std::vector<std::string>& times) {
  std::vector<DrillCandidate> all;
  for (const std::string& time : times) all.push_back({"care_" + time, parse_rfc3339(time)});
  return all;
}

TEST(DrillChoice, TakesLastCalendarMonthOfUtcAndNothingElse) {
  std::vector<DrillCandidate> all = candidates_of(
      {"2026-12-01T00:00:00.000Z", "2026-11-30T23:59:59.999Z", "2026-11-15T02:00:00.000Z",
       "2026-11-01T00:00:00.000Z", "2026-10-31T23:59:59.999Z", "2025-11-15T02:00:00.000Z"});
  UtcTime now = parse_rfc3339("2026-12-31T23:59:59.999Z");
  std::set<size_t> seen;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    DrillChoice choice = choose_drill(all, now, seed);
    EXPECT_EQ(choice.chosen, "random of 2026-11");
    seen.insert(choice.index);
  }
  EXPECT_EQ(seen, (std::set<size_t>{1, 2, 3}));  // each of them, and no other
}

TEST(DrillChoice, JanuaryLooksAtDecember) {
  std::vector<DrillCandidate> all =
      candidates_of({"2027-01-01T02:00:00.000Z", "2026-12-24T02:00:00.000Z"});
  DrillChoice choice = choose_drill(all, parse_rfc3339("2027-01-31T00:00:00.000Z"), 7);
  EXPECT_EQ(choice.index, 1u);
  EXPECT_EQ(choice.chosen, "random of 2026-12");
}

TEST(DrillChoice, WithoutAnyOfLastMonthItTakesAllAndSaysSo) {
  std::vector<DrillCandidate> all =
      candidates_of({"2026-11-20T02:00:00.000Z", "2026-11-19T02:00:00.000Z"});
  std::set<size_t> seen;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    DrillChoice choice = choose_drill(all, parse_rfc3339("2026-11-28T00:00:00.000Z"), seed);
    EXPECT_EQ(choice.chosen, "random of all (2026-10 has none)");
    seen.insert(choice.index);
  }
  EXPECT_EQ(seen.size(), 2u);
}

TEST(DrillChoice, ASeedChoosesTheSameOneInWhateverOrder) {
  std::vector<std::string> times;
  for (int day = 1; day <= 30; ++day)
    times.push_back(std::string("2026-10-") + (day < 10 ? "0" : "") + std::to_string(day) +
                    "T02:00:00.000Z");
  std::vector<DrillCandidate> forwards = candidates_of(times);
  std::vector<DrillCandidate> backwards(forwards.rbegin(), forwards.rend());
  UtcTime now = parse_rfc3339("2026-11-28T00:00:00.000Z");
  std::set<std::string> different;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    std::string id = forwards[choose_drill(forwards, now, seed).index].id;
    EXPECT_EQ(id, backwards[choose_drill(backwards, now, seed).index].id);
    different.insert(id);
  }
  EXPECT_GT(different.size(), 15u);
}

TEST(DrillExpectation, HoldsNumbersAndBooleansAgainstTheCondition) {
  struct Case {
    const char *expect, *value;
    bool met;
  };
  for (const Case& c : std::vector<Case>{{"= 0", "0", true},
                                         {"= 0", "1", false},
                                         {"=0", "0.0", true},
                                         {"!= 0", "5", true},
                                         {"<> 0", "0", false},
                                         {"> 0", "1", true},
                                         {"> 0", "0", false},
                                         {">= 500", "500", true},
                                         {">= 500", "499.99", false},
                                         {"< 10", "9", true},
                                         {"<= 10", "10", true},
                                         {"<= 10", "11", false},
                                         {"= -3", "-3", true},
                                         {"> 0.5", "0.75", true},
                                         // Beyond what a double tells apart.
                                         {"= 9007199254740993", "9007199254740992", false},
                                         {"= 9007199254740993", "9007199254740993", true},
                                         {"> 0", "NaN", false},
                                         {"!= 0", "NaN", false},
                                         {"> 0", "Infinity", true},
                                         {"true", "t", true},
                                         {"TRUE", "f", false},
                                         {" false ", "f", true},
                                         {"true", "1", false}})
    EXPECT_EQ(meets_drill_expectation(c.expect, c.value), c.met) << c.expect << " " << c.value;
}

TEST(DrillExpectation, WhatIsNoConditionIsRefused) {
  check_drill_expectation("");
  check_drill_expectation("  ");
  for (const char* wrong : {"0", "= zero", "=", "== 0", "> 0 and < 5", "yes", "~ 5", "= NaN",
                            "> Infinity", "=> 3", "= 0x10", "between 1 and 2"})
    EXPECT_ERROR(invalid, check_drill_expectation(wrong));
}

}  // namespace
}  // namespace holdfast
