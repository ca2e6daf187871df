// An archive's header and table of contents, and the schema's fingerprint of what was read.
// Whatever the bytes, the reader returns or throws Error; and it keeps exactly what it consumed.
#include <algorithm>
#include <cstring>
#include <functional>

#include "base/error.h"
#include "dump/fingerprint.h"
#include "expect.h"
#include "pg/archive.h"

namespace {

using namespace holdfast;

struct Input {
  std::string_view left;

  void operator()(uint8_t* out, size_t size) {
    FUZZ_EXPECT(size <= kTocReadStep);
    if (size > left.size()) throw Error(ErrorCode::corrupt, "the archive ends early");
    std::memcpy(out, left.data(), size);
    left.remove_prefix(size);
  }
};

ArchiveToc parse(std::string_view bytes) {
  Input input{bytes};
  return read_archive_toc(std::ref(input));
}

void check_codecs(const ArchiveToc& toc) {
  for (Codec codec : {Codec::none, Codec::gzip, Codec::zstd}) {
    std::string bytes;
    try {
      bytes = toc_bytes_with_codec(toc, codec);
    } catch (const Error& error) {
      FUZZ_EXPECT(error.code() == ErrorCode::unsupported);
      continue;
    }
    ArchiveToc again = parse(bytes);
    FUZZ_EXPECT(again.header.codec == codec);
    FUZZ_EXPECT(again.entries.size() == toc.entries.size());
    FUZZ_EXPECT(again.bytes == bytes);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes = as_text({data, size});
  try {
    ArchiveToc toc = parse(bytes);
    FUZZ_EXPECT(bytes.starts_with(toc.bytes));
    FUZZ_EXPECT(toc.header_bytes <= toc.bytes.size());
    check_codecs(toc);
    FUZZ_EXPECT(compare_schemas(toc, toc).empty());
    ArchiveToc reversed = toc;
    std::reverse(reversed.entries.begin(), reversed.entries.end());
    FUZZ_EXPECT(schema_fingerprint(reversed) == schema_fingerprint(toc));
  } catch (const Error& error) {
    FUZZ_EXPECT(error.code() == ErrorCode::corrupt || error.code() == ErrorCode::unsupported);
  }
  return 0;
}
