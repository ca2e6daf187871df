// One HTTP request and its answer: the seam between those who speak to a service (S3, its
// credentials) and the network, so that tests can put a fault in between.
//
// An answer with any status is an answer. Error(unavailable) means that there is none, or only part
// of one (no connection, a reset, a timeout, a body shorter than announced): the caller decides
// whether the request may be sent again. Error(denied) means that the other side is not who it
// should be (TLS). Redirects are not followed. Bodies and headers never appear in errors.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"

namespace holdfast {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  HttpHeaders headers;
  ByteView body;                     // has to live until the answer is there
  std::span<uint8_t> into;           // where the body of a 2xx answer goes; empty: HttpResponse
  size_t body_bytes_max = 16 << 20;  // of a body that goes to HttpResponse; more is an error
  int connect_timeout_ms = 10'000;
  int stall_timeout_ms = 30'000;  // without any byte in either direction
  int total_timeout_ms = 0;       // for all of it, connecting included; 0: as long as it moves
  // libcurl sends a request again by itself when a kept connection turns out to be closed, though
  // it may have been carried out. Where twice is worse than a new connection:
  bool at_most_once = false;
  bool even_if_stopped = false;  // clears up after the user has asked to stop
};

struct HttpResponse {
  int status = 0;
  HttpHeaders headers;    // names in lower case
  std::string body;       // unless it went to `into`
  size_t into_bytes = 0;  // how many went there

  // The first header of this (lower-case) name, or "".
  std::string header(std::string_view name) const {
    for (const auto& [key, value] : headers)
      if (key == name) return value;
    return {};
  }
};

// What an answer's Retry-After asks for (seconds or a date), at most a day; 0 without one.
std::chrono::milliseconds retry_after(const HttpResponse& response, UtcTime now);

// `host:port` of an URL: all that may be said of it where it could hold a secret.
std::string host_of_url(std::string_view url);

// One thread at a time; keeps its connection for the next request.
class HttpClient {
 public:
  virtual ~HttpClient() = default;
  virtual HttpResponse send(const HttpRequest& request) = 0;
};

// Makes clients; may be called by any thread.
class HttpTransport {
 public:
  virtual ~HttpTransport() = default;
  virtual std::unique_ptr<HttpClient> connect() = 0;
};

struct CurlOptions {
  std::string ca_file;   // empty: the system's
  std::stop_token stop;  // ends a request that runs with Error(cancelled)
};

// libcurl: HTTP/1.1, TLS 1.2 at least, certificates verified, the environment's proxies.
std::unique_ptr<HttpTransport> make_curl_transport(const CurlOptions& options = {});

}  // namespace holdfast
