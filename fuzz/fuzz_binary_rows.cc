// COPY text to binary rows. Input: one byte that chooses the columns' types, then the text. What is
// refused leaves the output alone; what is converted has the form of the manual, a row for each
// line, and is the same when the lines are converted one by one. The text stands at the end of a
// block of its own size, so that a sanitizer sees any read past it.
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

// The low four bits choose the first column's type, the high ones how many follow it.
std::vector<BinaryType> chosen_columns(uint8_t choice) {
  constexpr int kTypes = static_cast<int>(BinaryType::bytea) + 1;
  std::vector<BinaryType> columns;
  if (choice == 0xff) return columns;
  for (int i = 0; i <= choice >> 4; ++i) {
    columns.push_back(static_cast<BinaryType>(((choice & 15) + i) % kTypes));
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

size_t rows_in(std::string_view rows, size_t columns) {
  size_t count = 0;
  for (; !rows.empty(); ++count) {
    FUZZ_EXPECT(take_number(rows, 2) == columns);
    for (size_t i = 0; i < columns; ++i) {
      size_t length = take_number(rows, 4);
      if (length == 0xffffffff) continue;
      FUZZ_EXPECT(length <= rows.size());
      rows.remove_prefix(length);
    }
  }
  return count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  std::vector<BinaryType> columns = chosen_columns(data[0]);
  BinaryRows converter(columns);
  std::unique_ptr<uint8_t[]> copy(new uint8_t[size - 1]);
  std::memcpy(copy.get(), data + 1, size - 1);
  ByteView text(copy.get(), size - 1);

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
  FUZZ_EXPECT(rows_in(std::string_view(out).substr(before.size()), columns.size()) == lines);
  return 0;
}
