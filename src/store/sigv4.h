// AWS Signature Version 4: how a request to S3 (and to STS) proves who sends it.
//
// The signature covers method, path, query, every header it is given and the body's SHA-256, so
// what is sent has to be exactly what was signed: callers send the path and query strings that
// these functions make. S3's dialect: a path is encoded once. Pure functions; time comes in.
// Source: AWS, "Create a signed AWS API request"; checked with AWS's published examples.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "store/aws_credentials.h"
#include "store/http.h"

namespace holdfast {

using HttpQuery = std::vector<std::pair<std::string, std::string>>;

// RFC 3986's percent-encoding of everything but `A-Z a-z 0-9 - . _ ~` (and `/`, if kept).
std::string uri_encode(std::string_view text, bool keep_slash);

// `a=1&b=%20`: encoded, then sorted; what goes into the URL as well.
std::string encode_query(const HttpQuery& query);

struct SigningTarget {
  std::string method;
  std::string path;   // encoded, with its leading slash
  std::string query;  // from encode_query
  std::string payload_sha256;
  std::string region;
  std::string service = "s3";
};

// Adds x-amz-date, x-amz-security-token (for temporary credentials) and authorization to
// `headers`, whose other entries, `host` among them and all names in lower case, are signed too.
void sign_request(const SigningTarget& target, const AwsCredentials& credentials, UtcTime now,
                  HttpHeaders& headers);

}  // namespace holdfast
