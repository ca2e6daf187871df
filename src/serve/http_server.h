// A small HTTP/1.1 server for the API, over libmicrohttpd: it takes requests apart, bounds what a
// client can cost, and hands whole requests to a handler in a pool of workers.
//
// Bounds, each next to its reason in http_server.cc: connections (in all, and from one address),
// header bytes, body bytes, the time from the first byte of a request to its last (a client that
// drips bytes is cut off), idle connections, workers, and requests that wait for one (beyond that:
// 503 with Retry-After). Slow clients cost a socket, never a worker.
//
// The handler is called by several threads at once. What it throws becomes the answer
// (api_errors.h), and every refusal has the API's JSON body, but for what libmicrohttpd refuses
// itself: what is no HTTP at all, and headers far beyond the bound. One line is logged for each
// request: method, route, status, time, client, request id; never a path, query, header or body.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"

namespace holdfast {

struct WebRequest {
  std::string method;  // GET, POST, …
  std::string path;  // decoded, as sent before '?': no "..", no empty parts, no control characters
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in order
  std::map<std::string, std::string> headers;  // names in lower case; the last of a name
  std::string body;
  std::string request_id;  // the client's X-Request-ID if it is one, else made here
  std::string client;      // who it is, as admit() found out; for the log
  std::string actor;       // the same with the name that goes with it; for the audit trail
  std::string address;     // which network address it came from: "192.0.2.7"

  std::string header(const std::string& name) const;
  // The first value of this query parameter, or none.
  const std::string* parameter(const std::string& name) const;
};

struct WebResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string route;  // the pattern that matched, for the log: no ids, names or values
};

using WebHandler = std::function<WebResponse(const WebRequest&)>;

// Called by the server's own thread once the headers are in, before any of the body is taken: what
// it returns is the answer, and the body is not read. It must not block. May set `client`.
using WebAdmission = std::function<std::optional<WebResponse>(WebRequest&)>;

struct HttpServerSettings {
  std::string address = "127.0.0.1";
  int port = 0;  // 0: any free one
  int connections_max = 4096;
  int workers = 16;
  size_t waiting_max = 1024;
  size_t header_bytes_max = 32 << 10;
  size_t body_bytes_max = 1 << 20;
  int request_seconds_max = 20;
  int idle_seconds_max = 60;
  size_t held_bytes_max = 256 << 20;  // bodies and answers, of all connections together
  WebAdmission admit;                 // none: everyone
};

class HttpServer {
 public:
  // Listens from here on. Throws Error(exists) if the port is taken, Error(denied), Error(invalid).
  static std::unique_ptr<HttpServer> start(const HttpServerSettings& settings, WebHandler handler,
                                           Log& log);
  virtual ~HttpServer() = default;  // stops; waits for handlers that run
  virtual int port() const = 0;
};

}  // namespace holdfast
