#include "cli/source_host.h"

#include "base/text.h"

namespace holdfast {

std::optional<std::string> source_hosts(const Config& config) {
  if (!config.has_database()) return std::nullopt;
  auto parameters = config.source_conninfo().resolved();
  for (const char* name : {"hostaddr", "host"})
    if (auto found = parameters.find(name); found != parameters.end()) return found->second;
  return "";
}

bool is_this_machine(const std::string& host) {
  return host.empty() || host.front() == '/' || host.front() == '@' || is_loopback(host);
}

}  // namespace holdfast
