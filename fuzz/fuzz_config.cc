// Fuzzes the reading of holdfast.toml: whatever the bytes are, they give a file's keys or
// Error(invalid) that names a line.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "cli/toml_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > holdfast::kTomlBytesMax) return 0;
  try {
    holdfast::parse_toml({reinterpret_cast<const char*>(data), size}, "f");
  } catch (const holdfast::Error& error) {
    if (error.code() != holdfast::ErrorCode::invalid) std::abort();
    if (!std::string_view(error.what()).starts_with("f:")) std::abort();
  }
  return 0;
}
