// COPY statements. What is accepted is exactly table and columns between the fixed words, so that
// nothing can be slipped into the statements that are made of the parts.
#include "base/error.h"
#include "expect.h"
#include "pg/archive.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace holdfast;
  try {
    CopyTarget target = parse_copy_statement(std::string(as_text({data, size})));
    FUZZ_EXPECT(!target.table.empty());
    FUZZ_EXPECT(target.columns.empty() ||
                (target.columns.front() == '(' && target.columns.back() == ')'));
    std::string statement = "COPY " + target.table + ' ' + target.columns + " FROM stdin;\n";
    CopyTarget again = parse_copy_statement(statement);
    FUZZ_EXPECT(again.table == target.table);
    FUZZ_EXPECT(again.columns == target.columns);
  } catch (const Error& error) {
    FUZZ_EXPECT(error.code() == ErrorCode::unsupported);
  }
  return 0;
}
