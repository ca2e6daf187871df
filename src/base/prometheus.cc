#include "base/prometheus.h"

#include <fmt/format.h>

#include "base/text.h"

namespace holdfast {

std::string metric_header(std::string_view name, std::string_view type, std::string_view help) {
  return fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
}

std::string metric_label(std::string_view text) {
  if (!is_utf8(text)) return metric_label(printable(text));
  std::string escaped;
  for (char c : text) {
    if (c == '\\' || c == '"')
      escaped.append({'\\', c});
    else if (c == '\n')
      escaped += "\\n";
    else
      escaped.push_back(c);
  }
  return escaped;
}

}  // namespace holdfast
