// Fuzzes the reader of drill records, which lie in stores: as it stands, and under a seal that is
// right for it, which is the only way past the checksum. What is read must be written back as what
// reads the same, and people must be able to read it; anything else than an Error or a sound record
// is a finding.
#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/text.h"
#include "expect.h"
#include "operate/drill_record.h"
#include "sealed.h"

namespace {

void read(const std::string& text) {
  try {
    holdfast::DrillRecord record = holdfast::read_drill_record(text);
    std::string written = holdfast::write_drill_record(record);
    FUZZ_EXPECT(holdfast::write_drill_record(holdfast::read_drill_record(written)) == written);
    FUZZ_EXPECT(record.id.find('/') == std::string::npos);
    FUZZ_EXPECT(holdfast::is_utf8(holdfast::drill_record_markdown(record)));
  } catch (const holdfast::Error& error) {
    FUZZ_EXPECT(error.code() == holdfast::ErrorCode::corrupt ||
                error.code() == holdfast::ErrorCode::unsupported);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string text(reinterpret_cast<const char*>(data), size);
  read(text);
  read_sealed_anew(text, "drill_sha256", read);
  return 0;
}
