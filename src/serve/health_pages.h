// The two pages by which others look after `holdfast serve`: /healthz, for whoever restarts
// programs that hang, and /metrics, in Prometheus's text format. What stands on them comes from the
// schedule (serve/schedule_pages.h), from the engine (serve/daemon.h), or from both.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "serve/http_server.h"

namespace holdfast {

inline constexpr char kHealthPath[] = "/healthz", kMetricsPath[] = "/metrics";

// What goes on at least this often may have to ask a store, or to tell somebody who does not
// answer; beyond this, it hangs.
inline constexpr std::chrono::minutes kHealthOverdue{5};

struct HealthAnswer {
  bool healthy = false;  // 200, or 503
  std::string json;
};
// `more`: members behind those that every answer has, as `,"jobs":2`.
HealthAnswer health_answer(bool healthy, const std::string& more = {});

// Both are called by any thread, for each request.
struct HealthPages {
  std::function<HealthAnswer()> health;
  std::function<std::string()> metrics;
};

// GET and HEAD of the two; 405 for other methods; nothing for other paths.
std::optional<WebResponse> health_page(const WebRequest& request, const HealthPages& pages);

// That the program runs, and which.
std::string program_metrics();

}  // namespace holdfast
