// Arrays of one dimension to their binary form, from the text of array_out
// (src/backend/utils/adt/arrayfuncs.c):
//
//   {a,"b \"c\" \\d",NULL}
//
// What has to be is in quotation marks: an empty string, the word null, and what holds white space,
// braces, commas, quotation marks or backslashes. Whatever is written in another way is refused.
#include <array>
#include <optional>

#include "pg/binary_values.h"

namespace holdfast {
namespace {

constexpr size_t kArrayHeadBytes = 5 * sizeof(int32_t);

constexpr std::array<bool, 256> bare_ends() {
  std::array<bool, 256> ends{};
  for (char c : std::string_view(",}{\"\\ \t\n\v\f\r")) ends[static_cast<uint8_t>(c)] = true;
  return ends;
}
constexpr std::array<bool, 256> kBareEnds = bare_ends();

bool is_word_null(std::string_view word) {
  if (word.size() != 4) return false;
  for (size_t i = 0; i < 4; ++i) {
    if ((word[i] | 0x20) != "null"[i]) return false;
  }
  return true;
}

// Cuts an element without quotation marks, and not empty, off the front of `rest`.
std::optional<std::string_view> take_bare(std::string_view& rest) {
  size_t size = 0;
  while (size < rest.size() && !kBareEnds[static_cast<uint8_t>(rest[size])]) ++size;
  if (size == 0) return std::nullopt;
  std::string_view element = rest.substr(0, size);
  rest.remove_prefix(size);
  return element;
}

// Cuts an element in quotation marks off the front of `rest`. It is a part of it, or of `scratch`
// if it has escapes.
std::optional<std::string_view> take_quoted(std::string_view& rest, std::string& scratch) {
  rest.remove_prefix(1);
  scratch.clear();
  for (;;) {
    size_t size = rest.find_first_of("\"\\");
    if (size == std::string_view::npos) return std::nullopt;
    std::string_view part = rest.substr(0, size);
    bool ends = rest[size] == '"';
    rest.remove_prefix(size + 1);
    if (ends && scratch.empty()) return part;
    scratch.append(part);
    if (ends) return scratch;
    if (rest.empty() || (rest[0] != '"' && rest[0] != '\\')) return std::nullopt;
    scratch.push_back(rest[0]);
    rest.remove_prefix(1);
  }
}

bool put_text_element(std::string_view element, std::string_view prefix, BinaryAppender& out) {
  size_t bytes = prefix.size() + element.size();
  if (!fits_binary_length(bytes)) return false;
  out.room(kBinaryLengthBytes + bytes);
  out.integer(static_cast<int32_t>(bytes));
  out.bytes(prefix.data(), prefix.size());
  out.bytes(element.data(), element.size());
  return true;
}

bool put_element(BinaryType type, std::string_view element, BinaryAppender& out) {
  switch (type) {
    case BinaryType::text:
    case BinaryType::json:
      return put_text_element(element, "", out);
    case BinaryType::jsonb:
      return put_text_element(element, "\x01", out);
    default:
      return put_value(type, element, out);
  }
}

void put_null(BinaryAppender& out) {
  out.room(kBinaryLengthBytes);
  out.integer(int32_t{-1});
}

}  // namespace

bool put_array(std::string_view text, BinaryColumn column, std::string& scratch,
               BinaryAppender& out) {
  if (!text.starts_with('{')) return false;
  std::string_view rest = text.substr(1);
  const bool empty = rest == "}";
  out.room(kBinaryLengthBytes + kArrayHeadBytes);
  const size_t length_at = out.used();
  out.skip(kBinaryLengthBytes);
  out.integer(static_cast<int32_t>(empty ? 0 : 1));  // dimensions
  const size_t nulls_at = out.used();
  out.integer(int32_t{0});
  out.integer(column.element_oid);
  if (empty) {
    out.patch(length_at, 3 * sizeof(int32_t));
    return true;
  }
  const size_t count_at = out.used();
  out.skip(sizeof(int32_t));
  out.integer(int32_t{1});  // the first one's index

  size_t count = 0;
  for (char end = ','; end == ','; ++count) {
    const bool quoted = rest.starts_with('"');
    std::optional<std::string_view> element = quoted ? take_quoted(rest, scratch) : take_bare(rest);
    if (!element || rest.empty()) return false;
    if (!quoted && *element == "NULL") {
      put_null(out);
      out.patch(nulls_at, 1);
    } else if ((!quoted && is_word_null(*element)) || !put_element(column.type, *element, out)) {
      return false;
    }
    end = rest[0];
    rest.remove_prefix(1);
    if (end != ',' && (end != '}' || !rest.empty())) return false;
  }
  const size_t bytes = out.used() - length_at - kBinaryLengthBytes;
  out.patch(length_at, bytes);
  out.patch(count_at, count);
  return fits_binary_length(bytes);
}

}  // namespace holdfast
