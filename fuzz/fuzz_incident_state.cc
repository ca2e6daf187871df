// Fuzzes the reader of the state of alerts: as it stands, and under a seal that is right for it,
// which is the only way past the checksum. What is read is written as what reads the same.
#include <string>

#include "alert/alert_state.h"
#include "base/error.h"
#include "expect.h"
#include "sealed.h"

namespace {

void read(const std::string& text) {
  try {
    holdfast::AlertState state = holdfast::read_alert_state(text);
    std::string written = holdfast::write_alert_state(state);
    FUZZ_EXPECT(holdfast::read_alert_state(written) == state);
  } catch (const holdfast::Error& error) {
    FUZZ_EXPECT(error.code() == holdfast::ErrorCode::corrupt ||
                error.code() == holdfast::ErrorCode::unsupported);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string text(reinterpret_cast<const char*>(data), size);
  read(text);
  read_sealed_anew(text, "state_sha256", read);
  return 0;
}
