// Waiting that a wish to stop ends at once.
#pragma once

#include <chrono>
#include <stop_token>

namespace holdfast {

// Returns after `time`, or when a stop is requested.
void pause_for(std::chrono::milliseconds time, const std::stop_token& stop);

// Returns when a stop is requested.
void wait_for_stop(const std::stop_token& stop);

}  // namespace holdfast
