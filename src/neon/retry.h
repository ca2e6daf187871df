// When to ask the Neon API again, and how long to wait before: the rules of docs and SDK in one
// place. Waits are exponential with full jitter, or what Retry-After says; a bucket of our own
// keeps us below the API's limit (700 requests a minute, bursts of 40), so that a script with many
// branches is slowed here rather than refused there.
//
// Time to wait and chance come in by the seam Waits: tests wait for nothing and know the dice.
#pragma once

#include <chrono>
#include <memory>
#include <stop_token>

#include "base/clock.h"
#include "store/http.h"

namespace holdfast::neon {

using std::chrono::milliseconds;

class Waits {
 public:
  virtual ~Waits() = default;
  // Returns early when the user asks to stop.
  virtual void wait(milliseconds time, const std::stop_token& stop) = 0;
  // Evenly from 0 to `most`, both included.
  virtual milliseconds up_to(milliseconds most) = 0;
};

std::unique_ptr<Waits> make_real_waits();

inline constexpr int kAttemptsMax = 8;          // of one request that gets no answer: half a minute
inline constexpr int kRefusedAttemptsMax = 25;  // of one that is told to wait: about two minutes
inline constexpr milliseconds kBackoffBase{250};       // doubles with each attempt,
inline constexpr milliseconds kBackoffMax{10'000};     // up to this
inline constexpr milliseconds kRetryAfterMax{60'000};  // a server that wants more is not waited for
inline constexpr double kRequestsPerSecond = 8;        // Neon: 11.6 for an account
inline constexpr double kRequestsBurst = 20;           // Neon: 40 for a route

// The longest wait before attempt `done` + 1 (1: after the first); its length is the dice's.
milliseconds backoff_most(int done);

// A bucket of requests that fills up again with time. One thread at a time.
class RateLimit {
 public:
  RateLimit(double per_second, double burst, const Clock& clock);
  // Takes one request out of the bucket; returns how long to wait before it may be sent.
  milliseconds take();

 private:
  const double per_second_, burst_;
  const Clock& clock_;
  double left_, at_;
};

}  // namespace holdfast::neon
