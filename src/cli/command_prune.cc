// holdfast prune: retention, store by store, with the reason for each backup that stays or goes.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.h"
#include "cli/backups.h"
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

}  // namespace

int command_prune(CommandContext& context) {
  const Config& config = context.config;
  bool dry_run = config.flag("dry_run");
  std::vector<OpenStore> stores = open_stores(config, context.run);
  std::optional<StoreLock> lock;
  if (!dry_run) lock.emplace(stores, config, context.run);

  std::vector<PrunedStore> pruned;
  std::vector<std::string> blocked;
  std::optional<Error> failure;
  for (const OpenStore& store : stores) {
    try {
      PrunePlan plan =
          plan_prune(*store.store, list_backups(*store.store, configured_database(config)),
                     retention_policy(config), context.run.clock.now());
      if (!dry_run) apply_prune(*store.store, plan, machine_name(config), context.run);
      for (const std::string& database : plan.blocked)
        blocked.push_back(fmt::format("{} in {}", printable(database), store.name));
      pruned.push_back({store.name, store.store->location(), std::move(plan)});
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled || stores.size() == 1) throw;
      context.run.log.warning(fmt::format("store {}: {}", store.name, error.what()));
      failure = Error(ErrorCode::partial, fmt::format("store {}: {}", store.name, error.what()),
                      error.hint());
    }
  }
  if (pruned.empty() && failure) throw Error(*failure);
  context.output.document(prune_document(pruned, dry_run));
  for (const PrunedStore& store : pruned) show_store(context.output, store, dry_run);
  if (failure) {
    context.console.failure(*failure);
    return kExitPartial;
  }
  if (blocked.empty()) return kExitDone;
  context.console.failure(
      Error(ErrorCode::violated,
            fmt::format("the newest backup is not proven: {}", fmt::join(blocked, ", ")),
            "nothing of it goes until a newer one is: holdfast verify latest, or holdfast backup"));
  return kExitViolation;
}

}  // namespace holdfast
