// The transport against a server of a few lines that says exactly what a test wants to be said.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "base/expect_error.h"
#include "base/file.h"
#include "store/http.h"

namespace holdfast {
namespace {

// Takes connections one after another; each gets the next of `answers` for each of its requests
// (an empty one: the connection is closed), and what was asked is kept.
class ScriptedServer {
 public:
  explicit ScriptedServer(std::vector<std::string> answers)
      : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), answers_(std::move(answers)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* raw = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener_.get(), raw, size), 0);
    EXPECT_EQ(::listen(listener_.get(), 5), 0);
    EXPECT_EQ(::getsockname(listener_.get(), raw, &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this] { serve(); });
  }
  ~ScriptedServer() { ::shutdown(listener_.get(), SHUT_RDWR); }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/a%20b"; }
  // After all answers were given.
  const std::vector<std::string>& asked() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
    return asked_;
  }

 private:
  void serve() {
    while (next_ < answers_.size()) {
      Fd connection(::accept(listener_.get(), nullptr, nullptr));
      if (!connection.open()) return;
      while (next_ < answers_.size()) {
        std::string request = receive(connection.get());
        if (request.empty()) break;
        asked_.push_back(request);
        const std::string& answer = answers_[next_++];
        if (answer.empty()) break;
        EXPECT_EQ(::send(connection.get(), answer.data(), answer.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(answer.size()));
        if (answer.find("Connection: close") != std::string::npos) break;
      }
    }
  }

  static std::string receive(int socket) {
    std::string text;
    char bytes[4096];
    while (true) {
      size_t end = text.find("\r\n\r\n");
      size_t length = text.find("Content-Length: ");
      size_t body = length < end ? std::stoul(text.substr(length + 16)) : 0;
      if (end != std::string::npos && text.size() >= end + 4 + body) return text;
      ssize_t got = ::recv(socket, bytes, sizeof bytes, 0);
      if (got <= 0) return {};
      text.append(bytes, static_cast<size_t>(got));
    }
  }

  Fd listener_;
  int port_ = 0;
  std::vector<std::string> answers_, asked_;
  size_t next_ = 0;
  std::jthread thread_;
};

TEST(CurlHttp, WhatIsAskedIsSentAsItIs) {
  ScriptedServer server({"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag:  \"x\" \r\n\r\nok",
                         "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nno...",
                         "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"});
  std::unique_ptr<HttpClient> client = make_curl_transport()->connect();
  std::string body(200'000, 'b');
  HttpRequest put{
      "PUT", server.url() + "?x=%2F", {{"host", "h.test"}, {"x-a", "1"}}, as_bytes(body), {}};
  HttpResponse response = client->send(put);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "ok");
  EXPECT_EQ(response.header("etag"), "\"x\"");
  HttpRequest get{"GET", server.url(), {}, {}, {}};
  uint8_t into[100];
  get.into = into;
  response = client->send(get);
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.body, "no...");  // an error's body is not the object's
  EXPECT_EQ(response.into_bytes, 0u);
  response = client->send(HttpRequest{"HEAD", server.url(), {}, {}, {}});
  EXPECT_EQ(response.header("content-length"), "7");

  const std::vector<std::string>& asked = server.asked();
  ASSERT_EQ(asked.size(), 3u);  // by one connection
  std::string head = asked[0].substr(0, asked[0].find("\r\n\r\n"));
  EXPECT_TRUE(head.starts_with("PUT /a%20b?x=%2F HTTP/1.1\r\n")) << head;
  EXPECT_NE(head.find("Host: h.test\r\n"), std::string::npos) << head;
  EXPECT_EQ(head.find("Expect"), std::string::npos) << head;
  EXPECT_EQ(head.find("Content-Type"), std::string::npos) << head;
  EXPECT_TRUE(asked[0].ends_with("\r\n\r\n" + body));
}

TEST(CurlHttp, EveryMethodSendsItsBody) {
  constexpr const char* kEmpty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  ScriptedServer server({kEmpty, kEmpty, kEmpty});
  std::unique_ptr<HttpClient> client = make_curl_transport()->connect();
  std::string body = "{\"branch\":{}}";
  client->send(HttpRequest{"PATCH", server.url(), {}, as_bytes(body), {}});
  client->send(HttpRequest{"DELETE", server.url(), {}, {}, {}});
  client->send(HttpRequest{"POST", server.url(), {}, {}, {}});
  const std::vector<std::string>& asked = server.asked();
  ASSERT_EQ(asked.size(), 3u);
  EXPECT_TRUE(asked[0].starts_with("PATCH ")) << asked[0];
  EXPECT_TRUE(asked[0].ends_with("\r\n\r\n" + body)) << asked[0];
  EXPECT_TRUE(asked[1].starts_with("DELETE ")) << asked[1];
  EXPECT_EQ(asked[1].find("Content-Length"), std::string::npos) << asked[1];
  EXPECT_NE(asked[2].find("Content-Length: 0\r\n"), std::string::npos) << asked[2];
}

TEST(CurlHttp, HalfAnAnswerIsNone) {
  ScriptedServer server(
      {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nonly this",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nabcde\r\n",
       "HTTP/1.1 200 OK\r\nContent-Length: 20\r\nConnection: close\r\n\r\n01234567890123456789", "",
       "nonsense\r\n\r\n"});
  std::unique_ptr<HttpClient> client = make_curl_transport()->connect();
  HttpRequest get{"GET", server.url(), {}, {}, {}};
  EXPECT_ERROR(unavailable, client->send(get));
  EXPECT_ERROR(unavailable, client->send(get));
  HttpRequest small = get;
  uint8_t into[10];
  small.into = into;
  EXPECT_ERROR(unavailable, client->send(small));  // longer than was asked for
  EXPECT_ERROR(unavailable, client->send(get));
  EXPECT_ERROR(unavailable, client->send(get));
}

TEST(CurlHttp, RedirectsAreAnswersAndBodiesAreBounded) {
  ScriptedServer server(
      {"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\n"
       "Content-Length: 0\r\n\r\n",
       "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n" +
           std::string(1000, 'x')});
  std::unique_ptr<HttpClient> client = make_curl_transport()->connect();
  HttpRequest get{"GET", server.url(), {}, {}, {}};
  EXPECT_EQ(client->send(get).status, 301);
  get.body_bytes_max = 999;
  EXPECT_ERROR(unavailable, client->send(get));
}

TEST(CurlHttp, WhoeverIsNotThereIsUnavailable) {
  std::unique_ptr<HttpClient> client = make_curl_transport()->connect();
  EXPECT_ERROR(unavailable, client->send(HttpRequest{"GET", "http://127.0.0.1:1/", {}, {}, {}}));
  EXPECT_ERROR(unavailable,
               client->send(HttpRequest{"GET", "http://nowhere.invalid/", {}, {}, {}}));
  ScriptedServer server({"HTTP/1.1 204 No Content\r\n\r\n"});
  EXPECT_EQ(client->send(HttpRequest{"GET", server.url(), {}, {}, {}}).status, 204);
  EXPECT_ERROR(invalid, client->send(HttpRequest{"GET", "file:///etc/passwd", {}, {}, {}}));
  EXPECT_ERROR(invalid, client->send(HttpRequest{
                            "GET", "http://127.0.0.1:1/", {{"x", "a\r\nb: c"}}, {}, {}}));
}

// Takes connections and says nothing.
class SilentServer {
 public:
  SilentServer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* raw = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener_.get(), raw, size), 0);
    EXPECT_EQ(::listen(listener_.get(), 5), 0);
    EXPECT_EQ(::getsockname(listener_.get(), raw, &size), 0);
    url_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/";
  }
  int socket() const { return listener_.get(); }
  const std::string& url() const { return url_; }

 private:
  Fd listener_;
  std::string url_;
};

// A limit for the whole ends what only stands still, long before the stall would be noticed.
TEST(CurlHttp, ARequestCanHaveALimitForAllOfIt) {
  SilentServer silent;
  HttpRequest request{"GET", silent.url(), {}, {}, {}};
  request.stall_timeout_ms = 3600'000;
  request.total_timeout_ms = 50;
  EXPECT_ERROR(unavailable, make_curl_transport()->connect()->send(request));
}

TEST(CurlHttp, OfAnUrlOnlyTheHostIsSaid) {
  EXPECT_EQ(host_of_url("https://hooks.slack.com/services/T0/B0/secret"), "hooks.slack.com");
  EXPECT_EQ(host_of_url("https://anna:s3cr3t@host.test:8443?token=x"), "host.test:8443");
  EXPECT_EQ(host_of_url("https://a@b@host.test#f"), "host.test");
}

// A server that says nothing: the wish to stop ends the waiting, but not a request that clears up.
TEST(CurlHttp, TheWishToStopEndsARequest) {
  std::stop_source stop;
  CurlOptions options;
  options.stop = stop.get_token();
  std::unique_ptr<HttpTransport> transport = make_curl_transport(options);
  SilentServer silent;
  std::future<void> waiting = std::async(std::launch::async, [&] {
    EXPECT_ERROR(cancelled,
                 transport->connect()->send(HttpRequest{"GET", silent.url(), {}, {}, {}}));
  });
  Fd accepted(::accept(silent.socket(), nullptr, nullptr));
  stop.request_stop();
  waiting.get();

  ScriptedServer server({"HTTP/1.1 204 No Content\r\n\r\n"});
  HttpRequest remove{"DELETE", server.url(), {}, {}, {}};
  EXPECT_ERROR(cancelled, transport->connect()->send(remove));
  remove.even_if_stopped = true;
  EXPECT_EQ(transport->connect()->send(remove).status, 204);
}

}  // namespace
}  // namespace holdfast
