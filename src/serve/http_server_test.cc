// The HTTP server from outside, by libcurl and by raw bytes. What hostile clients do to it is in
// tests/integration/test_api_hostile.py.
#include "serve/http_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <latch>
#include <mutex>
#include <thread>

#include "base/bytes.h"
#include "base/expect_error.h"
#include "base/file.h"
#include "neon/json.h"
#include "store/http.h"

namespace holdfast {
namespace {

class LinesLog final : public Log {
 public:
  void line(LogLevel, std::string_view text) override {
    std::lock_guard lock(mutex_);
    lines_ += std::string(text) + "\n";
  }
  std::string lines() const {
    std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  mutable std::mutex mutex_;
  std::string lines_;
};

class HttpServerTest : public ::testing::Test {
 protected:
  HttpServerSettings settings_;
  LinesLog log_;
  std::unique_ptr<HttpTransport> transport_ = make_curl_transport();
  std::unique_ptr<HttpServer> server_;

  void start(WebHandler handler) {
    server_ = HttpServer::start(settings_, std::move(handler), log_);
  }
  HttpResponse send(const std::string& method, const std::string& target,
                    const std::string& body = {}, HttpHeaders headers = {}) {
    HttpRequest request;
    request.method = method;
    request.url = "http://127.0.0.1:" + std::to_string(server_->port()) + target;
    request.headers = std::move(headers);
    request.body = as_bytes(body);
    return transport_->connect()->send(request);
  }
  // What the server says to these bytes until it closes the connection.
  std::string raw(const std::string& bytes) {
    Fd connection(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(server_->port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(connection.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      throw system_error("connect", errno);
    write_all(connection.get(), as_bytes(bytes), "the connection");
    std::string answer;
    char buffer[4096];
    ssize_t got;
    while ((got = recv(connection.get(), buffer, sizeof buffer, 0)) > 0)
      answer.append(buffer, static_cast<size_t>(got));
    return answer;
  }
};

WebResponse echo(const WebRequest& request) {
  WebResponse response;
  response.body = request.method + " " + request.path;
  for (const auto& [name, value] : request.query) response.body += " " + name + "=" + value;
  response.body += " [" + request.body + "] " + request.header("x-test");
  response.route = "/echo";
  return response;
}

TEST_F(HttpServerTest, HandsRequestsOverWhole) {
  start(echo);
  EXPECT_EQ(send("GET", "/a%20b?x=%26&y", "", {{"X-Test", "one"}}).body, "GET /a b x=& y= [] one");
  std::string body(100'000, 'b');
  HttpResponse answer = send("POST", "/p", body, {{"X-Request-ID", "abc"}});
  EXPECT_TRUE(answer.body == "POST /p [" + body + "] ");
  EXPECT_EQ(answer.header("x-request-id"), "abc");
  EXPECT_EQ(answer.header("cache-control"), "no-store");
  EXPECT_EQ(answer.header("content-type"), "application/json");
  std::string lines = log_.lines();
  EXPECT_NE(lines.find("api: POST /echo 200 "), std::string::npos) << lines;
  EXPECT_EQ(lines.find("/p"), std::string::npos) << lines;
}

TEST_F(HttpServerTest, WhatHandlersThrowBecomesAnAnswer) {
  start([](const WebRequest& request) -> WebResponse {
    if (request.path == "/error") throw Error(ErrorCode::busy, "somebody holds it", "wait");
    throw std::runtime_error("an inner secret");
  });
  HttpResponse busy = send("GET", "/error");
  EXPECT_EQ(busy.status, 423);
  EXPECT_EQ(neon::read_error(busy.body).message, "somebody holds it (hint: wait)");
  HttpResponse broken = send("GET", "/broken");
  EXPECT_EQ(broken.status, 500);
  EXPECT_EQ(broken.body.find("secret"), std::string::npos);
  EXPECT_NE(log_.lines().find("an inner secret"), std::string::npos);
}

TEST_F(HttpServerTest, AdmissionComesBeforeTheBody) {
  std::atomic<int> handled = 0;
  settings_.admit = [](WebRequest& request) -> std::optional<WebResponse> {
    if (request.header("x-test") == "good") return std::nullopt;
    WebResponse response;
    response.status = 401;
    response.body = "{}";
    return response;
  };
  start([&](const WebRequest& request) {
    ++handled;
    return echo(request);
  });
  std::string answer = raw("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 401 ")) << answer;
  EXPECT_EQ(handled, 0);
  EXPECT_EQ(send("POST", "/a", "b", {{"X-Test", "good"}}).status, 200);
}

TEST_F(HttpServerTest, WorkersAndWhatWaitsForThemAreBounded) {
  settings_.workers = 1;
  settings_.waiting_max = 1;
  std::latch started(1), go_on(1);
  std::atomic<int> calls = 0;
  start([&](const WebRequest& request) {
    if (calls++ == 0) {
      started.count_down();
      go_on.wait();
    }
    return echo(request);
  });
  std::jthread first([&] { EXPECT_EQ(send("GET", "/1").status, 200); });
  started.wait();
  std::atomic<int> refused = 0, served = 0;
  {
    std::vector<std::jthread> others;
    for (int i = 0; i < 3; ++i)
      others.emplace_back([&] {
        HttpResponse answer = send("GET", "/n");
        if (answer.status == 503 && answer.header("retry-after") == "2") ++refused;
        if (answer.status == 200) ++served;
        if (refused == 2) go_on.count_down();  // the third one waits for the worker
      });
  }
  EXPECT_EQ(refused, 2);
  EXPECT_EQ(served, 1);
}

TEST_F(HttpServerTest, BodiesAreBounded) {
  settings_.body_bytes_max = 100;
  start(echo);
  EXPECT_EQ(send("POST", "/a", std::string(100, 'x')).status, 200);
  HttpResponse answer = send("POST", "/a", std::string(101, 'x'));
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(neon::read_error(answer.body).message, "the request's body is larger than 100 bytes");
  std::string chunked =
      "POST /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
      "Transfer-Encoding: chunked\r\n\r\n";
  EXPECT_NE(raw(chunked + "3\r\nabc\r\n0\r\n\r\n").find("[abc]"), std::string::npos);
  EXPECT_TRUE(raw(chunked + "65\r\n" + std::string(101, 'x') + "\r\n0\r\n\r\n")
                  .starts_with("HTTP/1.1 413 "));
}

TEST_F(HttpServerTest, HeldBytesAreBounded) {
  settings_.held_bytes_max = 1000;
  start([](const WebRequest& request) {
    WebResponse response;
    response.body = std::string(request.path == "/large" ? 100'000 : 10, 'x');
    return response;
  });
  EXPECT_EQ(send("POST", "/a", std::string(2000, 'x')).status, 503);
  EXPECT_EQ(send("GET", "/large").status, 503);
  EXPECT_EQ(send("GET", "/small").status, 200);
  for (int i = 0; i < 20; ++i)  // what was taken is given back
    EXPECT_EQ(send("POST", "/a", std::string(900, 'x')).status, 200);
}

TEST_F(HttpServerTest, SlowRequestsAreCut) {
  settings_.request_seconds_max = 1;
  start(echo);
  EXPECT_EQ(raw("GET /a HTTP/1.1\r\nHost: x\r\n"), "");  // returns because the server closes
}

TEST_F(HttpServerTest, PortsThatAreTakenAreSaid) {
  start(echo);
  HttpServerSettings second;
  second.port = server_->port();
  EXPECT_ERROR_SAYING(exists, "something else listens", HttpServer::start(second, echo, log_));
  second.address = "203.0.113.7";
  second.port = 0;
  EXPECT_ERROR(invalid, HttpServer::start(second, echo, log_));
}

}  // namespace
}  // namespace holdfast
