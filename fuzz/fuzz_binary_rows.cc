// COPY text to binary rows. Input: a byte that chooses the columns' types, one that chooses which
// of them are arrays, then the text. What is refused leaves the output alone; what is converted has
// the form of the manual, a row for each line, and is the same when the lines are converted one by
// one. The text stands at the end of a block of its own size, so that a sanitizer sees any read
// past it.
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "expect.h"
#include "pg/binary_rows.h"

namespace {

using namespace holdfast;

// The low four bits choose the first column's type, the high ones how many follow it. Of `arrays`,
// each bit is of every eighth column.
std::vector<BinaryColumn> chosen_columns(uint8_t choice, uint8_t arrays) {
  constexpr int kTypes = static_cast<int>(BinaryType::float8) + 1;
  constexpr uint32_t kElementOid = 1700;
  std::vector<BinaryColumn> columns;
  if (choice == 0xff) return columns;
  for (int i = 0; i <= choice >> 4; ++i) {
    auto type = static_cast<BinaryType>(((choice & 15) + i) % kTypes);
    bool array = ((arrays >> (i % 8)) & 1) != 0 && type != BinaryType::bytea;
    columns.push_back({type, array ? kElementOid : 0});
  }
  return columns;
}

size_t take_number(std::string_view& rows, size_t size) {
  FUZZ_EXPECT(rows.size() >= size);
  size_t value = 0;
  for (size_t i = 0; i < size; ++i) value = value << 8 | static_cast<uint8_t>(rows[i]);
  rows.remove_prefix(size);
  return value;
}

std::string_view take_bytes(std::string_view& rows, size_t size) {
  FUZZ_EXPECT(size <= rows.size());
  std::string_view taken = rows.substr(0, size);
  rows.remove_prefix(size);
  return taken;
}

// A value is as the server's own send function would have written it, as far as that can be seen.
void expect_value(BinaryType type, std::string_view value) {
  if (type != BinaryType::numeric) return;
  size_t groups = take_number(value, 2), weight = take_number(value, 2);
  size_t sign = take_number(value, 2), scale = take_number(value, 2);
  FUZZ_EXPECT(value.size() == groups * 2 && scale <= 0x3fff);
  FUZZ_EXPECT(sign == 0 || (sign == 0x4000 && groups > 0));
  FUZZ_EXPECT(groups > 0 || weight == 0);
  for (size_t i = 0; i < groups; ++i) {
    size_t group = take_number(value, 2);
    FUZZ_EXPECT(group <= 9999 && (group > 0 || (i > 0 && i + 1 < groups)));
  }
}

void expect_array(BinaryColumn column, std::string_view value) {
  size_t dimensions = take_number(value, 4), nulls = take_number(value, 4);
  FUZZ_EXPECT(take_number(value, 4) == column.element_oid);
  FUZZ_EXPECT(dimensions <= 1 && nulls <= dimensions);
  size_t count = 0;
  if (dimensions == 1) {
    count = take_number(value, 4);
    FUZZ_EXPECT(count > 0 && take_number(value, 4) == 1);
  }
  bool any_null = false;
  for (size_t i = 0; i < count; ++i) {
    size_t length = take_number(value, 4);
    any_null |= length == 0xffffffff;
    if (length != 0xffffffff) expect_value(column.type, take_bytes(value, length));
  }
  FUZZ_EXPECT(value.empty() && any_null == (nulls == 1));
}

size_t rows_in(std::string_view rows, const std::vector<BinaryColumn>& columns) {
  size_t count = 0;
  for (; !rows.empty(); ++count) {
    FUZZ_EXPECT(take_number(rows, 2) == columns.size());
    for (BinaryColumn column : columns) {
      size_t length = take_number(rows, 4);
      if (length == 0xffffffff) continue;
      std::string_view value = take_bytes(rows, length);
      column.element_oid != 0 ? expect_array(column, value) : expect_value(column.type, value);
    }
  }
  return count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  std::vector<BinaryColumn> columns = chosen_columns(data[0], data[1]);
  BinaryRows converter(columns);
  std::unique_ptr<uint8_t[]> copy(new uint8_t[size - 2]);
  std::memcpy(copy.get(), data + 2, size - 2);
  ByteView text(copy.get(), size - 2);

  const std::string before = "what stood here";
  std::string out = before;
  bool converted = converter.append(text, out);
  FUZZ_EXPECT(out.starts_with(before));
  FUZZ_EXPECT(converted || out == before);

  std::string by_lines = before;
  size_t lines = 0;
  bool each_converted = true;
  for (std::string_view rest = as_text(text); each_converted && !rest.empty(); ++lines) {
    size_t end = rest.find('\n');
    std::string_view line = end == std::string_view::npos ? rest : rest.substr(0, end + 1);
    each_converted = converter.append(as_bytes(line), by_lines);
    rest.remove_prefix(line.size());
  }
  FUZZ_EXPECT(converted == each_converted);
  if (!converted) return 0;
  FUZZ_EXPECT(out == by_lines);
  FUZZ_EXPECT(rows_in(std::string_view(out).substr(before.size()), columns) == lines);
  return 0;
}
