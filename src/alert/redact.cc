#include "alert/redact.h"

#include "base/text.h"

namespace holdfast {
namespace {

constexpr size_t kNameBytesMax = 120, kUrlBytesMax = 300;
constexpr std::string_view kHidden = "(hidden)";

// Words that stand before or in a secret, in lower case.
constexpr std::string_view kTellingWords[] = {
    "password", "passwd",  "pwd=",  "secret=",    "token=",           "apikey",
    "api_key",  "bearer ", "napi_", "ghp_",       "github_pat_",      "ghs_",
    "xoxb-",    "xoxp-",   "akia",  "-----begin", "hooks.slack.com/", "authorization",
};

// host and path of `url`, whose scheme ends at `scheme_end`.
std::string bare_url(std::string_view url, size_t scheme_end) {
  std::string_view scheme = url.substr(0, scheme_end + 3);
  std::string_view rest = url.substr(scheme_end + 3);
  rest = rest.substr(0, rest.find_first_of("?#"));
  size_t slash = rest.find('/');
  std::string_view authority = rest.substr(0, slash);
  std::string_view path = slash == std::string_view::npos ? "" : rest.substr(slash);
  // A password may hold a slash that should have been escaped: then the '@' is in the "path".
  if (path.find('@') != std::string_view::npos) return std::string(kHidden);
  if (size_t at = authority.rfind('@'); at != std::string_view::npos)
    authority.remove_prefix(at + 1);
  return std::string(scheme).append(authority).append(path);
}

bool tells(std::string_view text) {
  std::string small = lower(text);
  for (std::string_view word : kTellingWords)
    if (small.find(word) != std::string::npos) return true;
  return false;
}

// `user:password@host` without a scheme.
bool has_userinfo(std::string_view text) {
  size_t at = text.find('@');
  size_t colon = text.find(':');
  return at != std::string_view::npos && colon < at;
}

}  // namespace

std::string safe_name(std::string_view name) {
  std::string shown(name);
  if (size_t scheme = name.find("://"); scheme != std::string_view::npos)
    shown = bare_url(name, scheme);
  if (tells(shown) || has_userinfo(shown)) return std::string(kHidden);
  return printable(shown, kNameBytesMax);
}

std::string safe_url(std::string_view url) {
  if (!url.starts_with("https://") && !url.starts_with("http://")) return {};
  if (url.size() > kUrlBytesMax || printable(url, kUrlBytesMax) != url) return {};
  if (url.find_first_of(" <>\"'`|()[]{}\\^") != std::string_view::npos) return {};
  std::string bare = bare_url(url, url.find("://"));
  return bare == kHidden || tells(bare) ? std::string() : bare;
}

}  // namespace holdfast
