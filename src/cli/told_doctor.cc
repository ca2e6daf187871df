#include "cli/told_doctor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "cli/alerting.h"
#include "cli/audit_trail.h"

namespace holdfast {
namespace {

Finding audit_finding(const Config& config) {
  if (!audit_is_on(config))
    return {FindingLevel::note, "audit trail", "nothing is recorded",
            fmt::format("{} is off", config.setting("audit").origin)};
  std::string folder = audit_folder(config);
  std::string there = folder;
  while (!file_exists(there) && there != "/" && there != ".") there = parent_folder(there);
  if (::access(there.c_str(), W_OK | X_OK) == 0)
    return {FindingLevel::ok, "audit trail", folder + " can be written", ""};
  return {
      FindingLevel::note, "audit trail",
      fmt::format("{} cannot be written: backups are not recorded, restores are refused", folder),
      "name a folder that can: dir in [audit], or HOLDFAST_AUDIT_DIR"};
}

// As the runs before left it.
std::string trouble_of_sinks(const std::string& folder, const std::vector<std::string>& names) {
  std::string path = folder + "/incidents.json", said;
  if (!file_exists(path)) return {};
  AlertState state;
  try {
    state = read_alert_state(read_file(path, kStateBytesMax));
  } catch (const Error& error) {
    return fmt::format("what they remember cannot be read: {}", error.what());
  }
  for (const AlertSinkState& sink : state.sinks) {
    if (std::find(names.begin(), names.end(), sink.name) == names.end()) continue;
    std::string down = sink.down_since
                           ? "takes no message since " + format_rfc3339(*sink.down_since)
                           : sink.problem;
    if (!down.empty()) said += fmt::format("{}{}: {}", said.empty() ? "" : "; ", sink.name, down);
  }
  return said;
}

Finding alert_finding(const Config& config, const Clock& clock) {
  try {
    AlertSettings settings = alert_settings(config);
    OutboxSettings outbox = alert_outbox(config, settings);  // its rules are read
    std::unique_ptr<HttpTransport> transport = make_curl_transport();
    AlertSinks sinks = make_alert_sinks(settings, *transport, clock);
    std::vector<std::string> names;
    for (const Notifier* sink : sinks.pointers()) names.push_back(sink->name());
    if (names.empty())
      return {FindingLevel::note, "alerts", "nobody is told when a backup fails",
              "name a sink in [alert] of holdfast.toml: docs/alerts.md"};
    if (std::string trouble = trouble_of_sinks(outbox.folder, names); !trouble.empty())
      return {FindingLevel::note, "alerts", trouble, "try it: holdfast alert test"};
    return {FindingLevel::ok, "alerts",
            fmt::format("failures go to {} (try it: holdfast alert test)", fmt::join(names, ", ")),
            ""};
  } catch (const Error& error) {
    return {FindingLevel::failure, "alerts", fmt::format("nobody is told: {}", error.what()),
            error.hint()};
  }
}

}  // namespace

std::vector<Finding> told_findings(const Config& config, const Clock& clock) {
  return {audit_finding(config), alert_finding(config, clock)};
}

}  // namespace holdfast
