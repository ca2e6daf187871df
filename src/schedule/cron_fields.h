// The five fields of a schedule: what they are called and which values each may have. Shared by
// the reading and the writing of schedules (cron_parse.cc, cron.cc); constants only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace holdfast {

enum CronFieldIndex : size_t { kCronMinute, kCronHour, kCronDay, kCronMonth, kCronWeekday };

struct CronField {
  std::string_view name;
  int low, high;
  std::string_view allowed;
};

constexpr std::array<CronField, 5> kCronFields = {{
    {"minute", 0, 59, "0-59"},
    {"hour", 0, 23, "0-23"},
    {"day of month", 1, 31, "1-31"},
    {"month", 1, 12, "1-12 or jan-dec"},
    {"weekday", 0, 6, "0-7 (0 and 7 are Sunday) or sun-sat"},
}};

// The set of all values of a field.
constexpr uint64_t cron_all(const CronField& field) {
  return (uint64_t{2} << field.high) - (uint64_t{1} << field.low);
}

}  // namespace holdfast
