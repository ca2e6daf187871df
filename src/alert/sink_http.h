// What the sinks that speak HTTP have in common: the rules for their addresses, requests within a
// delivery's budget, and what an answer's status means.
//
// An address may be the secret itself (Slack's is): errors name its host only. One thread at a
// time.
#pragma once

#include <memory>
#include <string>

#include "alert/notifier.h"
#include "base/secret.h"
#include "store/http.h"

namespace holdfast {

// An http(s) address without userinfo; http only to this machine. Throws Error(invalid), which
// names `setting` and never the address.
void check_sink_url(const std::string& url, const std::string& setting);

// What is not "https://host" of an address that may be said: empty host and path.
struct SinkUrl {
  std::string before_query, query;  // without '?'
};
SinkUrl split_query(const std::string& url);

class SinkHttp {
 public:
  SinkHttp(std::string sink, HttpTransport& transport, const Clock& clock)
      : sink_(std::move(sink)), transport_(transport), clock_(clock) {}

  // Throws Error(unavailable) without an answer or without time, as HttpClient does.
  HttpResponse send(HttpRequest request, const DeliveryBudget& budget);

  // How long a 429 or 503 (or GitHub's 403) asks to wait; 0 if it does not.
  std::chrono::milliseconds asks_to_wait(const HttpResponse& response) const;

  // The Error for any status that is not the one hoped for; `hint` for those that say that address
  // or credentials are wrong.
  Error refusal(const HttpResponse& response, const std::string& hint) const;

  UtcTime now() const { return clock_.now(); }

 private:
  const std::string sink_;
  HttpTransport& transport_;
  const Clock& clock_;
  std::unique_ptr<HttpClient> client_;
};

}  // namespace holdfast
