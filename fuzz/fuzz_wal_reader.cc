// Fuzzes the reading of WAL: a byte of choices, one for the cuts, then WAL from the border of a
// segment of 1 MiB. Checksums are made right in half of the runs, the only way past them to what
// records say. Whatever the bytes: it ends, records lie one behind the other, a record's parts are
// decoded or refused, and bytes fed in pieces say what bytes fed at once say.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "expect.h"
#include "pg/wal_reader.h"
#include "pg/wal_records.h"
#include "seal/crc32c.h"

namespace {

using holdfast::Lsn;

constexpr uint32_t kSegment = 1 << 20;

// Gives the first records of the first page right checksums and links.
void make_right(std::string& wal) {
  auto* p = reinterpret_cast<uint8_t*>(wal.data());
  size_t at = holdfast::kWalLongHeaderBytes;
  uint64_t prev = 0;
  while (at + holdfast::kWalRecordHeaderBytes <=
         std::min<size_t>(wal.size(), holdfast::kWalPageBytes)) {
    uint32_t length = holdfast::load_le32(p + at);
    if (length < holdfast::kWalRecordHeaderBytes || length > holdfast::kWalPageBytes - at ||
        at + length > wal.size())
      return;
    if (prev != 0) holdfast::store_le64(p + at + 8, prev);
    uint32_t crc = holdfast::crc32c({p + at + 24, length - 24});
    holdfast::store_le32(p + at + 20, holdfast::crc32c({p + at, 20}, crc));
    prev = kSegment + at;
    at += (length + 7) / 8 * 8;
  }
}

struct Said {
  std::vector<uint64_t> ends;
  std::string why;
  bool operator==(const Said&) const = default;
};

Said read(const std::string& wal, size_t step) {
  holdfast::WalReaderStart start;
  start.at = {kSegment};
  start.timeline = 9;
  holdfast::WalReader reader(start);
  Said said;
  holdfast::WalRecord record;
  Lsn last;
  for (size_t at = 0; at < wal.size() && !reader.stopped(); at += step) {
    size_t count = std::min(step, wal.size() - at);
    reader.feed({reinterpret_cast<const uint8_t*>(wal.data()) + at, count});
    while (reader.next(record)) {
      FUZZ_EXPECT(record.start >= last && record.end > record.start && record.prev < record.start);
      FUZZ_EXPECT(record.bytes.size() >= holdfast::kWalRecordHeaderBytes);
      FUZZ_EXPECT(record.bytes.size() <= record.total_bytes);
      FUZZ_EXPECT(reader.last_record() == record.start && reader.verified() == record.end);
      FUZZ_EXPECT(reader.next_record() >= record.end);
      last = record.end;
      said.ends.push_back(record.end.value);
      for (int major : {13, holdfast::wal_major_version(reader.magic())}) {
        try {
          holdfast::wal_main_data(record, major);
          holdfast::decode_wal_record(record, major);
        } catch (const holdfast::Error& error) {
          FUZZ_EXPECT(error.code() == holdfast::ErrorCode::corrupt);
        }
      }
    }
  }
  if (reader.stopped()) said.why = reader.stopped()->why;
  return said;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  std::string wal(reinterpret_cast<const char*>(data) + 2, size - 2);
  if ((data[0] & 1) != 0) make_right(wal);
  wal.resize((wal.size() + 8191) / 8192 * 8192);
  Said whole = read(wal, wal.size() + 1);
  FUZZ_EXPECT(read(wal, size_t{1} + data[1] * 61) == whole);
  return 0;
}
