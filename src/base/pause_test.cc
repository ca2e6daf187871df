// Waiting ends with its time, and at once when a stop is requested.
#include "base/pause.h"

#include <gtest/gtest.h>

#include <thread>

namespace holdfast {
namespace {

using std::chrono::steady_clock;

TEST(Pause, EndsWithItsTime) {
  std::stop_source never;
  steady_clock::time_point begun = steady_clock::now();
  pause_for(std::chrono::milliseconds(20), never.get_token());
  EXPECT_GE(steady_clock::now() - begun, std::chrono::milliseconds(20));
}

TEST(Pause, AStopEndsIt) {
  std::stop_source stop;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    stop.request_stop();
  });
  pause_for(std::chrono::hours(1), stop.get_token());
  EXPECT_TRUE(stop.stop_requested());
  wait_for_stop(stop.get_token());  // one that was requested before
  pause_for(std::chrono::hours(1), stop.get_token());
}

}  // namespace
}  // namespace holdfast
