// A writer of made-up WAL, for the tests: the same layout as PostgreSQL's, byte for byte what a
// quiet server would write, with cut-off records, switches and forks on demand. Not for anything
// that somebody keeps.
#pragma once

#include <cstring>
#include <string>
#include <string_view>

#include "pg/wal_format.h"
#include "pg/wal_time.h"
#include "seal/crc32c.h"

namespace holdfast::samples {

class WalMaker {
 public:
  explicit WalMaker(uint32_t segment_bytes = 1 << 20, uint64_t first_segment = 1,
                    uint64_t system_identifier = 7'000'000'000'000'000'001)
      : segment_bytes_(segment_bytes),
        base_(first_segment * segment_bytes),
        system_identifier_(system_identifier) {}

  Timeline timeline = 1;
  uint16_t magic = 0xD110;

  // Returns where it begins.
  Lsn add(uint8_t rmid, uint8_t info, std::string_view main_data, uint32_t xid = 0) {
    return put(record(rmid, info, main_data, xid));
  }
  Lsn filler(size_t bytes) { return add(10, 0x00, std::string(bytes, 'f'), 700); }
  Lsn commit(WalTime time, bool prepared = false) {
    return add(1, prepared ? 0xB0 : 0x00, number(postgres_microseconds(time)) + "more", 701);
  }
  Lsn abort(WalTime time) { return add(1, 0x20, number(postgres_microseconds(time)), 702); }
  Lsn parameters(int connections, int wal_level = 1) {
    std::string data;
    for (int value : {connections, 8, 10, 0, 64, wal_level}) data += number32(value);
    return add(0, 0x60, data + std::string("\0\1", 2));
  }
  Lsn tablespace(uint32_t oid, const std::string& path) {
    return add(5, 0x00, number32(static_cast<int>(oid)) + path + '\0');
  }
  Lsn restore_point(WalTime time, std::string name) {
    name.resize(64, '\0');
    return add(0, 0x70, number(postgres_microseconds(time)) + name);
  }
  Lsn switch_segment() {
    Lsn start = add(0, 0x40, {});
    bytes_.resize((bytes_.size() + segment_bytes_ - 1) / segment_bytes_ * segment_bytes_);
    return start;
  }

  // Begins a record, has it cut off by a crash at the end of the page, and says so behind it.
  // Returns where the cut-off one began.
  Lsn cut_off() {
    std::string whole = record(10, 0x00, std::string(3 * kWalPageBytes, 'c'), 703);
    Lsn prev = prev_;
    page_header(0, 0);
    Lsn start{base_ + bytes_.size()};
    size_t room = kWalPageBytes - bytes_.size() % kWalPageBytes;
    bytes_ += whole.substr(0, room);
    prev_ = prev;
    page_header(kWalPageOverwrites, 0);
    add(0, 0xD0, number(static_cast<int64_t>(start.value)) + number(0));
    return start;
  }

  // Up to where it was written, in PostgreSQL's terms.
  Lsn end() const { return {base_ + bytes_.size()}; }
  Lsn last() const { return prev_; }
  uint64_t first_segment() const { return base_ / segment_bytes_; }
  uint64_t segments() const { return (bytes_.size() + segment_bytes_ - 1) / segment_bytes_; }
  uint32_t segment_bytes() const { return segment_bytes_; }

  // All of it, or one segment, filled up with zeros.
  std::string all() const {
    std::string filled = bytes_;
    filled.resize(segments() * segment_bytes_);
    return filled;
  }
  std::string segment(uint64_t number) const {
    return all().substr((number - first_segment()) * segment_bytes_, segment_bytes_);
  }
  std::string name(uint64_t number, Timeline of = 1) const {
    return wal_file_name(of, number, segment_bytes_);
  }

  static std::string number(int64_t value) {
    std::string text(8, '\0');
    store_le64(reinterpret_cast<uint8_t*>(text.data()), static_cast<uint64_t>(value));
    return text;
  }
  static std::string number32(int value) {
    std::string text(4, '\0');
    store_le32(reinterpret_cast<uint8_t*>(text.data()), static_cast<uint32_t>(value));
    return text;
  }

 private:
  std::string record(uint8_t rmid, uint8_t info, std::string_view main_data, uint32_t xid) {
    std::string body;
    if (main_data.size() > 255) {
      body += '\xFE';
      body += number32(static_cast<int>(main_data.size()));
    } else if (!main_data.empty()) {
      body += '\xFF';
      body += static_cast<char>(main_data.size());
    }
    body += main_data;
    std::string whole(kWalRecordHeaderBytes, '\0');
    whole += body;
    auto* p = reinterpret_cast<uint8_t*>(whole.data());
    store_le32(p, static_cast<uint32_t>(whole.size()));
    store_le32(p + 4, xid);
    store_le64(p + 8, prev_.value);
    p[16] = info;
    p[17] = rmid;
    uint32_t crc = crc32c(as_bytes(body));
    store_le32(p + kWalRecordCrcOffset, crc32c({p, kWalRecordCrcOffset}, crc));
    return whole;
  }

  Lsn put(std::string_view whole) {
    page_header(0, 0);
    Lsn start{base_ + bytes_.size()};
    while (!whole.empty()) {
      page_header(kWalPageContinues, static_cast<uint32_t>(whole.size()));
      size_t count = std::min(whole.size(), kWalPageBytes - bytes_.size() % kWalPageBytes);
      bytes_ += whole.substr(0, count);
      whole.remove_prefix(count);
    }
    bytes_.resize((bytes_.size() + 7) / 8 * 8);
    prev_ = start;
    return start;
  }

  // At a page's start, its header.
  void page_header(uint16_t info, uint32_t continued) {
    if (bytes_.size() % kWalPageBytes != 0) return;
    bool is_long = bytes_.size() % segment_bytes_ == 0;
    std::string header(is_long ? kWalLongHeaderBytes : kWalShortHeaderBytes, '\0');
    auto* p = reinterpret_cast<uint8_t*>(header.data());
    store_le16(p, magic);
    store_le16(p + 2, static_cast<uint16_t>(info | (is_long ? kWalPageLongHeader : 0)));
    store_le32(p + 4, timeline);
    store_le64(p + 8, base_ + bytes_.size());
    store_le32(p + 16, continued);
    if (is_long) {
      store_le64(p + 24, system_identifier_);
      store_le32(p + 32, segment_bytes_);
      store_le32(p + 36, kWalPageBytes);
    }
    bytes_ += header;
  }

  uint32_t segment_bytes_;
  uint64_t base_;
  uint64_t system_identifier_;
  std::string bytes_;
  Lsn prev_;
};

}  // namespace holdfast::samples
