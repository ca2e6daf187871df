#include "dump/sql_tokens.h"

#include <algorithm>
#include <cstdint>

namespace holdfast {

namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool starts_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<uint8_t>(c) >= 0x80;
}
bool continues_word(char c) {
  return starts_word(c) || is_digit(c) || c == '$';
}

class Lexer {
 public:
  explicit Lexer(std::string_view sql) : sql_(sql) {}

  std::vector<std::string_view> run() {
    std::vector<std::string_view> tokens;
    while (skip_blanks_and_comments()) {
      size_t start = at_;
      advance();
      tokens.push_back(sql_.substr(start, at_ - start));
    }
    return tokens;
  }

 private:
  char peek(size_t ahead = 0) const { return at_ + ahead < sql_.size() ? sql_[at_ + ahead] : '\0'; }
  bool sees(std::string_view text) const { return sql_.substr(at_, text.size()) == text; }
  bool at_end() const { return at_ >= sql_.size(); }

  // False at the end of the text.
  bool skip_blanks_and_comments() {
    while (!at_end()) {
      if (is_blank(peek())) {
        ++at_;
      } else if (sees("--")) {
        size_t newline = sql_.find('\n', at_);
        at_ = newline == std::string_view::npos ? sql_.size() : newline + 1;
      } else if (sees("/*")) {
        skip_block_comment();
      } else {
        return true;
      }
    }
    return false;
  }

  void skip_block_comment() {
    size_t depth = 0;  // they nest
    do {
      if (sees("/*")) {
        ++depth;
        at_ += 2;
      } else if (sees("*/")) {
        --depth;
        at_ += 2;
      } else {
        ++at_;
      }
    } while (depth > 0 && !at_end());
  }

  // Past one token.
  void advance() {
    char c = peek();
    if (c == '\'' || c == '"') {
      ++at_;
      pass_quoted(c, false);
    } else if (c == '$') {
      pass_dollar();
    } else if (starts_word(c)) {
      pass_word();
    } else if (is_digit(c)) {
      while (continues_word(peek()) || peek() == '.') ++at_;
    } else {
      at_ += sees("::") ? 2 : 1;
    }
  }

  void pass_word() {
    size_t start = at_;
    while (continues_word(peek())) ++at_;
    std::string_view word = sql_.substr(start, at_ - start);
    auto is = [&](char lower) { return word.size() == 1 && (word[0] | 0x20) == lower; };
    if (peek() == '\'' && (is('e') || is('b') || is('x') || is('n'))) {
      ++at_;
      pass_quoted('\'', is('e'));
    } else if (is('u') && peek() == '&' && (peek(1) == '\'' || peek(1) == '"')) {
      char quote = peek(1);
      at_ += 2;
      pass_quoted(quote, false);
    }
  }

  // The opening quote has been passed. A quote within stands doubled, or after a backslash.
  void pass_quoted(char quote, bool backslashes) {
    while (!at_end()) {
      char c = sql_[at_++];
      if (c == '\\' && backslashes) {
        if (!at_end()) ++at_;
      } else if (c == quote) {
        if (peek() != quote) return;
        ++at_;
      }
    }
  }

  // `$tag$ … $tag$`, or the `$` of a parameter.
  void pass_dollar() {
    size_t end = at_ + 1;
    if (end < sql_.size() && !is_digit(sql_[end])) {
      while (end < sql_.size() && (starts_word(sql_[end]) || is_digit(sql_[end]))) ++end;
    }
    if (end >= sql_.size() || sql_[end] != '$') {
      ++at_;
      return;
    }
    std::string_view tag = sql_.substr(at_, end + 1 - at_);
    size_t close = sql_.find(tag, end + 1);
    at_ = close == std::string_view::npos ? sql_.size() : close + tag.size();
  }

  std::string_view sql_;
  size_t at_ = 0;
};

}  // namespace

std::vector<std::string_view> sql_tokens(std::string_view sql) {
  return Lexer(sql).run();
}

std::vector<std::vector<std::string_view>> sql_statements(std::string_view sql) {
  std::vector<std::vector<std::string_view>> statements(1);
  size_t skipped_to = 0;
  for (std::string_view token : sql_tokens(sql)) {
    auto at = static_cast<size_t>(token.data() - sql.data());
    if (at < skipped_to) continue;
    if (token == "\\" && statements.back().empty())
      skipped_to = std::min(sql.find('\n', at), sql.size());
    else if (token != ";")
      statements.back().push_back(token);
    else if (!statements.back().empty())
      statements.emplace_back();
  }
  if (statements.back().empty()) statements.pop_back();
  return statements;
}

std::string plain_identifier(std::string_view token) {
  if (token.size() < 2 || token.front() != '"') return std::string(token);
  std::string name;
  for (size_t i = 1; i + 1 < token.size(); ++i) {
    name += token[i];
    if (token[i] == '"') ++i;
  }
  return name;
}

std::string plain_literal(std::string_view token) {
  bool escapes = token.starts_with("E");
  if (escapes) token.remove_prefix(1);
  std::string text;
  for (size_t i = 1; i + 1 < token.size(); ++i) {
    text += token[i];
    if (token[i] == '\'' || (escapes && token[i] == '\\')) ++i;
  }
  return text;
}

std::string_view text_of(const std::vector<std::string_view>& tokens) {
  const char* begin = tokens.front().data();
  return {begin, static_cast<size_t>(tokens.back().data() + tokens.back().size() - begin)};
}

}  // namespace holdfast
