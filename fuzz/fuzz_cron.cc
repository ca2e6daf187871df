// Fuzzes the reading of schedules: what is accepted comes back the same from its canonical form,
// and fires within the years that are promised; what is refused says so in one line.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/text.h"
#include "expect.h"
#include "schedule/next_run.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    auto schedule = holdfast::CronSchedule::parse(text);
    std::string canonical = schedule.to_string();
    FUZZ_EXPECT(holdfast::CronSchedule::parse(canonical) == schedule);
    FUZZ_EXPECT(holdfast::CronSchedule::parse(canonical).to_string() == canonical);
    holdfast::UtcTime from = holdfast::parse_rfc3339("2096-02-29T12:00:00.000Z");
    auto next = holdfast::next_run(schedule, holdfast::Zone::utc(), from);
    FUZZ_EXPECT(next && *next > from);
    auto local =
        holdfast::WallTime(std::chrono::floor<std::chrono::seconds>(*next).time_since_epoch());
    FUZZ_EXPECT(schedule.matches(local));
  } catch (const holdfast::Error& error) {
    FUZZ_EXPECT(error.code() == holdfast::ErrorCode::invalid);
    std::string shown = error.in_one_line();
    FUZZ_EXPECT(holdfast::is_utf8(shown) && shown.find('\n') == std::string::npos);
    FUZZ_EXPECT(shown.size() < 500 && !error.hint().empty());
  }
  return 0;
}
