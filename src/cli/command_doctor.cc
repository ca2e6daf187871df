// holdfast doctor: the preflight of a backup, what can be said of the configuration, and whether
// the newest backups could be brought back; each finding with its next step.
#include <fmt/format.h>

#include "base/text.h"
#include "cli/backups.h"
#include "cli/branch_doctor.h"
#include "cli/command.h"
#include "cli/doctor_backups.h"
#include "cli/documents.h"
#include "cli/keys.h"
#include "cli/status.h"
#include "cli/stores.h"
#include "cli/told_doctor.h"
#include "dump/preflight.h"
#include "pg/client_tools.h"
#include "pg/scratch_server.h"

namespace holdfast {
namespace {

Finding failure(const std::string& check, const Error& error) {
  return {FindingLevel::failure, check, error.what(), error.hint(), error.code()};
}

std::vector<Finding> configuration_findings(const Config& config, const Clock& clock) {
  std::vector<Finding> findings;
  try {
    scheduled_runs(config, clock.now());  // as `serve` and `status` will read it
    objective_targets(config);
    findings.push_back({FindingLevel::ok, "configuration",
                        config.file().empty() ? "no holdfast.toml; environment and flags only"
                                              : fmt::format("{} is valid", config.file()),
                        ""});
  } catch (const Error& error) {
    findings.push_back(failure("configuration", error));
  }
  for (const std::string& warning : config.warnings())
    findings.push_back({FindingLevel::note, "configuration", warning, ""});
  for (Finding& finding : encryption_findings(config, config.flag("check_keys")))
    findings.push_back(std::move(finding));
  return findings;
}

// Restored data that a killed drill left in the clear.
std::vector<Finding> scratch_findings(const Config& config) {
  std::vector<Finding> findings;
  for (const std::string& folder : stale_scratch_folders(config.text("scratch_dir")))
    findings.push_back({FindingLevel::note, "scratch data",
                        fmt::format("{} holds the restored data of a run that was killed", folder),
                        "the next holdfast backup removes it; or remove the folder by hand"});
  return findings;
}

// What can be checked where no database can be asked.
std::vector<Finding> findings_without_database(const Config& config,
                                               const std::vector<OpenStore>& stores,
                                               const Error& why) {
  std::vector<Finding> findings = {failure("database", why)};
  for (const OpenStore& store : stores) {
    try {
      store.store->check_writable(0);
      findings.push_back(
          {FindingLevel::ok, "store", store.store->location() + " can be written", ""});
    } catch (const Error& error) {
      findings.push_back(failure("store", error));
    }
  }
  std::vector<ClientTools> tools = find_client_tools(config.text("pg_bindir"));
  if (tools.empty())
    findings.push_back({FindingLevel::failure, "client version", "no pg_dump was found",
                        "install postgresql-client, or name its folder with --pg-bindir",
                        ErrorCode::unsupported});
  for (const ClientTools& tool : tools)
    findings.push_back({FindingLevel::ok, "client version",
                        fmt::format("pg_dump {} in {}", tool.version, tool.folder), ""});
  return findings;
}

void show_finding(Output& output, const Finding& finding) {
  std::string line = fmt::format("{:<8}{:<18}{}", finding_level_name(finding.level), finding.check,
                                 finding.message);
  if (finding.level == FindingLevel::note)
    output.line(line);
  else
    output.verdict(finding.level == FindingLevel::ok, line);
  if (!finding.hint.empty()) output.line(fmt::format("{:26}hint: {}", "", finding.hint));
}

}  // namespace

int command_doctor(CommandContext& context) {
  const Config& config = context.config;
  std::vector<OpenStore> stores = open_stores(config, context.run);
  std::vector<Finding> findings = configuration_findings(config, context.run.clock);
  std::vector<Finding> more;
  try {
    DumpOptions options = unsealed_dump_options(config, config.source_conninfo());
    more = preflight(options, pointers(stores), context.run).findings;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    more = findings_without_database(config, stores, error);
  }
  findings.insert(findings.end(), more.begin(), more.end());
  for (Finding& finding : branch_leg_findings(config, context.run))
    findings.push_back(std::move(finding));
  for (Finding& finding : backup_findings(context, stores)) findings.push_back(std::move(finding));
  for (Finding& finding : scratch_findings(config)) findings.push_back(std::move(finding));
  for (Finding& finding : told_findings(config, context.run.clock))
    findings.push_back(std::move(finding));
  context.console.finish_phase();

  context.output.document(doctor_document(findings));
  uint64_t failures = 0;
  for (const Finding& finding : findings) {
    show_finding(context.output, finding);
    failures += finding.level == FindingLevel::failure ? 1 : 0;
  }
  context.output.verdict(failures == 0, failures == 0
                                            ? "nothing to correct: a backup can be made"
                                            : plural(failures, "failure") + " to correct");
  return failures == 0 ? kExitDone : kExitFailed;
}

}  // namespace holdfast
