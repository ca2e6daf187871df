// Fuzzes the readers of the audit trail: lines, anchors, proofs, the head as text, as they stand
// and under a hash that is right for them, which is the only way past it. What is read is spelt in
// one way only, so writing it again gives the same bytes. The chain's checker takes any lines, and
// never has more good to say of them than there are sound lines.
#include <cstdint>
#include <string>

#include "audit/anchor.h"
#include "audit/canonical.h"
#include "audit/chain_checker.h"
#include "audit/query.h"
#include "audit/record.h"
#include "base/error.h"
#include "base/text.h"
#include "expect.h"

namespace {

using namespace holdfast;

constexpr size_t kClosingBytes = 75;

// Runs `again`, which reads `text` and writes what it read; what throws is no such document.
template <typename Again>
void comes_back(const std::string& text, Again&& again) {
  try {
    FUZZ_EXPECT(again() == text);
  } catch (const Error& error) {
    FUZZ_EXPECT(error.code() == ErrorCode::corrupt || error.code() == ErrorCode::invalid);
  }
}

void read(const std::string& text) {
  comes_back(text, [&] {
    AuditRecord record = read_audit_line(text);
    FUZZ_EXPECT(text.find('\n') == std::string::npos && is_utf8(text));
    bounded_event(record.event);  // what is read may be written
    return write_audit_line(record);
  });
  comes_back(text + "\n", [&] { return write_audit_anchor(read_audit_anchor(text + "\n")); });
  comes_back(text + "\n", [&] { return write_audit_proof(read_audit_proof(text + "\n")); });
  comes_back(std::string(trim(text)), [&] { return audit_head_line(parse_audit_head_line(text)); });
  comes_back(text, [&] { return format_audit_cursor(parse_audit_cursor(text)); });
}

void check_chain(const std::string& text) {
  AuditChainChecker checker;
  checker.begin_file("log", text.size() % 3);
  uint64_t number = 0;
  for (const std::string& line : split(text, '\n')) checker.line(++number, line);
  checker.end_file();
  checker.finish();
  FUZZ_EXPECT(checker.lines() <= number);
  FUZZ_EXPECT(checker.problem_count() >= number - checker.lines());
  FUZZ_EXPECT(checker.problems().size() <= kAuditProblemsMax);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string text(reinterpret_cast<const char*>(data), size);
  check_chain(text);
  std::string rehashed;
  for (std::string line : split(text, '\n')) {
    read(line);
    if (line.size() < kClosingBytes) continue;
    line = close_document(line.substr(0, line.size() - kClosingBytes));
    read(line);
    rehashed += line + "\n";
  }
  check_chain(rehashed);
  return 0;
}
