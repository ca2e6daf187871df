// The steps of a multipart upload, one request each: begin, send a part, abort. What puts them
// together is s3_writer. Thread-safe as the bucket is.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "base/error.h"
#include "store/s3_bucket.h"

namespace holdfast {

// Returns the upload's id. `shown` names the object for people.
std::string begin_s3_upload(S3Bucket& bucket, const std::string& key, const std::string& shown,
                            const PutOptions& options, const std::string& token);

// Returns the part's ETag. Throws Error(corrupt) if the server keeps storing other bytes.
std::string send_s3_part(S3Bucket& bucket, const std::string& key, const std::string& id,
                         int number, ByteView bytes, const std::string& shown,
                         const std::stop_token& stop);

// Ends the unfinished upload `id` of `key`, and frees its parts; one that is gone is no error.
void abort_s3_upload(S3Bucket& bucket, const std::string& key, const std::string& id);

// Proves that uploads are possible without leaving anything: begins one, sends a part, aborts it.
void try_s3_upload(S3Bucket& bucket);

// What S3 says it has stored must be what was sent. Servers that encrypt with KMS, or that do not
// use MD5, have other ETags.
std::optional<Error> check_s3_etag(const HttpResponse& http, const std::string& md5);

// Error(corrupt): the bytes under our name are not the ones that were sent.
Error s3_stored_other_bytes();

// Error(unavailable) for an upload that is not there any more.
Error s3_upload_ended(const std::string& shown);

}  // namespace holdfast
