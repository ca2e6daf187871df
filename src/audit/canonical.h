// One-line JSON documents of which there is exactly one spelling, and which end in their own
// SHA-256: the lines of the audit trail, its anchors, the proof of an export.
//
// Why not a JSON library: it would take many spellings for the same thing, and each of them would
// have to be refused afterwards. Here a document is read by saying what has to stand there next.
// The spelling is in docs/format/audit.md. Pure; what does not fit is Error(corrupt) and says
// where.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace holdfast {

constexpr size_t kHashDigits = 64;  // of a SHA-256 in hexadecimal

// `body` is a document without its last member: adds `,"hash":"<SHA-256 of body>"}`. No line break.
std::string close_document(std::string body);

struct ClosedDocument {
  std::string_view body, hash;  // of the text that was given
};
// The reverse. Throws Error(corrupt) unless `text` ends in the hash of what is before it.
ClosedDocument open_document(std::string_view text);

// `text` fit for a document: well-formed, without control characters, at most `bytes_max` bytes;
// one that was longer ends in "…".
std::string bounded_text(std::string_view text, size_t bytes_max);
bool is_bounded_text(std::string_view text, size_t bytes_max);

// Reads a document from front to back. Keeps a view of the text.
class CanonicalReader {
 public:
  explicit CanonicalReader(std::string_view text) : text_(text) {}

  void expect(std::string_view literal);  // throws unless it stands here
  bool take(std::string_view literal);    // steps over it if it stands here
  uint64_t number();                      // up to 2^63 - 1
  std::string text(size_t bytes_max);     // a string of bounded_text's kind
  std::string hex(size_t digits);         // a string of lower-case hexadecimal digits
  UtcTime time();                         // a string of format_rfc3339's kind
  void end() const;                       // throws unless nothing is left

 private:
  [[noreturn]] void fail(std::string_view expected) const;

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace holdfast
