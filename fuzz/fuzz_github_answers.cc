// Fuzzes the readers of what GitHub answers: lists of issues and comments, one issue, and the Link
// header of a page. Whatever the bytes: an answer or Error(unavailable).
#include <string_view>

#include "alert/wire_json.h"
#include "base/error.h"
#include "expect.h"

namespace {

template <typename Read>
void try_read(Read&& read) {
  try {
    read();
  } catch (const holdfast::Error& error) {
    FUZZ_EXPECT(error.code() == holdfast::ErrorCode::unavailable);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  try_read([&] {
    for (const holdfast::GithubIssue& issue : holdfast::read_github_issues(text))
      FUZZ_EXPECT(issue.number >= 0);
  });
  try_read([&] { FUZZ_EXPECT(holdfast::read_github_issue(text).number >= 0); });
  try_read([&] { (void)holdfast::read_github_comments(text); });
  if (auto page = holdfast::next_github_page(text)) FUZZ_EXPECT(*page > 0);
  return 0;
}
