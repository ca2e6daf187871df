// What the files that make --json documents (documents.h) share.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/clock.h"

namespace holdfast {

using Json = nlohmann::ordered_json;  // members in the order that they are given

// As it is printed: indented, and with U+FFFD for what is not UTF-8.
inline std::string document_text(const Json& document) {
  return document.dump(2, ' ', false, Json::error_handler_t::replace);
}

inline Json text_or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

inline Json text_or_null(const std::optional<std::string>& text) {
  return text_or_null(text.value_or(""));
}

inline Json time_or_null(const std::optional<UtcTime>& time) {
  return time ? Json(format_rfc3339(*time)) : Json(nullptr);
}

}  // namespace holdfast
