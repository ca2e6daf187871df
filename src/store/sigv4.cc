#include "store/sigv4.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text.h"
#include "seal/hmac.h"
#include "seal/sha256.h"

namespace holdfast {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

// `20130524T000000Z`
std::string basic_time(UtcTime now) {
  std::string text = format_rfc3339(now);
  return fmt::format("{}{}{}T{}{}{}Z", text.substr(0, 4), text.substr(5, 2), text.substr(8, 2),
                     text.substr(11, 2), text.substr(14, 2), text.substr(17, 2));
}

// Trimmed, and blanks in a row as one.
std::string canonical_value(std::string_view value) {
  std::string out;
  for (char c : trim(value))
    if (c != ' ' || out.empty() || out.back() != ' ') out += c;
  return out;
}

struct CanonicalHeaders {
  std::string lines;         // "name:value\n" for each
  std::string signed_names;  // "a;b;c"
};

CanonicalHeaders canonical_headers(HttpHeaders headers) {
  std::sort(headers.begin(), headers.end());
  CanonicalHeaders canonical;
  for (const auto& [name, value] : headers) {
    canonical.lines += fmt::format("{}:{}\n", name, canonical_value(value));
    canonical.signed_names += fmt::format("{}{}", canonical.signed_names.empty() ? "" : ";", name);
  }
  return canonical;
}

}  // namespace

std::string uri_encode(std::string_view text, bool keep_slash) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (char c : text) {
    bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                 c == '-' || c == '.' || c == '_' || c == '~' || (c == '/' && keep_slash);
    if (plain) {
      out += c;
      continue;
    }
    auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

std::string encode_query(const HttpQuery& query) {
  HttpQuery encoded;
  for (const auto& [name, value] : query)
    encoded.emplace_back(uri_encode(name, false), uri_encode(value, false));
  std::sort(encoded.begin(), encoded.end());
  std::string out;
  for (const auto& [name, value] : encoded)
    out += fmt::format("{}{}={}", out.empty() ? "" : "&", name, value);
  return out;
}

void sign_request(const SigningTarget& target, const AwsCredentials& credentials, UtcTime now,
                  HttpHeaders& headers) {
  std::string time = basic_time(now);
  std::string date = time.substr(0, 8);
  headers.emplace_back("x-amz-date", time);
  if (!credentials.session_token.empty())
    headers.emplace_back("x-amz-security-token", credentials.session_token.reveal());

  CanonicalHeaders canonical = canonical_headers(headers);
  std::string request =
      fmt::format("{}\n{}\n{}\n{}\n{}\n{}", target.method, target.path, target.query,
                  canonical.lines, canonical.signed_names, target.payload_sha256);
  std::string scope = fmt::format("{}/{}/{}/aws4_request", date, target.region, target.service);
  std::string to_sign =
      fmt::format("{}\n{}\n{}\n{}", kAlgorithm, time, scope, sha256_hex(as_bytes(request)));

  Mac key =
      hmac_sha256(as_bytes(fmt::format("AWS4{}", credentials.secret_access_key.reveal())), date);
  key = hmac_sha256(key, target.region);
  key = hmac_sha256(key, target.service);
  key = hmac_sha256(key, "aws4_request");
  headers.emplace_back("authorization",
                       fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}",
                                   kAlgorithm, credentials.access_key_id, scope,
                                   canonical.signed_names, to_hex(hmac_sha256(key, to_sign))));
}

}  // namespace holdfast
