#include "dump/name_pattern.h"

#include <cctype>

namespace holdfast {

NamePattern parse_name_pattern(const std::string& pattern) {
  NamePattern parsed;
  std::string part;
  bool quoted = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    char c = pattern[i];
    if (c == '"') {
      if (quoted && i + 1 < pattern.size() && pattern[i + 1] == '"') {
        part += '"';
        ++i;
      } else {
        quoted = !quoted;
      }
    } else if (!quoted && c == '.') {
      parsed.schema_regex = "^(" + part + ")$";
      part.clear();
    } else if (!quoted && c == '*') {
      part += ".*";
    } else if (!quoted && c == '?') {
      part += '.';
    } else if (std::string("|*+?()[]{}.^$\\").find(c) != std::string::npos) {
      // psql lets unquoted regular expressions pass; only $ is taken literally there.
      if (quoted || c == '$') part += '\\';
      part += c;
    } else {
      part += quoted ? c : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
  }
  parsed.name_regex = "^(" + part + ")$";
  return parsed;
}

}  // namespace holdfast
