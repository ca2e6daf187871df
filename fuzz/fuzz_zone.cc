// Fuzzes the reader of compiled time zones, rule included. A zone that is accepted answers for
// every instant: its spans hold what they are asked about and meet; there and back is the same; and
// the two functions that schedules go by are each other's reverse.
#include <cstdint>
#include <string>

#include "base/error.h"
#include "expect.h"
#include "schedule/next_run.h"
#include "schedule/zone.h"

using holdfast::Error;
using holdfast::ErrorCode;
using std::chrono::seconds;
using std::chrono::sys_seconds;

namespace {

void look_around(const holdfast::Zone& zone, sys_seconds at) {
  holdfast::ZoneSpan span = zone.span_at(at);
  FUZZ_EXPECT(span.begin <= at && at < span.end);
  FUZZ_EXPECT(span.type.offset >= holdfast::kZoneOffsetMin);
  FUZZ_EXPECT(span.type.offset <= holdfast::kZoneOffsetMax);
  FUZZ_EXPECT(zone.span_at(span.end - seconds(1)).begin == span.begin);
  auto local = span.local(at);
  holdfast::LocalInstants instants = zone.find(local);
  FUZZ_EXPECT(instants.kind != holdfast::LocalInstants::Kind::gap);
  FUZZ_EXPECT(instants.first <= at && at <= instants.last);
  for (int step : {-7200, 0, 1, 5400}) {
    auto asked = local + seconds(step);
    FUZZ_EXPECT((zone.first_reaching(asked) <= at) == (zone.reached(at) >= asked));
  }
}

void look_at_runs(const holdfast::Zone& zone, const char* text, sys_seconds from) {
  auto schedule = holdfast::CronSchedule::parse(text);
  holdfast::UtcTime at = from;
  for (int i = 0; i < 4; ++i) {
    auto next = holdfast::next_run(schedule, zone, at);
    if (!next) return;
    FUZZ_EXPECT(*next > at);
    FUZZ_EXPECT(holdfast::previous_run(schedule, zone, *next + seconds(1)) == *next);
    at = *next;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    holdfast::Zone zone = holdfast::Zone::parse("Fuzz/Zone", {data, size});
    sys_seconds at = std::chrono::sys_days{std::chrono::year(1901) / 1 / 1};
    for (int i = 0; i < 40; ++i) {
      look_around(zone, at);
      look_around(zone, at + seconds(4321));
      sys_seconds end = zone.span_at(at).end;
      if (end >= sys_seconds{std::chrono::sys_days{std::chrono::year(2100) / 1 / 1}}) break;
      at = end;
    }
    look_at_runs(zone, "30 2 * * *", at);
    look_at_runs(zone, "*/20 * * * *", at - seconds(7000));
  } catch (const Error& error) {
    FUZZ_EXPECT(error.code() == ErrorCode::corrupt || error.code() == ErrorCode::unsupported);
  }
  return 0;
}
