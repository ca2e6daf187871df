#include "serve/web_target.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace holdfast {
namespace {

constexpr size_t kParametersMax = 100;  // the longest call of the API has 8

Error wrong(const char* what) {
  return Error(ErrorCode::invalid, what);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// In a query '+' is a blank, as browsers and curl send it.
std::string decode(std::string_view text, bool is_query) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
      if (low < 0) throw wrong("the request's target has a bad percent encoding");
      c = static_cast<char>(high * 16 + low);
      if (!is_query && c == '/') throw wrong("the request's path has an encoded slash");
      i += 2;
    } else if (is_query && c == '+') {
      c = ' ';
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
      throw wrong("the request's target has a control character");
    decoded.push_back(c);
  }
  if (!is_utf8(decoded)) throw wrong("the request's target is not UTF-8");
  return decoded;
}

void check_parts(const std::string& path) {
  if (path.empty() || path[0] != '/') throw wrong("the request's path does not begin with '/'");
  if (path.size() == 1) return;
  for (const std::string& part : split(std::string_view(path).substr(1), '/')) {
    if (part.empty()) throw wrong("the request's path has an empty part");
    if (part == "." || part == "..") throw wrong("the request's path has a part of dots");
  }
}

}  // namespace

void parse_target(std::string_view target, WebRequest& request) {
  size_t question = target.find('?');
  request.path = decode(target.substr(0, question), false);
  check_parts(request.path);
  request.query.clear();
  if (question == target.npos) return;
  for (const std::string& pair : split(target.substr(question + 1), '&')) {
    if (pair.empty()) continue;
    if (request.query.size() == kParametersMax) throw wrong("the request has too many parameters");
    size_t equals = pair.find('=');
    std::string value = equals == pair.npos
                            ? std::string()
                            : decode(std::string_view(pair).substr(equals + 1), true);
    request.query.emplace_back(decode(std::string_view(pair).substr(0, equals), true),
                               std::move(value));
  }
}

bool is_request_id(std::string_view text) {
  if (text.empty() || text.size() > 128) return false;
  for (char c : text)
    if (c <= 0x20 || c >= 0x7F) return false;
  return true;
}

std::string make_request_uuid() {
  std::string hex = random_hex(16);
  hex[12] = '4';
  hex[16] = "89ab"[hex_digit(hex[16]) & 3];
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" +
         hex.substr(16, 4) + "-" + hex.substr(20);
}

std::string WebRequest::header(const std::string& name) const {
  auto found = headers.find(name);
  return found == headers.end() ? std::string() : found->second;
}

const std::string* WebRequest::parameter(const std::string& name) const {
  for (const auto& [key, value] : query)
    if (key == name) return &value;
  return nullptr;
}

}  // namespace holdfast
