// Rows and checksum of COPY text. Input: one byte that chooses how the rest is cut into calls. The
// sum of a text in parts is the sum of its lines, whatever the parts and whatever the lines' order.
#include <algorithm>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "expect.h"
#include "seal/row_checksum.h"

namespace {

using namespace holdfast;

RowChecksum sum_of_parts(ByteView text, size_t cut, bool& at_line_start) {
  RowSummer summer;
  while (!text.empty()) {
    ByteView part = text.first(std::min(cut, text.size()));
    summer.add_text(part);
    text = text.subspan(part.size());
  }
  at_line_start = summer.at_line_start();
  return summer.sum();
}

RowChecksum sum_of_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  for (size_t end; (end = text.find('\n')) != std::string_view::npos;) {
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  std::reverse(lines.begin(), lines.end());
  RowSummer summer;
  for (std::string_view line : lines) summer.add_line(as_bytes(line));
  return summer.sum();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  ByteView text(data + 1, size - 1);
  bool at_line_start = false, same = false;
  RowChecksum parts = sum_of_parts(text, size_t{data[0]} + 1, at_line_start);
  FUZZ_EXPECT(parts == sum_of_parts(text, std::max<size_t>(text.size(), 1), same));
  FUZZ_EXPECT(at_line_start == same);
  FUZZ_EXPECT(at_line_start == (text.empty() || text.back() == '\n'));
  FUZZ_EXPECT(parts == sum_of_lines(as_text(text)));

  std::string hex = parts.sum_hex();
  FUZZ_EXPECT(RowChecksum::from(parts.rows, hex) == parts);
  // Foreign text in its place is refused or spells the same again.
  try {
    std::string foreign(as_text(text));
    FUZZ_EXPECT(RowChecksum::from(1, foreign).sum_hex() == foreign);
  } catch (const Error& error) {
    FUZZ_EXPECT(error.code() == ErrorCode::corrupt);
  }
  return 0;
}
