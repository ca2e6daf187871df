// holdfast prune: retention, store by store, with the reason for each backup that stays or goes.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "audit/log_folder.h"
#include "base/text.h"
#include "cli/api.h"
#include "cli/audit_trail.h"
#include "cli/backup_told.h"
#include "cli/backups.h"
#include "cli/branch_backups.h"
#include "cli/command.h"
#include "cli/documents.h"
#include "cli/stores.h"

namespace holdfast {
namespace {

std::string_view action_text(RetentionAction action, bool dry_run) {
  switch (action) {
    case RetentionAction::keep:
      return "kept";
    case RetentionAction::remove:
      return dry_run ? "would go" : "removed";
    case RetentionAction::not_yet:
      return "not yet";
  }
  return "kept";
}

void show_store(Output& output, const PrunedStore& store, bool dry_run) {
  output.line(fmt::format("{}  {}", store.store, store.location));
  for (const PruneEntry& entry : store.plan.entries)
    output.line(fmt::format("  {:<9}{}  {}", action_text(entry.decision.action, dry_run),
                            entry.decision.id, entry.decision.reason));
  output.line(
      fmt::format("  {} {}, {} kept, {} not yet ({} {})", store.plan.count(RetentionAction::remove),
                  dry_run ? "would go" : "removed", store.plan.count(RetentionAction::keep),
                  store.plan.count(RetentionAction::not_yet),
                  human_bytes(store.plan.bytes_to_remove()), dry_run ? "would be freed" : "freed"));
}

// Plans, and removes unless it is a dry run. With several stores, one that cannot be read must not
// keep the others from being pruned.
PrunedStore prune_store(CommandContext& context, const OpenStore& store, bool alone) {
  const Config& config = context.config;
  PrunedStore pruned{store.name, store.store->location(), {}};
  try {
    pruned.plan = plan_prune(*store.store, list_backups(*store.store, configured_database(config)),
                             retention_policy(config), context.run.clock.now());
  } catch (const Error& error) {
    if (alone || error.code() == ErrorCode::cancelled) throw;
    pruned.plan.failure = error;
    return pruned;
  }
  if (!config.flag("dry_run"))
    apply_prune(pruned.plan,
                recorded_removal(context.operation, store, machine_name(config), pruned.plan),
                context.run);
  return pruned;
}

// Branch backups, wherever they are recorded, as one more place. Nothing if there are none.
std::optional<PrunedStore> prune_branch_backups(CommandContext& context,
                                                const std::vector<OpenStore>& stores) {
  const Config& config = context.config;
  std::vector<LocatedBranch> branches =
      list_branches_everywhere(stores, configured_database(config), context.run);
  if (branches.empty()) return std::nullopt;
  PrunedStore pruned{kBranchesPlace, config.text("neon_api_host"), {}};
  try {
    ApiAccess api(config, context.run);
    pruned.plan = prune_branches(api.client(), config, stores, branches, config.flag("dry_run"),
                                 context.run, &context.operation);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    pruned.plan.failure = error;
  }
  return pruned;
}

void tell_pruned(CommandContext& context, OperationPart& part,
                 const std::vector<PrunedStore>& pruned, bool blocked) {
  CommandAlerts& alerts = context.operation.alerts();
  size_t removed = 0, kept = 0, not_yet = 0;
  std::string places;
  for (const PrunedStore& store : pruned) {
    removed += store.plan.count(RetentionAction::remove);
    kept += store.plan.count(RetentionAction::keep);
    not_yet += store.plan.count(RetentionAction::not_yet);
    places += fmt::format("{}{} {}", places.empty() ? "" : ", ", store.store,
                          store.plan.failure ? "failed" : "ok");
    tell_retention(alerts, store.store, store.plan);
  }
  alerts.good(IncidentKind::prune, "");
  part.detail("stores", places);
  part.detail("removed", std::to_string(removed));
  part.detail("kept", std::to_string(kept));
  part.detail("not_yet", std::to_string(not_yet));
  if (blocked) part.detail("blocked", "the newest backup is not proven");
}

// The trail's own retention, at the same occasion. What of it fails is said and harms nothing.
void prune_trail(CommandContext& context, const std::vector<OpenStore>& stores) {
  const Config& config = context.config;
  if (!audit_is_on(config)) return;
  try {
    AuditWriter writer(audit_folder(config), context.run.clock);
    auto anchor = [&](const AuditHead& head) {
      for (const AnchorOutcome& outcome : anchor_everywhere(stores, config, head, context.run))
        if (outcome.error)
          throw outcome.error->within(fmt::format("anchor in store {}", outcome.store));
    };
    for (uint64_t segment : apply_audit_retention(
             writer, audit_retention(config), audit_who(config), context.run.clock.now(), anchor))
      context.output.line(fmt::format("removed {} of the audit trail: older than {} years",
                                      audit_segment_name(segment),
                                      config.text("audit_keep_years")));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    context.run.log.warning(fmt::format("retention of the audit trail: {}", error.in_one_line()));
  }
}

// Of a store that failed; the others are done.
Error failure_of(const PrunedStore& store, bool alone) {
  const Error& error = *store.plan.failure;
  if (alone || error.code() == ErrorCode::cancelled) return error;
  return Error(ErrorCode::partial, fmt::format("store {}: {}", store.store, error.what()),
               error.hint());
}

}  // namespace

int command_prune(CommandContext& context) {
  const Config& config = context.config;
  bool dry_run = config.flag("dry_run");
  std::vector<OpenStore> stores = open_stores(config, context.run);
  OperationPart* part = nullptr;
  if (!dry_run)
    part = &context.operation.begin("prune", configured_database(config), AuditNeed::required,
                                    {{"source", config.source_name()},
                                     {"days", config.text("retention_days")},
                                     {"months", config.text("retention_months")}});
  std::optional<StoreLock> lock;
  if (!dry_run) lock.emplace(stores, config, context.run);

  std::vector<PrunedStore> pruned;
  std::vector<std::string> blocked;
  std::optional<Error> failure;
  for (const OpenStore& store : stores) {
    bool alone = stores.size() == 1;
    pruned.push_back(prune_store(context, store, alone));
    for (const std::string& database : pruned.back().plan.blocked)
      blocked.push_back(fmt::format("{} in {}", printable(database), store.name));
    if (!pruned.back().plan.failure) continue;
    if (failure) context.run.log.warning(failure->what());
    failure = failure_of(pruned.back(), alone);
    if (failure->code() == ErrorCode::cancelled) break;
  }
  if (!failure || failure->code() != ErrorCode::cancelled) {
    if (std::optional<PrunedStore> branches = prune_branch_backups(context, stores)) {
      for (const std::string& database : branches->plan.blocked)
        blocked.push_back(fmt::format("{} among branches", printable(database)));
      if (branches->plan.failure) {
        if (failure) context.run.log.warning(failure->what());
        failure = failure_of(*branches, /*alone=*/false);
      }
      pruned.push_back(std::move(*branches));
    }
  }
  if (part != nullptr) tell_pruned(context, *part, pruned, !blocked.empty());
  context.output.document(prune_document(pruned, dry_run));
  for (const PrunedStore& store : pruned) show_store(context.output, store, dry_run);
  if (part != nullptr) prune_trail(context, stores);
  if (failure) {
    if (part != nullptr) part->end(failure);
    context.console.failure(*failure);
    return exit_code_of(failure->code());
  }
  if (part != nullptr && blocked.empty()) part->end(AuditOutcome::ok);
  if (blocked.empty()) return kExitDone;
  context.console.failure(
      Error(ErrorCode::violated,
            fmt::format("the newest backup is not proven: {}", fmt::join(blocked, ", ")),
            "nothing of it goes until a newer one is: holdfast verify latest, or holdfast backup"));
  return kExitViolation;
}

}  // namespace holdfast
