// Text for people: sizes, durations, counts, and the nearest known word for a misspelt one.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

std::string human_bytes(uint64_t bytes);    // "1.3 GiB", "512 B"
std::string human_count(uint64_t count);    // "2.1 M", "45,000"
std::string human_seconds(double seconds);  // "0.4 s", "38 s", "4 min 05 s", "2 h 03 min"
std::string plural(uint64_t count, std::string_view noun);  // "1 table", "105 tables"

// The entry of `known` that is nearest to `word` by edit distance, or "" if none is near.
std::string nearest_word(std::string_view word, std::span<const std::string> known);

bool contains(std::string_view text, std::string_view part);
std::vector<std::string> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);
std::string lower(std::string_view text);  // of ASCII letters alone

// Whether `text` is well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates).
bool is_utf8(std::string_view text);

// `text`, which is UTF-8, as a JSON string: `"`, `\` and control characters are escaped, nothing
// else.
std::string json_quoted(std::string_view text);

// Whether `host` names this machine only (127.0.0.0/8, ::1, localhost): what listens there,
// only this machine can reach.
bool is_loopback(const std::string& host);

// `text` as well-formed UTF-8 of at most `bytes_max` bytes, fit for a terminal: line breaks and
// tabs become blanks, other control characters and invalid bytes '?'. For names and server
// messages.
std::string printable(std::string_view text, size_t bytes_max = 400);

}  // namespace holdfast
