// Fuzzes the index of received WAL: headers and entries as they stand, and the same bytes under a
// checksum that is right for them. What is read is written back as it was; what is not sound does
// not count.
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "engine/wal_index.h"
#include "expect.h"
#include "seal/crc32c.h"

namespace {

constexpr uint32_t kSegment = 1 << 20;

void read(const std::string& text) {
  using namespace holdfast;
  if (auto header = read_wal_index_header(as_bytes(text)))
    FUZZ_EXPECT(read_wal_index_header(as_bytes(write_wal_index_header(*header))) == header);
  if (auto entry = read_wal_index_entry(as_bytes(text), kSegment)) {
    FUZZ_EXPECT(read_wal_index_entry(as_bytes(write_wal_index_entry(*entry)), kSegment) == entry);
    FUZZ_EXPECT(entry->next_record.value / kSegment > entry->segment);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string text(reinterpret_cast<const char*>(data), size);
  read(text);
  for (size_t bytes : {holdfast::kWalIndexHeaderBytes, holdfast::kWalIndexEntryBytes}) {
    std::string sealed = text;
    sealed.resize(bytes);
    auto* p = reinterpret_cast<uint8_t*>(sealed.data());
    holdfast::store_le32(p + bytes - 4, holdfast::crc32c({p, bytes - 4}));
    read(sealed);
  }
  return 0;
}
