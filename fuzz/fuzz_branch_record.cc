// Fuzzes the readers of what a store holds of a branch backup: as it stands, and under a seal that
// is right for it, which is the only way past the checksum. What is read must be written back as
// what reads the same; anything else than an Error or a sound document is a finding.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "dump/branch_record.h"
#include "sealed.h"

namespace {

constexpr const char* kId = "backup-2026-11-21T02-00-00-123Z";

void read(const std::string& text) {
  try {
    std::string written = holdfast::write_branch_record(holdfast::read_branch_record(text));
    if (holdfast::write_branch_record(holdfast::read_branch_record(written)) != written)
      std::abort();
  } catch (const holdfast::Error& error) {
    if (error.code() == holdfast::ErrorCode::internal) std::abort();
  }
  try {
    std::string written =
        holdfast::write_branch_tables(kId, holdfast::read_branch_tables(text, kId));
    if (holdfast::write_branch_tables(kId, holdfast::read_branch_tables(written, kId)) != written)
      std::abort();
  } catch (const holdfast::Error& error) {
    if (error.code() == holdfast::ErrorCode::internal) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string text(reinterpret_cast<const char*>(data), size);
  read(text);
  for (const char* key : {"branch_sha256", "tables_sha256"}) read_sealed_anew(text, key, read);
  return 0;
}
