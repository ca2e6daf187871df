// Fuzzes the reading of timeline histories and of WAL files' names: a byte for the timeline, then
// text. A lineage that is accepted has no gap and no step back, and reads the same when it is
// written again.
#include <cstdint>
#include <string>

#include "base/error.h"
#include "expect.h"
#include "pg/timeline_history.h"
#include "pg/wal_format.h"

namespace {

std::string write(const holdfast::Lineage& lineage) {
  std::string text;
  for (size_t i = 0; i + 1 < lineage.size(); ++i)
    text += std::to_string(lineage[i].timeline) + "\t" + holdfast::format_lsn(lineage[i].to) +
            "\twhy\n";
  return text;
}

void read_name(const std::string& text) {
  if (auto name = holdfast::parse_wal_file_name(text))
    if (auto segment = name->segment(16 << 20))
      FUZZ_EXPECT(holdfast::wal_file_name(name->timeline, *segment, 16 << 20) ==
                  text.substr(0, 24));
  if (auto timeline = holdfast::parse_history_file_name(text))
    FUZZ_EXPECT(holdfast::history_file_name(*timeline) == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  read_name(text);
  holdfast::Timeline timeline = data[0];
  holdfast::Lineage lineage;
  try {
    lineage = holdfast::parse_timeline_history(timeline, text);
  } catch (const holdfast::Error& error) {
    FUZZ_EXPECT(error.code() == holdfast::ErrorCode::corrupt);
    return 0;
  }
  FUZZ_EXPECT(lineage.back().timeline == timeline && lineage.back().to.value == 0);
  for (size_t i = 1; i < lineage.size(); ++i)
    FUZZ_EXPECT(lineage[i].from == lineage[i - 1].to &&
                lineage[i].timeline > lineage[i - 1].timeline);
  FUZZ_EXPECT(holdfast::parse_timeline_history(timeline, write(lineage)) == lineage);
  return 0;
}
