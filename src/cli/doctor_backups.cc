#include "cli/doctor_backups.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cli/backups.h"
#include "cli/recovery.h"
#include "pg/client_tools.h"

namespace holdfast {
namespace {

constexpr size_t kProblemsNamed = 3;

struct NewestBackup {
  const OpenStore* store = nullptr;
  Backup backup;
  std::vector<Finding> findings;  // what is wrong with it; empty: nothing was found
};

Finding trouble(const std::string& what, ErrorCode code, const std::string& hint = {}) {
  return {FindingLevel::failure, "backups", what, hint, code};
}

// By the size of its objects and its table of contents, or by every byte with --level deep.
std::vector<Finding> look_at(CommandContext& context, NewestBackup& newest, VerifyLevel level) {
  const std::string where = newest.store->store->location();
  const Backup& backup = newest.backup;
  if (!backup.manifest)
    return {trouble(fmt::format("{} in {} is damaged: {}", backup.id, where, backup.damage),
                    ErrorCode::corrupt)};
  try {
    VerifyReport report = verify_backup(*newest.store->store, backup,
                                        verify_options(context.config, level), context.run);
    context.console.finish_phase();
    std::vector<Finding> findings;
    for (const Problem& problem : report.problems) {
      if (findings.size() == kProblemsNamed) break;
      findings.push_back(
          trouble(fmt::format("{} in {}: {}: {}", backup.id, where, problem.where, problem.what),
                  ErrorCode::corrupt));
    }
    if (findings.empty() && report.verdict == Verdict::inconclusive)
      findings.push_back({FindingLevel::note, "backups",
                          fmt::format("{} in {}: {}", backup.id, where, report.closing_line()),
                          ""});
    return findings;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    return {trouble(fmt::format("{} in {}: {}", backup.id, where, error.what()), error.code(),
                    error.hint())};
  }
}

// What the newest proof said, where what was looked at now is good.
Finding proof_finding(const NewestBackup& newest) {
  const std::string where = newest.store->store->location();
  const std::optional<Proof>& proof = newest.backup.proof;
  if (!proof)
    return {FindingLevel::note, "backups",
            fmt::format("{} in {} is not proven", newest.backup.id, where),
            "holdfast verify " + newest.backup.id};
  std::string said = fmt::format("{} in {}: its {} proof of {} says {}", newest.backup.id, where,
                                 proof->level, format_rfc3339(proof->at), proof->verdict);
  if (proof->ok) return {FindingLevel::ok, "backups", said, ""};
  return trouble(said, ErrorCode::corrupt,
                 "see what it found: holdfast verify " + newest.backup.id);
}

// Damage is half as bad where another store has the same backup whole.
void name_the_way_back(std::vector<NewestBackup>& all, NewestBackup& damaged) {
  for (const NewestBackup& other : all) {
    if (&other == &damaged || other.backup.id != damaged.backup.id || !other.findings.empty())
      continue;
    for (Finding& finding : damaged.findings)
      if (finding.level == FindingLevel::failure && finding.hint.empty())
        finding.hint = fmt::format(
            "the copy in {0} is good: restore from it (--store {0}), or move the damaged objects "
            "away and "
            "`holdfast copy {1} --store {0} --to {2}`",
            other.store->name, damaged.backup.id, damaged.store->name);
    return;
  }
  for (Finding& finding : damaged.findings)
    if (finding.level == FindingLevel::failure && finding.hint.empty())
      finding.hint =
          "make another backup now, and keep this one: holdfast verify names what of it is sound";
}

Finding tools_finding(CommandContext& context, const Manifest& manifest) {
  constexpr const char* kCheck = "restore tools";
  try {
    ClientTools tools = choose_client_tools(find_client_tools(context.config.text("pg_bindir")),
                                            manifest.server_major);
    bool scratch = tools.has("initdb") && tools.has("postgres");
    return {scratch ? FindingLevel::ok : FindingLevel::note, kCheck,
            fmt::format(
                "pg_restore {} can restore {}{}", tools.version, manifest.id,
                scratch ? "" : "; there is no server program of that version to rehearse it with"),
            scratch ? "" : fmt::format("install postgresql-{}", tools.major)};
  } catch (const Error& error) {
    return {
        FindingLevel::failure, kCheck,
        fmt::format("{} is of PostgreSQL {}: {}", manifest.id, manifest.server_major, error.what()),
        error.hint(), error.code()};
  }
}

std::vector<Finding> target_findings(CommandContext& context, const NewestBackup& newest) {
  constexpr const char* kCheck = "restore target";
  std::vector<Finding> findings;
  try {
    RecoverPlan plan =
        plan_recovery(*newest.store->store, newest.backup,
                      configured_recovery(context.config, newest.backup), context.run);
    context.console.finish_phase();
    for (const RecoverFinding& found : plan.findings) {
      bool note = found.weight == RecoverFinding::Weight::note;
      findings.push_back({note ? FindingLevel::note : FindingLevel::failure, kCheck, found.message,
                          found.hint, ErrorCode::unsupported});
    }
    if (plan.ready(false))
      findings.push_back({FindingLevel::ok, kCheck,
                          fmt::format("{} can be recovered there in about {}", plan.id,
                                      human_seconds(plan.estimate_seconds)),
                          ""});
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    findings.push_back({FindingLevel::failure, kCheck, error.what(), error.hint(), error.code()});
  }
  return findings;
}

}  // namespace

std::vector<Finding> backup_findings(CommandContext& context,
                                     const std::vector<OpenStore>& stores) {
  const Config& config = context.config;
  // What `verify` is configured to do may take hours; here it has to be asked for.
  const Setting& asked = config.setting("verify_level");
  VerifyLevel level =
      asked.origin == "--level" ? parse_verify_level(asked.values.front()) : VerifyLevel::quick;
  std::vector<Finding> findings;
  std::vector<NewestBackup> all;
  for (const OpenStore& store : stores) {
    try {
      std::vector<Backup> backups = list_backups(*store.store, configured_database(config));
      if (backups.empty())
        findings.push_back({FindingLevel::note, "backups",
                            "there is no backup in " + store.store->location(),
                            "make one with: holdfast backup"});
      else
        all.push_back({&store, std::move(backups.front()), {}});
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      findings.push_back(trouble(error.what(), error.code(), error.hint()));
    }
  }
  for (NewestBackup& newest : all) newest.findings = look_at(context, newest, level);
  for (NewestBackup& newest : all) {
    if (newest.findings.empty())
      findings.push_back(proof_finding(newest));
    else
      name_the_way_back(all, newest);
    findings.insert(findings.end(), newest.findings.begin(), newest.findings.end());
  }
  auto sound = std::find_if(all.begin(), all.end(), [](const NewestBackup& newest) {
    return newest.findings.empty() && newest.backup.manifest;
  });
  if (sound == all.end()) return findings;
  findings.push_back(tools_finding(context, *sound->backup.manifest));
  if (config.given("to"))
    for (Finding& finding : target_findings(context, *sound))
      findings.push_back(std::move(finding));
  return findings;
}

}  // namespace holdfast
