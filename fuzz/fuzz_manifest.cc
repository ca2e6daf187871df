// Fuzzes the readers of manifests: bytes as they stand, and the same bytes under a seal that is
// right for them, which is the only way past the checksum to the fields. What is read must be
// written back as what reads the same; anything else than an Error or a sound manifest is a
// finding.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "dump/manifest.h"
#include "dump/names.h"
#include "seal/document.h"

namespace {

void read(const std::string& text) {
  std::string written;
  try {
    written = holdfast::write_manifest(holdfast::read_manifest(text));
  } catch (const holdfast::Error& error) {
    if (error.code() == holdfast::ErrorCode::internal) std::abort();  // read, but not writable
    return;
  }
  if (holdfast::write_manifest(holdfast::read_manifest(written)) != written) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string text(reinterpret_cast<const char*>(data), size);
  read(text);
  // A seed is a whole manifest: give its body, changed as it is, a seal that is right.
  size_t seal = text.rfind(",\n  \"manifest_sha256\"");
  read(holdfast::seal_document(text.substr(0, seal), "manifest_sha256"));
  if (auto id = holdfast::parse_backup_id(text)) {
    std::string again = id->is_branch ? holdfast::branch_backup_id(id->at)
                                      : holdfast::backup_id(id->database, id->at);
    if (again != text) std::abort();
  }
  holdfast::parse_proof_name(text);
  return 0;
}
