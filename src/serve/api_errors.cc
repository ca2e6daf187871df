#include "serve/api_errors.h"

#include "neon/json.h"

namespace holdfast {
namespace {

// Of clients that are told to come again: stock ones wait at most 10 s, and most work is done by
// then.
constexpr char kRetryAfterSeconds[] = "2";

// Takes the API's code off the front of `message`; empty if there is none.
std::string take_code(std::string& message) {
  size_t colon = message.find(": ");
  if (colon == message.npos || colon < 3) return {};
  for (size_t i = 0; i < colon; ++i)
    if (!(message[i] >= 'A' && message[i] <= 'Z') && message[i] != '_') return {};
  std::string code = message.substr(0, colon);
  message.erase(0, colon + 2);
  return code;
}

}  // namespace

int http_status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid:
      return 400;
    case ErrorCode::denied:
      return 403;
    case ErrorCode::not_found:
      return 404;
    case ErrorCode::exists:
      return 409;
    case ErrorCode::unsupported:
    case ErrorCode::violated:
      return 422;
    case ErrorCode::busy:
      return 423;
    case ErrorCode::unavailable:
    case ErrorCode::cancelled:  // the server is being stopped
      return 503;
    case ErrorCode::corrupt:
    case ErrorCode::partial:
    case ErrorCode::internal:
      return 500;
  }
  return 500;
}

WebResponse error_response(int status, std::string_view code, std::string_view message,
                           const std::string& request_id) {
  WebResponse response;
  response.status = status;
  response.body = neon::write_error({request_id, std::string(code), std::string(message)});
  if (status == 423 || status == 503)
    response.headers.emplace_back("Retry-After", kRetryAfterSeconds);
  return response;
}

WebResponse error_response(const Error& error, const std::string& request_id) {
  std::string message = error.what();
  std::string code = take_code(message);
  if (!error.hint().empty()) message += " (hint: " + error.hint() + ")";
  return error_response(http_status_of(error.code()), code, message, request_id);
}

}  // namespace holdfast
