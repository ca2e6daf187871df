#include "serve/daemon.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/file.h"
#include "base/pause.h"
#include "base/text.h"
#include "serve/api.h"
#include "serve/api_keys.h"
#include "serve/health_pages.h"
#include "serve/http_listen.h"

namespace holdfast {
namespace {

// What cannot be said is a trouble, too.
StorageHealth health_of(const Engine& engine) {
  try {
    return engine.health();
  } catch (const Error& error) {
    StorageHealth unknown;
    unknown.trouble = error.what();
    unknown.trouble_code = error.code();
    return unknown;
  }
}

// Asks the engine from time to time, and tells who wants to know; of which somebody else may ask
// whether it still does.
class HealthWatch {
 public:
  HealthWatch(const Clock& clock, const std::function<void(const StorageHealth&)>& on_health)
      : clock_(clock), on_health_(on_health), looked_(clock.monotonic_seconds()) {}

  void start(const Engine& engine) {
    thread_ = std::jthread([this, &engine](std::stop_token stop) {
      while (!stop.stop_requested()) {
        StorageHealth health = health_of(engine);
        if (on_health_) on_health_(health);
        looked_ = clock_.monotonic_seconds();
        pause_for(kHealthEvery, stop);
      }
    });
  }
  void stop() { thread_ = {}; }

  HealthAnswer answer() const {
    std::chrono::duration<double> age(clock_.monotonic_seconds() - looked_);
    return health_answer(age <= kHealthOverdue);
  }

 private:
  const Clock& clock_;
  const std::function<void(const StorageHealth&)>& on_health_;
  std::atomic<double> looked_;
  std::jthread thread_;
};

std::string url_of(const std::string& host, int port) {
  bool brackets = host.find(':') != host.npos;
  return fmt::format("http://{}:{}{}", brackets ? "[" + host + "]" : host, port, kApiPrefix);
}

}  // namespace

void run_daemon(const DaemonSettings& settings, const Run& run,
                const std::function<void(const std::string& url)>& ready) {
  if (geteuid() == 0)
    throw Error(ErrorCode::denied, "holdfast serve does not run as root, as PostgreSQL does not",
                "run it as a user of its own, such as postgres: sudo -u postgres holdfast serve");
  ListenAddress address = parse_listen_address(settings.listen);
  make_folders(settings.engine.work_folder);
  ApiKeys keys(keys_path(settings.engine.work_folder), run.clock);
  if (keys.list().empty())
    run.log.warning("the API has no key yet, so nobody can call it: holdfast key add NAME");
  if (!is_loopback(address.host))
    run.log.warning(fmt::format(
        "the API listens on {} without TLS: put a proxy that has it before it", address.host));

  std::unique_ptr<Engine> engine = Engine::open(settings.engine, run);
  AuditWriter writer(settings.audit_folder, run.clock);
  std::optional<ApiAudit> audit;
  if (!settings.audit_folder.empty()) audit.emplace(writer, settings.audit, run.log);
  Api api(*engine, keys, run.log, audit ? &*audit : nullptr);
  HttpServerSettings http = settings.http;
  http.address = address.host;
  http.port = address.port;
  HealthWatch watch(run.clock, settings.on_health);
  HealthPages pages;
  pages.health = [&watch] { return watch.answer(); };
  pages.metrics = [&settings] {
    return program_metrics() + (settings.metrics ? settings.metrics() : std::string());
  };
  // What needs no key is answered here, so that no body is taken from who has none.
  http.admit = [&api, &pages](WebRequest& request) {
    return request.path == kHealthPath ? health_page(request, pages) : api.admit(request);
  };
  auto handle = [&api, &pages](const WebRequest& request) {
    std::optional<WebResponse> page = health_page(request, pages);
    return page ? *std::move(page) : api.handle(request);
  };
  std::unique_ptr<HttpServer> server = HttpServer::start(http, handle, run.log);
  std::string url = url_of(address.host, server->port());
  run.log.info("serving " + url);
  ready(url);
  watch.start(*engine);
  wait_for_stop(run.stop);
  run.log.info("stopping");
  watch.stop();    // before what it looks at
  server.reset();  // before what its handlers use
}

}  // namespace holdfast
