#include "pg/binary_values.h"

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <optional>

namespace holdfast {
namespace {

constexpr int64_t kDaysTo2000 = 730119;  // from 0001-01-01
constexpr int64_t kDateYearMax = 5874897;
constexpr int64_t kTimestampYearMax = 294276;
constexpr int64_t kMicrosPerSecond = 1'000'000;
constexpr int64_t kSecondsPerDay = 86400;
// numeric_recv (src/backend/utils/adt/numeric.c) takes up to NUMERIC_MAX_PRECISION +
// NUMERIC_MAX_RESULT_SCALE = 3000 groups and a scale of NUMERIC_DSCALE_MASK = 0x3fff; numeric_in
// takes longer texts. This is well below both, and room for them is still of little account.
constexpr size_t kNumericTextMax = 2000;
constexpr int kNumericNegative = 0x4000;  // NUMERIC_NEG

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
bool put(Int value, BinaryAppender& out) {
  out.integer(static_cast<int32_t>(sizeof(Int)));
  out.integer(value);
  return true;
}

template <typename Int>
bool put_parsed_integer(std::string_view field, BinaryAppender& out) {
  Int value = 0;
  const char* end = field.data() + field.size();
  auto [stop, error] = std::from_chars(field.data(), end, value);
  return error == std::errc() && stop == end && put(value, out);
}

bool put_zoned(std::string_view field, std::string_view zone, BinaryAppender& out) {
  std::optional<int64_t> micros = parse_timestamp(field, zone);
  return micros && put(*micros, out);
}

// Groups of four digits, the first one of `first` digits; what the last one lacks is zeros.
bool put_groups(std::string_view digits_left, size_t first, BinaryAppender& out) {
  constexpr int64_t kScale[] = {1, 1000, 100, 10, 1};
  for (size_t width = first; !digits_left.empty(); width = 4) {
    size_t count = std::min(width, digits_left.size());
    int64_t group = digits(digits_left.data(), count);
    if (group < 0) return false;
    out.integer(static_cast<int16_t>(width == 4 ? group * kScale[count] : group));
    digits_left.remove_prefix(count);
  }
  return true;
}

// The server writes as many digits as tell a value from every other one, and std::from_chars rounds
// correctly, as the server's strtod does: the value is the same to the last bit.
template <typename Bits, typename Float>
bool put_float(std::string_view field, BinaryAppender& out) {
  static_assert(sizeof(Bits) == sizeof(Float) && std::numeric_limits<Float>::is_iec559);
  size_t sign = field.starts_with('-') ? 1 : 0;
  if (field.size() <= sign || field[sign] < '0' || field[sign] > '9') return false;  // nan, inf
  Float value = 0;
  const char* end = field.data() + field.size();
  auto [stop, error] = std::from_chars(field.data(), end, value);
  if (error != std::errc() || stop != end || !std::isfinite(value)) return false;
  if (value == 0 && field.size() > sign + 1) return false;  // too small: the server's to refuse
  return put(std::bit_cast<Bits>(value), out);
}

}  // namespace

bool put_boolean(std::string_view field, BinaryAppender& out) {
  if (field != "t" && field != "f") return false;
  return put(static_cast<int8_t>(field == "t"), out);
}

bool put_int2(std::string_view field, BinaryAppender& out) {
  return put_parsed_integer<int16_t>(field, out);
}

bool put_int4(std::string_view field, BinaryAppender& out) {
  return put_parsed_integer<int32_t>(field, out);
}

bool put_int8(std::string_view field, BinaryAppender& out) {
  return put_parsed_integer<int64_t>(field, out);
}

bool put_uuid(std::string_view field, BinaryAppender& out) {
  if (field.size() != 36) return false;
  const char* p = field.data();
  if (p[8] != '-' || p[13] != '-' || p[18] != '-' || p[23] != '-') return false;
  out.integer(int32_t{16});
  char* to = out.skip(16);
  return decode_hex(p, 4, to) && decode_hex(p + 9, 2, to + 4) && decode_hex(p + 14, 2, to + 6) &&
         decode_hex(p + 19, 2, to + 8) && decode_hex(p + 24, 6, to + 10);
}

bool put_date(std::string_view field, BinaryAppender& out) {
  std::optional<int64_t> days = take_date(field, kDateYearMax);
  return days && field.empty() && put(static_cast<int32_t>(*days), out);
}

bool put_time(std::string_view field, BinaryAppender& out) {
  std::optional<int64_t> micros = take_time(field);
  return micros && field.empty() && put(*micros, out);
}

bool put_timestamp(std::string_view field, BinaryAppender& out) {
  return put_zoned(field, "", out);
}

bool put_timestamptz(std::string_view field, BinaryAppender& out) {
  return put_zoned(field, "+00", out);
}

// To base 10000, as the server keeps it: the groups of four digits stand on both sides of the
// point, those that are zero at either end are left out, and `weight` is the power of the first
// one.
bool put_numeric(std::string_view field, BinaryAppender& out) {
  if (field.size() > kNumericTextMax) return false;
  bool negative = field.starts_with('-');
  if (negative) field.remove_prefix(1);
  size_t point = field.find('.');
  std::string_view whole = field.substr(0, point), fraction;
  if (point != std::string_view::npos) fraction = field.substr(point + 1);
  if (whole.empty() || (fraction.empty() && point != std::string_view::npos)) return false;
  auto scale = static_cast<int16_t>(fraction.size());

  while (whole.starts_with('0')) whole.remove_prefix(1);
  while (fraction.ends_with('0')) fraction.remove_suffix(1);
  int weight = static_cast<int>((whole.size() + 3) / 4) - 1;
  while (fraction.empty() && whole.ends_with("0000")) whole.remove_suffix(4);
  for (; whole.empty() && fraction.starts_with("0000"); --weight) fraction.remove_prefix(4);
  size_t groups = (whole.size() + 3) / 4 + (fraction.size() + 3) / 4;

  out.room(kBinaryLengthBytes + (4 + groups) * sizeof(int16_t));
  out.integer(static_cast<int32_t>((4 + groups) * sizeof(int16_t)));
  out.integer(static_cast<int16_t>(groups));
  out.integer(static_cast<int16_t>(groups == 0 ? 0 : weight));
  out.integer(static_cast<int16_t>(negative && groups > 0 ? kNumericNegative : 0));
  out.integer(scale);
  return put_groups(whole, (whole.size() + 3) % 4 + 1, out) && put_groups(fraction, 4, out);
}

bool put_float4(std::string_view field, BinaryAppender& out) {
  return put_float<int32_t, float>(field, out);
}

bool put_float8(std::string_view field, BinaryAppender& out) {
  return put_float<int64_t, double>(field, out);
}

bool put_byte_string(std::string_view hex, BinaryAppender& out) {
  size_t bytes = hex.size() / 2;
  if (hex.size() % 2 != 0 || !fits_binary_length(bytes)) return false;
  out.room(kBinaryLengthBytes + bytes);
  out.integer(static_cast<int32_t>(bytes));
  return decode_hex(hex.data(), bytes, out.skip(bytes));
}

}  // namespace holdfast
