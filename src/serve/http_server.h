// A small HTTP/1.1 server for the API, over libmicrohttpd: it takes requests apart, bounds what a
// client can cost, and hands whole requests to a handler in a pool of workers.
//
// Bounds, each next to its reason in http_server.cc: connections (in all, and from one address),
// header bytes, body bytes, the time from the first byte of a request to its last (a client that
// drips bytes is cut off), idle connections, workers, and requests that wait for one (beyond that:
// 503 with Retry-After). Slow clients cost a socket, never a worker.
//
// handle() is called by several threads at once. What it throws becomes the answer (api_errors.h).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
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

  std::string header(const std::string& name) const;
  // The first value of this query parameter, or none.
  const std::string* parameter(const std::string& name) const;
};

struct WebResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

using WebHandler = std::function<WebResponse(const WebRequest&)>;

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
