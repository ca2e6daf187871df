#include "audit/canonical.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/bytes.h"
#include "base/error.h"
#include "base/text.h"
#include "seal/sha256.h"

namespace holdfast {
namespace {

constexpr std::string_view kHashOpening = ",\"hash\":\"";
constexpr std::string_view kDocumentClosing = "\"}";
constexpr std::string_view kEllipsis = "…";

}  // namespace

std::string close_document(std::string body) {
  std::string digits = sha256_hex(as_bytes(body));
  return body.append(kHashOpening).append(digits).append(kDocumentClosing);
}

ClosedDocument open_document(std::string_view text) {
  constexpr size_t kEnd = kHashOpening.size() + kHashDigits + kDocumentClosing.size();
  if (text.size() < kEnd || !text.ends_with(kDocumentClosing) ||
      !text.substr(text.size() - kEnd).starts_with(kHashOpening))
    throw Error(ErrorCode::corrupt, "it does not end in a hash of its own");
  std::string_view body = text.substr(0, text.size() - kEnd);
  std::string_view hash = text.substr(body.size() + kHashOpening.size(), kHashDigits);
  if (hash != sha256_hex(as_bytes(body)))
    throw Error(ErrorCode::corrupt, "its bytes do not match its own hash");
  return {body, hash};
}

std::string bounded_text(std::string_view text, size_t bytes_max) {
  // One byte in is one byte out at most, so what comes out as long as this was cut.
  std::string whole = printable(text, std::max(text.size(), bytes_max));
  if (whole.size() <= bytes_max) return whole;
  return printable(whole, bytes_max - kEllipsis.size()).append(kEllipsis);
}

bool is_bounded_text(std::string_view text, size_t bytes_max) {
  return text.size() <= bytes_max && printable(text, text.size()) == text;
}

void CanonicalReader::fail(std::string_view expected) const {
  throw Error(ErrorCode::corrupt,
              fmt::format("byte {} is not as expected ({})", at_ + 1, expected));
}

bool CanonicalReader::take(std::string_view literal) {
  if (!text_.substr(at_).starts_with(literal)) return false;
  at_ += literal.size();
  return true;
}

void CanonicalReader::expect(std::string_view literal) {
  if (!take(literal)) fail(literal);
}

uint64_t CanonicalReader::number() {
  std::string_view rest = text_.substr(at_);
  uint64_t value = 0;
  auto [end, wrong] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  auto digits = static_cast<size_t>(end - rest.data());
  if (wrong != std::errc() || value > std::numeric_limits<int64_t>::max() ||
      (rest[0] == '0' && digits > 1))
    fail("a number");
  at_ += digits;
  return value;
}

std::string CanonicalReader::text(size_t bytes_max) {
  expect("\"");
  std::string value;
  while (at_ < text_.size() && text_[at_] != '"' && value.size() <= bytes_max) {
    if (text_[at_] == '\\') {
      ++at_;
      if (at_ == text_.size() || (text_[at_] != '"' && text_[at_] != '\\')) fail("\\\" or \\\\");
    }
    value.push_back(text_[at_++]);
  }
  if (!is_bounded_text(value, bytes_max)) fail(fmt::format("a text of {} bytes", bytes_max));
  expect("\"");
  return value;
}

std::string CanonicalReader::hex(size_t digits) {
  expect("\"");
  std::string value(text_.substr(at_, digits));
  if (value.size() != digits || from_hex(value).empty()) fail("hexadecimal digits");
  at_ += digits;
  expect("\"");
  return value;
}

UtcTime CanonicalReader::time() {
  std::string value = text(24);
  try {
    return parse_rfc3339(value);
  } catch (const Error&) {
    fail("a time");
  }
}

void CanonicalReader::end() const {
  if (at_ != text_.size()) fail("the end");
}

}  // namespace holdfast
