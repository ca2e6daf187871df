#include "serve/health_pages.h"

#include <fmt/format.h>

#include "base/prometheus.h"
#include "base/text.h"

namespace holdfast {
namespace {

constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace

HealthAnswer health_answer(bool healthy, const std::string& more) {
  return {healthy, fmt::format("{{\"status\":\"{}\",\"version\":{}{}}}\n",
                               healthy ? "ok" : "overdue", json_quoted(HOLDFAST_VERSION), more)};
}

std::optional<WebResponse> health_page(const WebRequest& request, const HealthPages& pages) {
  bool health = request.path == kHealthPath;
  if (!health && request.path != kMetricsPath) return std::nullopt;
  WebResponse response;
  response.route = request.path;
  if (request.method != "GET" && request.method != "HEAD") {
    response.status = 405;
    response.headers = {{"Allow", "GET, HEAD"}};
    response.body = "{\"message\":\"it can be read only\"}\n";
  } else if (health) {
    HealthAnswer answer = pages.health();
    response.status = answer.healthy ? 200 : 503;
    response.body = std::move(answer.json);
  } else {
    response.content_type = kMetricsType;
    response.body = pages.metrics();
  }
  return response;
}

std::string program_metrics() {
  return metric_header("holdfast_up", "gauge", "1: holdfast serve runs.") + "holdfast_up 1\n" +
         metric_header("holdfast_build_info", "gauge", "The version of holdfast.") +
         fmt::format("holdfast_build_info{{version=\"{}\"}} 1\n", metric_label(HOLDFAST_VERSION));
}

}  // namespace holdfast
