#include "store/s3_multipart.h"

#include <fmt/format.h>

#include "base/file.h"

namespace holdfast {
namespace {

bool is_hex_md5(const std::string& text) {
  return text.size() == 32 && !from_hex(text).empty();
}

}  // namespace

Error s3_upload_ended(const std::string& shown) {
  return Error(ErrorCode::unavailable,
               fmt::format("{}: its upload was ended by somebody else", shown),
               "two runs into one bucket clear each other's leftovers: run again");
}

std::string begin_s3_upload(S3Bucket& bucket, const std::string& key, const std::string& shown,
                            const PutOptions& options, const std::string& token) {
  S3Request request;
  request.method = "POST";
  request.key = key;
  request.query = {{"uploads", ""}};
  request.headers = bucket.new_object_headers(options, /*is_large=*/true, token);
  // What is no such answer (a proxy's page, say) is asked for again.
  std::string id;
  request.check = [&](const HttpResponse& http) -> std::optional<Error> {
    try {
      id = parse_s3_upload_id(http.body);
      return std::nullopt;
    } catch (const Error& error) {
      return error;
    }
  };
  S3Answer answer = bucket.client().call(request);
  bucket.client().require_ok(answer, fmt::format("begin the upload of {}", shown));
  return id;
}

Error s3_stored_other_bytes() {
  return Error(ErrorCode::corrupt, "the server stored other bytes than were sent",
               "the network or the server damages data: try another way to it");
}

std::optional<Error> check_s3_etag(const HttpResponse& http, const std::string& md5) {
  std::string etag = http.header("etag");
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"')
    etag = etag.substr(1, etag.size() - 2);
  if (etag.empty()) return Error(ErrorCode::unavailable, "the server gave the bytes no ETag");
  bool kms = http.header("x-amz-server-side-encryption").starts_with("aws:kms");
  if (kms || !is_hex_md5(etag) || etag == to_hex(as_bytes(md5))) return std::nullopt;
  return s3_stored_other_bytes();
}

std::string send_s3_part(S3Bucket& bucket, const std::string& key, const std::string& id,
                         int number, ByteView bytes, const std::string& shown,
                         const std::stop_token& stop) {
  std::string md5 = md5_bytes(bytes);
  S3Request request;
  request.method = "PUT";
  request.key = key;
  request.query = {{"partNumber", std::to_string(number)}, {"uploadId", id}};
  request.headers = {{"content-md5", to_base64(as_bytes(md5))}};
  request.body = bytes;
  request.attempts = bucket.settings().data_attempts;
  request.stop = stop;
  request.check = [&](const HttpResponse& http) { return check_s3_etag(http, md5); };
  S3Answer answer = bucket.client().call(request);
  if (answer.error.code == "NoSuchUpload") throw s3_upload_ended(shown);
  bucket.client().require_ok(answer, fmt::format("upload part {} of {}", number, shown));
  return answer.http.header("etag");
}

void abort_s3_upload(S3Bucket& bucket, const std::string& key, const std::string& id) {
  S3Request request;
  request.method = "DELETE";
  request.key = key;
  request.query = {{"uploadId", id}};
  request.even_if_stopped = true;
  S3Answer answer = bucket.client().call(request);
  int status = answer.http.status;
  // Gone already; or a server that does not know how (405, 501): there its own expiry has to do.
  if (status != 404 && status != 405 && status != 501)
    bucket.client().require_ok(answer, fmt::format("end an upload to {}", bucket.location()));
}

void try_s3_upload(S3Bucket& bucket) {
  std::string name = std::string(kTrialPrefix) + random_hex(8);
  std::string key = bucket.key_of(name), shown = bucket.shown(name);
  std::string id = begin_s3_upload(bucket, key, shown, {}, random_hex(16));
  try {
    send_s3_part(bucket, key, id, 1, as_bytes("x"), shown, {});
  } catch (const Error&) {
    try {
      abort_s3_upload(bucket, key, id);
    } catch (const Error&) {
      // The first failure says more; reap_unfinished() finds the upload.
    }
    throw;
  }
  abort_s3_upload(bucket, key, id);
}

}  // namespace holdfast
