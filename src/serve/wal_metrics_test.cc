#include "serve/wal_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "serve/schedule_pages.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

TEST(WalMetrics, SayWhatWasSeenAndWhatIsAllowed) {
  StorageHealth health;
  health.receiving = health.source_answers = health.slot_active = true;
  health.held_bytes = 4096;
  health.gaps = 2;
  WalLag lag;
  lag.seconds = 7.5;
  lag.bytes = 300;
  std::string text = wal_metrics("ca\"re", "care", health, lag, {60, 1 << 20});
  std::string labels = "{source=\"ca\\\"re\",database=\"care\"} ";
  EXPECT_THAT(text, HasSubstr("\nholdfast_wal_receiving" + labels + "1\n"));
  EXPECT_THAT(text, HasSubstr("\nholdfast_wal_lag_seconds" + labels + "7.500\n"));
  EXPECT_THAT(text, HasSubstr("\nholdfast_wal_lag_target_seconds" + labels + "60\n"));
  EXPECT_THAT(text, HasSubstr("\nholdfast_wal_lag_bytes" + labels + "300\n"));
  EXPECT_THAT(text, HasSubstr("\nholdfast_wal_lag_target_bytes" + labels + "1048576\n"));
  EXPECT_THAT(text, HasSubstr("\nholdfast_wal_slot_held_bytes" + labels + "4096\n"));
  EXPECT_THAT(text, HasSubstr("\nholdfast_wal_gaps_total" + labels + "2\n"));
  EXPECT_EQ(join_metrics({text}), text);  // it is Prometheus's format
}

TEST(WalMetrics, WithoutASourceThatAnswersNothingIsReceived) {
  StorageHealth health;
  health.receiving = health.slot_active = true;
  EXPECT_THAT(wal_metrics("a", "b", health, {}, {}),
              HasSubstr("holdfast_wal_receiving{source=\"a\",database=\"b\"} 0\n"));
}

}  // namespace
}  // namespace holdfast
