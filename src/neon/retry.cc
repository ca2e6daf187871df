#include "neon/retry.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "base/pause.h"

namespace holdfast::neon {
namespace {

class RealWaits final : public Waits {
 public:
  void wait(milliseconds time, const std::stop_token& stop) override { pause_for(time, stop); }

  milliseconds up_to(milliseconds most) override {
    thread_local std::minstd_rand generator{std::random_device{}()};
    return milliseconds(
        std::uniform_int_distribution<milliseconds::rep>(0, most.count())(generator));
  }
};

}  // namespace

std::unique_ptr<Waits> make_real_waits() {
  return std::make_unique<RealWaits>();
}

milliseconds backoff_most(int done) {
  int doublings = std::clamp(done - 1, 0, 16);
  return std::min(kBackoffBase * (1 << doublings), kBackoffMax);
}

RateLimit::RateLimit(double per_second, double burst, const Clock& clock)
    : per_second_(per_second),
      burst_(burst),
      clock_(clock),
      left_(burst),
      at_(clock.monotonic_seconds()) {}

milliseconds RateLimit::take() {
  double now = clock_.monotonic_seconds();
  left_ = std::min(burst_, left_ + (now - at_) * per_second_);
  at_ = now;
  left_ -= 1;  // below zero: the bucket owes requests to those who wait
  if (left_ >= 0) return milliseconds(0);
  return milliseconds(static_cast<int64_t>(std::ceil(-left_ / per_second_ * 1000)));
}

}  // namespace holdfast::neon
