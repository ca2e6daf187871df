// Errors as the API answers them: a status and a body {"request_id","code","message"}. Clients
// print the message and tell by words in it what to do ("already exists", "does not exist"), so
// every answer that is no success has this body. One table over ErrorCode, like the exit codes.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "serve/http_server.h"

namespace holdfast {

// For unknown routes, and so for every feature of Neon that is not here: stock clients take a 404
// that says "does not exist" as "this server does not have it" and go on.
inline constexpr char kNoSuchRoute[] = "this route does not exist";

int http_status_of(ErrorCode code);

WebResponse error_response(int status, std::string_view code, std::string_view message,
                           const std::string& request_id);

// The message with its hint. What a message begins with in CAPITALS, before a colon, is the API's
// code ("BRANCHES_LIMIT_EXCEEDED: …"). 423 and 503 say when to come again.
WebResponse error_response(const Error& error, const std::string& request_id);

}  // namespace holdfast
