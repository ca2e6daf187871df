#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "store/http.h"

namespace holdfast {
namespace {

// libcurl's largest read buffer, and an upload buffer of the same size: fewer calls per gigabyte.
constexpr long kTransferBytes = 512 << 10;
// Header lines are short; a server that sends more of them than this is not one of ours.
constexpr size_t kHeaderBytesMax = 256 << 10;

struct SlistDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Slist = std::unique_ptr<curl_slist, SlistDeleter>;
struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
using Easy = std::unique_ptr<CURL, EasyDeleter>;

// One request on its way: what libcurl's callbacks read and fill.
struct Exchange {
  const HttpRequest& request;
  const std::stop_token& stop;
  HttpResponse response;
  size_t sent = 0, header_bytes = 0;
  bool too_large = false;

  bool stopped() const { return !request.even_if_stopped && stop.stop_requested(); }
};

size_t on_read(char* out, size_t, size_t room, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  ByteView left = exchange.request.body.subspan(exchange.sent);
  size_t count = std::min(room, left.size());
  if (count > 0) std::memcpy(out, left.data(), count);
  exchange.sent += count;
  return count;
}

// libcurl sends a body again by itself when a kept connection turns out to be closed.
int on_seek(void* context, curl_off_t offset, int origin) {
  auto& exchange = *static_cast<Exchange*>(context);
  if (origin != SEEK_SET || offset < 0 ||
      static_cast<size_t>(offset) > exchange.request.body.size())
    return CURL_SEEKFUNC_FAIL;
  exchange.sent = static_cast<size_t>(offset);
  return CURL_SEEKFUNC_OK;
}

size_t on_write(char* bytes, size_t, size_t count, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  HttpResponse& response = exchange.response;
  std::span<uint8_t> into = exchange.request.into;
  if (!into.empty() && response.status >= 200 && response.status < 300) {
    if (count > into.size() - response.into_bytes) {
      exchange.too_large = true;
      return 0;
    }
    std::memcpy(into.data() + response.into_bytes, bytes, count);
    response.into_bytes += count;
    return count;
  }
  if (count > exchange.request.body_bytes_max - response.body.size()) {
    exchange.too_large = true;
    return 0;
  }
  response.body.append(bytes, count);
  return count;
}

size_t on_header(char* bytes, size_t, size_t count, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  std::string_view line(bytes, count);
  exchange.header_bytes += count;
  if (exchange.header_bytes > kHeaderBytesMax) return 0;
  if (line.starts_with("HTTP/")) {  // a proxy's or an interim answer may precede the real one
    exchange.response = {};
    size_t blank = line.find(' ');
    if (blank != std::string_view::npos)
      exchange.response.status = std::atoi(std::string(line.substr(blank + 1, 3)).c_str());
    return count;
  }
  size_t colon = line.find(':');
  if (colon == std::string_view::npos) return count;
  exchange.response.headers.emplace_back(lower(line.substr(0, colon)),
                                         trim(line.substr(colon + 1)));
  return count;
}

int on_progress(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<Exchange*>(context)->stopped() ? 1 : 0;
}

// This machine, and what answers only on it: a proxy could not reach them, or would learn secrets.
bool is_local(const std::string& host) {
  for (std::string_view start : {"169.254.", "127.", "localhost", "[::1]", "[fd00:ec2::", "[fe80:"})
    if (host.starts_with(start)) return true;
  return false;
}

Error failure(CURLcode code, const Exchange& exchange, const char* detail) {
  std::string host = host_of_url(exchange.request.url);
  if (exchange.stopped()) return Error(ErrorCode::cancelled, "interrupted");
  if (exchange.too_large)
    return Error(ErrorCode::unavailable,
                 fmt::format("{} sent a longer answer than was asked for", host));
  std::string what =
      printable(detail[0] != '\0' ? detail : curl_easy_strerror(code), /*bytes_max=*/200);
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
      return Error(ErrorCode::denied, fmt::format("{} could not prove who it is: {}", host, what),
                   "give the authority that signed its certificate (AWS_CA_BUNDLE), or correct the "
                   "endpoint");
    case CURLE_SSL_CACERT_BADFILE:
      return Error(ErrorCode::invalid, fmt::format("the authorities' file: {}", what),
                   "name a readable PEM file (AWS_CA_BUNDLE)");
    case CURLE_URL_MALFORMAT:
      return Error(ErrorCode::invalid, fmt::format("'{}' is no address to send to: {}", host, what),
                   "an endpoint looks like https://s3.example.org");
    case CURLE_OUT_OF_MEMORY:
      throw std::bad_alloc();
    default:
      return Error(ErrorCode::unavailable, fmt::format("{}: {}", host, what),
                   "see that the endpoint is right and reachable from here");
  }
}

class CurlClient final : public HttpClient {
 public:
  explicit CurlClient(const CurlOptions& options) : options_(options), easy_(curl_easy_init()) {}

  HttpResponse send(const HttpRequest& request) override {
    Exchange exchange{request, options_.stop, {}};
    if (exchange.stopped()) throw Error(ErrorCode::cancelled, "interrupted");
    check(request);
    if (!easy_) throw std::bad_alloc();
    curl_easy_reset(easy_.get());  // options only: the connection stays
    char detail[CURL_ERROR_SIZE] = "";
    set(CURLOPT_ERRORBUFFER, detail);
    set_rules(request);
    set_callbacks(exchange);
    Slist headers = header_list(request);
    set(CURLOPT_HTTPHEADER, headers.get());
    set_method(request);
    CURLcode code = curl_easy_perform(easy_.get());
    if (code == CURLE_OK) return std::move(exchange.response);
    // After some failures (a name that is not found) libcurl 7.88 refuses options: start afresh.
    easy_.reset(curl_easy_init());
    throw failure(code, exchange, detail);
  }

 private:
  template <typename Value>
  void set(CURLoption option, Value value) {
    CURLcode code = curl_easy_setopt(easy_.get(), option, value);
    if (code != CURLE_OK)
      throw Error(ErrorCode::internal,
                  fmt::format("this libcurl cannot do what is needed ({}: {})",
                              static_cast<int>(option), curl_easy_strerror(code)));
  }

  static void check(const HttpRequest& request) {
    if (!request.url.starts_with("http://") && !request.url.starts_with("https://"))
      throw Error(ErrorCode::invalid,
                  fmt::format("'{}' is no address to send to", host_of_url(request.url)),
                  "an endpoint looks like https://s3.example.org");
    for (const auto& [name, value] : request.headers)
      if (name.find_first_of("\r\n") != std::string::npos ||
          value.find_first_of("\r\n") != std::string::npos)
        throw Error(ErrorCode::invalid, "a header cannot have a line break");
  }

  void set_rules(const HttpRequest& request) {
    set(CURLOPT_URL, request.url.c_str());
    set(CURLOPT_PATH_AS_IS, 1L);  // what was signed is what is sent
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    // HTTP/2 uploads loop and lose connections in libcurl before 8.1.
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    set(CURLOPT_SSL_VERIFYPEER, 1L);
    set(CURLOPT_SSL_VERIFYHOST, 2L);
    if (!options_.ca_file.empty()) set(CURLOPT_CAINFO, options_.ca_file.c_str());
    set(CURLOPT_FRESH_CONNECT, request.at_most_once ? 1L : 0L);
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_timeout_ms));
    // As a rule no limit for the whole: only for standing still.
    set(CURLOPT_LOW_SPEED_LIMIT, 1L);
    if (request.total_timeout_ms > 0)
      set(CURLOPT_TIMEOUT_MS, static_cast<long>(request.total_timeout_ms));
    set(CURLOPT_LOW_SPEED_TIME, std::max(1L, request.stall_timeout_ms / 1000L));
    set(CURLOPT_BUFFERSIZE, kTransferBytes);
    set(CURLOPT_UPLOAD_BUFFERSIZE, kTransferBytes);
    if (is_local(host_of_url(request.url))) set(CURLOPT_PROXY, "");
  }

  void set_callbacks(Exchange& exchange) {
    set(CURLOPT_WRITEFUNCTION, on_write);
    set(CURLOPT_WRITEDATA, static_cast<void*>(&exchange));
    set(CURLOPT_HEADERFUNCTION, on_header);
    set(CURLOPT_HEADERDATA, static_cast<void*>(&exchange));
    set(CURLOPT_READFUNCTION, on_read);
    set(CURLOPT_READDATA, static_cast<void*>(&exchange));
    set(CURLOPT_SEEKFUNCTION, on_seek);
    set(CURLOPT_SEEKDATA, static_cast<void*>(&exchange));
    set(CURLOPT_XFERINFOFUNCTION, on_progress);
    set(CURLOPT_XFERINFODATA, static_cast<void*>(&exchange));
    set(CURLOPT_NOPROGRESS, 0L);
  }

  static Slist header_list(const HttpRequest& request) {
    Slist list;
    auto add = [&](const std::string& line) {
      curl_slist* longer = curl_slist_append(list.get(), line.c_str());
      if (longer == nullptr) throw std::bad_alloc();
      (void)list.release();
      list.reset(longer);
    };
    bool has_type = false;
    for (const auto& [name, value] : request.headers) {
      add(value.empty() ? name + ";" : name + ": " + value);
      has_type = has_type || name == "content-type";
    }
    add("Expect:");  // one round trip less; a refused body is sent in vain, which is rare
    if (!has_type) add("Content-Type:");  // libcurl would guess a form's
    return list;
  }

  void set_method(const HttpRequest& request) {
    const std::string& method = request.method;
    if (method == "HEAD") {
      set(CURLOPT_NOBODY, 1L);
    } else if (method == "PUT" || method == "POST" || !request.body.empty()) {
      set(CURLOPT_UPLOAD, 1L);
      set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
      set(CURLOPT_CUSTOMREQUEST, method.c_str());
    } else {
      set(CURLOPT_HTTPGET, 1L);
      set(CURLOPT_CUSTOMREQUEST, method.c_str());
    }
  }

  const CurlOptions options_;
  Easy easy_;
};

class CurlTransport final : public HttpTransport {
 public:
  explicit CurlTransport(CurlOptions options) : options_(std::move(options)) {
    static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (started != CURLE_OK) throw Error(ErrorCode::internal, "libcurl could not be started");
  }
  std::unique_ptr<HttpClient> connect() override { return std::make_unique<CurlClient>(options_); }

 private:
  CurlOptions options_;
};

}  // namespace

std::unique_ptr<HttpTransport> make_curl_transport(const CurlOptions& options) {
  return std::make_unique<CurlTransport>(options);
}

}  // namespace holdfast
