// Spans of time as operators write and read them: "90m", "4h", "31 d". For spans that are judged by
// the hour; what is measured to the second is said by human_seconds (text.h). Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast {

// "12 min", "24 h", "25 h 10 min", "31 d", "3 d 4 h". Rounded down, so that a limit that is not
// reached is never said to be.
std::string human_age(double seconds);

// "45s", "90m", "4h", "2d", "1h30m": whole numbers with their units, the larger ones first, up to
// ten years together. Nothing for what is not.
std::optional<std::chrono::seconds> parse_duration(std::string_view text);

}  // namespace holdfast
