// Time, as a seam: what needs "now" is handed a Clock, so tests set the time instead of sleeping.
// Wall time is UTC with millisecond resolution; every written time is RFC 3339 in UTC.
#pragma once

#include <atomic>
#include <chrono>
#include <string>
#include <string_view>

namespace holdfast {

using UtcTime = std::chrono::sys_time<std::chrono::milliseconds>;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual UtcTime now() const = 0;
  // Seconds since an arbitrary start; never goes back. For durations only.
  virtual double monotonic_seconds() const = 0;
};

class SystemClock final : public Clock {
 public:
  UtcTime now() const override;
  double monotonic_seconds() const override;
};

// A clock that stands still until it is told to move. Any thread may ask it; one moves it.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(UtcTime now) : now_(now) {}
  UtcTime now() const override { return now_; }
  double monotonic_seconds() const override {
    return std::chrono::duration<double>(now().time_since_epoch()).count();
  }
  void advance(std::chrono::milliseconds by) { now_ = now() + by; }

 private:
  std::atomic<UtcTime> now_;
};

// `2026-11-10T14:30:00.123Z`
std::string format_rfc3339(UtcTime time);
// `2026-11-10`, its day in UTC.
std::string format_date(UtcTime time);

// The timestamp inside backup names, `2026-11-10T14-30-00-123Z`: RFC 3339 with `:` and `.` as `-`,
// as the users' existing scripts write it.
std::string format_name_time(UtcTime time);

// The reverse of the two above. Throws Error(invalid) for anything else.
UtcTime parse_rfc3339(std::string_view text);
UtcTime parse_name_time(std::string_view text);

}  // namespace holdfast
