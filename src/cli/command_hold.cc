// holdfast hold, holdfast unhold: keeps a backup whatever retention says, until somebody lifts it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.h"
#include "base/this_machine.h"
#include "cli/backups.h"
#include "cli/branch_backups.h"
#include "cli/command.h"
#include "cli/documents.h"
#include "cli/stores.h"

namespace holdfast {
namespace {

// A backup of either kind, and the stores that know of it.
struct Holdable {
  std::string id;
  std::vector<std::pair<size_t, std::optional<Hold>>> stores;  // with the hold that there is
};

Holdable find_argument(CommandContext& context, const std::vector<OpenStore>& stores,
                       const char* command) {
  if (context.arguments.empty())
    throw Error(ErrorCode::invalid, fmt::format("{}: which backup?", command),
                "name its id: holdfast list");
  const std::string& said = context.arguments.front();
  Holdable found;
  if (auto branch = find_branch_everywhere(stores, said, context.run)) {
    found.id = branch->id;
    for (const BranchCopy& copy : branch->copies)
      found.stores.emplace_back(copy.store, copy.backup.hold);
    return found;
  }
  Located located = find_everywhere(stores, context.config, said, context.run);
  found.id = located.id;
  for (const Copy& copy : located.copies) found.stores.emplace_back(copy.store, copy.backup.hold);
  return found;
}

}  // namespace

int command_hold(CommandContext& context) {
  std::string reason = context.config.text("reason");
  if (reason.empty())
    throw Error(ErrorCode::invalid, "hold: why?", "say the reason: --reason 'audit 2026'");
  std::vector<OpenStore> stores = open_stores(context.config, context.run);
  Holdable found = find_argument(context, stores, "hold");
  // "anna@db1": who holds it.
  std::string by = printable(fmt::format("{}@{}", user_name(), host_name()));
  Hold hold{reason, by, context.run.clock.now()};
  OperationPart& part =
      context.operation.begin("hold", found.id, AuditNeed::wanted, {{"reason", reason}});
  std::vector<std::string> held_in;
  for (const auto& [store, held] : found.stores) {
    if (held) continue;
    put_hold(*stores[store].store, found.id, hold);
    held_in.push_back(stores[store].name);
  }
  if (held_in.empty())
    throw Error(
        ErrorCode::exists,
        fmt::format("{} is held already: {}", found.id, found.stores.front().second->text()),
        "lift that hold first: holdfast unhold");
  part.detail("stores", fmt::format("{}", fmt::join(held_in, ", ")));
  context.output.document(hold_document(found.id, hold, held_in));
  for (const std::string& store : held_in)
    context.output.line(fmt::format("held {} in {}: {}", found.id, store, hold.text()));
  return kExitDone;
}

int command_unhold(CommandContext& context) {
  std::vector<OpenStore> stores = open_stores(context.config, context.run);
  Holdable found = find_argument(context, stores, "unhold");
  OperationPart& part = context.operation.begin("unhold", found.id, AuditNeed::required);
  std::vector<std::string> lifted_in;
  for (const auto& [store, held] : found.stores)
    if (remove_hold(*stores[store].store, found.id)) lifted_in.push_back(stores[store].name);
  if (lifted_in.empty())
    throw Error(ErrorCode::not_found, fmt::format("{} is not held", found.id),
                "holdfast show says whether a backup is");
  part.detail("stores", fmt::format("{}", fmt::join(lifted_in, ", ")));
  context.output.document(hold_document(found.id, std::nullopt, lifted_in));
  for (const std::string& store : lifted_in)
    context.output.line(fmt::format("lifted the hold of {} in {}", found.id, store));
  return kExitDone;
}

}  // namespace holdfast
