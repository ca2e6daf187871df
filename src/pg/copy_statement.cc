// The COPY statement of a TABLE DATA entry, taken apart. Identifiers may hold anything (blanks,
// parentheses, ` FROM stdin`), so it is read token by token.
#include <string_view>

#include "base/error.h"
#include "base/text.h"
#include "pg/archive.h"

namespace holdfast {

namespace {

bool starts_identifier(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<uint8_t>(c) >= 0x80;
}

bool continues_identifier(char c) {
  return starts_identifier(c) || (c >= '0' && c <= '9') || c == '$';
}

bool blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

class CopyStatementParser {
 public:
  explicit CopyStatementParser(std::string_view text) : text_(text) {}

  CopyTarget parse() {
    CopyTarget target;
    keyword("COPY");
    blanks();
    size_t start = at_;
    identifier();
    while (skip('.')) identifier();
    target.table = text_.substr(start, at_ - start);
    blanks();
    start = at_;
    if (skip('(')) {
      columns();
      target.columns = text_.substr(start, at_ - start);
      blanks();
    }
    keyword("FROM");
    if (!blanks()) fail();
    keyword("stdin");
    blanks();
    expect(';');
    blanks();
    if (at_ != text_.size()) fail();
    return target;
  }

 private:
  [[noreturn]] void fail() const {
    throw Error(ErrorCode::unsupported,
                "a COPY statement of an unknown form: " + printable(text_, 200));
  }

  bool blanks() {
    size_t start = at_;
    while (at_ < text_.size() && blank(text_[at_])) ++at_;
    return at_ > start;
  }

  bool skip(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void expect(char c) {
    if (!skip(c)) fail();
  }

  void keyword(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) fail();
    at_ += word.size();
    if (at_ < text_.size() && continues_identifier(text_[at_])) fail();
  }

  void columns() {
    do {
      blanks();
      identifier();
      blanks();
    } while (skip(','));
    expect(')');
  }

  void identifier() {
    if (skip('"')) {
      quoted_identifier();
      return;
    }
    if (at_ == text_.size() || !starts_identifier(text_[at_])) fail();
    while (at_ < text_.size() && continues_identifier(text_[at_])) ++at_;
  }

  // The opening quote has been read; a quote within the name stands doubled.
  void quoted_identifier() {
    size_t start = at_;
    while (true) {
      size_t quote = text_.find('"', at_);
      if (quote == std::string_view::npos) fail();
      at_ = quote + 1;
      if (skip('"')) continue;
      if (quote == start) fail();
      return;
    }
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

CopyTarget parse_copy_statement(const std::string& statement) {
  return CopyStatementParser(statement).parse();
}

}  // namespace holdfast
