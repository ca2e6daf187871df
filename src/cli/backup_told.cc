#include "cli/backup_told.h"

#include <fmt/format.h>

namespace holdfast {
namespace {

std::string outcome_word(const std::optional<Error>& error) {
  return error ? fmt::format("failed ({})", error_code_name(error->code())) : "ok";
}

// "local ok, nas failed (unavailable)".
std::string store_words(const std::vector<OpenStore>& stores, const LegOutcome& leg) {
  std::string words;
  for (size_t i = 0; i < leg.stores.size() && i < stores.size(); ++i)
    words += fmt::format("{}{} {}", words.empty() ? "" : ", ", stores[i].name,
                         outcome_word(leg.stores[i].error));
  return words;
}

// Each store by itself: a backup that one lacks is that one's incident.
void tell_dump(CommandAlerts& alerts, const std::vector<OpenStore>& stores, const LegOutcome& leg) {
  if (leg.stores.empty()) {
    if (leg.error) alerts.failed(IncidentKind::backup, "", *leg.error, leg.id);
    return;
  }
  alerts.good(IncidentKind::backup, "");
  for (size_t i = 0; i < leg.stores.size() && i < stores.size(); ++i) {
    const StoreOutcome& outcome = leg.stores[i];
    const std::string& name = stores[i].name;
    if (!outcome.written) {
      if (outcome.error) alerts.failed(IncidentKind::backup, name, *outcome.error, leg.id);
      continue;
    }
    alerts.good(IncidentKind::backup, name);
    if (outcome.error)
      alerts.failed(IncidentKind::proof, name, *outcome.error, leg.id);
    else if (outcome.proof && outcome.proof->ok)
      alerts.good(IncidentKind::proof, name);
  }
}

void tell_branch(CommandAlerts& alerts, const LegOutcome& leg) {
  bool proven = leg.proof && leg.proof->ok;
  bool recorded = true;
  for (const StoreOutcome& outcome : leg.stores) recorded = recorded && !outcome.error;
  bool made = leg.branch.has_value() && recorded;
  if (made)
    alerts.good(IncidentKind::backup, kBranchesPlace);
  else if (leg.error)
    alerts.failed(IncidentKind::backup, kBranchesPlace, *leg.error, leg.id);
  if (proven) alerts.good(IncidentKind::proof, kBranchesPlace);
  if (!made || !leg.error) return;
  IncidentKind kind = proven ? IncidentKind::prune : IncidentKind::proof;
  alerts.failed(kind, kBranchesPlace, *leg.error, leg.id);
}

}  // namespace

std::string told_proof(const std::optional<Proof>& proof) {
  return proof ? proof->level + " " + proof->verdict : std::string();
}

void tell_leg(Operation& operation, OperationPart& part, const std::vector<OpenStore>& stores,
              const LegOutcome& leg) {
  part.detail("id", leg.id);
  if (leg.bytes) part.detail("bytes", std::to_string(*leg.bytes));
  part.detail("seconds", fmt::format("{:.1f}", leg.seconds));
  part.detail("stores", store_words(stores, leg));
  part.detail("proof", told_proof(leg.proof));
  part.detail("taken_from", leg.taken_from);
  if (!leg.problems.empty()) part.detail("problems", std::to_string(leg.problems.size()));
  part.end(leg.error);
  if (leg.kind == "dump")
    tell_dump(operation.alerts(), stores, leg);
  else
    tell_branch(operation.alerts(), leg);
}

void record_removal(Operation& operation, const std::string& store, const PrunePlan& plan,
                    const std::string& id) {
  for (const PruneEntry& entry : plan.entries)
    if (entry.decision.id == id)
      operation.event("prune.removed", id,
                      {{"store", store},
                       {"rule", entry.decision.reason},
                       {"database", entry.database},
                       {"bytes", entry.bytes > 0 ? std::to_string(entry.bytes) : ""}});
}

RemoveBackup recorded_removal(Operation& operation, const OpenStore& store,
                              const std::string& machine, const PrunePlan& plan) {
  return [&operation, &store, machine, &plan](const std::string& id) {
    std::optional<Hold> hold = remove_backup(*store.store, id, machine);
    if (!hold) record_removal(operation, store.name, plan, id);
    return hold;
  };
}

void tell_retention(CommandAlerts& alerts, const std::string& store, const PrunePlan& plan) {
  if (plan.failure)
    alerts.failed(IncidentKind::prune, store, *plan.failure);
  else
    alerts.good(IncidentKind::prune, store);
}

}  // namespace holdfast
