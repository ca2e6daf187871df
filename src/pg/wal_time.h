// Times as PostgreSQL writes them into its WAL: microseconds, counted from 2000-01-01 UTC.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>

namespace holdfast {

// A UtcTime converts to it by itself.
using WalTime = std::chrono::sys_time<std::chrono::microseconds>;

inline constexpr int64_t kPostgresEpochMicroseconds = 946'684'800'000'000;

// A value too great for the other epoch becomes the greatest there is.
inline WalTime wal_time_of(int64_t postgres_microseconds) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max() - kPostgresEpochMicroseconds;
  int64_t since = postgres_microseconds > kMost ? kMost : postgres_microseconds;
  return WalTime(std::chrono::microseconds(since + kPostgresEpochMicroseconds));
}

inline int64_t postgres_microseconds(WalTime time) {
  constexpr int64_t kLeast = std::numeric_limits<int64_t>::min() + kPostgresEpochMicroseconds;
  int64_t since = time.time_since_epoch().count();
  return (since < kLeast ? kLeast : since) - kPostgresEpochMicroseconds;
}

}  // namespace holdfast
