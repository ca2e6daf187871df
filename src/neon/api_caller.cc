#include "neon/api_caller.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/text.h"
#include "neon/api_error.h"
#include "neon/json.h"

namespace holdfast::neon {
namespace {

constexpr size_t kAnswerBytesMax = 32 << 20;  // ten thousand branches are about 10 MB
constexpr int kConnectTimeoutMs = 10'000;
constexpr int kStallTimeoutMs = 60'000;  // as Neon's own command line
constexpr size_t kUrlBytesMax = 2000, kKeyBytesMax = 4096;

Error bad_address(const std::string& message, const std::string& hint) {
  return Error(ErrorCode::invalid, "NEON_API_HOST: " + message, hint);
}

// The address without its trailing slash. It is not repeated in errors: it may hold a password.
std::string checked_base(std::string base) {
  constexpr const char* kExample = "as in https://console.neon.tech/api/v2";
  while (base.ends_with('/')) base.pop_back();
  bool https = base.starts_with("https://");
  if (!https && !base.starts_with("http://"))
    throw bad_address("the address does not begin with https://", kExample);
  bool plain = std::all_of(base.begin(), base.end(),
                           [](unsigned char c) { return c > ' ' && c < 0x7f && c != '\\'; });
  if (!plain || base.size() > kUrlBytesMax || base.find_first_of("?#") != std::string::npos)
    throw bad_address("the address is none", kExample);
  std::string authority = base.substr(base.find("://") + 3);
  authority.resize(std::min(authority.size(), authority.find('/')));
  if (authority.find('@') != std::string::npos)
    throw bad_address("the address holds a login",
                      "take it out: the key belongs into NEON_API_KEY or NEON_API_KEY_FILE");
  size_t end = authority.starts_with('[') ? authority.find(']') + 1 : authority.find(':');
  std::string host = authority.substr(0, end);
  if (host.empty() || host == "[") throw bad_address("the address names no host", kExample);
  if (!https && !is_loopback(host))
    throw bad_address(
        fmt::format("plain http would show the key to everybody on the way to {}", host),
        "use https (a proxy in front of the engine), or a tunnel (ssh -L 8474:127.0.0.1:8474) and "
        "http://127.0.0.1:8474/api/v2");
  return base;
}

std::string authority_of(const std::string& base) {
  std::string authority = base.substr(base.find("://") + 3);
  return authority.substr(0, authority.find('/'));
}

Secret checked_key(const Secret& key) {
  std::string text(trim(key.reveal()));
  if (text.empty())
    throw Error(ErrorCode::invalid, "no API key is configured",
                "set NEON_API_KEY or NEON_API_KEY_FILE; a key of holdfast's own engine is made by: "
                "holdfast key add NAME");
  bool plain =
      std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > ' ' && c < 0x7f; });
  if (!plain || text.size() > kKeyBytesMax)
    throw Error(ErrorCode::invalid, "the API key has characters that no key has",
                "a key is one word: see that nothing else is in NEON_API_KEY or its file");
  return Secret(text);
}

}  // namespace

ApiCaller::ApiCaller(ApiSettings settings, HttpTransport& transport, Waits& waits, const Run& run)
    : settings_(std::move(settings)),
      transport_(transport),
      waits_(waits),
      run_(run),
      limit_(settings_.requests_per_second, settings_.requests_burst, run.clock) {
  settings_.base_url = checked_base(settings_.base_url);
  settings_.key = checked_key(settings_.key);
  host_ = authority_of(settings_.base_url);
}

void ApiCaller::wait(milliseconds time) {
  if (held_on_ > 0) {
    if (time.count() > 0) waits_.wait(time, {});
    return;
  }
  run_.check_stop();
  if (time.count() > 0) waits_.wait(time, run_.stop);
  run_.check_stop();
}

void ApiCaller::back_off(int done) {
  wait(waits_.up_to(backoff_most(done)));
}

ApiCaller::Attempt ApiCaller::send(const ApiRequest& request) {
  wait(limit_.take());
  HttpRequest http;
  http.method = request.method;
  http.url = settings_.base_url + request.path;
  http.headers = {{"authorization", "Bearer " + settings_.key.reveal()},
                  {"accept", "application/json"},
                  {"user-agent", std::string("holdfast/") + HOLDFAST_VERSION}};
  if (!request.body.empty()) http.headers.emplace_back("content-type", "application/json");
  http.body = ByteView(reinterpret_cast<const uint8_t*>(request.body.data()), request.body.size());
  http.body_bytes_max = kAnswerBytesMax;
  http.connect_timeout_ms = kConnectTimeoutMs;
  http.stall_timeout_ms = kStallTimeoutMs;
  http.even_if_stopped = held_on_ > 0;
  if (!client_) client_ = transport_.connect();
  try {
    return {client_->send(http), std::nullopt};
  } catch (const Error& error) {
    client_.reset();
    if (error.code() != ErrorCode::unavailable) {
      bool tls = error.code() == ErrorCode::denied;
      if (!tls && error.code() != ErrorCode::invalid) throw error.within(request.what);
      throw Error(error.code(), fmt::format("{}: {}", request.what, error.what()),
                  tls ? "give the authority that signed its certificate (NEON_CA_FILE), or correct "
                        "NEON_API_HOST"
                      : "correct NEON_API_HOST (or NEON_CA_FILE)");
    }
    return {std::nullopt,
            Error(error.code(), fmt::format("{}: no answer from {}", request.what, error.what()),
                  "see that NEON_API_HOST is right and reachable from here; a local engine is "
                  "started by: holdfast serve")};
  }
}

std::string ApiCaller::without_key(std::string text) const {
  const std::string& key = settings_.key.reveal();
  for (size_t at; (at = text.find(key)) != std::string::npos;) text.replace(at, key.size(), "***");
  return text;
}

Error ApiCaller::refusal(const HttpResponse& response, const ApiRequest& request) const {
  if (response.status >= 300 && response.status < 400)
    return Error(
        ErrorCode::invalid,
        fmt::format("{}: {} sends us elsewhere ({})", request.what, host_, response.status),
        "name the API itself in NEON_API_HOST, with its path (…/api/v2)");
  ErrorAnswer body = read_error(response.body);
  return api_error(response.status, body.code, without_key(body.message), request.what, host_);
}

std::optional<ApiAnswer> ApiCaller::exchange(const ApiRequest& request, bool repeatable) {
  for (int attempt = 1;; ++attempt) {
    bool last = attempt >= kAttemptsMax;
    // libcurl sends again by itself what a kept connection lost, whatever the method: what may be
    // done once only goes through a new one, where every loss is told.
    if (!repeatable) client_.reset();
    Attempt result = send(request);
    if (result.lost) {
      if (!repeatable) {
        run_.log.debug(result.lost->what());
        return std::nullopt;
      }
      if (last) throw *result.lost;
      back_off(attempt);
      continue;
    }
    HttpResponse& response = *result.response;
    if (response.status >= 200 && response.status < 300)
      return ApiAnswer{response.status, std::move(response.body)};
    bool lost = may_have_been_done(response.status);
    if (lost && !repeatable) return std::nullopt;
    bool refused = is_refused_for_now(response.status);
    bool again = refused || lost || (response.status == 500 && request.method == "GET");
    milliseconds asked = retry_after(response, run_.clock.now());
    if (refused) last = attempt >= kRefusedAttemptsMax;
    if (!again || last || asked > kRetryAfterMax) throw refusal(response, request);
    if (response.status == 423 && attempt == 1)
      run_.log.info(fmt::format("{}: another operation is running, waiting for it", request.what));
    if (asked.count() > 0)
      wait(asked + waits_.up_to(kBackoffBase));
    else
      back_off(attempt);
  }
}

ApiAnswer ApiCaller::call(const ApiRequest& request) {
  return *exchange(request, /*repeatable=*/true);
}

std::optional<ApiAnswer> ApiCaller::call_once(const ApiRequest& request) {
  return exchange(request, /*repeatable=*/false);
}

std::string url_encoded(std::string_view text) {
  std::string encoded;
  for (unsigned char c : text) {
    bool plain = std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_' || c == '~';
    encoded += plain ? std::string(1, static_cast<char>(c)) : fmt::format("%{:02X}", c);
  }
  return encoded;
}

}  // namespace holdfast::neon
