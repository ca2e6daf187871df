// What can be recovered to, and how well history is being received: GET /projects/{id}/history, the
// one route that Holdfast's engine has beyond the Neon API. Neon's cloud answers it with 404.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace holdfast::neon {

struct HistoryWindow {
  int64_t timeline = 0;
  std::string from_lsn, to_lsn;
  UtcTime from, to;
};

struct History {
  std::vector<HistoryWindow> windows;  // oldest first
  bool receiving = true;
  std::string trouble;  // why not; empty when all is well
  int64_t lag_bytes = 0;
  std::optional<UtcTime> caught_up_at;
  int64_t gaps = 0;
};

// Throws Error(unavailable) if it is no such answer.
History read_history(std::string_view body);

}  // namespace holdfast::neon
