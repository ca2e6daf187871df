// The HTTP API over an engine without PostgreSQL, on a free port: what tests of the server talk to,
// and stock clients can be tried on.
//
//   api_tool FOLDER [--body-max BYTES] [--request-seconds N] [--idle-seconds N] [--branches N]
//            [--connections N] [--workers N] [--schema TEXT]
//
// Keys are in FOLDER/keys.db. Prints one line, `URL KEY`, and serves until standard input ends;
// then prints the peak of its memory in KiB. Access lines go to standard error.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <mutex>
#include <string>

#include "base/error.h"
#include "serve/api.h"
#include "serve/api_keys.h"
#include "serve/engine_fake.h"
#include "serve/http_server.h"

namespace holdfast {
namespace {

class StderrLog final : public Log {
 public:
  void line(LogLevel, std::string_view text) override {
    std::lock_guard lock(mutex_);
    fmt::print(stderr, "{}\n", text);
  }

 private:
  std::mutex mutex_;
};

std::string peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return line.substr(6);
  return {};
}

void serve(int argc, char** argv) {
  if (argc < 2) throw Error(ErrorCode::invalid, "usage: api_tool FOLDER [--option VALUE]...");
  std::map<std::string, std::string> options;
  for (int i = 2; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
  auto number = [&](const char* name, int otherwise) {
    auto found = options.find(name);
    return found == options.end() ? otherwise : std::stoi(found->second);
  };
  HttpServerSettings settings;
  settings.body_bytes_max =
      static_cast<size_t>(number("--body-max", static_cast<int>(settings.body_bytes_max)));
  settings.request_seconds_max = number("--request-seconds", settings.request_seconds_max);
  settings.idle_seconds_max = number("--idle-seconds", settings.idle_seconds_max);
  settings.connections_max = number("--connections", settings.connections_max);
  settings.workers = number("--workers", settings.workers);

  SystemClock clock;
  StderrLog log;
  FakeEngine engine;
  for (int i = 0; i < number("--branches", 0); ++i) {
    neon::BranchCreateRequest request;
    request.name = fmt::format("branch {}", i);
    engine.create_branch(request);
  }
  engine.schemas[engine.main_id()] = options["--schema"];
  ApiKeys keys(keys_path(argv[1]), clock);
  NewApiKey key = keys.add("test");
  Api api(engine, keys, log);
  settings.admit = [&api](WebRequest& request) { return api.admit(request); };
  auto server = HttpServer::start(
      settings, [&api](const WebRequest& request) { return api.handle(request); }, log);
  fmt::print("http://127.0.0.1:{}{} {}\n", server->port(), kApiPrefix, key.clear.reveal());
  std::fflush(stdout);
  char byte;
  while (read(0, &byte, 1) > 0) {
  }
  server.reset();
  fmt::print("{}\n", peak_memory());
}

}  // namespace
}  // namespace holdfast

int main(int argc, char** argv) {
  try {
    holdfast::serve(argc, argv);
    return 0;
  } catch (const holdfast::Error& error) {
    fmt::print(stderr, "api_tool: {}\n", error.what());
    return holdfast::exit_code_of(error.code());
  }
}
