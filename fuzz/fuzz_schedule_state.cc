// Fuzzes the reader of the schedule's state: as it stands, and under a seal that is right for it,
// which is the only way past the checksum. What is read is written as what reads the same, and
// decisions can be made from it.
#include <string>

#include "base/error.h"
#include "expect.h"
#include "sealed.h"
#include "serve/schedule_state.h"

namespace {

using namespace holdfast;

void read(const std::string& text) {
  ScheduleState state;
  try {
    state = read_schedule_state(text);
  } catch (const Error& error) {
    FUZZ_EXPECT(error.code() == ErrorCode::corrupt || error.code() == ErrorCode::unsupported);
    return;
  }
  FUZZ_EXPECT(read_schedule_state(write_schedule_state(state)) == state);
  JobPlan plan{"care/backup", CronSchedule::parse("0 2 * * *"), Zone::utc()};
  UtcTime now = parse_rfc3339("2026-11-10T02:00:00.000Z");
  for (auto& [name, job] : state) {
    ScheduledJob scheduled{plan, job.record, false};
    JobDecision decision = decide_due({&scheduled, 1}, now, "seed").front();
    FUZZ_EXPECT(decision.wait_until && *decision.wait_until > now);
    job.record = decision.record;
  }
  FUZZ_EXPECT(read_schedule_state(write_schedule_state(state)) == state);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string text(reinterpret_cast<const char*>(data), size);
  read(text);
  read_sealed_anew(text, "state_sha256", read);
  return 0;
}
