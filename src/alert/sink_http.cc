#include "alert/sink_http.h"

#include <fmt/format.h>

#include <charconv>

#include "base/text.h"
#include "store/url.h"

namespace holdfast {
namespace {

using std::chrono::milliseconds;

// Where a rate limit is told without a time: GitHub's documentation asks for a minute at least.
constexpr milliseconds kUnknownWait{60'000};
constexpr int kConnectTimeoutMs = 10'000;

}  // namespace

void check_sink_url(const std::string& url, const std::string& setting) {
  auto wrong = [&](const char* what, const char* hint) {
    return Error(ErrorCode::invalid, fmt::format("{} {}", setting, what), hint);
  };
  bool plain = url.starts_with("http://");
  if (!plain && !url.starts_with("https://"))
    throw wrong("is no address to send to", "it begins with https://");
  for (char c : url)
    if (c <= ' ' || c > '~')
      throw wrong("holds a character that no address has", "escape it with %");
  size_t start = url.find("://") + 3;
  std::string authority = url.substr(start, url.find_first_of("/?#", start) - start);
  if (authority.empty()) throw wrong("names no host", "it looks like https://host/path");
  if (authority.find('@') != std::string::npos)
    throw wrong("has a user or a password in it", "secrets go into a file of their own");
  if (!is_safe_on_the_way(url))
    throw wrong("is not encrypted", "use https://; http:// is for this machine only");
}

SinkUrl split_query(const std::string& url) {
  std::string bare = url.substr(0, url.find('#'));
  size_t mark = bare.find('?');
  SinkUrl parts{bare.substr(0, mark), mark == std::string::npos ? "" : bare.substr(mark + 1)};
  while (parts.before_query.ends_with("/")) parts.before_query.pop_back();
  return parts;
}

HttpResponse SinkHttp::send(HttpRequest request, const DeliveryBudget& budget) {
  budget.check();
  request.total_timeout_ms = budget.left_ms();
  request.connect_timeout_ms = std::min(kConnectTimeoutMs, request.total_timeout_ms);
  request.at_most_once = request.method == "POST";  // an issue, a comment, a message
  request.headers.emplace_back("user-agent", "holdfast");
  if (!client_) client_ = transport_.connect();
  try {
    return client_->send(request);
  } catch (const Error& error) {
    client_.reset();                        // the connection is in an unknown state
    if (error.code() == ErrorCode::denied)  // a certificate: the transport's hint is of stores
      throw Error(ErrorCode::denied, error.what(),
                  "add the authority that signed its certificate to the system's, or correct its "
                  "address");
    throw;
  }
}

milliseconds SinkHttp::asks_to_wait(const HttpResponse& response) const {
  if (response.status != 429 && response.status != 503 && response.status != 403) return {};
  if (milliseconds time = retry_after(response, clock_.now()); time > milliseconds(0)) return time;
  if (response.header("x-ratelimit-remaining") == "0") {
    std::string text = response.header("x-ratelimit-reset");
    int64_t seconds = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    bool good = error == std::errc() && end == text.data() + text.size() && seconds > 0 &&
                seconds < 100'000'000'000;  // about the year 5100
    if (!good) return kUnknownWait;
    UtcTime reset{std::chrono::seconds(seconds)};
    return std::max<milliseconds>(reset - clock_.now(), milliseconds(1000));
  }
  bool secondary = response.body.find("rate limit") != std::string::npos;
  if (response.status == 429 || (response.status == 403 && secondary)) return kUnknownWait;
  return {};
}

Error SinkHttp::refusal(const HttpResponse& response, const std::string& hint) const {
  std::string what = fmt::format("{} answered with status {}", sink_, response.status);
  switch (response.status) {
    case 400:
    case 413:
    case 415:
    case 422:
      return Error(ErrorCode::invalid, what, "the message itself was refused");
    case 401:
    case 403:
      return Error(ErrorCode::denied, what, hint);
    case 404:
    case 410:
      return Error(ErrorCode::not_found, what, hint);
    default:
      if (response.status >= 300 && response.status < 400)
        return Error(ErrorCode::not_found, what + ": it has moved", hint);
      return Error(ErrorCode::unavailable, what, "it has trouble, or wants fewer messages");
  }
}

}  // namespace holdfast
