#include <fmt/format.h>

#include <charconv>

#include "base/error.h"
#include "neon/json.h"
#include "pg/lsn.h"
#include "serve/api_routes.h"

namespace holdfast {
namespace {

Error wrong(const char* name, const std::string& what) {
  return Error(ErrorCode::invalid, fmt::format("parameter {} {}", name, what));
}

}  // namespace

WebResponse json_response(int status, std::string body) {
  WebResponse response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

WebResponse changed(int status, const neon::Changed& what, neon::ChangedShape shape) {
  return json_response(status, neon::write_changed(what, shape));
}

WebResponse gone_response() {
  return json_response(204, "");
}

std::optional<std::string> text_parameter(const WebRequest& request, const char* name) {
  const std::string* value = request.parameter(name);
  if (value == nullptr || value->empty()) return std::nullopt;
  if (value->size() > 1024) throw wrong(name, "is too long");
  return *value;
}

std::string required_parameter(const WebRequest& request, const char* name) {
  auto value = text_parameter(request, name);
  if (!value) throw wrong(name, "is missing");
  return *value;
}

std::optional<std::string> id_parameter(const WebRequest& request, const char* name) {
  auto value = text_parameter(request, name);
  if (value && !neon::is_id(*value)) throw wrong(name, "is not an id (a-z, 0-9 and -, at most 60)");
  return value;
}

std::optional<UtcTime> time_parameter(const WebRequest& request, const char* name) {
  auto value = text_parameter(request, name);
  if (!value) return std::nullopt;
  try {
    return neon::parse_time(*value);
  } catch (const Error&) {
    throw wrong(name, "is not a time like 2026-11-10T14:30:00Z (in a query '+' is written %2B)");
  }
}

std::optional<std::string> lsn_parameter(const WebRequest& request, const char* name) {
  auto value = text_parameter(request, name);
  if (!value) return std::nullopt;
  try {
    parse_lsn(*value);
  } catch (const Error&) {
    throw wrong(name, "is not an LSN like 0/16B3748");
  }
  return value;
}

bool flag_parameter(const WebRequest& request, const char* name) {
  auto value = text_parameter(request, name);
  if (!value || *value == "false") return false;
  if (*value != "true") throw wrong(name, "is neither true nor false");
  return true;
}

size_t number_parameter(const WebRequest& request, const char* name, size_t min, size_t max,
                        size_t otherwise) {
  auto value = text_parameter(request, name);
  if (!value) return otherwise;
  size_t number = 0;
  auto [end, failed] = std::from_chars(value->data(), value->data() + value->size(), number);
  if (failed != std::errc() || end != value->data() + value->size() || number < min || number > max)
    throw wrong(name, fmt::format("is not a number from {} to {}", min, max));
  return number;
}

std::string word_parameter(const WebRequest& request, const char* name,
                           std::initializer_list<const char*> known, const char* otherwise) {
  auto value = text_parameter(request, name);
  if (!value) return otherwise;
  std::string all;
  for (const char* word : known) {
    if (*value == word) return *value;
    all += (all.empty() ? "" : ", ") + std::string(word);
  }
  throw wrong(name, "is none of " + all);
}

}  // namespace holdfast
