// The order-independent checksum of a table's rows: the sum, modulo 2^128, of XXH3-128 over each
// row's COPY text line without its newline, beside the number of rows.
//
// Why a sum: ranges of a table are read in parallel, and a restored table may hold the same rows in
// another physical order; a sum is the same whatever the order, and unlike exclusive-or it does not
// cancel out pairs of equal rows. It is a check against damage and loss, not against an adversary
// (for that there is SHA-256 over the file). See docs/format/manifest.md.
#pragma once

#include <xxhash.h>

#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace holdfast {

struct RowChecksum {
  uint64_t rows = 0;
  uint64_t low = 0, high = 0;

  void add_hash(uint64_t hash_low, uint64_t hash_high) {
    ++rows;
    low += hash_low;
    high += hash_high + (low < hash_low ? 1 : 0);
  }
  void add(const RowChecksum& other) {
    rows += other.rows;
    low += other.low;
    high += other.high + (low < other.low ? 1 : 0);
  }
  bool operator==(const RowChecksum&) const = default;

  // 32 lower-case hexadecimal digits, most significant first.
  std::string sum_hex() const;
  // Throws Error(corrupt) unless `hex` is what sum_hex writes.
  static RowChecksum from(uint64_t rows, const std::string& hex);
};

// Splits a byte stream of COPY text into lines and sums them. Lines may be cut anywhere between
// calls and may be of any length: memory does not depend on them. One thread at a time.
class RowSummer {
 public:
  RowSummer();
  ~RowSummer();
  RowSummer(const RowSummer&) = delete;
  RowSummer& operator=(const RowSummer&) = delete;

  void add_text(ByteView text);
  // One whole line, without its newline, known to be complete.
  void add_line(ByteView line) {
    XXH128_hash_t hash = XXH3_128bits(line.data(), line.size());
    sum_.add_hash(hash.low64, hash.high64);
  }
  // Whether the text so far ends with a newline (or is empty).
  bool at_line_start() const { return !in_line_; }
  const RowChecksum& sum() const { return sum_; }
  void reset();

 private:
  RowChecksum sum_;
  XXH3_state_t* state_;  // of a line that came in several parts
  bool in_line_ = false;
};

}  // namespace holdfast
