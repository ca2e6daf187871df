// `holdfast serve`: the engine, its API and the keys in one process, until it is told to stop.
// PostgreSQL does not run as root, and so neither does this.
//
// Beside the API, at the root of the same address: /healthz, for everybody, which says no more than
// that the engine is looked after, and /metrics, for who has a key (serve/health_pages.h).
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "base/run.h"
#include "engine/engine.h"
#include "serve/api_audit.h"
#include "serve/http_server.h"

namespace holdfast {

// How often it is asked how history is being received.
inline constexpr std::chrono::seconds kHealthEvery{5};

struct DaemonSettings {
  EngineSettings engine;
  std::string listen = "127.0.0.1:8474";  // of the API; port 0: any free one
  HttpServerSettings http;                // its bounds; address, port and admission are set here
  std::string audit_folder;               // of the audit trail; empty: calls are not recorded
  ApiAuditSettings audit{};
  // Told that, by a thread of its own. It may take its time and throws nothing.
  std::function<void(const StorageHealth&)> on_health{};
  std::function<std::string()> metrics{};  // what else stands in /metrics; called by any thread
};

// Calls `ready` with the API's URL (http://127.0.0.1:8474/api/v2) once it can be called. Returns
// when `run.stop` is requested and everything has been stopped; computes go on.
// Throws Error(denied) for root, and what the engine and the server throw when they start.
void run_daemon(const DaemonSettings& settings, const Run& run,
                const std::function<void(const std::string& url)>& ready);

}  // namespace holdfast
