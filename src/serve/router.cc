#include "serve/router.h"

#include <fmt/format.h>

#include <set>

#include "base/error.h"
#include "base/text.h"
#include "neon/json.h"
#include "serve/api_errors.h"

namespace holdfast {
namespace {

bool is_parameter(std::string_view part) {
  return part.size() > 2 && part.front() == '{';
}

// Whether pattern `a` is to be taken before `b`, both of which match.
bool is_closer(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  for (size_t i = 0; i < a.size(); ++i)
    if (is_parameter(a[i]) != is_parameter(b[i])) return !is_parameter(a[i]);
  return false;
}

}  // namespace

const std::string& RouteCall::at(std::string_view name) const {
  for (const auto& [key, value] : parameters)
    if (key == name) return value;
  throw Error(ErrorCode::internal, fmt::format("the route has no parameter {}", name));
}

Router::Router(std::string prefix, std::function<void(const RouteCall&)> check)
    : prefix_(std::move(prefix)), check_(std::move(check)) {}

void Router::add(const std::string& method, const std::string& pattern, RouteHandler handler) {
  routes_.push_back({method, pattern, split(pattern, '/'), std::move(handler)});
}

bool Router::match(const Route& route, const std::vector<std::string>& parts) const {
  if (route.parts.size() != parts.size()) return false;
  for (size_t i = 0; i < parts.size(); ++i)
    if (!is_parameter(route.parts[i]) && route.parts[i] != parts[i]) return false;
  return true;
}

WebResponse Router::route(const WebRequest& request) const {
  auto nothing = [&] { return error_response(404, "", kNoSuchRoute, request.request_id); };
  std::string_view path = request.path;
  if (!path.starts_with(prefix_)) return nothing();
  std::vector<std::string> parts = split(path.substr(prefix_.size()), '/');
  std::string method = request.method == "HEAD" ? "GET" : request.method;
  const Route* found = nullptr;
  const Route* any = nullptr;  // the closest pattern, whatever its method
  for (const Route& route : routes_) {
    if (!match(route, parts)) continue;
    if (any == nullptr || is_closer(route.parts, any->parts)) any = &route;
    if (route.method == method && (found == nullptr || is_closer(route.parts, found->parts)))
      found = &route;
  }
  if (any == nullptr) return nothing();
  if (found != nullptr && !is_closer(any->parts, found->parts)) return call(*found, request, parts);

  std::set<std::string> methods = {"OPTIONS"};
  for (const Route& route : routes_) {
    if (route.pattern != any->pattern) continue;
    methods.insert(route.method);
    if (route.method == "GET") methods.insert("HEAD");
  }
  std::string allowed;
  for (const std::string& one : methods) allowed += (allowed.empty() ? "" : ", ") + one;
  WebResponse response;
  response.status = 204;
  if (method != "OPTIONS")
    response = error_response(405, "", "this route does not take this method: it takes " + allowed,
                              request.request_id);
  response.headers.emplace_back("Allow", allowed);
  response.route = any->pattern;
  return response;
}

WebResponse Router::call(const Route& route, const WebRequest& request,
                         const std::vector<std::string>& parts) const {
  RouteCall call{request, {}};
  WebResponse response;
  try {
    for (size_t i = 0; i < parts.size(); ++i) {
      if (!is_parameter(route.parts[i])) continue;
      std::string name = route.parts[i].substr(1, route.parts[i].size() - 2);
      if (name.ends_with("_id") && !neon::is_id(parts[i]))
        throw Error(ErrorCode::invalid, name + " is not an id (a-z, 0-9 and -, at most 60)");
      call.parameters.emplace_back(std::move(name), parts[i]);
    }
    if (check_) check_(call);
    response = route.handler(call);
  } catch (const Error& error) {
    response = error_response(error, request.request_id);
  }
  response.route = route.pattern;
  return response;
}

}  // namespace holdfast
