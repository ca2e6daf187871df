// What AWS's services say when they are asked for credentials. Whatever the bytes, the readers
// return keys that can stand in a header line or throw Error(corrupt or denied), and no error
// repeats what was read but for a service's own code and the first line of its message.
#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "expect.h"
#include "store/aws_answers.h"

namespace {

using namespace holdfast;

bool is_plain(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

template <typename Parse>
void try_to_parse(Parse&& parse) {
  try {
    AwsCredentials found = parse();
    FUZZ_EXPECT(!found.access_key_id.empty() && !found.secret_access_key.empty());
    FUZZ_EXPECT(is_plain(found.access_key_id) && is_plain(found.session_token.reveal()));
  } catch (const Error& error) {
    FUZZ_EXPECT(error.code() == ErrorCode::corrupt || error.code() == ErrorCode::denied);
    std::string what = error.what();
    FUZZ_EXPECT(what == printable(what, what.size()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view body(reinterpret_cast<const char*>(data), size);
  try_to_parse([&] { return parse_credentials_json(body, "a service"); });
  try_to_parse([&] { return parse_sts_credentials(body, "a service"); });
  StsRefusal refusal = parse_sts_error(body);
  FUZZ_EXPECT(refusal.code == printable(refusal.code, 100));
  FUZZ_EXPECT(refusal.message == printable(refusal.message, 300));
  try {
    parse_expiry(body, "a service");
  } catch (const Error& error) {
    FUZZ_EXPECT(error.code() == ErrorCode::corrupt);
  }
  return 0;
}
