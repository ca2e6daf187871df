#include "neon/json.h"

#include <charconv>

#include "base/text.h"
#include "neon/json_fields.h"

namespace holdfast::neon {
namespace {

// Counts brackets and values outside of strings. What is not JSON is found by the parser.
void check_bounds(std::string_view body, const JsonBounds& bounds) {
  int depth = 0;
  size_t values = 1;
  bool in_string = false;
  for (size_t i = 0; i < body.size(); ++i) {
    char c = body[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '[' || c == '{') {
      ++values;
      if (++depth > bounds.depth_max)
        throw Error(bounds.code,
                    fmt::format("the body nests deeper than {} levels", bounds.depth_max));
    }
    if (c == ']' || c == '}') --depth;
    if (c == ',') ++values;
  }
  if (values > bounds.values_max)
    throw Error(bounds.code, fmt::format("the body holds more than {} values", bounds.values_max));
}

// The number that `text` begins with, of exactly `digits`; takes it away.
int take_number(std::string_view& text, size_t digits) {
  int number = 0;
  if (text.size() < digits) return -1;
  auto [end, error] = std::from_chars(text.data(), text.data() + digits, number);
  if (error != std::errc() || end != text.data() + digits || text[0] == '-') return -1;
  text.remove_prefix(digits);
  return number;
}

bool take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text[0]) == any_of.npos) return false;
  text.remove_prefix(1);
  return true;
}

// Minutes east of UTC, or no value.
std::optional<int> take_offset(std::string_view& text) {
  if (take(text, "Zz")) return 0;
  if (text.empty() || (text[0] != '+' && text[0] != '-')) return std::nullopt;
  int sign = text[0] == '-' ? -1 : 1;
  text.remove_prefix(1);
  int hours = take_number(text, 2);
  bool colon = take(text, ":");
  int minutes = take_number(text, 2);
  if (hours < 0 || hours > 23 || !colon || minutes < 0 || minutes > 59) return std::nullopt;
  return sign * (hours * 60 + minutes);
}

}  // namespace

Json parse_json(std::string_view body, const JsonBounds& bounds) {
  check_bounds(body, bounds);
  Json document = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) throw Error(bounds.code, "the body is not valid JSON");
  return document;
}

UtcTime parse_time(std::string_view whole) {
  auto fail = [&] {
    return Error(ErrorCode::invalid, fmt::format("'{}' is not a time", printable(whole, 60)),
                 "write it like 2026-11-10T14:30:00Z");
  };
  std::string_view text = whole;
  int year = take_number(text, 4);
  bool good = take(text, "-");
  int month = take_number(text, 2);
  good = good && take(text, "-");
  int day = take_number(text, 2);
  good = good && take(text, "Tt");
  int hour = take_number(text, 2);
  good = good && take(text, ":");
  int minute = take_number(text, 2);
  good = good && take(text, ":");
  int second = take_number(text, 2);
  if (!good || year < 0 || month < 0 || day < 0) throw fail();
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) throw fail();
  int milliseconds = 0;
  if (take(text, ".")) {
    size_t digits = 0;
    for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits)
      if (digits < 3) milliseconds = milliseconds * 10 + (text[digits] - '0');
    if (digits == 0 || digits > 12) throw fail();
    for (size_t i = digits; i < 3; ++i) milliseconds *= 10;
    text.remove_prefix(digits);
  }
  std::optional<int> offset = take_offset(text);
  std::chrono::year_month_day date{std::chrono::year(year),
                                   std::chrono::month(static_cast<unsigned>(month)),
                                   std::chrono::day(static_cast<unsigned>(day))};
  if (!offset || !text.empty() || !date.ok()) throw fail();
  return std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second) + std::chrono::milliseconds(milliseconds) -
         std::chrono::minutes(*offset);
}

bool is_id(std::string_view text) {
  if (text.empty() || text.size() > 60) return false;
  return text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == text.npos;
}

}  // namespace holdfast::neon
