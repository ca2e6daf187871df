// Reads the WAL of one timeline from its bytes, and believes nothing: page headers, every record's
// checksum, the link of every record to the one before, the way records go on across pages and
// segments. What it has passed is what PostgreSQL wrote, up to bytes that mean nothing: those after
// a segment switch, the rest of a record that a crash cut off, and page flag 0x0004.
//
// The caller feeds bytes in order, beginning at the border of a segment (perhaps in the midst of a
// record, whose rest is then skipped) or on the page of a record that is known from an earlier
// reading. It says where and why it stops, and tells the end of what was written so far (`end`)
// from bytes that are wrong (`damage`).
//
// Memory is bounded: a record is handed out whole up to kWalRecordKeptBytes; of longer ones only
// the beginning, though all of it is verified. One thread at a time. Nothing is thrown for the
// content of the bytes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "pg/lsn.h"
#include "pg/wal_format.h"

namespace holdfast {

inline constexpr size_t kWalRecordKeptBytes = 256 << 10;
// The part of WalRecord::info that is the resource manager's.
inline constexpr uint8_t kWalInfoMask = 0xF0;

struct WalRecord {
  Lsn start, end;  // end: PostgreSQL's EndRecPtr, a multiple of 8; a switch ends with its segment
  Lsn prev;        // start of the record before
  uint8_t rmid = 0, info = 0;
  uint32_t xid = 0;
  uint32_t total_bytes = 0;
  // With its header; short of total_bytes where that is more than kWalRecordKeptBytes. Valid until
  // the next call to the reader.
  ByteView bytes;
};

struct WalStop {
  enum class Kind {
    end,     // nothing more was written here: zeros, or a page from an earlier life of the file
    damage,  // not what PostgreSQL wrote
  };
  Kind kind = Kind::end;
  Lsn at;           // the offending record or page
  std::string why;  // for people, with the LSN in it
};

struct WalReaderStart {
  Timeline timeline = 1;  // of the segments' names; pages may be of its ancestors
  Lsn at;                 // of the first byte that is fed: a page's start
  // The first record, on that page, and the one before it, as an earlier reading found them. 0: not
  // known, and `at` is the border of a segment.
  Lsn record, prev;
  uint32_t segment_bytes = 0;      // 0: whatever the first page says
  uint64_t system_identifier = 0;  // 0: whatever the first page says
};

class WalReader {
 public:
  explicit WalReader(const WalReaderStart& start);

  // The next bytes. They are not copied (but for a page in parts): they must stay until next() has
  // returned false.
  void feed(ByteView bytes);

  // The next record, or false: all bytes are used up, or stopped() says why it goes no further.
  bool next(WalRecord& record);

  const std::optional<WalStop>& stopped() const { return stop_; }
  // A stop by itself, for what only the caller sees: a segment that is not there, say.
  void stop(WalStop::Kind kind, Lsn at, const std::string& why);

  Lsn wanted() const { return {fed_to_}; }        // address of the next byte to be fed
  Lsn first_record() const { return first_; }     // that was found; 0: none yet
  Lsn first_prev() const { return first_prev_; }  // what the first record calls the one before
  Lsn last_record() const { return last_; }       // last one that was handed out, or start.prev
  Lsn verified() const { return verified_; }      // end of that; 0: none yet
  // Where the record after the last one begins. Differs from verified()'s position where a record
  // was cut off by a crash and the WAL went on behind it.
  Lsn next_record() const { return next_; }
  // Whether the next record has begun, but has not ended yet.
  bool within_record() const { return state_ == State::in_record; }

  uint32_t segment_bytes() const { return segment_bytes_; }
  uint64_t system_identifier() const { return system_identifier_; }
  uint16_t magic() const { return magic_; }
  Timeline page_timeline() const { return page_timeline_; }  // of the last page

 private:
  enum class State { start, skipping, at_record, in_record, after_switch };

  bool take_page();
  bool check_page_header(const WalPageHeader& header);
  bool check_long_header(const WalPageHeader& header);
  bool begin_page(const WalPageHeader& header);
  bool check_record_header(const uint8_t* header);
  bool begin_record();  // at at_: true if the whole of it is on this page
  void absorb();        // as much of the rest of a record as the page has
  bool finish(const uint8_t* bytes, size_t kept, uint32_t data_crc, WalRecord& record);
  bool check_padding(uint32_t from);
  void damage(Lsn at, const std::string& why);
  void leave_page();
  Lsn here() const { return {page_start_ + at_}; }

  const WalReaderStart start_;
  uint32_t segment_bytes_ = 0;
  uint64_t system_identifier_ = 0;
  uint16_t magic_ = 0;
  Timeline page_timeline_ = 0;
  std::optional<WalStop> stop_;

  ByteView input_;
  std::vector<uint8_t> part_;      // of a page that was not fed at once
  const uint8_t* page_ = nullptr;  // the current one
  uint64_t page_start_ = 0;
  uint64_t fed_to_ = 0;
  uint32_t at_ = 0;  // in the page

  State state_ = State::start;
  uint64_t left_ = 0;               // bytes to come of the record that is read or skipped
  Lsn record_start_;                // of the record that is read
  uint32_t record_bytes_ = 0;       // its length
  std::vector<uint8_t> assembled_;  // its beginning
  uint32_t data_crc_ = 0;           // of what was seen behind its header
  uint64_t seen_ = 0;               // bytes of it that were seen

  Lsn overwritten_;  // the record whose rest never came, until its replacement has said so
  Lsn first_, first_prev_, last_, verified_, next_;
};

}  // namespace holdfast
