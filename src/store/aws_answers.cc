#include "store/aws_answers.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <pugixml.hpp>

#include "base/error.h"
#include "base/text.h"

namespace holdfast {
namespace {

using Json = nlohmann::json;

Error unusable(const std::string& service, const char* why) {
  return Error(ErrorCode::corrupt, fmt::format("{} answered with {}", service, why));
}

std::string text_of(const Json& object, const char* name) {
  auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

void require_plain(const std::string& value, const std::string& service) {
  for (char c : value)
    if (c <= ' ' || c > '~') throw unusable(service, "keys that cannot be keys");
}

AwsCredentials checked(AwsCredentials found, const std::string& service) {
  if (found.access_key_id.empty() || found.secret_access_key.empty())
    throw unusable(service, "no keys");
  // They become header lines.
  require_plain(found.access_key_id, service);
  require_plain(found.session_token.reveal(), service);
  return found;
}

}  // namespace

UtcTime parse_expiry(std::string_view text, const std::string& service) {
  constexpr size_t kSecondsEnd = 19;
  auto fail = [&] { return unusable(service, "an expiry that is no time"); };
  if (text.size() <= kSecondsEnd) throw fail();
  std::string_view zone = text.substr(kSecondsEnd);
  if (zone[0] == '.') {
    size_t end = zone.find_first_not_of("0123456789", 1);
    if (end == 1 || end == std::string_view::npos) throw fail();
    zone.remove_prefix(end);
  }
  UtcTime local;
  try {
    local = parse_rfc3339(fmt::format("{}.000Z", text.substr(0, kSecondsEnd)));
  } catch (const Error&) {
    throw fail();
  }
  if (zone == "Z" || zone == "z") return local;
  auto digit = [&](size_t i) {
    if (zone[i] < '0' || zone[i] > '9') throw fail();
    return zone[i] - '0';
  };
  if (zone.size() != 6 || (zone[0] != '+' && zone[0] != '-') || zone[3] != ':') throw fail();
  auto offset =
      std::chrono::hours(digit(1) * 10 + digit(2)) + std::chrono::minutes(digit(4) * 10 + digit(5));
  return zone[0] == '+' ? local - offset : local + offset;
}

AwsCredentials parse_credentials_json(std::string_view body, const std::string& service) {
  Json answer = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object()) throw unusable(service, "what is no JSON object");
  std::string code = text_of(answer, "Code");
  if (!code.empty() && code != "Success")
    throw Error(ErrorCode::denied, fmt::format("{} refused: {}", service, printable(code, 100)));
  AwsCredentials found;
  found.access_key_id = text_of(answer, "AccessKeyId");
  found.secret_access_key = Secret(text_of(answer, "SecretAccessKey"));
  std::string token = text_of(answer, "Token");
  found.session_token = Secret(token.empty() ? text_of(answer, "SessionToken") : token);
  std::string expiry = text_of(answer, "Expiration");
  if (!expiry.empty()) found.expires = parse_expiry(expiry, service);
  return checked(std::move(found), service);
}

AwsCredentials parse_sts_credentials(std::string_view body, const std::string& service) {
  pugi::xml_document document;
  if (!document.load_buffer(body.data(), body.size())) throw unusable(service, "what is no XML");
  pugi::xml_node node;
  for (pugi::xml_node result : document.document_element().children())
    if (result.child("Credentials")) node = result.child("Credentials");
  AwsCredentials found;
  found.access_key_id = node.child_value("AccessKeyId");
  found.secret_access_key = Secret(node.child_value("SecretAccessKey"));
  found.session_token = Secret(node.child_value("SessionToken"));
  std::string expiry = node.child_value("Expiration");
  if (!expiry.empty()) found.expires = parse_expiry(expiry, service);
  return checked(std::move(found), service);
}

StsRefusal parse_sts_error(std::string_view body) {
  pugi::xml_document document;
  if (!document.load_buffer(body.data(), body.size())) return {};
  pugi::xml_node error = document.document_element().child("Error");
  // A wrong signature is answered with all that should have been signed, the session token in it.
  std::string_view message = error.child_value("Message");
  for (std::string_view signed_text : {"The Canonical String", "The String-to-Sign"})
    message = message.substr(0, message.find(signed_text));
  return {printable(error.child_value("Code"), 100), printable(trim(message), 300)};
}

}  // namespace holdfast
