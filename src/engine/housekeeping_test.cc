#include "engine/housekeeping.h"

#include <gtest/gtest.h>

// Tests name the members that matter to them; the others have their defaults.
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

namespace holdfast {
namespace {

std::string due(const neon::ScheduleItem& item, const std::string& now) {
  return format_rfc3339(last_due(item, parse_rfc3339(now)));
}

TEST(Housekeeping, LastDueIsTheNewestInstantThatIsNotInTheFuture) {
  // 2026-11-25 is a Wednesday.
  EXPECT_EQ(due({.frequency = "hourly"}, "2026-11-25T10:59:59.999Z"), "2026-11-25T10:00:00.000Z");
  EXPECT_EQ(due({.frequency = "daily", .hour = 3}, "2026-11-25T03:00:00.000Z"),
            "2026-11-25T03:00:00.000Z");
  EXPECT_EQ(due({.frequency = "daily", .hour = 3}, "2026-11-25T02:59:59.000Z"),
            "2026-11-24T03:00:00.000Z");
  EXPECT_EQ(due({.frequency = "weekly", .hour = 1, .day = 1}, "2026-11-25T02:00:00.000Z"),
            "2026-11-23T01:00:00.000Z");
  EXPECT_EQ(due({.frequency = "weekly", .day = 7}, "2026-11-25T02:00:00.000Z"),
            "2026-11-22T00:00:00.000Z");
  EXPECT_EQ(due({.frequency = "weekly", .hour = 5, .day = 3}, "2026-11-25T02:00:00.000Z"),
            "2026-11-18T05:00:00.000Z");
  EXPECT_EQ(due({.frequency = "monthly", .day = 31}, "2026-11-29T00:00:00.000Z"),
            "2026-10-31T00:00:00.000Z");
  EXPECT_EQ(due({.frequency = "monthly", .day = 31}, "2026-12-01T00:00:00.000Z"),
            "2026-11-30T00:00:00.000Z");
  EXPECT_EQ(due({.frequency = "monthly", .day = 20}, "2026-01-05T00:00:00.000Z"),
            "2025-12-20T00:00:00.000Z");
  EXPECT_EQ(due({.frequency = "yearly", .day = 29, .month = 2}, "2026-11-25T00:00:00.000Z"),
            "2026-02-28T00:00:00.000Z");
  EXPECT_EQ(due({.frequency = "yearly", .day = 24, .month = 12}, "2026-11-25T00:00:00.000Z"),
            "2025-12-24T00:00:00.000Z");
}

}  // namespace
}  // namespace holdfast
