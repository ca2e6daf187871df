#include "store/aws_services.h"

#include <fmt/format.h>

#include <array>
#include <random>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "seal/sha256.h"
#include "store/aws_answers.h"
#include "store/sigv4.h"

namespace holdfast {
namespace {

// Web identity tokens are signed statements of a few KB.
constexpr uint64_t kTokenBytesMax = 64 << 10;
constexpr auto kPauseMax = std::chrono::milliseconds(2'000);

// Where an unencrypted agent may be: this machine, ECS's and EKS's link-local addresses.
constexpr std::array<std::string_view, 6> kPlainHosts = {
    "localhost", "127.0.0.1", "[::1]", "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"};

bool is_good(const HttpResponse& response) {
  return response.status >= 200 && response.status < 300;
}

bool may_pass(const HttpResponse& response) {
  return response.status >= 500 || response.status == 429;
}

std::string origin_host(const std::string& url) {
  size_t start = url.find("://");
  start = start == std::string::npos ? 0 : start + 3;
  return url.substr(start, url.find_first_of("/?#", start) - start);
}

// Without the port.
std::string host_name(const std::string& url) {
  std::string host = origin_host(url);
  if (host.starts_with("[")) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

std::string read_token(const std::string& file, const char* what) {
  std::string token(trim(with_context(what, [&] { return read_file(file, kTokenBytesMax); })));
  if (token.empty())
    throw Error(ErrorCode::denied, fmt::format("{}: {} is empty", what, file),
                "see that whatever renews the token still runs");
  for (char c : token)
    if (c < ' ' || c == '\x7f')
      throw Error(ErrorCode::invalid, fmt::format("{}: {} holds no token", what, file));
  return token;
}

Error refused(const std::string& service, const HttpResponse& response, const std::string& hint) {
  StsRefusal said = parse_sts_error(response.body);
  std::string why = said.code.empty() ? fmt::format("status {}", response.status) : said.code;
  if (!said.message.empty()) why += fmt::format(" ({})", said.message);
  ErrorCode code = may_pass(response) ? ErrorCode::unavailable : ErrorCode::denied;
  return Error(code, fmt::format("{}: {}", service, why), hint);
}

}  // namespace

std::string AwsServices::variable(const char* name) const {
  auto found = options_.environment.find(name);
  return found == options_.environment.end() ? std::string() : found->second;
}

// Full jitter, as for S3: many machines may have been started by one schedule.
HttpResponse AwsServices::send(HttpRequest request, const std::string& service, int attempts) {
  request.body_bytes_max = 256 << 10;
  std::unique_ptr<HttpClient> client = transport_.connect();
  std::minstd_rand random(std::random_device{}());
  for (int attempt = 1;; ++attempt) {
    try {
      HttpResponse response = client->send(request);
      if (!may_pass(response) || attempt >= attempts) return response;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unavailable || attempt >= attempts)
        throw error.within(service);
    }
    std::chrono::milliseconds most =
        std::min(kPauseMax, std::chrono::milliseconds(200) * (1 << attempt));
    std::chrono::milliseconds pause(random() % static_cast<unsigned>(most.count()));
    if (options_.pause)
      options_.pause(pause);
    else
      std::this_thread::sleep_for(pause);
  }
}

std::string AwsServices::sts_url(std::string& region) const {
  region = options_.region.empty() ? aws_defaults(options_.environment, options_.profile).region
                                   : options_.region;
  std::string endpoint = options_.sts_endpoint;
  if (endpoint.empty()) endpoint = variable("AWS_ENDPOINT_URL_STS");
  if (endpoint.empty() && region.empty()) endpoint = "https://sts.amazonaws.com";
  if (region.empty()) region = "us-east-1";
  if (endpoint.empty())
    endpoint = fmt::format("https://sts.{}.amazonaws.com{}", region,
                           region.starts_with("cn-") ? ".cn" : "");
  while (endpoint.ends_with("/")) endpoint.pop_back();
  return endpoint + "/";
}

AwsCredentials AwsServices::ask_sts(const std::string& url, const std::string& form,
                                    HttpHeaders headers, const RoleRequest& role) {
  std::string service = fmt::format("role {} at {}", printable(role.role_arn), origin_host(url));
  HttpRequest request;
  request.method = "POST";
  request.url = url;
  request.headers = std::move(headers);
  request.body = as_bytes(form);
  HttpResponse response = send(std::move(request), service);
  if (!is_good(response))
    throw refused(service, response, "see that the role's trust policy names who asks");
  return parse_sts_credentials(response.body, service);
}

AwsCredentials AwsServices::with_web_identity(const RoleRequest& role,
                                              const std::string& token_file) {
  std::string token = read_token(token_file, "web identity token");
  std::string region;
  std::string url = sts_url(region);
  HttpQuery form = {{"Action", "AssumeRoleWithWebIdentity"},
                    {"Version", "2011-06-15"},
                    {"RoleArn", role.role_arn},
                    {"RoleSessionName", role.session_name.empty() ? "holdfast" : role.session_name},
                    {"WebIdentityToken", token}};
  if (!role.duration_seconds.empty()) form.push_back({"DurationSeconds", role.duration_seconds});
  return ask_sts(url, encode_query(form),
                 {{"content-type", "application/x-www-form-urlencoded; charset=utf-8"}}, role);
}

AwsCredentials AwsServices::assume_role(const RoleRequest& role, const AwsCredentials& as) {
  std::string region;
  std::string url = sts_url(region);
  HttpQuery form = {
      {"Action", "AssumeRole"},
      {"Version", "2011-06-15"},
      {"RoleArn", role.role_arn},
      {"RoleSessionName", role.session_name.empty() ? "holdfast" : role.session_name}};
  if (!role.external_id.empty()) form.push_back({"ExternalId", role.external_id});
  if (!role.duration_seconds.empty()) form.push_back({"DurationSeconds", role.duration_seconds});
  std::string body = encode_query(form);
  HttpHeaders headers = {{"host", origin_host(url)},
                         {"content-type", "application/x-www-form-urlencoded; charset=utf-8"}};
  SigningTarget target{"POST", "/", "", sha256_hex(as_bytes(body)), region, "sts"};
  sign_request(target, as, clock_.now(), headers);
  return ask_sts(url, body, std::move(headers), role);
}

std::string AwsServices::container_url() const {
  std::string relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  if (!relative.empty()) {
    if (!relative.starts_with("/"))
      throw Error(ErrorCode::invalid,
                  "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not start with '/'");
    return options_.container_endpoint + relative;
  }
  std::string full = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (full.empty() || full.starts_with("https://")) return full;
  if (full.starts_with("http://") && full.find('@') == std::string::npos)
    for (std::string_view host : kPlainHosts)
      if (host_name(full) == host) return full;
  throw Error(ErrorCode::invalid,
              "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor on this machine",
              "credentials must not cross a network in the clear");
}

std::string AwsServices::container_token() const {
  std::string file = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
  if (!file.empty()) return read_token(file, "container authorization token");
  std::string token = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (token.find_first_of("\r\n") != std::string::npos)
    throw Error(ErrorCode::invalid, "AWS_CONTAINER_AUTHORIZATION_TOKEN has more than one line");
  return token;
}

std::optional<AwsCredentials> AwsServices::of_container() {
  HttpRequest request;
  request.url = container_url();
  if (request.url.empty()) return std::nullopt;
  std::string service = fmt::format("container credentials at {}", host_name(request.url));
  std::string token = container_token();
  if (!token.empty()) request.headers.emplace_back("authorization", token);
  request.connect_timeout_ms = 2'000;
  request.stall_timeout_ms = 5'000;
  HttpResponse response = send(std::move(request), service);
  if (!is_good(response)) throw refused(service, response, "see the task's or the pod's role");
  return parse_credentials_json(response.body, service);
}

std::optional<AwsCredentials> AwsServices::of_instance() {
  if (variable("AWS_EC2_METADATA_DISABLED") == "true") return std::nullopt;
  std::string endpoint = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (endpoint.empty()) endpoint = options_.metadata_endpoint;
  while (endpoint.ends_with("/")) endpoint.pop_back();
  const std::string service = "instance metadata";
  auto ask = [&](const char* method, const std::string& path, const HttpHeaders& headers,
                 int attempts) {
    HttpRequest request;
    request.method = method;
    request.url = endpoint + path;
    request.headers = headers;
    request.connect_timeout_ms = 1'000;  // where there is none, nobody says so
    request.stall_timeout_ms = 2'000;
    return send(std::move(request), service, attempts);
  };
  HttpResponse session;
  try {
    session =
        ask("PUT", "/latest/api/token", {{"x-aws-ec2-metadata-token-ttl-seconds", "21600"}}, 1);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::unavailable) return std::nullopt;  // not such a machine
    throw;
  }
  if (!is_good(session) || session.body.empty()) return std::nullopt;
  HttpHeaders with_token = {{"x-aws-ec2-metadata-token", session.body}};
  const std::string folder = "/latest/meta-data/iam/security-credentials/";
  HttpResponse roles = ask("GET", folder, with_token, 3);
  if (roles.status == 404) return std::nullopt;  // an instance without a role
  if (!is_good(roles)) throw refused(service, roles, "see the instance's role");
  std::string role(trim(std::string_view(roles.body).substr(0, roles.body.find('\n'))));
  if (role.empty()) return std::nullopt;
  HttpResponse keys = ask("GET", folder + uri_encode(role, false), with_token, 3);
  if (!is_good(keys)) throw refused(service, keys, "see the instance's role");
  return parse_credentials_json(keys.body, service);
}

}  // namespace holdfast
