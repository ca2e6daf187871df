#include "serve/http_server.h"

#include <fmt/format.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <strings.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "serve/api_errors.h"
#include "serve/http_connections.h"
#include "serve/http_listen.h"
#include "serve/web_target.h"

namespace holdfast {
namespace {

using std::chrono::steady_clock;

// The library's pool per connection also holds its own records of headers and parameters. Up to the
// bound the refusal is ours, in JSON; far beyond it, the library's.
constexpr size_t kPoolBytesExtra = 24 << 10;
constexpr size_t kHeadersMax = 100;
// A body without a length that goes on beyond the bound is read to its end and refused, as nothing
// can be answered before; this much further, the connection is cut.
constexpr size_t kExcessBytesMax = 4 << 20;
// Answers up to this size are always sent: what was done must be said.
constexpr size_t kSmallAnswerBytes = 64 << 10;

// Bytes that all connections together hold in bodies and answers.
class ByteBudget {
 public:
  explicit ByteBudget(size_t max) : max_(max) {}
  bool take(size_t bytes) {
    if (used_.fetch_add(bytes) + bytes <= max_) return true;
    used_ -= bytes;
    return false;
  }
  void give(size_t bytes) { used_ -= bytes; }

 private:
  const size_t max_;
  std::atomic<size_t> used_{0};
};

// One request and its answer, from the request's first line until the answer is sent.
struct Exchange {
  ByteBudget& budget;
  std::string target;               // raw
  const char* target_at = nullptr;  // where the library has it
  WebRequest request;
  std::optional<WebResponse> response;  // there once the request is done with
  MHD_Connection* connection = nullptr;
  bool headers_seen = false;
  size_t held_bytes = 0;    // of the budget
  size_t excess_bytes = 0;  // of a body that is too long
  steady_clock::time_point begun = steady_clock::now();

  explicit Exchange(ByteBudget& bytes) : budget(bytes) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  ~Exchange() { budget.give(held_bytes); }

  bool hold(size_t bytes) {
    if (!budget.take(bytes)) return false;
    held_bytes += bytes;
    return true;
  }
  void refuse(int status, std::string_view message) {
    response = error_response(status, "", message, request.request_id);
  }
};

// "192.0.2.7"; "" if it is not known.
std::string address_of(MHD_Connection* connection) {
  const MHD_ConnectionInfo* info =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  if (info == nullptr || info->client_addr == nullptr) return {};
  char host[NI_MAXHOST] = {};
  socklen_t size =
      info->client_addr->sa_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  if (::getnameinfo(info->client_addr, size, host, sizeof host, nullptr, 0, NI_NUMERICHOST) != 0)
    return {};
  return host;
}

class HttpServerOverMhd final : public HttpServer {
 public:
  HttpServerOverMhd(const HttpServerSettings& settings, WebHandler handler, Log& log)
      : settings_(settings),
        handler_(std::move(handler)),
        log_(log),
        budget_(settings.held_bytes_max),
        connections_max_(allowed_connections(settings.connections_max)),
        connections_({static_cast<size_t>(connections_max_),
                      std::chrono::seconds(settings.request_seconds_max),
                      std::chrono::seconds(settings.idle_seconds_max)}) {
    Fd listening = listen_on(settings.address, settings.port);
    port_ = port_of(listening.get());
    for (int i = 0; i < settings.workers; ++i) workers_.emplace_back([this] { work(); });
    try {
      start_daemon(listening.get());
    } catch (...) {
      stop_workers();
      throw;
    }
    listening.release();  // the library's now
  }

  ~HttpServerOverMhd() override {
    // Every suspended connection must go on before the library may stop: from here on nothing is
    // suspended any more, and the workers answer what is.
    stop_workers();
    MHD_stop_daemon(daemon_);
  }

  int port() const override { return port_; }

 private:
  void start_daemon(int listening) {
    unsigned idle = static_cast<unsigned>(settings_.idle_seconds_max);
    daemon_ = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, nullptr, nullptr, on_access,
        this, MHD_OPTION_LISTEN_SOCKET, listening,                                         //
        MHD_OPTION_CONNECTION_LIMIT, static_cast<unsigned>(connections_max_),              //
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, static_cast<unsigned>(per_address_max()),      //
        MHD_OPTION_CONNECTION_TIMEOUT, idle,                                               //
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, settings_.header_bytes_max + kPoolBytesExtra,  //
        MHD_OPTION_STRICT_FOR_CLIENT, 1,                                                   //
        MHD_OPTION_URI_LOG_CALLBACK, on_target, this,                                      //
        MHD_OPTION_UNESCAPE_CALLBACK, unescape_nothing, nullptr,                           //
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, this,                                 //
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, this, MHD_OPTION_END);
    if (daemon_ == nullptr)
      throw Error(ErrorCode::internal,
                  "the HTTP server does not start: " + std::string(std::strerror(errno)));
  }

  // One address may not take all: its owner must still get in from another.
  int per_address_max() const { return connections_max_ - connections_max_ / 8; }

  static HttpServerOverMhd& self(void* closure) {
    return *static_cast<HttpServerOverMhd*>(closure);
  }

  static size_t unescape_nothing(void*, MHD_Connection*, char* text) { return std::strlen(text); }

  static HttpConnections::Handle& handle_of(void* socket_context) {
    return *static_cast<HttpConnections::Handle*>(socket_context);
  }

  static HttpConnections::Handle& handle_of(MHD_Connection* connection) {
    const MHD_ConnectionInfo* info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return handle_of(info->socket_context);
  }

  static void on_connection(void* closure, MHD_Connection* connection, void** context,
                            MHD_ConnectionNotificationCode what) {
    HttpConnections& connections = self(closure).connections_;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
      int socket =
          MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
      *context = new HttpConnections::Handle(connections.opened(socket));
    } else if (*context != nullptr) {
      std::unique_ptr<HttpConnections::Handle> handle(&handle_of(*context));
      connections.closed(*handle);
      *context = nullptr;
    }
  }

  // The first line of a request is in. What is returned becomes the request's context.
  static void* on_target(void* closure, const char* target, MHD_Connection* connection) {
    try {
      self(closure).connections_.request_begun(handle_of(connection));
      auto exchange = std::make_unique<Exchange>(self(closure).budget_);
      exchange->connection = connection;
      exchange->target_at = target;
      if (target != nullptr) exchange->target = target;
      return exchange.release();
    } catch (const std::exception&) {  // no memory: on_access cuts the connection
      return nullptr;
    }
  }

  static void on_completed(void* closure, MHD_Connection* connection, void** context,
                           MHD_RequestTerminationCode) {
    delete static_cast<Exchange*>(*context);
    *context = nullptr;
    self(closure).connections_.answered(handle_of(connection));
  }

  // First call: the headers are in. Then one for each part of the body, and one at its end; and
  // once more when a suspended connection goes on with its answer.
  static MHD_Result on_access(void* closure, MHD_Connection* connection, const char* target,
                              const char* method, const char* version, const char* data,
                              size_t* size, void** context) {
    auto* exchange = static_cast<Exchange*>(*context);
    if (exchange == nullptr) return MHD_NO;
    try {
      return self(closure).access(connection, target, method, version, {data, data ? *size : 0},
                                  size, *exchange);
    } catch (const std::exception& error) {  // must not leave through the library
      self(closure).log_.error(fmt::format("api: cut a connection: {}", error.what()));
      return MHD_NO;
    }
  }

  MHD_Result access(MHD_Connection* connection, const char* target, const char* method,
                    const char* version, std::string_view data, size_t* size, Exchange& exchange) {
    if (!exchange.headers_seen) {
      exchange.headers_seen = true;
      exchange.request.method = method;
      bool cut = target == exchange.target_at && is_cut(target, version, exchange.target.size());
      take_headers(connection, exchange, cut);
      return exchange.response ? answer(connection, exchange) : MHD_YES;
    }
    if (*size != 0) {
      *size = 0;
      return take_body(exchange, data) ? MHD_YES : MHD_NO;
    }
    if (!exchange.response) {
      connections_.request_whole(handle_of(connection));
      if (enqueue(exchange)) return MHD_YES;
      if (!exchange.response) exchange.refuse(503, "the server has too much to do");
    }
    return answer(connection, exchange);
  }

  // Whether the target has a NUL: the library keeps the version behind it, one character on.
  static bool is_cut(const char* target, const char* version, size_t target_size) {
    constexpr size_t kNear = 1 << 20;
    if (version <= target || static_cast<size_t>(version - target) > kNear) return false;
    return static_cast<size_t>(version - target) != target_size + 1;
  }

  void take_headers(MHD_Connection* connection, Exchange& exchange, bool cut) {
    struct Found {
      WebRequest& request;
      size_t count = 0, bytes = 0, lengths = 0, encodings = 0;
    } found{exchange.request};
    MHD_get_connection_values_n(
        connection, MHD_HEADER_KIND,
        [](void* closure, MHD_ValueKind, const char* name, size_t name_size, const char* value,
           size_t value_size) -> MHD_Result {
          auto& headers = *static_cast<Found*>(closure);
          std::string field = lower({name, name_size});
          headers.count += 1;
          headers.bytes += name_size + value_size + 4;
          headers.lengths += field == "content-length";
          headers.encodings += field == "transfer-encoding";
          headers.request.headers[field] = value ? std::string(value, value_size) : std::string();
          return MHD_YES;
        },
        &found);
    WebRequest& request = exchange.request;
    std::string id = request.header("x-request-id");
    request.request_id = is_request_id(id) ? id : make_request_uuid();
    if (found.count > kHeadersMax || found.bytes > settings_.header_bytes_max)
      return exchange.refuse(431, "the request's headers are too large");
    // Two readings of where a request ends are how one is smuggled in behind another.
    bool is_chunked = strcasecmp(request.header("transfer-encoding").c_str(), "chunked") == 0;
    if (found.lengths > 1 || found.encodings > 1 || (found.lengths > 0 && found.encodings > 0) ||
        (found.encodings > 0 && !is_chunked))
      return exchange.refuse(400, "the request's length is ambiguous");
    if (cut) return exchange.refuse(400, "the request's target has a control character");
    try {
      parse_target(exchange.target, request);
    } catch (const Error& error) {
      exchange.response = error_response(error, request.request_id);
      return;
    }
    request.address = address_of(connection);
    if (settings_.admit) exchange.response = settings_.admit(request);
    if (!exchange.response) take_length(exchange);
  }

  // Refuses a body that is too long, or for which there is no room, before it is sent.
  void take_length(Exchange& exchange) {
    std::string text = exchange.request.header("content-length");
    if (text.empty()) return;
    uint64_t length = 0;
    auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), length);
    if (failed != std::errc() || end != text.data() + text.size())
      return exchange.refuse(400, "the request's Content-Length is not a number");
    if (length > settings_.body_bytes_max)
      return exchange.refuse(
          413, fmt::format("the request's body is larger than {} bytes", settings_.body_bytes_max));
    if (!exchange.hold(length)) exchange.refuse(503, "the server has no room for the body");
  }

  // False: the connection is to be cut.
  bool take_body(Exchange& exchange, std::string_view data) {
    std::string& body = exchange.request.body;
    size_t room = settings_.body_bytes_max - body.size();
    if (exchange.excess_bytes == 0 && data.size() <= room) {
      size_t whole = body.size() + data.size();
      if (whole > exchange.held_bytes && !exchange.hold(whole - exchange.held_bytes)) return false;
      body += data;
      return true;
    }
    exchange.excess_bytes += data.size();
    return exchange.excess_bytes <= kExcessBytesMax;
  }

  // Hands the request to the workers; false if too many wait for them.
  bool enqueue(Exchange& exchange) {
    if (exchange.excess_bytes > 0) {
      exchange.refuse(
          413, fmt::format("the request's body is larger than {} bytes", settings_.body_bytes_max));
      return false;
    }
    std::lock_guard lock(mutex_);
    if (stopping_ || waiting_.size() >= settings_.waiting_max) return false;
    // Before a worker can have it, as it may be done with it at once.
    MHD_suspend_connection(exchange.connection);
    waiting_.push_back(&exchange);
    ready_.notify_one();
    return true;
  }

  void work() {
    for (;;) {
      Exchange* exchange = nullptr;
      bool stopping = false;
      {
        std::unique_lock lock(mutex_);
        ready_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        if (waiting_.empty()) return;
        exchange = waiting_.front();
        waiting_.pop_front();
        stopping = stopping_;
      }
      if (stopping)
        exchange->refuse(503, "the server is being stopped");
      else
        exchange->response = handle(exchange->request);
      size_t bytes = exchange->response->body.size();
      if (!exchange->hold(bytes) && bytes > kSmallAnswerBytes)
        exchange->refuse(503, "the server has too many answers on their way");
      MHD_resume_connection(exchange->connection);  // the exchange is the library's thread's again
    }
  }

  WebResponse handle(const WebRequest& request) {
    try {
      return handler_(request);
    } catch (const Error& error) {
      return error_response(error, request.request_id);
    } catch (const std::exception& error) {
      log_.error(fmt::format("api: request {}: {}", request.request_id, error.what()));
      return error_response(500, "", "internal error; the server's log has more",
                            request.request_id);
    }
  }

  void stop_workers() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    ready_.notify_all();
    workers_.clear();  // joins
  }

  MHD_Result answer(MHD_Connection* connection, Exchange& exchange) {
    WebResponse& response = *exchange.response;
    connections_.answering(handle_of(connection), response.body.size());
    // The body stays in the exchange until it is sent.
    std::unique_ptr<MHD_Response, void (*)(MHD_Response*)> made(
        MHD_create_response_from_buffer(response.body.size(), response.body.data(),
                                        MHD_RESPMEM_PERSISTENT),
        MHD_destroy_response);
    if (!made) return MHD_NO;
    if (response.status != 204)
      MHD_add_response_header(made.get(), "Content-Type", response.content_type.c_str());
    MHD_add_response_header(made.get(), "Cache-Control", "no-store");
    MHD_add_response_header(made.get(), "X-Request-ID", exchange.request.request_id.c_str());
    for (const auto& [name, value] : response.headers)
      MHD_add_response_header(made.get(), name.c_str(), value.c_str());
    log_line(exchange);
    return MHD_queue_response(connection, static_cast<unsigned>(response.status), made.get());
  }

  void log_line(const Exchange& exchange) {
    std::chrono::duration<double, std::milli> took = steady_clock::now() - exchange.begun;
    const std::string& client = exchange.request.client;
    const std::string& route = exchange.response->route;
    // An unknown method is the client's text.
    const std::string& method = exchange.request.method;
    bool is_word = method.size() <= 10 && std::all_of(method.begin(), method.end(),
                                                      [](char c) { return c >= 'A' && c <= 'Z'; });
    log_.info(fmt::format("api: {} {} {} {:.1f} ms {} {}", is_word ? method : "?",
                          route.empty() ? "-" : route, exchange.response->status, took.count(),
                          client.empty() ? "nobody" : client, exchange.request.request_id));
  }

  const HttpServerSettings settings_;
  const WebHandler handler_;
  Log& log_;
  ByteBudget budget_;
  const int connections_max_;
  HttpConnections connections_;
  int port_ = 0;
  MHD_Daemon* daemon_ = nullptr;

  // Before the library's own locks, never after one of them.
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Exchange*> waiting_;  // guarded by mutex_; each suspended, and alive while it is
  bool stopping_ = false;          // guarded by mutex_
  std::vector<std::jthread> workers_;
};

}  // namespace

std::unique_ptr<HttpServer> HttpServer::start(const HttpServerSettings& settings,
                                              WebHandler handler, Log& log) {
  return std::make_unique<HttpServerOverMhd>(settings, std::move(handler), log);
}

}  // namespace holdfast
