#include "pg/binary_rows.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <bit>
#include <limits>
#include <string_view>
#include <utility>

#include "pg/binary_values.h"

namespace holdfast {
namespace {

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
  Conversion(ByteView text, BinaryAppender& out)
      : at_(as_text(text).data()), end_(at_ + text.size()), out_(out) {}

  bool at_end() const { return at_ == end_; }

  bool row(const std::vector<BinaryColumn>& columns) {
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

  bool field(BinaryColumn column) {
    if (is_null()) {
      out_.room(kBinaryLengthBytes);
      out_.integer(int32_t{-1});
      at_ += 2;
      return true;
    }
    if (column.element_oid != 0) return array(column);
    switch (column.type) {
      case BinaryType::text:
      case BinaryType::json:
        return text("");
      case BinaryType::jsonb:
        return text("\x01");
      case BinaryType::bytea:
        return bytea();
      default:
        return value(column.type);
    }
  }

  // What stands up to the next special byte.
  std::string_view plain() {
    const char* stop = find_special(at_, end_);
    std::string_view found(at_, static_cast<size_t>(stop - at_));
    at_ = stop;
    return found;
  }

  bool value(BinaryType type) { return put_value(type, plain(), out_); }

  bool bytea() {
    constexpr std::string_view kPrefix = "\\\\x";
    if (static_cast<size_t>(end_ - at_) <= kPrefix.size()) return false;
    if (std::string_view(at_, kPrefix.size()) != kPrefix) return false;
    at_ += kPrefix.size();
    return put_byte_string(plain(), out_);
  }

  // Two ways of escaping lie over each other: COPY's, undone here, and that of arrays.
  bool array(BinaryColumn column) {
    std::string_view whole = plain();
    if (*at_ != '\t' && *at_ != '\n') {
      array_ = whole;
      while (*at_ != '\t' && *at_ != '\n') {
        char c = take_special();
        if (c == '\0') return false;
        array_.push_back(c);
        array_ += plain();
      }
      whole = array_;
    }
    return put_array(whole, column, element_, out_);
  }

  bool text(std::string_view prefix) {
    size_t length_at = out_.used();
    out_.room(kBinaryLengthBytes + prefix.size());
    out_.skip(kBinaryLengthBytes);
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
    size_t length = out_.used() - length_at - kBinaryLengthBytes;
    out_.patch(length_at, length);
    return fits_binary_length(length);
  }

  bool special_in_text() {
    char c = take_special();
    if (c != '\0') out_.byte(c);
    return c != '\0';
  }

  // The byte that a special one (no delimiter) or an escape stands for; '\0' if there is none.
  char take_special() {
    const bool escape = *at_ == '\\';
    char c = escape ? unescaped(at_[1]) : *at_;
    if (c == '\0' || *at_ == '\r') return '\0';  // the server refuses them, or ends lines there
    at_ += escape ? 2 : 1;
    return c;
  }

  const char* at_;
  const char* end_;
  BinaryAppender& out_;
  std::string array_, element_;  // kept from one array to the next, for their capacity
};

std::optional<BinaryType> built_in_type(uint32_t type_oid) {
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
    case 700:
      return BinaryType::float4;
    case 701:
      return BinaryType::float8;
    case 1082:
      return BinaryType::date;
    case 1083:
      return BinaryType::time_of_day;
    case 1114:
      return BinaryType::timestamp;
    case 1184:
      return BinaryType::timestamptz;
    case 1700:
      return BinaryType::numeric;
    case 2950:
      return BinaryType::uuid;
    case 3802:
      return BinaryType::jsonb;
    default:
      return std::nullopt;
  }
}

// Of every type above but bytea, in whose arrays the escapes of three ways lie over each other.
constexpr struct {
  uint32_t array, element;
} kArrays[] = {
    {199, 114},    // json
    {1000, 16},    // boolean
    {1005, 21},    // smallint
    {1007, 23},    // integer
    {1009, 25},    // text
    {1014, 1042},  // bpchar
    {1015, 1043},  // varchar
    {1016, 20},    // bigint
    {1021, 700},   // real
    {1022, 701},   // double precision
    {1115, 1114},  // timestamp
    {1182, 1082},  // date
    {1183, 1083},  // time
    {1185, 1184},  // timestamptz
    {1231, 1700},  // numeric
    {2951, 2950},  // uuid
    {3807, 3802},  // jsonb
};

}  // namespace

std::optional<BinaryColumn> binary_column_of(uint32_t type_oid) {
  for (auto [array, element] : kArrays) {
    if (array == type_oid) return BinaryColumn{built_in_type(element).value(), element};
  }
  std::optional<BinaryType> type = built_in_type(type_oid);
  if (!type) return std::nullopt;
  return BinaryColumn{*type};
}

BinaryRows::BinaryRows(std::vector<BinaryColumn> columns) : columns_(std::move(columns)) {}

bool BinaryRows::append(ByteView text, std::string& out) const {
  if (text.empty()) return true;
  if (text.back() != '\n') return false;
  if (columns_.size() > size_t{std::numeric_limits<int16_t>::max()}) return false;
  BinaryAppender appender(out, text.size());
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
