// Fuzzes the readers of a storage folder's documents and of a backup manifest's end. What is read
// must be written as what reads the same; anything else than an Error or a sound document is a
// finding.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "engine/storage_documents.h"

namespace {

template <typename Read, typename Write>
void check(std::string_view text, const Read& read, const Write& write) {
  std::string written;
  try {
    written = write(read(text));
  } catch (const holdfast::Error&) {
    return;
  }
  if (write(read(written)) != written) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  check(text, holdfast::parse_storage_json, holdfast::storage_json);
  check(text, holdfast::parse_snapshot_json, holdfast::snapshot_json);
  try {
    for (const holdfast::BackupRange& each : holdfast::manifest_wal_ranges(text))
      if (each.timeline == 0 || each.end < each.start) std::abort();
  } catch (const holdfast::Error&) {
  }
  return 0;
}
