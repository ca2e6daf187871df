#include "seal/document.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/text.h"
#include "seal/sha256.h"

namespace holdfast {
namespace {

constexpr size_t kDigits = 64;
constexpr std::string_view kClosing = "\"\n}\n";

std::string opening(std::string_view key) {
  return fmt::format(",\n  \"{}\": \"", key);
}

std::string latin1_to_utf8(std::string_view bytes) {
  std::string out;
  for (char c : bytes) {
    auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80) out.push_back(static_cast<char>(0xC0 | byte >> 6));
    out.push_back(static_cast<char>(byte >= 0x80 ? 0x80 | (byte & 0x3F) : byte));
  }
  return out;
}

}  // namespace

std::string seal_document(std::string body, std::string_view key) {
  std::string digits = sha256_hex(as_bytes(body));
  body.append(opening(key)).append(digits).append(kClosing);
  return body;
}

Seal check_seal(std::string_view document, std::string_view key) {
  std::string start = opening(key);
  size_t seal_bytes = start.size() + kDigits + kClosing.size();
  if (document.size() < seal_bytes || !document.ends_with(kClosing)) return Seal::missing;
  std::string_view body = document.substr(0, document.size() - seal_bytes);
  std::string_view seal = document.substr(body.size());
  if (!seal.starts_with(start)) return Seal::missing;
  return seal.substr(start.size(), kDigits) == sha256_hex(as_bytes(body)) ? Seal::sound
                                                                          : Seal::mismatch;
}

std::string json_text(std::string_view text) {
  if (is_utf8(text)) return json_quoted(text);
  return fmt::format("{{\"latin1\": {}}}", json_quoted(latin1_to_utf8(text)));
}

}  // namespace holdfast
