// Fuzzes the readers of what says who we are to AWS: the shared files, and the services' answers.
// Whatever the bytes are, they give sections or Error(invalid) that names a line; credentials that
// can stand in a header line, or an Error. No error shows what was read.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "expect.h"
#include "store/aws_answers.h"
#include "store/aws_profile.h"

using holdfast::Error;
using holdfast::ErrorCode;

namespace {

bool fits_a_header(const std::string& text) {
  for (char c : text)
    if (c <= ' ' || c > '~') return false;
  return true;
}

template <typename Parse>
void read_answer(Parse&& parse, std::string_view text) {
  try {
    holdfast::AwsCredentials found = parse(text, "s");
    FUZZ_EXPECT(!found.access_key_id.empty() && !found.secret_access_key.empty());
    FUZZ_EXPECT(fits_a_header(found.access_key_id));
    FUZZ_EXPECT(fits_a_header(found.session_token.reveal()));
  } catch (const Error& error) {
    FUZZ_EXPECT(error.code() == ErrorCode::corrupt || error.code() == ErrorCode::denied);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > holdfast::kCredentialAnswerBytesMax) return 0;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    holdfast::AwsSections found = holdfast::parse_aws_file(text, "f");
    for (const auto& [section, options] : found) {
      FUZZ_EXPECT(!section.empty());
      for (const auto& [name, value] : options) {
        FUZZ_EXPECT(!name.empty());
        FUZZ_EXPECT((name + value).find('\n') == std::string::npos);
      }
    }
    holdfast::AwsProfiles::of(found, found).find("default");
  } catch (const Error& error) {
    FUZZ_EXPECT(error.code() == ErrorCode::invalid);
    FUZZ_EXPECT(std::string_view(error.what()).starts_with("f:"));
    FUZZ_EXPECT(std::string_view(error.what()).size() < 80);
  }
  read_answer(holdfast::parse_credentials_json, text);
  read_answer(holdfast::parse_sts_credentials, text);
  holdfast::StsRefusal refusal = holdfast::parse_sts_error(text);
  FUZZ_EXPECT(refusal.code.find('\n') == std::string::npos);
  return 0;
}
