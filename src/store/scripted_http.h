// For tests: the other side of HttpTransport, played from a script. Every request must be the next
// one of the script; what is left at the end is a failure too. Answers can be lost before or after
// they were "done".
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "store/http.h"

namespace holdfast {

class ScriptedHttp : public HttpTransport {
 public:
  // Steps name the end of an URL: what stands behind the first `mount` in it.
  explicit ScriptedHttp(std::string mount) : mount_(std::move(mount)) {}
  ~ScriptedHttp() override {
    for (const Step& step : steps_)
      ADD_FAILURE() << "never asked: " << step.method << " " << step.path;
  }

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
    int total_timeout_ms = 0;
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
    seen_.push_back({request.method, request.url, body, request.headers, request.even_if_stopped,
                     request.total_timeout_ms});
    size_t at = request.url.find(mount_);
    EXPECT_NE(at, std::string::npos) << request.url;
    std::string path =
        at == std::string::npos ? request.url : request.url.substr(at + mount_.size());
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

  const std::string mount_;
  std::deque<Step> steps_;
  std::vector<Seen> seen_;
  size_t connections_ = 0;
};

}  // namespace holdfast
