#include "store/s3_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <random>

#include "base/text.h"
#include "seal/sha256.h"
#include "store/s3_errors.h"

namespace holdfast {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstWait{300}, kWaitMax{20'000};
constexpr milliseconds kRetryAfterMax{120'000};  // a server that wants longer is asked sooner
constexpr size_t kIdleClientsMax = 16;
constexpr size_t kAnswerBytesMax = 16 << 20;  // 1,000 keys of 1 KiB, percent-encoded, take 4 MiB
constexpr int kRenewalsMax = 2;
constexpr int kAttemptsWhenStopped = 2;

std::string without_default_port(const std::string& host, bool https) {
  std::string_view port = https ? ":443" : ":80";
  return host.ends_with(port) ? host.substr(0, host.size() - port.size()) : host;
}

// Names with dots do not match AWS's certificate, `*.s3.region.amazonaws.com`.
bool fits_host_name(const std::string& bucket) {
  return std::all_of(bucket.begin(), bucket.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

// It becomes part of a host name, so it must not be able to name another host.
bool is_region(std::string_view region) {
  return !region.empty() && region.size() <= 64 &&
         std::all_of(region.begin(), region.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_';
         });
}

void check_settings(const S3Settings& settings) {
  auto wrong = [](const std::string& message, const char* hint) {
    return Error(ErrorCode::invalid, message, hint);
  };
  if (settings.bucket.empty() || settings.bucket.find_first_of("/?#\r\n ") != std::string::npos)
    throw wrong(fmt::format("'{}' cannot be a bucket's name", printable(settings.bucket)),
                "S3_BACKUP_BUCKET is the name alone, without s3:// or a path");
  const std::string& endpoint = settings.endpoint;
  bool good =
      endpoint.empty() || endpoint.starts_with("https://") || endpoint.starts_with("http://");
  if (!good || endpoint.find_first_of("?#@ \r\n") != std::string::npos)
    throw wrong(fmt::format("'{}' cannot be an endpoint", printable(endpoint)),
                "it looks like https://s3.example.org or http://127.0.0.1:9000");
  if (!settings.region.empty() && !is_region(settings.region))
    throw wrong(fmt::format("'{}' cannot be a region", printable(settings.region)),
                "AWS_REGION looks like eu-central-1");
  if (settings.sse.value_or("") != "" && *settings.sse != "AES256" && *settings.sse != "aws:kms")
    throw wrong(fmt::format("'{}' is no server-side encryption", printable(*settings.sse)),
                "choose AES256 or aws:kms, or leave it empty");
  if (settings.object_lock != "" && settings.object_lock != "GOVERNANCE" &&
      settings.object_lock != "COMPLIANCE")
    throw wrong(fmt::format("'{}' is no Object Lock mode", printable(settings.object_lock)),
                "choose GOVERNANCE or COMPLIANCE");
}

void really_wait(milliseconds time, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, time, [] { return false; });
}

milliseconds jitter(milliseconds most) {
  thread_local std::minstd_rand generator{std::random_device{}()};
  return milliseconds(std::uniform_int_distribution<milliseconds::rep>(0, most.count())(generator));
}

}  // namespace

// A client from the pool; one that was in trouble does not go back.
class S3Client::Lease {
 public:
  explicit Lease(S3Client& owner) : owner_(owner) {
    {
      std::lock_guard lock(owner.mutex_);
      if (!owner.idle_.empty()) {
        client_ = std::move(owner.idle_.back());
        owner.idle_.pop_back();
      }
    }
    if (!client_) client_ = owner.transport_.connect();
  }
  HttpClient& client() { return *client_; }
  void give_back() {
    std::lock_guard lock(owner_.mutex_);
    if (owner_.idle_.size() < kIdleClientsMax) owner_.idle_.push_back(std::move(client_));
  }

 private:
  S3Client& owner_;
  std::unique_ptr<HttpClient> client_;
};

S3Client::S3Client(const S3Settings& settings, CredentialSource& credentials,
                   HttpTransport& transport, const Clock& clock)
    : settings_(settings),
      credentials_(credentials),
      transport_(transport),
      clock_(clock),
      path_style_(settings.path_style.value_or(!settings.endpoint.empty() ||
                                               !fits_host_name(settings.bucket))),
      region_(settings.region.empty() ? "us-east-1" : settings.region) {
  check_settings(settings);
}

S3Client::Address S3Client::address_of(const S3Request& request) const {
  Address address;
  {
    std::lock_guard lock(mutex_);
    address.region = region_;
  }
  std::string scheme = "https", base;
  if (at_aws()) {
    bool china = address.region.starts_with("cn-");
    address.host = fmt::format("s3.{}.amazonaws.com{}", address.region, china ? ".cn" : "");
  } else {
    size_t host = settings_.endpoint.find("://") + 3;
    scheme = settings_.endpoint.substr(0, host - 3);
    size_t slash = settings_.endpoint.find('/', host);
    address.host =
        without_default_port(settings_.endpoint.substr(host, slash - host), scheme == "https");
    if (slash != std::string::npos) base = settings_.endpoint.substr(slash);
    while (base.ends_with('/')) base.pop_back();
  }
  if (path_style_)
    base += fmt::format("/{}", uri_encode(settings_.bucket, false));
  else
    address.host = fmt::format("{}.{}", settings_.bucket, address.host);
  address.path = fmt::format("{}/{}", base, uri_encode(request.key, true));
  if (path_style_ && request.key.empty()) address.path.pop_back();
  address.origin = fmt::format("{}://{}", scheme, address.host);
  return address;
}

HttpResponse S3Client::send(HttpClient& client, const S3Request& request, const Address& address,
                            const std::string& payload_sha256) {
  SigningTarget target{request.method, address.path, encode_query(request.query), payload_sha256,
                       address.region};
  HttpRequest http;
  http.method = request.method;
  http.url = address.origin + address.path + (target.query.empty() ? "" : "?") + target.query;
  http.headers = request.headers;
  http.headers.emplace_back("host", address.host);
  http.headers.emplace_back("x-amz-content-sha256", payload_sha256);
  sign_request(target, credentials_.get(), clock_.now(), http.headers);
  http.body = request.body;
  http.into = request.into;
  http.body_bytes_max = kAnswerBytesMax;
  http.stall_timeout_ms = request.stall_timeout_ms;
  http.even_if_stopped = request.even_if_stopped;
  return client.send(http);
}

S3Answer S3Client::attempt(const S3Request& request, const std::string& payload_sha256,
                           std::string& region) {
  Address address = address_of(request);
  region = address.region;
  Lease lease(*this);
  S3Answer answer;
  answer.http = send(lease.client(), request, address, payload_sha256);
  int status = answer.http.status;
  bool refused = status >= 300 && status < 500 && status != 404 && status != 412;
  if (request.method == "HEAD" && refused) {
    // HEAD's answer has no body; GET says why.
    S3Request why = request;
    why.method = "GET";
    why.headers.emplace_back("range", "bytes=0-0");
    answer.http = send(lease.client(), why, address, payload_sha256);
    if (answer.http.status < 300 || answer.http.status == 416)
      throw Error(ErrorCode::unavailable, fmt::format("the server changed its mind ({} to {})",
                                                      status, answer.http.status));
  }
  if (answer.http.status >= 300 || request.method == "POST")
    answer.error = parse_s3_error(answer.http.body).value_or(S3ErrorBody{});
  if (answer.error.region.empty() && answer.http.status >= 300)
    answer.error.region = printable(answer.http.header("x-amz-bucket-region"), 64);
  if (answer.error.region == region) answer.error.region.clear();
  lease.give_back();
  return answer;
}

// Whether the server told a region that this request did not have, and that may still be tried.
bool S3Client::adopt_region(const S3Answer& answer, const std::string& region) {
  std::lock_guard lock(mutex_);
  if (region_ != region) return true;  // another thread was told
  if (!is_region(answer.error.region) || region_corrected_) return false;
  region_ = answer.error.region;
  region_corrected_ = true;
  return true;
}

S3Client::Next S3Client::judge(const S3Answer& answer, const std::string& region, int& renewals) {
  if (answer.ok()) return Next::give_back;
  int status = answer.http.status;
  bool elsewhere = status == 301 || status == 302 || status == 307 ||
                   answer.error.code == "AuthorizationHeaderMalformed" ||
                   answer.error.code == "IllegalLocationConstraintException";
  if (elsewhere && renewals < kRenewalsMax && adopt_region(answer, region)) {
    ++renewals;
    return Next::again_now;
  }
  if (s3_is_expired(answer.error.code) && renewals < kRenewalsMax) {
    ++renewals;
    credentials_.forget();
    return Next::again_now;
  }
  return s3_is_transient(status, answer.error.code) ? Next::again : Next::give_back;
}

S3Answer S3Client::call(const S3Request& request) {
  std::string payload_sha256 = sha256_hex(request.body);
  int attempts = request.attempts != 0 ? request.attempts : settings_.attempts;
  if (settings_.stop.stop_requested()) attempts = std::min(attempts, kAttemptsWhenStopped);
  std::stop_token stop = request.stop.stop_possible() ? request.stop : settings_.stop;
  if (request.even_if_stopped) stop = {};
  int renewals = 0;
  for (int done = 0;;) {
    S3Answer answer;
    std::optional<Error> trouble;
    Next next = Next::again;
    try {
      std::string region;
      answer = attempt(request, payload_sha256, region);
      next = judge(answer, region, renewals);
      if (answer.ok() && request.check) trouble = request.check(answer.http);
      if (trouble) next = Next::again;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unavailable) throw;
      trouble = error;
    }
    if (next == Next::give_back) return answer;
    if (next == Next::again_now) continue;
    if (++done >= attempts) {
      if (!trouble) return answer;
      throw Error(
          trouble->code(),
          fmt::format("{} ({})", trouble->what(), plural(static_cast<uint64_t>(done), "attempt")),
          trouble->hint());
    }
    wait(done, answer.http, stop);
  }
}

void S3Client::wait(int attempts_done, const HttpResponse& http,
                    const std::stop_token& stop) const {
  milliseconds most = std::min(kWaitMax, kFirstWait * (1 << std::min(attempts_done - 1, 10)));
  milliseconds time =
      std::max(jitter(most), std::min(retry_after(http, clock_.now()), kRetryAfterMax));
  if (settings_.pause)
    settings_.pause(time);
  else
    really_wait(time, stop);
  if (stop.stop_requested()) throw Error(ErrorCode::cancelled, "interrupted");
}

Error S3Client::error_of(const S3Answer& answer, const std::string& what) const {
  return s3_error(answer.http.status, answer.error, what,
                  printable(answer.http.header("date"), 40));
}

void S3Client::require_ok(const S3Answer& answer, const std::string& what) const {
  if (!answer.ok()) throw error_of(answer, what);
}

}  // namespace holdfast
