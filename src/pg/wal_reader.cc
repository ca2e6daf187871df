#include "pg/wal_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "seal/crc32c.h"

namespace holdfast {
namespace {

constexpr uint8_t kXlogResource = 0;  // RM_XLOG_ID
constexpr uint8_t kSwitch = 0x40;
constexpr uint8_t kOverwriteContrecord = 0xD0;
// Built-in resource managers end at 22 (PostgreSQL 18 has 0 to 21); extensions' begin at 128.
constexpr uint8_t kResourceMax = 31, kCustomResourceMin = 128;

constexpr uint64_t align8(uint64_t value) {
  return (value + 7) & ~uint64_t{7};
}

bool is_zero(const uint8_t* bytes, size_t count) {
  return count == 0 || (bytes[0] == 0 && std::memcmp(bytes, bytes + 1, count - 1) == 0);
}

std::string at_text(Lsn at, std::string_view what) {
  return fmt::format("{}: {}", format_lsn(at), what);
}

}  // namespace

WalReader::WalReader(const WalReaderStart& start)
    : start_(start),
      segment_bytes_(start.segment_bytes),
      system_identifier_(start.system_identifier),
      page_start_(start.at.value),
      fed_to_(start.at.value),
      last_(start.prev),
      next_(start.record) {
  if (start.at.value % kWalPageBytes != 0)
    stop(WalStop::Kind::damage, start.at, at_text(start.at, "no page begins here"));
}

void WalReader::feed(ByteView bytes) {
  input_ = bytes;
  fed_to_ += bytes.size();
}

void WalReader::stop(WalStop::Kind kind, Lsn at, const std::string& why) {
  if (!stop_) stop_ = WalStop{kind, at, why};
}

void WalReader::damage(Lsn at, const std::string& why) {
  stop(WalStop::Kind::damage, at, at_text(at, why));
}

// Makes `page_` the page at page_start_; false when its bytes are not all there.
bool WalReader::take_page() {
  if (part_.empty() && input_.size() >= kWalPageBytes) {
    page_ = input_.data();
    input_ = input_.subspan(kWalPageBytes);
  } else {
    size_t count = std::min<size_t>(kWalPageBytes - part_.size(), input_.size());
    part_.insert(part_.end(), input_.begin(), input_.begin() + static_cast<ptrdiff_t>(count));
    input_ = input_.subspan(count);
    if (part_.size() < kWalPageBytes) return false;
    page_ = part_.data();
  }
  at_ = 0;
  return true;
}

void WalReader::leave_page() {
  page_ = nullptr;
  part_.clear();
  page_start_ += kWalPageBytes;
}

bool WalReader::check_long_header(const WalPageHeader& header) {
  if (header.page_bytes != kWalPageBytes) {
    damage({page_start_},
           fmt::format("pages of {} bytes, not of {}", header.page_bytes, kWalPageBytes));
  } else if (!is_wal_segment_size(header.segment_bytes) ||
             (segment_bytes_ != 0 && header.segment_bytes != segment_bytes_)) {
    damage({page_start_}, fmt::format("says that segments have {} bytes", header.segment_bytes));
  } else if (system_identifier_ != 0 && header.system_identifier != system_identifier_) {
    damage({page_start_}, fmt::format("is of another cluster (system identifier {}, not {})",
                                      header.system_identifier, system_identifier_));
  } else {
    segment_bytes_ = header.segment_bytes;
    system_identifier_ = header.system_identifier;
    if (page_start_ % segment_bytes_ != 0)
      damage({page_start_}, "has the header of a segment's first page");
  }
  return !stop_;
}

bool WalReader::check_page_header(const WalPageHeader& header) {
  Lsn at{page_start_};
  if (header.magic == 0 && is_zero(page_, kWalPageBytes)) {
    stop(WalStop::Kind::end, at, at_text(at, "nothing was written here yet"));
  } else if (int major = wal_major_version(header.magic);
             major == 0 || (magic_ != 0 && header.magic != magic_)) {
    damage(at, fmt::format("page has magic number {:04X}", header.magic));
  } else if (header.address < at) {
    stop(WalStop::Kind::end, at,
         at_text(at, "holds an older page, of " + format_lsn(header.address)));
  } else if (header.address > at) {
    damage(at, "page says that it is the one of " + format_lsn(header.address));
  } else if ((header.info & ~kWalPageFlagsKnown) != 0 || header.padding != 0) {
    damage(at, "page header has unknown flags");
  } else if (header.timeline == 0 || header.timeline > start_.timeline ||
             header.timeline < page_timeline_) {
    damage(at, fmt::format("page is of timeline {}", header.timeline));
  } else if (!header.is_long() && (segment_bytes_ == 0 || page_start_ % segment_bytes_ == 0)) {
    damage(at, "has no header of a segment's first page");
  } else if (!header.is_long() || check_long_header(header)) {
    magic_ = header.magic;
    page_timeline_ = header.timeline;
  }
  return !stop_;
}

// Fits what the page says of its beginning to what is expected there.
bool WalReader::begin_page(const WalPageHeader& header) {
  at_ = header.is_long() ? kWalLongHeaderBytes : kWalShortHeaderBytes;
  bool continues = (header.info & kWalPageContinues) != 0;
  bool overwrites = (header.info & kWalPageOverwrites) != 0;
  Lsn at{page_start_};
  if (continues ? (overwrites || header.continued_bytes == 0) : header.continued_bytes != 0) {
    damage(at, "page header contradicts itself about a continued record");
    return false;
  }
  if (state_ == State::start && start_.record.value != 0) {
    if (start_.record.value - page_start_ < at_ ||
        start_.record.value - page_start_ >= kWalPageBytes) {
      damage(at, "the record to begin with is not on this page");
      return false;
    }
    at_ = static_cast<uint32_t>(start_.record.value - page_start_);
    state_ = State::at_record;
  } else if (state_ == State::start) {
    left_ = header.continued_bytes;
    state_ = continues ? State::skipping : State::at_record;
    if (!continues) next_ = here();
  } else if (state_ == State::in_record || state_ == State::skipping) {
    if (overwrites) {
      if (state_ == State::in_record) overwritten_ = record_start_;
      state_ = State::at_record;
      next_ = here();
    } else if (!continues || header.continued_bytes != left_) {
      damage(at, state_ == State::in_record
                     ? "the record of " + format_lsn(record_start_) + " does not go on here"
                     : "a record that began earlier does not go on here");
    }
  } else if (continues || overwrites) {
    damage(at, "page goes on with a record that ended before");
  }
  return !stop_;
}

bool WalReader::check_record_header(const uint8_t* header) {
  Lsn prev{load_le64(header + 8)};
  uint8_t rmid = header[17];
  if (rmid > kResourceMax && rmid < kCustomResourceMin) {
    damage(record_start_, fmt::format("record of an unknown resource manager, {}", rmid));
  } else if (last_.value != 0 ? prev != last_ : prev >= record_start_) {
    damage(record_start_, "record follows on " + format_lsn(prev) +
                              (last_.value != 0 ? ", not on " + format_lsn(last_) : ""));
  }
  return !stop_;
}

bool WalReader::check_padding(uint32_t from) {
  for (uint32_t i = from; i % 8 != 0; ++i)
    if (page_[i] != 0) {
      damage({page_start_ + i}, "something stands between two records");
      return false;
    }
  return true;
}

bool WalReader::begin_record() {
  record_start_ = here();
  record_bytes_ = load_le32(page_ + at_);
  uint32_t room = kWalPageBytes - at_;
  if (record_bytes_ == 0 && is_zero(page_ + at_, room)) {
    stop(WalStop::Kind::end, record_start_, at_text(record_start_, "nothing was written here yet"));
  } else if (record_bytes_ < kWalRecordHeaderBytes || record_bytes_ > kWalRecordBytesMax) {
    damage(record_start_, fmt::format("record with a length of {}", record_bytes_));
  }
  if (stop_) return false;
  if (record_bytes_ <= room) return check_record_header(page_ + at_);
  assembled_.clear();
  left_ = record_bytes_;
  seen_ = 0;
  data_crc_ = 0;
  state_ = State::in_record;
  return false;
}

void WalReader::absorb() {
  uint32_t count = static_cast<uint32_t>(std::min<uint64_t>(left_, kWalPageBytes - at_));
  const uint8_t* bytes = page_ + at_;
  if (assembled_.size() < kWalRecordKeptBytes) {
    size_t kept = std::min<size_t>(count, kWalRecordKeptBytes - assembled_.size());
    assembled_.insert(assembled_.end(), bytes, bytes + kept);
  }
  bool had_header = seen_ >= kWalRecordHeaderBytes;
  uint32_t of_header =
      had_header ? 0
                 : std::min<uint32_t>(count, kWalRecordHeaderBytes - static_cast<uint32_t>(seen_));
  data_crc_ = crc32c({bytes + of_header, count - of_header}, data_crc_);
  seen_ += count;
  left_ -= count;
  at_ += count;
  if (!had_header && seen_ >= kWalRecordHeaderBytes) check_record_header(assembled_.data());
}

// Judges the record that ends at at_ and hands it out.
bool WalReader::finish(const uint8_t* bytes, size_t kept, uint32_t data_crc, WalRecord& record) {
  uint32_t crc = crc32c({bytes, kWalRecordCrcOffset}, data_crc);
  if (crc != load_le32(bytes + kWalRecordCrcOffset)) {
    damage(record_start_, "record has a wrong checksum");
    return false;
  }
  if (!check_padding(at_)) return false;
  at_ = static_cast<uint32_t>(align8(at_));
  record.start = record_start_;
  record.end = here();
  record.total_bytes = record_bytes_;
  record.xid = load_le32(bytes + 4);
  record.prev = {load_le64(bytes + 8)};
  record.info = bytes[16];
  record.rmid = bytes[17];
  record.bytes = {bytes, kept};
  state_ = State::at_record;
  uint8_t kind = record.rmid == kXlogResource ? record.info & kWalInfoMask : 0;
  if (overwritten_.value != 0) {
    // Main data in its short form: an id, a length, then the LSN.
    if (record.rmid != kXlogResource || kind != kOverwriteContrecord || kept < 34 ||
        load_le64(bytes + 26) != overwritten_.value) {
      damage(record_start_,
             "record does not replace the unfinished one of " + format_lsn(overwritten_));
      return false;
    }
    overwritten_ = {};
  }
  if (record.rmid == kXlogResource && kind == kSwitch) {
    record.end = {(record.end.value + segment_bytes_ - 1) / segment_bytes_ * segment_bytes_};
    state_ = State::after_switch;
    at_ = kWalPageBytes;
  }
  if (first_.value == 0) {
    first_ = record.start;
    first_prev_ = record.prev;
  }
  last_ = record.start;
  verified_ = record.end;
  next_ = wal_record_position(record.end, segment_bytes_);
  return true;
}

bool WalReader::next(WalRecord& record) {
  while (!stop_) {
    if (page_ != nullptr && at_ == kWalPageBytes) leave_page();
    if (page_ == nullptr) {
      if (!take_page()) return false;
      if (state_ == State::after_switch) {
        if (page_start_ % segment_bytes_ != 0) {
          at_ = kWalPageBytes;  // what stands behind a switch means nothing
          continue;
        }
        state_ = State::at_record;
      }
      WalPageHeader header = load_wal_page_header(page_);
      if (!check_page_header(header) || !begin_page(header)) return false;
    }
    if (state_ == State::skipping) {
      uint64_t count = std::min<uint64_t>(left_, kWalPageBytes - at_);
      left_ -= count;
      at_ += static_cast<uint32_t>(count);
      if (left_ != 0) continue;
      if (!check_padding(at_)) return false;
      at_ = static_cast<uint32_t>(align8(at_));
      state_ = State::at_record;
      next_ = wal_record_position(here(), segment_bytes_);
    } else if (state_ == State::at_record) {
      if (begin_record()) {
        const uint8_t* bytes = page_ + at_;
        at_ += record_bytes_;
        return finish(
            bytes, record_bytes_,
            crc32c({bytes + kWalRecordHeaderBytes, record_bytes_ - kWalRecordHeaderBytes}), record);
      }
    } else {
      absorb();
      if (left_ == 0 && !stop_)
        return finish(assembled_.data(), assembled_.size(), data_crc_, record);
    }
  }
  return false;
}

}  // namespace holdfast
