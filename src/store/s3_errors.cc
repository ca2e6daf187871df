#include "store/s3_errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace holdfast {
namespace {

bool is_one_of(std::string_view code, std::initializer_list<std::string_view> codes) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

struct Meaning {
  std::string_view code;
  ErrorCode kind;
  std::string_view says;
  std::string_view hint;
};

// From the S3 API reference, "Error responses", and what MinIO and Ceph add.
constexpr Meaning kMeanings[] = {
    {"NoSuchKey", ErrorCode::not_found, "no such object", ""},
    {"NoSuchBucket", ErrorCode::invalid, "there is no such bucket",
     "make the bucket, or correct S3_BACKUP_BUCKET and the endpoint"},
    {"InvalidBucketName", ErrorCode::invalid, "a bucket cannot have this name",
     "correct S3_BACKUP_BUCKET: lower-case letters, digits, hyphens"},
    {"AllAccessDisabled", ErrorCode::denied, "access to this bucket is disabled",
     "correct S3_BACKUP_BUCKET: it may be somebody else's"},
    {"AccountProblem", ErrorCode::denied, "the account has a problem", "ask the provider"},
    {"InvalidAccessKeyId", ErrorCode::denied, "the server does not know this access key",
     "correct AWS_ACCESS_KEY_ID or AWS_PROFILE, or the endpoint they belong to"},
    {"SignatureDoesNotMatch", ErrorCode::denied, "the server refuses our signature",
     "correct AWS_SECRET_ACCESS_KEY; a proxy in between that changes requests does it too"},
    {"ExpiredToken", ErrorCode::denied, "the credentials have expired",
     "renew them (aws sso login, a new session token)"},
    {"InvalidToken", ErrorCode::denied, "the session token is not valid",
     "AWS_SESSION_TOKEN has to belong to AWS_ACCESS_KEY_ID; remove it for permanent keys"},
    {"InvalidStorageClass", ErrorCode::invalid, "the server has no such storage class",
     "choose another storage class, or none"},
    {"InvalidObjectState", ErrorCode::unavailable,
     "the object lies in an archive tier and cannot be read at once",
     "restore it there first: aws s3api restore-object"},
    {"EntityTooLarge", ErrorCode::unsupported, "the object is larger than the server takes", ""},
    {"QuotaExceeded", ErrorCode::unavailable, "the quota is used up",
     "free some space there or raise the quota"},
    {"XMinioStorageFull", ErrorCode::unavailable, "the server's disks are full",
     "free some space there"},
    {"KMS.NotFoundException", ErrorCode::invalid, "the KMS key does not exist",
     "correct the KMS key's id, and see that it is in the bucket's region"},
    {"KMS.DisabledException", ErrorCode::invalid, "the KMS key is disabled",
     "enable it, or name another"},
    {"KMS.KMSInvalidStateException", ErrorCode::invalid, "the KMS key is not usable",
     "see its state in KMS, or name another"},
    {"NotImplemented", ErrorCode::unsupported, "the server cannot do this",
     "leave out what it does not know (storage class, encryption, object lock)"},
};

constexpr std::string_view kDeniedHint =
    "give these credentials s3:ListBucket and s3:ListBucketMultipartUploads on the bucket, and "
    "s3:GetObject, s3:PutObject, s3:AbortMultipartUpload, s3:DeleteObject on its objects";

// What is not in the table, by its status alone.
Meaning meaning_of(int status, const std::string& code) {
  for (const Meaning& one : kMeanings)
    if (code == one.code || (code.empty() && status == 404 && one.code == "NoSuchKey")) return one;
  if (s3_is_expired(code)) return meaning_of(status, "ExpiredToken");
  if (status == 401 || status == 403) return {{}, ErrorCode::denied, "access denied", kDeniedHint};
  if (status == 404) return {{}, ErrorCode::not_found, "not found", ""};
  if (status == 501) return meaning_of(status, "NotImplemented");
  if (s3_is_transient(status, code))
    return {{}, ErrorCode::unavailable, "the server cannot answer now", "try again later"};
  if (status >= 300 && status < 400)
    return {{}, ErrorCode::invalid, "the server sends us elsewhere", "correct the endpoint"};
  return {{}, ErrorCode::invalid, "the server refuses the request", ""};
}

}  // namespace

bool s3_is_transient(int status, const std::string& code) {
  if (status == 408 || status == 429 || status == 500 || (status >= 502 && status <= 504))
    return code != "NotImplemented";
  return is_one_of(
      code,
      {"InternalError", "ServiceUnavailable", "SlowDown", "SlowDownRead", "SlowDownWrite", "Busy",
       "RequestTimeout", "RequestTimeoutException", "Throttling", "ThrottlingException",
       "TooManyRequests", "RequestLimitExceeded", "BandwidthLimitExceeded", "OperationAborted",
       "ConditionalRequestConflict", "BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody"});
}

bool s3_is_expired(const std::string& code) {
  return is_one_of(code, {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"});
}

bool s3_is_not_implemented(int status, const S3ErrorBody& error) {
  return status == 501 || error.code == "NotImplemented" ||
         (status == 400 && error.message.find("If-None-Match") != std::string::npos);
}

Error s3_error(int status, const S3ErrorBody& error, const std::string& what,
               const std::string& server_time) {
  std::string detail = error.code.empty() ? fmt::format("status {}", status) : error.code;
  if (!error.message.empty() && error.message != error.code) detail += ": " + error.message;

  if (error.code == "RequestTimeTooSkewed")
    return Error(ErrorCode::denied,
                 fmt::format("{}: this machine's clock is wrong: the server has {}", what,
                             server_time.empty() ? "another time" : server_time),
                 "set the clock (timedatectl set-ntp true)");
  if (!error.region.empty())
    return Error(ErrorCode::invalid,
                 fmt::format("{}: the bucket is in region {} ({})", what, error.region, detail),
                 fmt::format("set AWS_REGION={}", error.region));
  if (status == 400 && error.message.find("Object Lock") != std::string::npos)
    return Error(ErrorCode::invalid, fmt::format("{}: {}", what, detail),
                 "Object Lock has to be switched on for the bucket, when it is made");
  Meaning meaning = meaning_of(status, error.code);
  return Error(meaning.kind, fmt::format("{}: {} ({})", what, meaning.says, detail),
               std::string(meaning.hint));
}

}  // namespace holdfast
