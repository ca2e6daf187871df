// A store in an S3 bucket: AWS, or any server that speaks its language (MinIO, Ceph, R2, B2,
// Garage). An object is one key, `<prefix><name>`; it becomes visible by one PUT or by the
// completion of a multipart upload, both create-only where the server has that. What it needs of
// rights, and what a versioned bucket means: docs/format/store.md.
// Splits: s3_client asks again while that can help; s3_writer and s3_reader move the bytes.
#pragma once

#include <memory>

#include "base/clock.h"
#include "store/aws_credentials.h"
#include "store/http.h"
#include "store/object_store.h"
#include "store/s3_settings.h"

namespace holdfast {

// All that is passed by reference outlives the store. Throws Error(invalid) for settings that
// cannot be right; nothing is sent yet.
std::unique_ptr<ObjectStore> make_s3_store(const S3Settings& settings,
                                           CredentialSource& credentials, HttpTransport& transport,
                                           const Clock& clock);

}  // namespace holdfast
