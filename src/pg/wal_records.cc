#include "pg/wal_records.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace holdfast {
namespace {

// src/include/access/rmgrlist.h
enum Resource : uint8_t { kXlog = 0, kTransaction = 1, kDatabase = 4, kTablespace = 5 };

constexpr uint8_t kTransactionKindMask = 0x70;  // 0x80: more is in the record

// Ids of a record's parts, xlogrecord.h
constexpr uint8_t kBlockMax = 32, kTopLevelXid = 252, kOrigin = 253, kDataLong = 254,
                  kDataShort = 255;
constexpr uint8_t kForkHasImage = 0x10, kForkSameRelation = 0x80;

Error malformed(const WalRecord& record, std::string_view why) {
  return Error(ErrorCode::corrupt,
               fmt::format("WAL record at {}: {}", format_lsn(record.start), why));
}

// Walks over the headers of a record's parts.
class Parts {
 public:
  Parts(const WalRecord& record, int major)
      : record_(record), major_(major), at_(kWalRecordHeaderBytes) {}

  ByteView main_data() {
    uint64_t payload = 0;  // of blocks; stands between the headers and the main data
    while (at_ + payload < record_.total_bytes) {
      uint8_t id = *take(1);
      if (id == kDataShort || id == kDataLong) {
        uint64_t size = id == kDataShort ? *take(1) : load_le32(take(4));
        if (at_ + payload + size != record_.total_bytes)
          throw malformed(record_, "its parts do not add up to its length");
        return clip(at_ + payload, size);
      }
      if (id == kOrigin) {
        take(2);
      } else if (id == kTopLevelXid) {
        take(4);
      } else if (id <= kBlockMax) {
        payload += block();
      } else {
        throw malformed(record_, "has a part of an unknown kind");
      }
    }
    if (at_ + payload != record_.total_bytes)
      throw malformed(record_, "its parts do not add up to its length");
    return {};
  }

 private:
  const uint8_t* take(size_t count) {
    if (record_.bytes.size() - at_ < count) throw malformed(record_, "ends within a header");
    const uint8_t* found = record_.bytes.data() + at_;
    at_ += count;
    return found;
  }

  // The header of a block reference; returns how many bytes it has further behind.
  uint64_t block() {
    uint8_t fork = *take(1);
    uint64_t payload = load_le16(take(2));
    if ((fork & kForkHasImage) != 0) {
      payload += load_le16(take(2));
      take(2);  // offset of the hole
      uint8_t info = *take(1);
      bool has_hole = (info & 0x01) != 0;
      bool compressed = (info & (major_ >= 15 ? 0x1C : 0x02)) != 0;
      if (has_hole && compressed) take(2);  // length of the hole
    }
    if ((fork & kForkSameRelation) == 0) take(12);
    take(4);
    return payload;
  }

  ByteView clip(uint64_t from, uint64_t size) const {
    uint64_t there = record_.bytes.size();
    if (from >= there) return {};
    return record_.bytes.subspan(from, std::min(size, there - from));
  }

  const WalRecord& record_;
  const int major_;
  size_t at_;
};

const uint8_t* at_least(const WalRecord& record, ByteView data, size_t bytes) {
  if (data.size() < bytes) throw malformed(record, "is too short for its kind");
  return data.data();
}

int load_int(const uint8_t* p) {
  return static_cast<int>(load_le32(p));
}

WalTime load_time(const uint8_t* p) {
  return wal_time_of(static_cast<int64_t>(load_le64(p)));
}

// A C string that ends with the data at the latest.
std::string load_text(ByteView data) {
  auto end = std::find(data.begin(), data.end(), uint8_t{0});
  return {data.begin(), end};
}

WalEvent decode_transaction(const WalRecord& record, int major) {
  uint8_t kind = record.info & kTransactionKindMask;
  bool commit = kind == 0x00 || kind == 0x30;  // COMMIT, COMMIT_PREPARED
  if (!commit && kind != 0x20 && kind != 0x40) return {};
  return WalTransactionEnd{commit, load_time(at_least(record, wal_main_data(record, major), 8))};
}

WalEvent decode_xlog(const WalRecord& record, int major) {
  uint8_t kind = record.info & kWalInfoMask;
  auto data = [&](size_t bytes) { return at_least(record, wal_main_data(record, major), bytes); };
  switch (kind) {
    case 0x00:    // CHECKPOINT_SHUTDOWN
    case 0x10: {  // CHECKPOINT_ONLINE
      const uint8_t* p = data(72);
      constexpr int64_t kPostgresEpochSeconds = kPostgresEpochMicroseconds / 1'000'000;
      int64_t seconds = static_cast<int64_t>(load_le64(p + 64));  // since 1970
      seconds = std::clamp<int64_t>(seconds, 0, 1'000'000'000'000);
      return WalCheckpoint{
          kind == 0x00,     {load_le64(p)},
          load_le32(p + 8), load_le32(p + 12),
          p[16] != 0,       wal_time_of((seconds - kPostgresEpochSeconds) * 1'000'000)};
    }
    case 0x50:  // BACKUP_END
      return WalBackupEnd{{load_le64(data(8))}};
    case 0x60: {  // PARAMETER_CHANGE
      const uint8_t* p = data(26);
      return WalParameters{load_int(p),      load_int(p + 4),
                           load_int(p + 8),  load_int(p + 12),
                           load_int(p + 16), static_cast<WalLevel>(load_int(p + 20)),
                           p[24] != 0,       p[25] != 0};
    }
    case 0x70: {  // RESTORE_POINT
      ByteView all = wal_main_data(record, major);
      at_least(record, all, 9);
      return WalRestorePoint{load_time(all.data()), load_text(all.subspan(8))};
    }
    case 0x80:  // FPW_CHANGE
      return WalFullPageWrites{*data(1) != 0};
    case 0x90: {  // END_OF_RECOVERY
      const uint8_t* p = data(16);
      return WalEndOfRecovery{load_time(p), load_le32(p + 8), load_le32(p + 12)};
    }
    default:
      return {};
  }
}

WalEvent decode_tablespace(const WalRecord& record, int major) {
  if ((record.info & kWalInfoMask) != 0x00) return {};  // DROP
  ByteView all = wal_main_data(record, major);
  at_least(record, all, 4);
  return WalTablespaceCreated{load_le32(all.data()), load_text(all.subspan(4))};
}

WalEvent decode_database(const WalRecord& record, int major) {
  uint8_t kind = record.info & kWalInfoMask;
  // CREATE, or from 15 on CREATE_FILE_COPY and CREATE_WAL_LOG; the next one is DROP.
  if (kind != 0x00 && !(kind == 0x10 && major >= 15)) return {};
  const uint8_t* p = at_least(record, wal_main_data(record, major), 8);
  return WalDatabaseCreated{load_le32(p), load_le32(p + 4)};
}

}  // namespace

ByteView wal_main_data(const WalRecord& record, int major) {
  return Parts(record, major).main_data();
}

WalEvent decode_wal_record(const WalRecord& record, int major) {
  switch (record.rmid) {
    case kXlog:
      return decode_xlog(record, major);
    case kTransaction:
      return decode_transaction(record, major);
    case kDatabase:
      return decode_database(record, major);
    case kTablespace:
      return decode_tablespace(record, major);
    default:
      return {};
  }
}

}  // namespace holdfast
