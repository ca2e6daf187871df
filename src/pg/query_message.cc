#include "pg/query_message.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/text.h"

namespace holdfast {
namespace {

constexpr std::string_view kHiddenValue = "…";
// What stands between two names of one message.
constexpr std::array<std::string_view, 12> kBetweenNames = {
    "of", "relation", "table", "column", "for", "type", "in", "on", "to", "from", "schema", "and"};

bool is_of_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// As a whole: "n4" does not stand in "n42". The server folds names to lower case.
bool stands_in(std::string_view text, std::string_view sql) {
  if (trim(text).empty()) return false;
  std::string wanted = lower(text), where = lower(sql);
  for (size_t at = where.find(wanted); at != std::string::npos; at = where.find(wanted, at + 1)) {
    size_t end = at + wanted.size();
    bool begins = at == 0 || !is_of_word(where[at - 1]) || !is_of_word(wanted.front());
    bool ends = end == where.size() || !is_of_word(where[end]) || !is_of_word(wanted.back());
    if (begins && ends) return true;
  }
  return false;
}

bool is_between_names(std::string_view text) {
  for (const std::string& word : split(trim(text), ' '))
    if (std::find(kBetweenNames.begin(), kBetweenNames.end(), word) == kBetweenNames.end())
      return false;
  return true;
}

// A value may hold quotes itself: so all of the first to the last one is hidden, unless each part
// is the query's own, and what is between them the server's.
std::string quoted_part(std::string_view text, std::string_view sql) {
  size_t first = text.find('"'), last = text.rfind('"');
  std::string hidden = std::string("\"") + std::string(kHiddenValue) + "\"";
  if (first == last) return hidden;
  std::string_view inner = text.substr(first + 1, last - first - 1);
  if (stands_in(inner, sql)) return std::string(text.substr(first, last - first + 1));
  std::vector<std::string> parts = split(inner, '"');
  if (parts.size() % 2 == 0) return hidden;
  for (size_t i = 0; i < parts.size(); ++i)
    if (i % 2 == 0 ? !stands_in(parts[i], sql) : !is_between_names(parts[i])) return hidden;
  return std::string(text.substr(first, last - first + 1));
}

// What follows a colon may be a value without quotes, or what the machine says of a file.
std::string plain_part(std::string_view text, std::string_view sql, bool of_parser) {
  size_t colon = text.find(": ");
  if (colon == std::string_view::npos || of_parser || stands_in(text.substr(colon + 2), sql))
    return std::string(text);
  return std::string(text.substr(0, colon));
}

}  // namespace

std::string message_of_query(std::string_view message, std::string_view sql, bool of_parser) {
  size_t first = message.find('"');
  size_t colon = message.find(": ");
  if (first == std::string_view::npos || (colon != std::string_view::npos && colon + 2 < first))
    return plain_part(
        message, sql,
        of_parser &&
            first == std::string_view::npos);  // a value after a colon may begin with a quote
  size_t last = message.rfind('"');
  if (first == last) last = message.size() - 1;  // the value was cut
  return std::string(message.substr(0, first)) + quoted_part(message, sql) +
         plain_part(message.substr(last + 1), sql, of_parser);
}

}  // namespace holdfast
