// What a refusal of the Neon API means to us, and the next step for the user. Pure functions over
// status, code and message; the codes are those of docs and of Neon's own clients.
#pragma once

#include <string>

#include "base/error.h"

namespace holdfast::neon {

// Nothing was done; the same request may be sent again whatever it was (423, 429, 503).
bool is_refused_for_now(int status);
// Something between us and the API gave up waiting: it may have been done (502, 504).
bool may_have_been_done(int status);

// `what` is the step ("create branch care-test"); `host` names the API in errors about itself.
// Neither the message nor the hint holds a key.
Error api_error(int status, const std::string& code, const std::string& message,
                const std::string& what, const std::string& host);

}  // namespace holdfast::neon
