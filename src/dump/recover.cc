#include "dump/recover.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "dump/database_admin.h"
#include "dump/restore_steps.h"

namespace holdfast {
namespace {

using Weight = RecoverFinding::Weight;

void require_ready(const RecoverPlan& plan, bool ignore_missing) {
  if (plan.ready(ignore_missing)) return;
  std::string missing, hint;
  for (const RecoverFinding& finding : plan.findings) {
    if (finding.weight == Weight::refusal)
      throw Error(finding.check == "database" ? ErrorCode::exists : ErrorCode::denied,
                  finding.message, finding.hint + "; nothing has been changed");
    if (finding.weight != Weight::choice) continue;
    if (hint.empty()) hint = finding.hint;
    missing += (missing.empty() ? "" : "; ") + finding.message;
  }
  throw Error(ErrorCode::unsupported, missing,
              hint + ". To go on all the same: --ignore-missing. Nothing has been changed");
}

RestoreOptions restore_options(const RecoverPlan& plan, const RecoverOptions& options) {
  RestoreOptions restore;
  restore.server = options.server;
  restore.database = plan.database;
  restore.read_back = options.read_back;
  restore.analyze = true;
  restore.database_properties = true;
  restore.leave_out_missing_extensions = options.ignore_missing;
  restore.checks = options.checks;
  restore.jobs = options.jobs;
  restore.client_folder = options.client_folder;
  restore.keys = options.keys;
  return restore;
}

std::vector<HookOutcome> run_hooks(const RecoverPlan& plan, const RecoverOptions& options,
                                   const Run& run) {
  std::vector<HookOutcome> outcomes;
  if (options.hooks.empty()) return outcomes;
  HookSetting setting;
  setting.environment = options.hook_environment;
  setting.backup_id = plan.id;
  setting.database = plan.database;
  setting.limit_seconds = options.hook_limit_seconds;
  std::string failed;
  try {
    UrlWithPassword there =
        url_with_password(options.server.direct().with("dbname", plan.database));
    setting.database_url = there.url;
    setting.password = there.password;
  } catch (const Error& error) {  // the data is recovered all the same
    failed = fmt::format("the login to {} ({})", plan.database, error.what());
  }
  for (const Hook& hook : options.hooks) {
    if (!failed.empty()) {
      HookOutcome skipped;
      skipped.name = hook.name;
      skipped.error = fmt::format("not run, because {} failed", failed);
      outcomes.push_back(skipped);
      continue;
    }
    run.progress.phase(hook.name);
    outcomes.push_back(run_hook(hook, setting, run));
    if (!outcomes.back().ok()) failed = hook.name;
  }
  return outcomes;
}

}  // namespace

bool RecoverReport::hooks_ok() const {
  return std::all_of(hooks.begin(), hooks.end(), [](const HookOutcome& hook) { return hook.ok(); });
}

RecoverReport recover(ObjectStore& store, const Backup& backup, const RecoverPlan& plan,
                      const RecoverOptions& options, const Run& run) {
  require_ready(plan, options.ignore_missing);
  double begin = run.clock.monotonic_seconds();
  RecoverReport report;
  std::vector<RestorePhase> phases;
  PhaseTimer(run, phases).time("roles and tablespaces", [&] {
    Connection admin = open_admin(options.server.direct(), plan.database);
    report.globals = apply_globals(plan.globals, plan.globals_plan, admin);
    create_placeholder_roles(admin, plan.unknown_roles);
  });
  report.restore = restore_backup(
      store, backup, restore_options(plan, options), [] {}, run);
  report.restore.phases.insert(report.restore.phases.begin(), phases.begin(), phases.end());
  report.restore.seconds = run.clock.monotonic_seconds() - begin;
  report.hooks = run_hooks(plan, options, run);
  report.seconds = run.clock.monotonic_seconds() - begin;
  return report;
}

}  // namespace holdfast
