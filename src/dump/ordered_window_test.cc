#include "dump/ordered_window.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "base/error.h"

namespace holdfast {
namespace {

class EventCollector final : public OrderedConsumer {
 public:
  void begin(size_t piece) override { events += "<" + std::to_string(piece) + ":"; }
  void bytes(size_t, ByteView bytes) override { events.append(as_text(bytes)); }
  void end(size_t) override { events += ">"; }
  std::string events;
};

TEST(OrderedWindow, OrdersWhatManyWorkersMake) {
  constexpr size_t kPieces = 400;
  std::string expected;
  for (size_t i = 0; i < kPieces; ++i) {
    expected += "<" + std::to_string(i) + ":";
    for (size_t part = 0; part < i % 7; ++part) expected += std::to_string(i) + ",";
    expected += ">";
  }
  for (size_t bytes_max : {0u, 10u, 1000000u}) {
    EventCollector collector;
    OrderedWindow window(collector, bytes_max);
    std::atomic<size_t> next{0};
    {
      std::vector<std::jthread> workers;
      for (int w = 0; w < 5; ++w)
        workers.emplace_back([&] {
          for (size_t piece; (piece = next++) < kPieces;) {
            for (size_t part = 0; part < piece % 7; ++part)
              window.append(piece, as_bytes(std::to_string(piece) + ","));
            window.finish(piece);
          }
        });
    }
    EXPECT_EQ(collector.events, expected) << bytes_max;
  }
}

TEST(OrderedWindow, FailureWakesAWaitingWorker) {
  EventCollector collector;
  OrderedWindow window(collector, 0);
  std::atomic<bool> threw{false};
  std::jthread worker([&] {
    try {
      window.append(1, as_bytes("x"));
    } catch (const Error& error) {
      threw = error.code() == ErrorCode::cancelled;
    }
  });
  window.fail();
  worker.join();
  EXPECT_TRUE(threw);
  EXPECT_THROW(window.append(0, as_bytes("x")), Error);
}

}  // namespace
}  // namespace holdfast
