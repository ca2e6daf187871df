#include "store/s3_bucket.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/text.h"

namespace holdfast {
namespace {

constexpr size_t kKeyBytesMax = 1024;
// x-amz-meta-*: kept with the object by every server.
constexpr const char* kTokenHeader = "x-amz-meta-holdfast-writer";

constexpr size_t kPrefixBytesMax = 512;  // half of what a key may have

std::string as_folder(std::string prefix) {
  while (prefix.starts_with('/')) prefix.erase(0, 1);
  while (prefix.ends_with('/')) prefix.pop_back();
  if (prefix.empty()) return prefix;
  // A prefix may be anything that a key may, other than a control character; it need not be a name
  // that other stores would take.
  bool good = is_utf8(prefix) && prefix.size() <= kPrefixBytesMax &&
              std::none_of(prefix.begin(), prefix.end(), [](char c) {
                return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
              });
  // Such parts would be taken for steps in a URL's path by some.
  for (const std::string& part : split(prefix, '/'))
    good = good && !part.empty() && part != "." && part != "..";
  if (!good)
    throw Error(ErrorCode::invalid,
                fmt::format("'{}' cannot be a prefix of keys", printable(prefix)),
                fmt::format("it is UTF-8 of at most {} bytes, without control characters, empty "
                            "parts, '.' and '..'",
                            kPrefixBytesMax));
  return prefix + "/";
}

// Whole seconds, rounded up: a lock never ends early.
std::string lock_time(UtcTime until) {
  UtcTime seconds = std::chrono::ceil<std::chrono::seconds>(until);
  return format_rfc3339(seconds).substr(0, 19) + "Z";
}

std::optional<UtcTime> parse_lock_time(const std::string& text) {
  if (text.size() < 20 || text.back() != 'Z') return std::nullopt;
  return parse_rfc3339(text.substr(0, 19) + ".000Z") +
         (text.size() > 20 ? std::chrono::seconds(1) : std::chrono::seconds(0));
}

}  // namespace

std::string md5_bytes(ByteView bytes) {
  std::string digest(16, '\0');
  size_t size = 0;
  if (EVP_Q_digest(nullptr, "MD5", nullptr, bytes.data(), bytes.size(),
                   reinterpret_cast<unsigned char*>(digest.data()), &size) != 1 ||
      size != digest.size())
    throw Error(ErrorCode::unsupported, "this OpenSSL has no MD5, which S3 needs",
                "OpenSSL's FIPS mode forbids it: use the default provider");
  return digest;
}

S3Bucket::S3Bucket(const S3Settings& settings, CredentialSource& credentials,
                   HttpTransport& transport, const Clock& clock)
    : settings_(settings),
      prefix_(as_folder(settings.prefix)),
      clock_(clock),
      client_(settings_, credentials, transport, clock) {
  bool aws = client_.at_aws();
  if (!settings_.storage_class) settings_.storage_class = aws ? "STANDARD_IA" : "";
  if (!settings_.sse) settings_.sse = aws ? "AES256" : "";
}

std::string S3Bucket::key_of(const std::string& name) const {
  check_object_name(name);
  std::string key = prefix_ + name;
  if (key.size() > kKeyBytesMax)
    throw Error(ErrorCode::invalid, fmt::format("'{}' is too long for a bucket", printable(name)));
  return key;
}

std::optional<std::string> S3Bucket::name_of(const std::string& key) const {
  if (!key.starts_with(prefix_)) return std::nullopt;
  std::string name = key.substr(prefix_.size());
  try {
    check_object_name(name);
  } catch (const Error&) {
    return std::nullopt;
  }
  return name;
}

std::string S3Bucket::shown(const std::string& name) const {
  return fmt::format("s3://{}/{}{}", settings_.bucket, prefix_, name);
}

std::string S3Bucket::location() const {
  std::string text = shown("");
  text.pop_back();
  return text;
}

// What the headers say of an object; nothing if they are not those of one.
std::optional<S3Found> S3Bucket::read_head(const std::string& name, const HttpResponse& http) {
  S3Found found;
  found.info.name = name;
  std::string size = http.header("content-length");
  auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), found.info.bytes);
  std::optional<UtcTime> modified = parse_http_time(http.header("last-modified"));
  if (size.empty() || error != std::errc() || end != size.data() + size.size() || !modified)
    return std::nullopt;
  found.info.modified = *modified;
  found.info.locked_until = parse_lock_time(http.header("x-amz-object-lock-retain-until-date"));
  found.etag = http.header("etag");
  found.token = http.header(kTokenHeader);
  return found;
}

std::optional<S3Found> S3Bucket::find(const std::string& name) {
  S3Request request;
  request.method = "HEAD";
  request.key = key_of(name);
  std::optional<S3Found> found;
  request.check = [&](const HttpResponse& http) -> std::optional<Error> {
    found = read_head(name, http);
    if (found) return std::nullopt;
    return Error(ErrorCode::unavailable,
                 fmt::format("{}: the server does not say its size and time", shown(name)),
                 "see that the endpoint is that of an S3 service");
  };
  S3Answer answer = client_.call(request);
  if (answer.http.status == 404) return std::nullopt;
  client_.require_ok(answer, shown(name));
  return found;
}

void S3Bucket::remove(const std::string& name) {
  S3Request request;
  request.method = "DELETE";
  request.key = key_of(name);
  request.even_if_stopped = true;
  S3Answer answer = client_.call(request);
  if (answer.http.status != 404 || answer.error.code == "NoSuchBucket")
    client_.require_ok(answer, fmt::format("remove {}", shown(name)));
}

HttpHeaders S3Bucket::new_object_headers(const PutOptions& options, bool is_large,
                                         const std::string& token) const {
  HttpHeaders headers{{"content-type", "application/octet-stream"}, {kTokenHeader, token}};
  if (is_large && !settings_.storage_class->empty())
    headers.emplace_back("x-amz-storage-class", *settings_.storage_class);
  if (!settings_.sse->empty()) headers.emplace_back("x-amz-server-side-encryption", *settings_.sse);
  if (*settings_.sse == "aws:kms" && !settings_.kms_key.empty())
    headers.emplace_back("x-amz-server-side-encryption-aws-kms-key-id", settings_.kms_key);
  if (!settings_.object_lock.empty() && options.keep_until) {
    headers.emplace_back("x-amz-object-lock-mode", settings_.object_lock);
    headers.emplace_back("x-amz-object-lock-retain-until-date", lock_time(*options.keep_until));
  }
  return headers;
}

}  // namespace holdfast
