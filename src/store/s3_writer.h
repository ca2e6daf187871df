// An object on its way into a bucket: one PUT if it is known to be small, else a multipart upload
// whose parts are sent, several at once, while the caller still writes.
//
// Memory: at most max(2, kPartsMemory / part) parts, one of them being filled. Each part is retried
// by itself; its ETag must be its MD5. What was asked for but not answered is found out: the object
// carries a token of its writer. Destroyed without commit, the upload is aborted; if even that
// fails, reap_unfinished() finds it later.
#pragma once

#include <memory>
#include <string>

#include "store/s3_bucket.h"

namespace holdfast {

std::unique_ptr<ObjectWriter> make_s3_writer(S3Bucket& bucket, const std::string& name,
                                             const PutOptions& options);

// Ends the unfinished upload `id` of `key`, and frees its parts; one that is gone is no error.
void abort_s3_upload(S3Bucket& bucket, const std::string& key, const std::string& id);

// Proves that uploads are possible without leaving anything: begins one, sends a part, aborts it.
void try_s3_upload(S3Bucket& bucket);

}  // namespace holdfast
