// One request to the Neon API: authorised, kept below the rate limit, sent, and sent again while
// that can help.
//
// 423, 429 and 503 mean that nothing was done: any request is sent again. A request that does no
// harm when it is done twice is sent again after a lost answer (no connection, a reset, a timeout,
// 502, 504) too; of the others the loss is told, for only reading back can say what became of them:
// each of those has a connection of its own, since libcurl repeats what a kept one lost.
// Everything else is an Error in the words of api_error.h.
//
// The key goes into one header and nowhere else: what the server says is freed of it. Plain http is
// spoken to this machine only. One thread at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/run.h"
#include "base/secret.h"
#include "neon/retry.h"
#include "store/http.h"

namespace holdfast::neon {

inline constexpr char kNeonCloud[] = "https://console.neon.tech/api/v2";

struct ApiSettings {
  std::string base_url = kNeonCloud;  // with the API's path
  Secret key;
  double requests_per_second = kRequestsPerSecond;
  double requests_burst = kRequestsBurst;
};

struct ApiRequest {
  std::string method = "GET";
  std::string path;  // behind the base, with the query: "/projects?limit=10"
  std::string body;  // JSON, or none
  std::string what;  // the step, for errors: "create branch care-test"
};

struct ApiAnswer {
  int status = 0;
  std::string body;
};

class ApiCaller {
 public:
  // All outlive it. Throws Error(invalid) for an address or a key that cannot be right.
  ApiCaller(ApiSettings settings, HttpTransport& transport, Waits& waits, const Run& run);

  // For requests that do no harm when they are done twice. Throws Error.
  ApiAnswer call(const ApiRequest& request);
  // For all others: nothing if the answer was lost, and the request may have been done.
  std::optional<ApiAnswer> call_once(const ApiRequest& request);

  // Waits for chance's part of the `done`th backoff. Throws Error(cancelled).
  void back_off(int done);
  void wait(milliseconds time);
  // While any is held, nothing is broken off by the wish to stop (Client::ToTheEnd).
  void hold_on() { ++held_on_; }
  void let_go() { --held_on_; }
  const Run& run() const { return run_; }
  const std::string& host() const { return host_; }  // "console.neon.tech", for messages

 private:
  struct Attempt {
    std::optional<HttpResponse> response;
    std::optional<Error> lost;
  };
  Attempt send(const ApiRequest& request);
  std::optional<ApiAnswer> exchange(const ApiRequest& request, bool repeatable);
  Error refusal(const HttpResponse& response, const ApiRequest& request) const;
  std::string without_key(std::string text) const;

  ApiSettings settings_;
  std::string host_;
  HttpTransport& transport_;
  Waits& waits_;
  const Run& run_;
  RateLimit limit_;
  int held_on_ = 0;
  std::unique_ptr<HttpClient> client_;
};

// `text` with everything but letters, digits and -._~ as %XX.
std::string url_encoded(std::string_view text);

}  // namespace holdfast::neon
