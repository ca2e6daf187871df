#include "serve/daemon.h"

#include <fmt/format.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/file.h"
#include "base/text.h"
#include "serve/api.h"
#include "serve/api_keys.h"
#include "serve/http_listen.h"

namespace holdfast {
namespace {

void wait_for(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  stopped.wait(lock, stop, [] { return false; });
}

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

std::jthread watch_health(const Engine& engine,
                          const std::function<void(const StorageHealth&)>& on_health) {
  return std::jthread([&engine, &on_health](std::stop_token stop) {
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock(mutex);
    while (!stop.stop_requested()) {
      on_health(health_of(engine));
      stopped.wait_for(lock, stop, kHealthEvery, [] { return false; });
    }
  });
}

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
  http.admit = [&api](WebRequest& request) { return api.admit(request); };
  std::unique_ptr<HttpServer> server = HttpServer::start(
      http, [&api](const WebRequest& request) { return api.handle(request); }, run.log);
  std::string url = url_of(address.host, server->port());
  run.log.info("serving " + url);
  ready(url);
  std::jthread watcher;
  if (settings.on_health) watcher = watch_health(*engine, settings.on_health);
  wait_for(run.stop);
  run.log.info("stopping");
  watcher = {};    // before what it looks at
  server.reset();  // before what its handlers use
}

}  // namespace holdfast
