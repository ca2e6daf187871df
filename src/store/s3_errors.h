// What an S3 server's refusal means to us, and to the user. Pure functions over status and code.
#pragma once

#include <string>

#include "base/error.h"
#include "store/s3_xml.h"

namespace holdfast {

// May be gone at the next attempt: overload, a timeout, a conflict, bytes damaged on the way.
bool s3_is_transient(int status, const std::string& code);
// Temporary credentials that are no longer good.
bool s3_is_expired(const std::string& code);
// The server does not know what was asked for (a header, a kind of request).
bool s3_is_not_implemented(int status, const S3ErrorBody& error);

// `server_time` is the answer's Date header, for clocks that differ.
Error s3_error(int status, const S3ErrorBody& error, const std::string& what,
               const std::string& server_time);

}  // namespace holdfast
