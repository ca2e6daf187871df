#include "alert/simple_sinks.h"

#include <fmt/format.h>

#include "alert/wire_json.h"
#include "seal/hmac.h"

namespace holdfast {
namespace {

constexpr size_t kAnswerMax = 64 << 10;
constexpr const char* kSlackHint = "make a new incoming webhook for the channel";
constexpr const char* kWebhookHint = "see webhook_url, and what its receiver says";
constexpr const char* kPingHint = "ping_url is the check's address, without /start or /fail";

bool is_success(const HttpResponse& response) {
  return response.status >= 200 && response.status < 300;
}

HttpRequest json_post(const std::string& url, const std::string& body) {
  HttpRequest request;
  request.method = "POST";
  request.url = url;
  request.headers = {{"content-type", "application/json"}};
  request.body = as_bytes(body);
  request.body_bytes_max = kAnswerMax;
  return request;
}

// 8-4-4-4-12 hexadecimal digits: what a run's id has to be for a ping service.
bool is_uuid(const std::string& text) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    char c = text[i];
    bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (dash ? c != '-' : !digit) return false;
  }
  return true;
}

DeliveryReceipt receipt_of(const SinkHttp& http, const HttpResponse& response, const char* hint) {
  if (is_success(response)) return {};
  if (auto wait = http.asks_to_wait(response); wait > std::chrono::milliseconds(0))
    return {{}, wait};
  throw http.refusal(response, hint);
}

// For `alert test`, where nobody waits.
void require_success(const SinkHttp& http, const HttpResponse& response, const char* hint) {
  if (!is_success(response)) throw http.refusal(response, hint);
}

}  // namespace

SlackNotifier::SlackNotifier(Secret webhook_url, HttpTransport& transport, const Clock& clock)
    : url_(std::move(webhook_url)), http_(name_, transport, clock) {
  check_sink_url(url_.reveal(), "slack's webhook address");
}

DeliveryReceipt SlackNotifier::deliver(const Delivery& delivery) {
  std::string body = slack_json(delivery.message, delivery.note);
  return receipt_of(http_, http_.send(json_post(url_.reveal(), body), delivery.budget), kSlackHint);
}

void SlackNotifier::test(const AlertMessage& message, const DeliveryBudget& budget) {
  std::string body = slack_json(message, "");
  require_success(http_, http_.send(json_post(url_.reveal(), body), budget), kSlackHint);
}

WebhookNotifier::WebhookNotifier(Secret url, Secret secret, HttpTransport& transport,
                                 const Clock& clock)
    : url_(std::move(url)), secret_(std::move(secret)), http_(name_, transport, clock) {
  check_sink_url(url_.reveal(), "webhook_url");
}

std::string webhook_signature(const Secret& secret, const std::string& timestamp,
                              const std::string& body) {
  return "v1=" +
         to_hex(hmac_sha256(as_bytes(secret.reveal()), fmt::format("{}.{}", timestamp, body)));
}

DeliveryReceipt WebhookNotifier::deliver(const Delivery& delivery) {
  std::string body = webhook_json(delivery.message, delivery.note);
  HttpRequest request = json_post(url_.reveal(), body);
  auto seconds = std::chrono::floor<std::chrono::seconds>(http_.now()).time_since_epoch().count();
  std::string timestamp = fmt::format("{}", seconds);
  request.headers.emplace_back("x-holdfast-delivery", delivery.message.id);
  request.headers.emplace_back("x-holdfast-timestamp", timestamp);
  if (!secret_.empty())
    request.headers.emplace_back("x-holdfast-signature",
                                 webhook_signature(secret_, timestamp, body));
  return receipt_of(http_, http_.send(std::move(request), delivery.budget), kWebhookHint);
}

void WebhookNotifier::test(const AlertMessage& message, const DeliveryBudget& budget) {
  DeliveryReceipt receipt = deliver({message, "", 1, "", budget});
  if (receipt.wait > std::chrono::milliseconds(0))
    throw Error(ErrorCode::unavailable, "webhook asks to be left alone for a while");
}

PingNotifier::PingNotifier(Secret url, HttpTransport& transport, const Clock& clock)
    : url_(std::move(url)), http_(name_, transport, clock) {
  check_sink_url(url_.reveal(), "ping_url");
}

HttpResponse PingNotifier::ping(const std::string& suffix, const std::string& run_id,
                                const std::string& text, const DeliveryBudget& budget) {
  SinkUrl parts = split_query(url_.reveal());
  std::string query = parts.query;
  if (is_uuid(run_id)) query += (query.empty() ? "rid=" : "&rid=") + run_id;
  HttpRequest request;
  request.method = "POST";
  request.url = parts.before_query + suffix + (query.empty() ? "" : "?" + query);
  request.headers = {{"content-type", "text/plain; charset=utf-8"}};
  request.body = as_bytes(text);
  request.body_bytes_max = kAnswerMax;
  HttpResponse response = http_.send(std::move(request), budget);
  // The service says so of a check that it does not know, with status 200.
  if (is_success(response) && response.body.find("(not found)") != std::string::npos)
    response.status = 404;
  return response;
}

DeliveryReceipt PingNotifier::deliver(const Delivery& delivery) {
  const AlertMessage& message = delivery.message;
  std::string suffix;
  if (message.type == MessageType::started) suffix = "/start";
  if (message.type == MessageType::failed)
    suffix = message.exit_code > 0 && message.exit_code < 256
                 ? fmt::format("/{}", message.exit_code)
                 : "/fail";
  std::string text = alert_sentence(message);
  if (std::string line = alert_audit_line(message); !line.empty()) text += "\nAudit trail: " + line;
  return receipt_of(http_, ping(suffix, message.run_id, text, delivery.budget), kPingHint);
}

// Logged by the service, without a change of the check's state.
void PingNotifier::test(const AlertMessage& message, const DeliveryBudget& budget) {
  require_success(http_, ping("/log", "", alert_title(message), budget), kPingHint);
}

}  // namespace holdfast
