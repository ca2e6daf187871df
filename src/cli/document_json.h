// What the files that make --json documents (documents.h) share.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "cli/documents.h"

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

// Parts that several documents have; in documents.cc.
double rounded(double seconds);  // to milliseconds
Json error_json(const Error& error);
void add_error(Json& object, const std::optional<Error>& error);
Json proof_json(const std::optional<Proof>& proof);
Json problems_json(const std::vector<Problem>& problems);
Json hold_json(const Hold& hold);
Json branch_record_json(const BranchBackupRecord& record);
Json branch_backup_json(const BranchBackupView& view);

}  // namespace holdfast
