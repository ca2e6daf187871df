// Requests to one bucket: addressed, signed, sent, and sent again while that can help.
//
// Why here: every request needs the same care, and the rest of the store should read like S3's API.
// What is retried: no answer, half an answer, 429, 5xx, S3's own "slow down" and "conflict", bodies
// damaged on the way, expired credentials (fetched anew), a wrong region (corrected once). Waits
// are exponential with full jitter, or what Retry-After says. What is not transient is returned
// as it is, for the caller knows what 404 or 412 means to it; require_ok() makes it an Error.
// Thread-safe: clients are lent from a pool, one connection per request under way.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "store/aws_credentials.h"
#include "store/http.h"
#include "store/s3_settings.h"
#include "store/s3_xml.h"
#include "store/sigv4.h"

namespace holdfast {

struct S3Request {
  std::string method = "GET";
  std::string key;  // empty: the bucket itself
  HttpQuery query{};
  HttpHeaders headers{};  // names in lower case
  ByteView body{};
  std::span<uint8_t> into{};
  int attempts = 0;  // 0: the settings' for small requests
  int stall_timeout_ms = 30'000;
  bool even_if_stopped = false;
  std::stop_token stop{};  // instead of the settings', for a job with an end of its own
  // Looks at an answer of 2xx; what it returns is wrong with it, and the request is tried again.
  std::function<std::optional<Error>(const HttpResponse&)> check{};
};

struct S3Answer {
  HttpResponse http;
  S3ErrorBody error;  // of an answer that is not ok
  bool ok() const { return http.status >= 200 && http.status < 300 && error.code.empty(); }
};

class S3Client {
 public:
  // All outlive the client.
  S3Client(const S3Settings& settings, CredentialSource& credentials, HttpTransport& transport,
           const Clock& clock);

  // Throws Error(unavailable) when the attempts are used up, Error(cancelled), and what the
  // credentials' source throws.
  S3Answer call(const S3Request& request);
  // `what` names the thing: "s3://bucket/backups/care.dump".
  void require_ok(const S3Answer& answer, const std::string& what) const;
  Error error_of(const S3Answer& answer, const std::string& what) const;

  const S3Settings& settings() const { return settings_; }
  bool at_aws() const { return settings_.endpoint.empty(); }

 private:
  enum class Next { give_back, again, again_now };
  class Lease;

  struct Address {
    std::string origin, host, path, region;
  };
  Address address_of(const S3Request& request) const;
  HttpResponse send(HttpClient& client, const S3Request& request, const Address& address,
                    const std::string& payload_sha256);
  S3Answer attempt(const S3Request& request, const std::string& payload_sha256,
                   std::string& region);
  Next judge(const S3Answer& answer, const std::string& region, int& renewals);
  bool adopt_region(const S3Answer& answer, const std::string& region);
  void wait(int attempts_done, const HttpResponse& http, const std::stop_token& stop) const;

  const S3Settings& settings_;
  CredentialSource& credentials_;
  HttpTransport& transport_;
  const Clock& clock_;
  bool path_style_;

  mutable std::mutex mutex_;
  // Guarded by mutex_:
  std::string region_;
  bool region_corrected_ = false;
  std::vector<std::unique_ptr<HttpClient>> idle_;
};

}  // namespace holdfast
