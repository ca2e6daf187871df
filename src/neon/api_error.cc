#include "neon/api_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string_view>

#include "base/text.h"

namespace holdfast::neon {
namespace {

struct KnownCode {
  std::string_view code;
  ErrorCode error;
  std::string_view hint;
};

// Limits are for the owner of the project to lift: nothing that is sent again gets past them.
constexpr KnownCode kKnownCodes[] = {
    {"BRANCHES_LIMIT_EXCEEDED", ErrorCode::unsupported,
     "delete branches that are no longer needed (holdfast branch list), or raise the limit"},
    {"ROOT_BRANCHES_LIMIT_EXCEEDED", ErrorCode::unsupported,
     "restored and schema-only branches count as roots: delete kept old states that are no longer "
     "needed (holdfast branch list)"},
    {"BRANCHES_PROTECTED_LIMIT_EXCEEDED", ErrorCode::unsupported,
     "take the protection off another branch, or create it without --protected"},
    {"PROTECTED_BRANCHES_LIMIT_EXCEEDED", ErrorCode::unsupported,
     "take the protection off another branch, or create it without --protected"},
    {"ACTIVE_ENDPOINTS_LIMIT_EXCEEDED", ErrorCode::unsupported,
     "suspend a compute that is not needed now: holdfast branch suspend B"},
    {"ENDPOINTS_LIMIT_EXCEEDED", ErrorCode::unsupported,
     "create the branch with --no-compute, or delete branches that have one"},
    {"BRANCH_SIZE_LIMIT_EXCEEDED_THRESHOLD", ErrorCode::unsupported,
     "the branch holds more than the plan allows: remove data or raise the plan"},
    {"COMPUTE_TIME_EXCEEDED", ErrorCode::unsupported,
     "the plan's compute time is used up: wait for the next period or raise the plan"},
    {"DATA_TRANSFER_LIMIT_EXCEEDED", ErrorCode::unsupported,
     "the plan's data transfer is used up: wait for the next period or raise the plan"},
    {"PROJECTS_LIMIT_EXCEEDED", ErrorCode::unsupported, "delete a project, or raise the plan"},
    {"ROLES_LIMIT_EXCEEDED", ErrorCode::unsupported, "drop roles that are no longer needed"},
    {"DATABASES_LIMIT_EXCEEDED", ErrorCode::unsupported, "drop databases that are not needed"},
};

bool says(const std::string& lowered, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return lowered.find(word) != std::string::npos;
  });
}

ErrorCode code_of_status(int status) {
  switch (status) {
    case 400:
    case 422:
      return ErrorCode::invalid;
    case 401:
    case 403:
      return ErrorCode::denied;
    case 404:
      return ErrorCode::not_found;
    case 409:
      return ErrorCode::exists;
    case 412:
    case 405:
    case 501:
      return ErrorCode::unsupported;
    case 423:
      return ErrorCode::busy;
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
      return ErrorCode::unavailable;
    default:
      return status >= 500 ? ErrorCode::unavailable : ErrorCode::invalid;
  }
}

std::string hint_of_invalid(const std::string& lowered) {
  if (says(lowered,
           {"window", "retention", "history", "future", "recovered to", "beyond the branch's end"}))
    return "holdfast branch window shows what can be recovered to";
  if (says(lowered, {"protected"}))
    return "a protected branch is kept from this: take the protection off first, if that is meant";
  if (says(lowered, {"preserve_under_name"}))
    return "say under which name the old state is kept: --preserve-under-name NAME";
  if (says(lowered, {"unmanaged", "not managed"}))
    return "create a branch at that point and move to it, or let the engine manage the source "
           "(docs/engine.md)";
  if (says(lowered, {"children", "child"}))
    return "delete the branches that were made from it first: holdfast branch list";
  return {};
}

std::string hint_of(int status, const std::string& lowered) {
  switch (status) {
    case 401:
      return "check NEON_API_KEY (or NEON_API_KEY_FILE) and NEON_API_HOST; a key of holdfast's own "
             "engine is made by: holdfast key add NAME";
    case 403:
      return "use a key that may do this";
    case 404:
      if (says(lowered, {"project"})) return "check NEON_PROJECT_ID, or leave it out";
      if (says(lowered, {"branch"})) return "holdfast branch list shows the branches";
      if (says(lowered, {"route", "page", "no json"}))
        return "NEON_API_HOST must end in the API's path, as in http://127.0.0.1:8474/api/v2";
      return "holdfast branch list shows what there is";
    case 409:
      return "choose another name, or delete the other one first";
    case 412:
      return "this project keeps no passwords: reset the role's password instead";
    case 423:
      return "another operation is running on it: wait for its end and try again";
    case 429:
      return "too many requests with this account: try again in a minute";
    case 400:
    case 422:
      return hint_of_invalid(lowered);
    default:
      return status >= 500 ? "the API has a trouble of its own: try again later" : "";
  }
}

// Our engine writes the next step behind its message, " (hint: …)": taken off, and returned.
std::string lift_hint(std::string& message) {
  constexpr std::string_view kMark = " (hint: ";
  size_t at = message.rfind(kMark);
  if (at == std::string::npos || !message.ends_with(')')) return {};
  std::string hint = message.substr(at + kMark.size());
  hint.pop_back();
  message.resize(at);
  return printable(hint);
}

}  // namespace

bool is_refused_for_now(int status) {
  return status == 423 || status == 429 || status == 503;
}

bool may_have_been_done(int status) {
  return status == 502 || status == 504;
}

Error api_error(int status, const std::string& code, const std::string& message,
                const std::string& what, const std::string& host) {
  constexpr size_t kMessageBytesMax = 600;
  std::string said(trim(message));
  std::string own_hint = lift_hint(said);
  said = printable(said, kMessageBytesMax);
  if (said.empty()) said = fmt::format("{} answered {} and nothing more", host, status);
  if (status == 401) said = fmt::format("{} does not accept the key: {}", host, said);
  auto hint_or = [&](std::string_view ours) {
    return own_hint.empty() ? std::string(ours) : own_hint;
  };
  std::string text = fmt::format("{}: {}", what, said);
  for (const KnownCode& known : kKnownCodes)
    if (code == known.code || said.starts_with(std::string(known.code) + ":")) {
      if (said.find(known.code) == std::string::npos) text += fmt::format(" ({})", known.code);
      return Error(known.error, text, hint_or(known.hint));
    }
  return Error(code_of_status(status), text, hint_or(hint_of(status, lower(code + " " + said))));
}

}  // namespace holdfast::neon
