// The target of a request (what stands between the method and the version) taken apart, strictly:
// one reading only, so that nothing can mean one thing to a check and another to a handler.
// Pure; may be called by any thread.
#pragma once

#include <string>
#include <string_view>

#include "serve/http_server.h"

namespace holdfast {

// Sets path and query of `request`. Throws Error(invalid) for a percent sign without two
// hexadecimal digits, for control characters and bytes that are not UTF-8 (raw or encoded), for a
// path that does not begin with '/', has an empty, "." or ".." part or an encoded '/', and for more
// parameters than any call has.
void parse_target(std::string_view target, WebRequest& request);

// `X-Request-ID` of a client: 1 to 128 printable characters without blanks.
bool is_request_id(std::string_view text);

std::string make_request_uuid();  // version 4

}  // namespace holdfast
