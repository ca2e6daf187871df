// For tests: the other side of HttpTransport, played from a script. Every request must be the next
// one of the script; what is left at the end is a failure too. Answers can be lost before or after
// they were "done". Time passes only where the client waits, and is on the record.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/run.h"
#include "neon/retry.h"
#include "store/http.h"

namespace holdfast::neon {

class ScriptedHttp final : public HttpTransport {
 public:
  ~ScriptedHttp() override {
    for (const Step& step : steps_)
      ADD_FAILURE() << "never asked: " << step.method << " " << step.path;
  }

  // `path` is the end of the URL, behind "/api/v2".
  void answer(const std::string& method, const std::string& path, int status,
              const std::string& body, HttpHeaders headers = {}) {
    steps_.push_back({method, path, HttpResponse{status, std::move(headers), body, 0}, {}});
  }
  void lose(const std::string& method, const std::string& path) {
    steps_.push_back({method, path, {}, Error(ErrorCode::unavailable, "api.test: reset by peer")});
  }
  void fail(const std::string& method, const std::string& path, const Error& error) {
    steps_.push_back({method, path, {}, error});
  }

  struct Seen {
    std::string method, url, body;
    HttpHeaders headers;
    bool even_if_stopped = false;
  };
  const std::vector<Seen>& seen() const { return seen_; }
  size_t connections() const { return connections_; }

  std::unique_ptr<HttpClient> connect() override {
    ++connections_;
    return std::make_unique<Client>(*this);
  }

 private:
  struct Step {
    std::string method, path;
    HttpResponse response;
    std::optional<Error> error;
  };
  class Client final : public HttpClient {
   public:
    explicit Client(ScriptedHttp& script) : script_(script) {}
    HttpResponse send(const HttpRequest& request) override { return script_.next(request); }

   private:
    ScriptedHttp& script_;
  };

  HttpResponse next(const HttpRequest& request) {
    std::string body(request.body.begin(), request.body.end());
    seen_.push_back({request.method, request.url, body, request.headers, request.even_if_stopped});
    std::string path = request.url.substr(request.url.find("/api/v2") + 7);
    if (steps_.empty()) {
      ADD_FAILURE() << "unexpected: " << request.method << " " << path;
      throw Error(ErrorCode::internal, "the script is at its end");
    }
    Step step = std::move(steps_.front());
    steps_.pop_front();
    EXPECT_EQ(request.method + " " + path, step.method + " " + step.path);
    if (step.error) throw *step.error;
    return step.response;
  }

  std::deque<Step> steps_;
  std::vector<Seen> seen_;
  size_t connections_ = 0;
};

// Waits move the clock; chance always takes the longest.
class ScriptedWaits final : public Waits {
 public:
  explicit ScriptedWaits(ManualClock& clock) : clock_(clock) {}
  void wait(milliseconds time, const std::stop_token&) override {
    clock_.advance(time);
    waited.push_back(time);
  }
  milliseconds up_to(milliseconds most) override { return most; }

  milliseconds total() const {
    milliseconds sum{0};
    for (milliseconds time : waited) sum += time;
    return sum;
  }
  std::vector<milliseconds> waited;

 private:
  ManualClock& clock_;
};

class KeptLog final : public Log {
 public:
  void line(LogLevel, std::string_view text) override { lines += std::string(text) + "\n"; }
  std::string lines;
};

}  // namespace holdfast::neon
