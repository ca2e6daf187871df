// holdfast verify: proves one backup or all of them, in every store that holds them, or an archive
// named by its path.
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "cli/api.h"
#include "cli/backup_told.h"
#include "cli/backups.h"
#include "cli/branch_backups.h"
#include "cli/command.h"
#include "cli/documents.h"
#include "cli/stores.h"
#include "dump/sealed_archive.h"

namespace holdfast {
namespace {

constexpr size_t kProblemsShown = 50;

VerifyReport verify_file(CommandContext& context, const ArchiveFile& file,
                         const VerifyOptions& options) {
  if (file.id.empty()) {
    std::unique_ptr<ObjectReader> reader = open_foreign(open_local_file(file.path), options.keys);
    return with_context(file.path, [&] {
      return verify_foreign_archive(*reader, file.name, options, context.run);
    });
  }
  std::unique_ptr<ObjectStore> store = make_local_store(file.folder);
  return prove(*store, find_backup(*store, "", file.id), options, context.run);
}

// With several copies, one that cannot be looked at must not keep the others from being proven.
VerifyReport prove_one_of_many(CommandContext& context, ObjectStore& store, const Backup& backup,
                               const VerifyOptions& options) {
  try {
    return prove(store, backup, options, context.run);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled || context.run.stop.stop_requested()) throw;
    VerifyReport report;
    report.id = backup.id;
    report.level = options.level;
    report.verdict = error.code() == ErrorCode::corrupt ? Verdict::fail : Verdict::inconclusive;
    report.problems.push_back({backup.id, error.what()});
    return report;
  }
}

// Every copy of the backups.
std::vector<VerifiedCopy> verify_copies(CommandContext& context,
                                        const std::vector<OpenStore>& stores,
                                        const std::vector<Located>& backups,
                                        const VerifyOptions& options) {
  size_t copies = 0;
  for (const Located& located : backups) copies += located.copies.size();
  std::vector<VerifiedCopy> verified;
  for (const Located& located : backups)
    for (const Copy& copy : located.copies) {
      const OpenStore& store = stores[copy.store];
      context.run.check_stop();
      if (copies == 1)
        return {{store.name, prove(*store.store, copy.backup, options, context.run)}};
      context.run.log.info(fmt::format("verifying {} in {}", located.id, store.name));
      verified.push_back(
          {store.name, prove_one_of_many(context, *store.store, copy.backup, options)});
    }
  return verified;
}

// As a copy that is in no store of ours.
std::string place_of(const BranchBackup& backup) {
  return backup.record ? "branch at " + backup.record->host : "branch";
}

// Without a key, what can be said of a branch is that nothing can.
VerifyReport not_looked_at(const LocatedBranch& located, VerifyLevel level, const Error& why) {
  VerifyReport report;
  report.id = located.id;
  report.level = level;
  report.verdict = Verdict::inconclusive;
  report.notes.push_back(why.in_one_line());
  return report;
}

void verify_branches(CommandContext& context, const std::vector<OpenStore>& stores,
                     const std::vector<LocatedBranch>& branches, VerifyLevel level,
                     std::vector<VerifiedCopy>& verified) {
  if (branches.empty()) return;
  std::optional<ApiAccess> api;
  std::optional<Error> unreachable;
  try {
    api.emplace(context.config, context.run);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    unreachable = error;
  }
  BranchVerifyOptions options = branch_verify_options(context.config, level);
  for (const LocatedBranch& located : branches) {
    context.run.check_stop();
    VerifyReport report = api ? prove_branch(api->client(), stores, located, options, context.run)
                              : not_looked_at(located, level, *unreachable);
    verified.push_back({place_of(located.backup()), std::move(report), /*of_branch=*/true});
  }
}

std::vector<VerifiedCopy> verify_what_was_said(CommandContext& context,
                                               const VerifyOptions& options) {
  const Config& config = context.config;
  std::string said = context.argument_or("latest");
  bool all = config.flag("all");
  if (all && !context.arguments.empty())
    throw Error(ErrorCode::invalid, fmt::format("verify: both --all and {} are given", shown(said)),
                "leave one of them out");
  if (!all)
    if (std::optional<ArchiveFile> file = as_archive_file(said))
      return {{"", verify_file(context, *file, options)}};
  std::vector<OpenStore> stores = open_stores(config, context.run);
  if (!all)
    if (auto branch = find_branch_everywhere(stores, said, context.run)) {
      std::vector<VerifiedCopy> verified;
      verify_branches(context, stores, {*branch}, options.level, verified);
      return verified;
    }
  if (!all)
    return verify_copies(context, stores, {find_everywhere(stores, config, said, context.run)},
                         options);
  std::string database =
      config.source_chosen_by_name() ? configured_database(config) : std::string();
  std::vector<Located> backups = list_everywhere(stores, database, context.run);
  std::vector<LocatedBranch> branches = list_branches_everywhere(stores, database, context.run);
  if (backups.empty() && branches.empty())
    throw Error(ErrorCode::not_found, fmt::format("there is no backup in {}", locations_of(stores)),
                "make one with: holdfast backup");
  std::vector<VerifiedCopy> verified = verify_copies(context, stores, backups, options);
  verify_branches(context, stores, branches, options.level, verified);
  return verified;
}

void show_report(Output& output, const VerifiedCopy& copy) {
  const VerifyReport& report = copy.report;
  output.line(copy.store.empty() ? report.id : fmt::format("{}  {}", report.id, copy.store));
  for (size_t i = 0; i < std::min(report.problems.size(), kProblemsShown); ++i)
    output.line(fmt::format("  {}: {}", report.problems[i].where, report.problems[i].what));
  if (report.problems.size() > kProblemsShown)
    output.line(
        fmt::format("  and {} more (--json shows all)", report.problems.size() - kProblemsShown));
  for (const std::string& note : report.notes) output.line("  note: " + note);
  output.verdict(report.ok(), report.closing_line());
}

// With the room that the plan has, as far as it can be asked.
RetentionPolicy branch_retention(CommandContext& context, size_t count) {
  BranchRoom room;
  if (count > 0) {
    try {
      ApiAccess api(context.config, context.run);
      room = branch_room(api.client());
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
    }
  }
  return branch_retention_policy(context.config, room, count);
}

// Whether the stores are as retention and schedule want them. Only the configured database's
// backups count, if there is one; an archive that was named by its path is in no store.
std::vector<PolicyProblem> policy_problems(CommandContext& context,
                                           const std::vector<VerifiedCopy>& verified) {
  if (!verified.empty() && verified.front().store.empty()) return {};
  std::vector<OpenStore> stores = open_stores(context.config, context.run);
  std::vector<StoreInventory> inventories;
  for (const OpenStore& store : stores) {
    StoreInventory inventory{store.name, {}, "", store.store.get()};
    try {
      inventory.backups = list_backups(*store.store, configured_database(context.config));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      inventory.unreadable = error.what();
    }
    inventories.push_back(std::move(inventory));
  }
  UtcTime now = context.run.clock.now();
  std::vector<PolicyProblem> problems =
      check_policy(inventories, retention_policy(context.config), now);
  std::vector<BranchBackup> branches;
  for (const LocatedBranch& located :
       list_branches_everywhere(stores, configured_database(context.config), context.run))
    branches.push_back(located.backup());
  for (PolicyProblem& problem :
       check_branch_policy("branches", branches, branch_retention(context, branches.size()), now))
    problems.push_back(std::move(problem));
  return problems;
}

// The worst that was found in a store decides: one sound backup does not mend another.
void tell_stores(CommandAlerts& alerts, const std::vector<VerifiedCopy>& verified) {
  std::map<std::string, const VerifyReport*> worst;
  auto weight = [](const VerifyReport& report) {
    return report.ok() ? 0 : report.verdict == Verdict::fail ? 2 : 1;
  };
  for (const VerifiedCopy& copy : verified) {
    const VerifyReport*& found = worst[copy.of_branch ? kBranchesPlace : copy.store];
    if (found == nullptr || weight(copy.report) > weight(*found)) found = &copy.report;
  }
  for (const auto& [store, report] : worst) {
    if (report->ok()) {
      alerts.good(IncidentKind::proof, store);
      continue;
    }
    bool damaged = report->verdict == Verdict::fail;
    FailureFacts facts;
    facts.code = damaged ? ErrorCode::corrupt : ErrorCode::unavailable;
    facts.backup = report->id;
    facts.exit_code = exit_code_of(*report);
    facts.problems = static_cast<int64_t>(report->problems.size());
    alerts.failed(IncidentKind::proof, store, damaged ? Severity::critical : Severity::warning,
                  facts);
  }
}

void tell_verified(CommandContext& context, OperationPart& part,
                   const std::vector<VerifiedCopy>& verified,
                   const std::vector<PolicyProblem>& policy) {
  std::set<std::string> ids;
  std::string verdicts;
  for (const VerifiedCopy& copy : verified) {
    ids.insert(copy.report.id);
    verdicts += fmt::format("{}{}{}{}", verdicts.empty() ? "" : ", ", copy.store,
                            copy.store.empty() ? "" : " ", verdict_name(copy.report.verdict));
  }
  if (ids.size() == 1) part.target(*ids.begin());
  part.detail("backups", std::to_string(ids.size()));
  part.detail("verdicts", verdicts);
  part.detail("policy", policy.empty() ? "" : fmt::format("{} problems", policy.size()));
  if (!verified.empty() && verified.front().store.empty()) return;  // a file that was named

  CommandAlerts& alerts = context.operation.alerts();
  tell_stores(alerts, verified);
  alerts.good(IncidentKind::proof, "");
  if (policy.empty()) return alerts.good(IncidentKind::policy, "");
  FailureFacts facts;
  facts.code = ErrorCode::violated;
  facts.problems = static_cast<int64_t>(policy.size());
  alerts.failed(IncidentKind::policy, "", Severity::warning, facts);
}

}  // namespace

int command_verify(CommandContext& context) {
  VerifyLevel level = parse_verify_level(context.config.text("verify_level"));
  OperationPart& part = context.operation.begin(
      "verify", context.config.flag("all") ? "all" : context.argument_or("latest"),
      AuditNeed::wanted, {{"level", context.config.text("verify_level")}});
  std::vector<VerifiedCopy> verified =
      verify_what_was_said(context, verify_options(context.config, level));
  context.console.finish_phase();
  std::vector<PolicyProblem> policy = policy_problems(context, verified);
  tell_verified(context, part, verified, policy);
  context.output.document(verify_document(verified, level, policy));
  for (const VerifiedCopy& copy : verified) show_report(context.output, copy);

  auto count = [&](int code) {
    return std::count_if(verified.begin(), verified.end(), [&](const VerifiedCopy& copy) {
      return exit_code_of(copy.report) == code;
    });
  };
  if (verified.size() > 1)
    context.output.line(fmt::format("{} proven, {} damaged, {} inconclusive", count(kExitDone),
                                    count(kExitDamage), count(kExitFailed)));
  for (const PolicyProblem& problem : policy)
    context.output.verdict(false, fmt::format("POLICY {}: {}", problem.where, problem.what));
  if (count(kExitDamage) > 0) return kExitDamage;
  if (count(kExitFailed) > 0) return kExitFailed;
  return policy.empty() ? kExitDone : kExitViolation;
}

}  // namespace holdfast
