#include "engine/ids.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "base/file.h"

namespace holdfast {
namespace {

constexpr std::array<std::string_view, 64> kAdjectives = {
    "amber",  "autumn", "bold",   "brave",  "bright",  "broad",  "calm",   "clear",
    "clever", "cool",   "crisp",  "curly",  "damp",    "dawn",   "deep",   "eager",
    "early",  "fair",   "fancy",  "fresh",  "gentle",  "golden", "grand",  "green",
    "happy",  "hidden", "holy",   "humble", "icy",     "jolly",  "keen",   "kind",
    "late",   "light",  "little", "lively", "long",    "lucky",  "mellow", "merry",
    "mighty", "misty",  "noble",  "old",    "patient", "plain",  "proud",  "purple",
    "quiet",  "rapid",  "round",  "royal",  "shiny",   "silent", "small",  "snowy",
    "soft",   "spring", "steep",  "still",  "sunny",   "wide",   "winter", "young"};

constexpr std::array<std::string_view, 64> kNouns = {
    "acorn",  "bay",     "beach", "bird",    "boat",     "breeze", "bridge", "brook",
    "bush",   "cake",    "cedar", "cherry",  "cliff",    "cloud",  "coast",  "creek",
    "dew",    "dune",    "field", "fire",    "flower",   "fog",    "forest", "frost",
    "garden", "glade",   "grass", "haze",    "hill",     "island", "lake",   "leaf",
    "maple",  "meadow",  "moon",  "morning", "mountain", "night",  "oak",    "ocean",
    "paper",  "pebble",  "pine",  "pond",    "rain",     "river",  "sea",    "shadow",
    "shape",  "sky",     "smoke", "snow",    "sound",    "star",   "stone",  "sun",
    "sunset", "thunder", "tree",  "valley",  "violet",   "water",  "wave",   "wind"};

// The next number below `bound` of a stream of random bytes; the bias of the remainder is at most
// bound / 2^64.
uint64_t random_below(uint64_t bound) {
  return std::stoull(random_hex(8), nullptr, 16) % bound;
}

}  // namespace

std::string make_id(std::string_view prefix, const std::function<bool(const std::string&)>& taken) {
  for (;;) {
    std::string id = fmt::format("{}{}{}-{}-{:08}", prefix, prefix.empty() ? "" : "-",
                                 kAdjectives[random_below(kAdjectives.size())],
                                 kNouns[random_below(kNouns.size())], random_below(100'000'000));
    if (!taken(id)) return id;
  }
}

std::string make_uuid() {
  std::string hex = random_hex(16);
  hex[12] = '4';                                                          // version
  hex[16] = "89ab"[std::stoi(std::string(1, hex[16]), nullptr, 16) & 3];  // variant
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4),
                     hex.substr(16, 4), hex.substr(20));
}

Secret make_password() {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  std::string password;
  for (int i = 0; i < 24; ++i) password += kAlphabet[random_below(kAlphabet.size())];
  return Secret(std::move(password));
}

bool is_id(std::string_view text) {
  return !text.empty() && text.size() <= 60 &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

}  // namespace holdfast
