// holdfast recover: the newest proven backup of any store, brought to a new server.
//
// The plan is made first, whatever is asked for; it is shown with --dry-run, and what it found is
// said before anything is written.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "cli/backups.h"
#include "cli/branch_backups.h"
#include "cli/command.h"
#include "cli/documents.h"
#include "cli/recovery.h"
#include "cli/stores.h"

namespace holdfast {
namespace {

using Weight = RecoverFinding::Weight;

struct RecoveryChoice {
  std::vector<OpenStore> stores;
  Copy copy;
  const OpenStore& store() const { return stores[copy.store]; }
};

std::string proof_words(const Located& located) {
  const std::optional<Proof>& proof = located.backup().proof;
  if (!located.backup().manifest) return "damaged: " + located.backup().damage;
  return proof ? fmt::format("its proof says {}", proof->verdict) : "not proven";
}

Copy newest_proven(const std::vector<Located>& backups, const std::string& where, const Run& run) {
  std::vector<const Located*> passed_over;
  for (const Located& located : backups) {
    const Copy* copy = proven_copy(located);
    if (copy == nullptr) {
      passed_over.push_back(&located);
      continue;
    }
    for (const Located* newer : passed_over)
      run.log.warning(fmt::format(
          "{} is newer, but {}: {} is taken (name the other by its id to take it all the same)",
          newer->id, proof_words(*newer), located.id));
    return *copy;
  }
  if (backups.empty())
    throw Error(ErrorCode::not_found, "there is no backup in " + where,
                "name the stores that hold one: --dir, --store");
  throw Error(ErrorCode::not_found,
              fmt::format("no backup in {} is proven: the newest, {}, is {}", where,
                          backups.front().id, proof_words(backups.front())),
              "prove one (holdfast verify), or name the one to take by its id");
}

// With several databases in the stores and none configured, "the newest" would be anybody's.
void require_one_database(const std::vector<Located>& backups) {
  std::set<std::string> names;
  for (const Located& located : backups)
    if (located.backup().manifest) names.insert(located.backup().manifest->database);
  if (names.size() <= 1) return;
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + printable(name);
  throw Error(ErrorCode::invalid,
              fmt::format("the stores hold backups of several databases ({})", all),
              "name a backup by its id (holdfast list), or the source with --source");
}

RecoveryChoice choose(CommandContext& context) {
  const Config& config = context.config;
  RecoveryChoice chosen;
  chosen.stores = open_stores(config, context.run);
  std::string said = context.argument_or("latest");
  if (said != "latest") {
    refuse_branch_backup(chosen.stores, said, "recover",
                         "a branch lives and dies with its project: recover from a dump",
                         context.run);
    Located located = find_everywhere(chosen.stores, config, said, context.run);
    const Copy* proven = proven_copy(located);
    chosen.copy = proven ? *proven : located.best();
    return chosen;
  }
  std::vector<Located> backups =
      list_everywhere(chosen.stores, configured_database(config), context.run);
  require_one_database(backups);
  chosen.copy = newest_proven(backups, locations_of(chosen.stores), context.run);
  return chosen;
}

void require_server(const Config& config) {
  if (!config.given("to"))
    throw Error(ErrorCode::invalid, "no server to recover to is named",
                "name it: --to postgresql://user@host/");
}

std::string finding_line(const RecoverFinding& finding) {
  const char* mark = finding.weight == Weight::note ? "note" : "missing";
  if (finding.weight == Weight::refusal) mark = "refused";
  return fmt::format("  {:<8} {}{}", mark, finding.message,
                     finding.hint.empty() ? "" : " (" + finding.hint + ")");
}

void show_plan(Output& output, const RecoverPlan& plan, bool ready) {
  output.line(fmt::format("plan for {}", plan.id));
  for (const RecoverStep& step : plan.steps)
    output.line(fmt::format(
        "  {:>10}  {:<28} {}",
        step.estimate_seconds ? fmt::format("~{}", human_seconds(*step.estimate_seconds)) : "?",
        step.name, step.what));
  output.line(fmt::format("  {:>10}  in all, without hooks",
                          fmt::format("~{}", human_seconds(plan.estimate_seconds))));
  output.line("  estimated from: " + plan.estimate_basis);
  for (const RecoverFinding& finding : plan.findings) output.line(finding_line(finding));
  output.verdict(ready, ready ? "READY: nothing was written" : "NOT READY: nothing was written");
}

void show_report(Output& output, const RecoverPlan& plan, const RecoverReport& report,
                 const std::string& from, const Conninfo& there) {
  const RestoreReport& restore = report.restore;
  output.verdict(restore.verdict != Verdict::fail && report.hooks_ok(),
                 fmt::format("RECOVERED {} · {} · {}{}", plural(restore.tables, "table"),
                             plural(restore.rows, "row"), human_seconds(report.seconds),
                             report.hooks_ok() ? "" : " · a hook FAILED"));
  output.line(fmt::format("  backup      {} from {}", plan.id, from));
  output.line(fmt::format("  database    {} ({})", printable(restore.database), there.display()));
  for (const RestorePhase& phase : restore.phases)
    output.line(fmt::format("  {:>10}  {}", human_seconds(phase.seconds), phase.name));
  for (const HookOutcome& hook : report.hooks)
    output.line(fmt::format("  {:>10}  {}{}", human_seconds(hook.seconds), hook.name,
                            hook.ok() ? "" : ": " + hook.error));
  output.line(fmt::format("  {:>10}  recovery time, {} of it until the data was there",
                          human_seconds(report.seconds), human_seconds(restore.seconds)));
  auto names = [&](const char* what, const std::vector<std::string>& list) {
    std::string all;
    for (const std::string& name : list) all += (all.empty() ? "" : ", ") + printable(name);
    if (!all.empty()) output.line(fmt::format("  {:<11} {}", what, all));
  };
  names("new roles", report.globals.new_roles);
  names("kept roles", report.globals.kept_roles);
  names("no login", plan.unknown_roles);
  names("tablespaces", report.globals.new_tablespaces);
  for (const CheckOutcome& check : restore.checks)
    output.line(fmt::format("  checked     {} → {}", printable(check.query), check.result));
  for (const std::string& note : report.globals.notes) output.line("  note        " + note);
  for (const std::string& note : restore.notes) output.line("  note        " + note);
}

}  // namespace

int command_recover(CommandContext& context) {
  const Config& config = context.config;
  require_server(config);  // a missing server is said before a missing backup
  RecoveryChoice chosen = choose(context);
  const Backup& backup = chosen.copy.backup;
  ObjectStore& store = *chosen.store().store;
  RecoverOptions options = configured_recovery(config, backup);
  RecoverPlan plan = plan_recovery(store, backup, options, context.run);
  context.console.finish_phase();
  bool ready = plan.ready(options.ignore_missing);
  if (config.flag("dry_run")) {
    context.output.document(recover_plan_document(plan, ready));
    show_plan(context.output, plan, ready);
    return ready ? kExitDone : kExitFailed;
  }
  Conninfo there = options.server.direct().with("dbname", plan.database);
  for (const RecoverFinding& finding : plan.findings)
    if (finding.weight == Weight::choice && ready)
      context.run.log.warning("going on without: " + finding.message);
    else if (finding.weight == Weight::note)
      context.run.log.info(finding.message);
  OperationPart& part =
      context.operation.begin("recover", plan.id, AuditNeed::required,
                              {{"store", chosen.store().name},
                               {"database", plan.database},
                               {"server", server_name(there)},
                               {"ignore_missing", options.ignore_missing ? "yes" : ""},
                               {"cutover", config.text("cutover").empty() ? ""
                                           : config.flag("no_cutover")    ? "no"
                                                                          : "yes"}});
  context.run.log.info(fmt::format("recovering {} from {} as {}, in about {}", plan.id,
                                   store.location(), there.display(),
                                   human_seconds(plan.estimate_seconds)));
  RecoverReport report = recover(store, backup, plan, options, context.run);
  context.console.finish_phase();
  tell_restored(part, report.restore);
  for (const HookOutcome& hook : report.hooks)
    part.detail("hook_" + hook.name, hook.ok() ? "ok" : "failed");
  context.output.document(recover_document(plan, report, chosen.store().name, there.display()));
  show_report(context.output, plan, report, store.location(), there);
  if (report.restore.verdict == Verdict::fail) return kExitDamage;
  if (report.restore.verdict == Verdict::inconclusive) return kExitFailed;
  return report.hooks_ok() ? kExitDone : kExitPartial;
}

}  // namespace holdfast
