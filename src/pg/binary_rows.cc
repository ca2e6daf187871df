#include "pg/binary_rows.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>
#include <string_view>
#include <type_traits>
#include <utility>

namespace holdfast {
namespace {

constexpr size_t kGrowBytesMax = size_t{64} << 10;  // zeroed ahead of writing: still in cache then
constexpr size_t kLengthBytes = 4;
constexpr size_t kFixedBytesMax = kLengthBytes + 16;  // a field of any type of fixed size
constexpr int64_t kDaysTo2000 = 730119;               // from 0001-01-01
constexpr int64_t kDateYearMax = 5874897;
constexpr int64_t kTimestampYearMax = 294276;
constexpr int64_t kMicrosPerSecond = 1'000'000;
constexpr int64_t kSecondsPerDay = 86400;

// Appends to a string through a pointer. Unless it is committed, the string gets its old size back.
class Appender {
 public:
  Appender(std::string& out, size_t text_bytes)
      : out_(out), before_(out.size()), grow_bytes_(std::min(text_bytes, kGrowBytesMax)) {
    place(before_);
  }
  Appender(const Appender&) = delete;
  Appender& operator=(const Appender&) = delete;
  ~Appender() { out_.resize(committed_ ? used() : before_); }

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
  void patch_length(size_t position, size_t length) {
    store(out_.data() + position, static_cast<int32_t>(length));
  }

 private:
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

bool is_special(char c) {
  return static_cast<unsigned char>(c) <= '\r' || c == '\\';
}

// The first tab, newline, backslash or other byte up to \r (they are one comparison). The text ends
// with a newline, so there is one.
const char* find_special(const char* p, [[maybe_unused]] const char* end) {
#ifdef __SSE2__
  const __m128i last_control = _mm_set1_epi8('\r'), backslash = _mm_set1_epi8('\\');
  for (; end - p >= 16; p += 16) {
    __m128i chars = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(chars, last_control), chars);
    __m128i found = _mm_or_si128(control, _mm_cmpeq_epi8(chars, backslash));
    auto mask = static_cast<unsigned>(_mm_movemask_epi8(found));
    if (mask != 0) return p + std::countr_zero(mask);
  }
#endif
  while (!is_special(*p)) ++p;
  return p;
}

constexpr uint8_t kNotHex = 0xff;
constexpr std::array<uint8_t, 256> hex_values() {
  std::array<uint8_t, 256> values{};
  values.fill(kNotHex);
  for (uint8_t i = 0; i < 10; ++i) values[size_t{'0'} + i] = i;
  for (uint8_t i = 0; i < 6; ++i) {
    values[size_t{'a'} + i] = values[size_t{'A'} + i] = static_cast<uint8_t>(10 + i);
  }
  return values;
}
constexpr std::array<uint8_t, 256> kHexValues = hex_values();

// Of `count` pairs of digits. Looks for what is no digit only at the end: kNotHex has high bits.
bool decode_hex(const char* hex, size_t count, char* to) {
  unsigned seen = 0;
  for (size_t i = 0; i < count; ++i) {
    unsigned high = kHexValues[static_cast<uint8_t>(hex[2 * i])];
    unsigned low = kHexValues[static_cast<uint8_t>(hex[2 * i + 1])];
    seen |= high | low;
    to[i] = static_cast<char>(high << 4 | low);
  }
  return (seen & 0xf0) == 0;
}

// The value of exactly these digits, or -1.
int64_t digits(const char* p, size_t count) {
  int64_t value = 0;
  for (size_t i = 0; i < count; ++i) {
    auto digit = static_cast<unsigned>(p[i] - '0');
    if (digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

// Two digits up to `max`, or -1.
int64_t two_digits(const char* p, int64_t max) {
  int64_t value = digits(p, 2);
  return value <= max ? value : -1;
}

bool is_leap(int64_t year) {
  return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

// Days since 2000-01-01 of `YYYY-MM-DD` at the front of `text`, which is cut off. The year has four
// digits, or more if it needs more.
std::optional<int64_t> take_date(std::string_view& text, int64_t year_max) {
  constexpr int64_t kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  constexpr int64_t kDaysBefore[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
  size_t width = 4;
  while (width < text.size() && width < 8 && text[width] != '-') ++width;
  if (text.size() < width + 6 || text[width] != '-' || text[width + 3] != '-') return std::nullopt;
  if (width > 4 && text[0] == '0') return std::nullopt;
  int64_t year = digits(text.data(), width);
  int64_t month = two_digits(text.data() + width + 1, 12);
  int64_t day = two_digits(text.data() + width + 4, 31);
  if (year < 1 || year > year_max || month < 1 || day < 1) return std::nullopt;
  auto index = static_cast<size_t>(month - 1);
  bool leap = is_leap(year);
  if (day > kDays[index] + (leap && month == 2 ? 1 : 0)) return std::nullopt;
  text.remove_prefix(width + 6);
  int64_t past = year - 1;
  int64_t days = past * 365 + past / 4 - past / 100 + past / 400 + kDaysBefore[index] +
                 (leap && month > 2 ? 1 : 0) + day - 1;
  return days - kDaysTo2000;
}

// Microseconds since midnight of `HH:MM:SS[.ffffff]` at the front of `text`, which is cut off.
std::optional<int64_t> take_time(std::string_view& text) {
  if (text.size() < 8 || text[2] != ':' || text[5] != ':') return std::nullopt;
  int64_t hour = two_digits(text.data(), 23);
  int64_t minute = two_digits(text.data() + 3, 59);
  int64_t second = two_digits(text.data() + 6, 59);
  if (hour < 0 || minute < 0 || second < 0) return std::nullopt;
  text.remove_prefix(8);
  int64_t micros = 0;
  if (!text.empty() && text[0] == '.') {
    text.remove_prefix(1);
    size_t count = 0;
    for (; count < text.size() && count < 6; ++count) {
      auto digit = static_cast<unsigned>(text[count] - '0');
      if (digit > 9) break;
      micros = micros * 10 + digit;
    }
    if (count == 0) return std::nullopt;
    for (size_t i = count; i < 6; ++i) micros *= 10;
    text.remove_prefix(count);
  }
  return ((hour * 60 + minute) * 60 + second) * kMicrosPerSecond + micros;
}

std::optional<int64_t> parse_timestamp(std::string_view text, std::string_view zone) {
  std::optional<int64_t> days = take_date(text, kTimestampYearMax);
  if (!days || text.empty() || text[0] != ' ') return std::nullopt;
  text.remove_prefix(1);
  std::optional<int64_t> micros = take_time(text);
  if (!micros || text != zone) return std::nullopt;
  return *days * kSecondsPerDay * kMicrosPerSecond + *micros;
}

template <typename Int>
bool put(Int value, Appender& out) {
  out.integer(static_cast<int32_t>(sizeof(Int)));
  out.integer(value);
  return true;
}

template <typename Int>
bool put_parsed_integer(std::string_view field, Appender& out) {
  Int value = 0;
  const char* end = field.data() + field.size();
  auto [stop, error] = std::from_chars(field.data(), end, value);
  return error == std::errc() && stop == end && put(value, out);
}

bool put_boolean(std::string_view field, Appender& out) {
  if (field != "t" && field != "f") return false;
  return put(static_cast<int8_t>(field == "t"), out);
}

bool put_date(std::string_view field, Appender& out) {
  std::optional<int64_t> days = take_date(field, kDateYearMax);
  return days && field.empty() && put(static_cast<int32_t>(*days), out);
}

bool put_timestamp(std::string_view field, std::string_view zone, Appender& out) {
  std::optional<int64_t> micros = parse_timestamp(field, zone);
  return micros && put(*micros, out);
}

bool put_uuid(std::string_view field, Appender& out) {
  if (field.size() != 36) return false;
  const char* p = field.data();
  if (p[8] != '-' || p[13] != '-' || p[18] != '-' || p[23] != '-') return false;
  out.integer(int32_t{16});
  char* to = out.skip(16);
  return decode_hex(p, 4, to) && decode_hex(p + 9, 2, to + 4) && decode_hex(p + 14, 2, to + 6) &&
         decode_hex(p + 19, 2, to + 8) && decode_hex(p + 24, 6, to + 10);
}

bool put_fixed(BinaryType type, std::string_view field, Appender& out) {
  out.room(kFixedBytesMax);
  switch (type) {
    case BinaryType::boolean:
      return put_boolean(field, out);
    case BinaryType::int2:
      return put_parsed_integer<int16_t>(field, out);
    case BinaryType::int4:
      return put_parsed_integer<int32_t>(field, out);
    case BinaryType::int8:
      return put_parsed_integer<int64_t>(field, out);
    case BinaryType::uuid:
      return put_uuid(field, out);
    case BinaryType::date:
      return put_date(field, out);
    case BinaryType::timestamp:
      return put_timestamp(field, "", out);
    case BinaryType::timestamptz:
      return put_timestamp(field, "+00", out);
    default:
      return false;
  }
}

// What COPY TO writes after a backslash for this byte, or '\0' for what it does not write.
char unescaped(char c) {
  switch (c) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'v':
      return '\v';
    case '\\':
      return '\\';
    default:
      return '\0';
  }
}

// One pass over the lines. A converter of a field begins at `at_` and leaves it at the delimiter.
class Conversion {
 public:
  Conversion(ByteView text, Appender& out)
      : at_(as_text(text).data()), end_(at_ + text.size()), out_(out) {}

  bool at_end() const { return at_ == end_; }

  bool row(const std::vector<BinaryType>& columns) {
    out_.room(sizeof(int16_t));
    out_.integer(static_cast<int16_t>(columns.size()));
    if (columns.empty() && *at_ != '\n') return false;
    for (size_t i = 0; i < columns.size(); ++i) {
      char delimiter = i + 1 < columns.size() ? '\t' : '\n';
      if (!field(columns[i]) || *at_ != delimiter) return false;
      if (delimiter == '\t') ++at_;
    }
    ++at_;
    return true;
  }

 private:
  // Reads ahead no further than the text's last byte, a newline, since each byte before is another.
  bool is_null() const {
    return at_[0] == '\\' && at_[1] == 'N' && (at_[2] == '\t' || at_[2] == '\n');
  }

  bool field(BinaryType type) {
    if (is_null()) {
      out_.room(kLengthBytes);
      out_.integer(int32_t{-1});
      at_ += 2;
      return true;
    }
    switch (type) {
      case BinaryType::text:
      case BinaryType::json:
        return text("");
      case BinaryType::jsonb:
        return text("\x01");
      case BinaryType::bytea:
        return bytea();
      default:
        return fixed(type);
    }
  }

  bool fixed(BinaryType type) {
    const char* stop = find_special(at_, end_);
    std::string_view value(at_, static_cast<size_t>(stop - at_));
    at_ = stop;
    return put_fixed(type, value, out_);
  }

  bool bytea() {
    constexpr std::string_view kPrefix = "\\\\x";
    if (static_cast<size_t>(end_ - at_) <= kPrefix.size()) return false;
    if (std::string_view(at_, kPrefix.size()) != kPrefix) return false;
    at_ += kPrefix.size();
    const char* stop = find_special(at_, end_);
    auto size = static_cast<size_t>(stop - at_);
    const char* hex = std::exchange(at_, stop);
    if (size % 2 != 0 || !fits(size / 2)) return false;
    out_.room(kLengthBytes + size / 2);
    out_.integer(static_cast<int32_t>(size / 2));
    return decode_hex(hex, size / 2, out_.skip(size / 2));
  }

  bool text(std::string_view prefix) {
    size_t length_at = out_.used();
    out_.room(kLengthBytes + prefix.size());
    out_.skip(kLengthBytes);
    out_.bytes(prefix.data(), prefix.size());
    do {
      const char* stop = find_special(at_, end_);
      auto size = static_cast<size_t>(stop - at_);
      out_.room(size + 1);  // and for what `stop` stands for
      out_.bytes(at_, size);
      at_ = stop;
      if (*at_ == '\t' || *at_ == '\n') break;
    } while (special_in_text());
    if (*at_ != '\t' && *at_ != '\n') return false;
    size_t length = out_.used() - length_at - kLengthBytes;
    out_.patch_length(length_at, length);
    return fits(length);
  }

  bool special_in_text() {
    if (*at_ == '\0' || *at_ == '\r') return false;  // the server refuses them, or ends lines there
    if (*at_ != '\\') {
      out_.byte(*at_++);
      return true;
    }
    char c = unescaped(at_[1]);
    if (c == '\0') return false;
    out_.byte(c);
    at_ += 2;
    return true;
  }

  static bool fits(size_t length) {
    return length <= static_cast<size_t>(std::numeric_limits<int32_t>::max());
  }

  const char* at_;
  const char* end_;
  Appender& out_;
};

}  // namespace

std::optional<BinaryType> binary_type_of(uint32_t type_oid) {
  switch (type_oid) {  // src/include/catalog/pg_type.dat
    case 16:
      return BinaryType::boolean;
    case 17:
      return BinaryType::bytea;
    case 20:
      return BinaryType::int8;
    case 21:
      return BinaryType::int2;
    case 23:
      return BinaryType::int4;
    case 25:    // text
    case 1042:  // bpchar
    case 1043:  // varchar
      return BinaryType::text;
    case 114:
      return BinaryType::json;
    case 1082:
      return BinaryType::date;
    case 1114:
      return BinaryType::timestamp;
    case 1184:
      return BinaryType::timestamptz;
    case 2950:
      return BinaryType::uuid;
    case 3802:
      return BinaryType::jsonb;
    default:
      return std::nullopt;
  }
}

BinaryRows::BinaryRows(std::vector<BinaryType> columns) : columns_(std::move(columns)) {}

bool BinaryRows::append(ByteView text, std::string& out) const {
  if (text.empty()) return true;
  if (text.back() != '\n') return false;
  if (columns_.size() > size_t{std::numeric_limits<int16_t>::max()}) return false;
  Appender appender(out, text.size());
  Conversion conversion(text, appender);
  while (!conversion.at_end()) {
    if (!conversion.row(columns_)) return false;
  }
  appender.commit();
  return true;
}

std::string binary_header() {
  constexpr std::string_view kSignature("PGCOPY\n\377\r\n\0", 11);
  std::string header(kSignature);
  header.append(8, '\0');  // flags; length of the header's extension
  return header;
}

std::string binary_trailer() {
  return "\xff\xff";
}

}  // namespace holdfast
