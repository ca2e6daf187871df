// Single values of COPY text to the fields of a binary row (binary_rows.h): an int32 length, then
// the value as the type's receive function in the server takes it.
//
// Each put_… appends one field and returns true, or returns false where the text is not converted
// with certainty; what it has appended then is rubbish, and the caller drops the whole stretch.
// Nothing is allocated but room in the output, and scratch strings that the caller keeps.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "pg/binary_rows.h"

namespace holdfast {

inline constexpr size_t kBinaryLengthBytes = 4;

inline constexpr size_t kBinaryFixedBytesMax = kBinaryLengthBytes + 16;  // of a type of fixed size

inline bool fits_binary_length(size_t bytes) {
  return bytes <= static_cast<size_t>(std::numeric_limits<int32_t>::max());
}

// Appends to a string through a pointer. Unless it is committed, the string gets its old size back.
class BinaryAppender {
 public:
  BinaryAppender(std::string& out, size_t text_bytes)
      : out_(out), before_(out.size()), grow_bytes_(std::min(text_bytes, kGrowBytesMax)) {
    place(before_);
  }
  BinaryAppender(const BinaryAppender&) = delete;
  BinaryAppender& operator=(const BinaryAppender&) = delete;
  ~BinaryAppender() { out_.resize(committed_ ? used() : before_); }

  void commit() { committed_ = true; }
  size_t used() const { return static_cast<size_t>(at_ - out_.data()); }

  void room(size_t bytes) {
    if (static_cast<size_t>(end_ - at_) < bytes) grow(bytes);
  }
  // What follows writes into room that was made before.
  template <typename Int>
  void integer(Int value) {
    store(at_, value);
    at_ += sizeof(Int);
  }
  void bytes(const char* from, size_t size) {
    std::memcpy(at_, from, size);
    at_ += size;
  }
  void byte(char value) { *at_++ = value; }
  char* skip(size_t bytes) { return std::exchange(at_, at_ + bytes); }
  void patch(size_t position, size_t value) {  // an int32 that was skipped
    store(out_.data() + position, static_cast<int32_t>(value));
  }

 private:
  // Zeroed ahead of writing: still in cache then.
  static constexpr size_t kGrowBytesMax = size_t{64} << 10;

  template <typename Int>
  static void store(char* to, Int value) {
    auto bits = static_cast<std::make_unsigned_t<Int>>(value);
    char bytes[sizeof(Int)];
    for (size_t i = 0; i < sizeof(Int); ++i) {
      bytes[i] = static_cast<char>(bits >> (8 * (sizeof(Int) - 1 - i)));
    }
    std::memcpy(to, bytes, sizeof bytes);
  }
  void grow(size_t bytes) {
    size_t position = used();
    out_.resize(position + bytes + grow_bytes_);
    place(position);
  }
  void place(size_t position) {
    at_ = out_.data() + position;
    end_ = out_.data() + out_.size();
  }

  std::string& out_;
  size_t before_, grow_bytes_;
  char* at_ = nullptr;
  char* end_ = nullptr;
  bool committed_ = false;
};

// Of types whose text COPY never has to escape. All but put_numeric() write into room for
// kBinaryFixedBytesMax that was made before.
bool put_boolean(std::string_view field, BinaryAppender& out);
bool put_int2(std::string_view field, BinaryAppender& out);
bool put_int4(std::string_view field, BinaryAppender& out);
bool put_int8(std::string_view field, BinaryAppender& out);
bool put_uuid(std::string_view field, BinaryAppender& out);
bool put_date(std::string_view field, BinaryAppender& out);
bool put_time(std::string_view field, BinaryAppender& out);
bool put_timestamp(std::string_view field, BinaryAppender& out);
bool put_timestamptz(std::string_view field, BinaryAppender& out);
bool put_numeric(std::string_view field, BinaryAppender& out);
bool put_float4(std::string_view field, BinaryAppender& out);
bool put_float8(std::string_view field, BinaryAppender& out);

// One of those. Inline, since a loop over a row's columns is a tenth faster if it has this switch
// in it.
inline bool put_value(BinaryType type, std::string_view text, BinaryAppender& out) {
  out.room(kBinaryFixedBytesMax);
  switch (type) {
    case BinaryType::boolean:
      return put_boolean(text, out);
    case BinaryType::int2:
      return put_int2(text, out);
    case BinaryType::int4:
      return put_int4(text, out);
    case BinaryType::int8:
      return put_int8(text, out);
    case BinaryType::uuid:
      return put_uuid(text, out);
    case BinaryType::date:
      return put_date(text, out);
    case BinaryType::timestamp:
      return put_timestamp(text, out);
    case BinaryType::timestamptz:
      return put_timestamptz(text, out);
    case BinaryType::time_of_day:
      return put_time(text, out);
    case BinaryType::numeric:
      return put_numeric(text, out);
    case BinaryType::float4:
      return put_float4(text, out);
    case BinaryType::float8:
      return put_float8(text, out);
    case BinaryType::text:
    case BinaryType::json:
    case BinaryType::jsonb:
    case BinaryType::bytea:
      return false;
  }
  return false;
}

// Of a bytea: `hex` is what follows the \x.
bool put_byte_string(std::string_view hex, BinaryAppender& out);

// Of an array: `text` is array_out's, with COPY's escapes undone; `column` has its element's type.
bool put_array(std::string_view text, BinaryColumn column, std::string& scratch,
               BinaryAppender& out);

}  // namespace holdfast
