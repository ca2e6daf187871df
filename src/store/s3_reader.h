// An object in a bucket, read by ranges.
//
// A read is one ranged GET, unless it goes on where an earlier one ended: then blocks of 4 MiB are
// fetched, the next ones ahead of time by threads of the reader, and small reads in a row cost no
// round trip each. Up to 16 blocks are kept (64 MiB), whoever reads. Every range carries the ETag
// that open() saw: an object that is replaced meanwhile is noticed. Any number of threads.
#pragma once

#include <memory>
#include <string>

#include "store/s3_bucket.h"

namespace holdfast {

// Throws Error(not_found).
std::unique_ptr<ObjectReader> open_s3_object(S3Bucket& bucket, const std::string& name);

}  // namespace holdfast
