#include "base/clock.h"

#include <fmt/format.h>

#include "base/error.h"

namespace holdfast {
namespace {

struct CivilTime {
  int year, month, day, hour, minute, second, millisecond;
};

CivilTime to_civil(UtcTime time) {
  auto day_point = std::chrono::floor<std::chrono::days>(time);
  std::chrono::year_month_day date(day_point);
  std::chrono::hh_mm_ss clock(time - day_point);
  return {static_cast<int>(date.year()),
          static_cast<int>(static_cast<unsigned>(date.month())),
          static_cast<int>(static_cast<unsigned>(date.day())),
          static_cast<int>(clock.hours().count()),
          static_cast<int>(clock.minutes().count()),
          static_cast<int>(clock.seconds().count()),
          static_cast<int>(clock.subseconds().count())};
}

// `pattern` has a digit place as 'd' and every other character literally; 23 characters and a Z.
UtcTime parse_pattern(std::string_view text, std::string_view pattern) {
  auto fail = [&] {
    return Error(ErrorCode::invalid, fmt::format("'{}' is not a UTC time", text));
  };
  if (text.size() != pattern.size()) throw fail();
  int numbers[7] = {};
  size_t field = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (pattern[i] == 'd') {
      if (text[i] < '0' || text[i] > '9') throw fail();
      numbers[field] = numbers[field] * 10 + (text[i] - '0');
    } else {
      if (text[i] != pattern[i]) throw fail();
      if (field < 6) ++field;
    }
  }
  std::chrono::year_month_day date{std::chrono::year(numbers[0]),
                                   std::chrono::month(static_cast<unsigned>(numbers[1])),
                                   std::chrono::day(static_cast<unsigned>(numbers[2]))};
  if (!date.ok() || numbers[3] > 23 || numbers[4] > 59 || numbers[5] > 59) throw fail();
  return std::chrono::sys_days(date) + std::chrono::hours(numbers[3]) +
         std::chrono::minutes(numbers[4]) + std::chrono::seconds(numbers[5]) +
         std::chrono::milliseconds(numbers[6]);
}

}  // namespace

UtcTime SystemClock::now() const {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

double SystemClock::monotonic_seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string format_rfc3339(UtcTime time) {
  CivilTime c = to_civil(time);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", c.year, c.month, c.day, c.hour,
                     c.minute, c.second, c.millisecond);
}

std::string format_date(UtcTime time) {
  return format_rfc3339(time).substr(0, 10);
}

std::string format_name_time(UtcTime time) {
  std::string text = format_rfc3339(time);
  text[13] = text[16] = text[19] = '-';
  return text;
}

UtcTime parse_rfc3339(std::string_view text) {
  return parse_pattern(text, "dddd-dd-ddTdd:dd:dd.dddZ");
}

UtcTime parse_name_time(std::string_view text) {
  return parse_pattern(text, "dddd-dd-ddTdd-dd-dd-dddZ");
}

}  // namespace holdfast
