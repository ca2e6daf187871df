// What S3 says in XML: errors, lists, the ids of uploads. Read with pugixml, in this one file.
//
// The bodies come from the network: they are bounded before they get here, entities other than
// XML's own are not expanded, and whatever is not as expected is Error(corrupt) or, in an error's
// own body, left empty. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace holdfast {

// <Error>; also found inside an answer with status 200 (CompleteMultipartUpload).
struct S3ErrorBody {
  std::string code, message;
  std::string region;  // where the bucket is, if the error is about that
};

struct S3Object {
  std::string key;
  uint64_t bytes = 0;
  UtcTime modified{};  // whole seconds, as HEAD says it too
};

struct S3ObjectPage {
  std::vector<S3Object> objects;
  std::string next_token;  // empty: the last page
};

struct S3Upload {
  std::string key, id;
  UtcTime begun{};
};

struct S3UploadPage {
  std::vector<S3Upload> uploads;
  bool last = true;
  std::string next_key, next_id;
};

// Nothing if `body` is no <Error>.
std::optional<S3ErrorBody> parse_s3_error(std::string_view body);
// ListBucketResult of list-type 2.
S3ObjectPage parse_s3_objects(std::string_view body);
// ListMultipartUploadsResult.
S3UploadPage parse_s3_uploads(std::string_view body);
// InitiateMultipartUploadResult: the upload's id.
std::string parse_s3_upload_id(std::string_view body);
// Whether the answer to CompleteMultipartUpload is one: a proxy's page is not.
bool is_s3_completion(std::string_view body);

// The request's body of CompleteMultipartUpload; part i has number i + 1.
std::string write_s3_completion(const std::vector<std::string>& etags);

// `Fri, 24 May 2013 00:00:00 GMT`, the time of HTTP's headers. Nothing if it is none.
std::optional<UtcTime> parse_http_time(std::string_view text);

}  // namespace holdfast
