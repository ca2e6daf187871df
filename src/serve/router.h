// Which handler a request goes to: a table of method and pattern
// (`/projects/{project_id}/branches`). Literal parts win over parameters. A path that no pattern
// has is a 404, a method that none of its patterns has a 405 with Allow; HEAD is GET without a
// body, OPTIONS answers with Allow.
//
// Filled once, then read by any number of threads.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/http_server.h"

namespace holdfast {

struct RouteCall {
  const WebRequest& request;
  std::vector<std::pair<std::string, std::string>> parameters;  // of the pattern, decoded

  // The parameter of this name, which the pattern has.
  const std::string& at(std::string_view name) const;
};

using RouteHandler = std::function<WebResponse(const RouteCall&)>;

class Router {
 public:
  // `prefix` stands before every pattern ("/api/v2"). `check` runs before every handler and may
  // throw.
  Router(std::string prefix, std::function<void(const RouteCall&)> check);

  void add(const std::string& method, const std::string& pattern, RouteHandler handler);

  // Errors of handlers become answers here, so that they carry the route. Parameters called
  // `…_id` have to be ids (400).
  WebResponse route(const WebRequest& request) const;

 private:
  struct Route {
    std::string method, pattern;
    std::vector<std::string> parts;
    RouteHandler handler;
  };

  bool match(const Route& route, const std::vector<std::string>& parts) const;
  WebResponse call(const Route& route, const WebRequest& request,
                   const std::vector<std::string>& parts) const;

  const std::string prefix_;
  const std::function<void(const RouteCall&)> check_;
  std::vector<Route> routes_;
};

}  // namespace holdfast
