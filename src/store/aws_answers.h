// What services say when they are asked for credentials: STS in XML; the container's, the
// instance's and a `credential_process` in JSON.
//
// Foreign bytes, bounded before they get here. Pure functions; errors name `service` and never show
// what was read, for it holds keys.
#pragma once

#include <string>
#include <string_view>

#include "store/aws_credentials.h"

namespace holdfast {

constexpr size_t kCredentialAnswerBytesMax = 256 << 10;

// {"AccessKeyId", "SecretAccessKey", "Token" or "SessionToken", "Expiration"}; a "Code" other than
// "Success" is Error(denied). Throws Error(corrupt) for what is not that.
AwsCredentials parse_credentials_json(std::string_view body, const std::string& service);

// <…Result><Credentials> of AssumeRole and AssumeRoleWithWebIdentity. Throws Error(corrupt).
AwsCredentials parse_sts_credentials(std::string_view body, const std::string& service);

struct StsRefusal {
  std::string code, message;  // empty where the answer does not say; fit to be printed
};
StsRefusal parse_sts_error(std::string_view body);

// RFC 3339, with or without a fraction, `Z` or an offset. Throws Error(corrupt).
UtcTime parse_expiry(std::string_view text, const std::string& service);

}  // namespace holdfast
