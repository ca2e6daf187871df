// What the audit trail and the alerts are told of a backup's legs, and of what retention removed.
// Ids, counts, codes and verdicts; no text of an error.
#pragma once

#include <string>
#include <vector>

#include "cli/documents.h"
#include "cli/operation.h"
#include "cli/stores.h"
#include "policy/prune.h"

namespace holdfast {

// As incidents call the place where branch backups are.
inline constexpr char kBranchesPlace[] = "branches";

// Ends the leg's part of the operation, and says of each store what became of it there.
void tell_leg(Operation& operation, OperationPart& part, const std::vector<OpenStore>& stores,
              const LegOutcome& leg);

// The retention ledger: one event for a backup that is gone, with the rule that let it go.
void record_removal(Operation& operation, const std::string& store, const PrunePlan& plan,
                    const std::string& id);
// A removal from a store for apply_prune, with its line in the ledger at once: a crash loses no
// more than that of the last one. All outlive it.
RemoveBackup recorded_removal(Operation& operation, const OpenStore& store,
                              const std::string& machine, const PrunePlan& plan);
// What became of a plan, to alerts.
void tell_retention(CommandAlerts& alerts, const std::string& store, const PrunePlan& plan);

// "deep PASS", "" without one.
std::string told_proof(const std::optional<Proof>& proof);

}  // namespace holdfast
