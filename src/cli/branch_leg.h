// The branch leg of a backup run: makes the branch, records it in every store, proves it, and lets
// retention go over the branches that there are. Independent of the dump leg: it may run beside it
// in a thread of its own, and what goes wrong stays its own.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/api.h"
#include "cli/branch_backups.h"
#include "cli/command.h"
#include "cli/documents.h"
#include "dump/manifest.h"

namespace holdfast {

class BranchLeg {
 public:
  // `stores` are locked by the caller for as long as the leg lives. `run` is used by one thread at
  // a time.
  // `operation` is told of branches that retention removes.
  BranchLeg(const Config& config, const std::vector<OpenStore>& stores, const Run& run,
            Operation& operation);
  ~BranchLeg();
  BranchLeg(const BranchLeg&) = delete;
  BranchLeg& operator=(const BranchLeg&) = delete;

  // Makes and records the branch. Never throws Error: what fails is the outcome's.
  void make();
  bool made() const { return located_.has_value() && !outcome_.error; }
  // Where to log in to the branch, on a compute that runs until prove() has ended. Throws Error.
  Conninfo open_for_dump();
  // The dump that was taken from the branch: it tells what the branch's tables hold.
  void taken_from_it(const Manifest& dump);
  // Proves the branch, then lets retention go. Never throws Error, as make().
  void prove_and_prune();

  LegOutcome& outcome() { return outcome_; }
  // What to say to the user, in order, when the leg is done.
  const std::vector<std::string>& lines() const { return lines_; }
  const std::optional<VerifyReport>& report() const { return report_; }

 private:
  template <typename Work>
  void guarded(Work work);
  void adopt_unrecorded();
  void check_room();
  void record(const BranchBackupRecord& record);
  void prove();
  // What retention could not do.
  std::optional<Error> prune();

  const Config& config_;
  const std::vector<OpenStore>& stores_;
  const Run& run_;
  Operation& operation_;
  std::optional<ApiAccess> api_;
  std::optional<LocatedBranch> located_;
  std::unique_ptr<ComputeAccess> access_;
  LegOutcome outcome_;
  std::optional<VerifyReport> report_;
  std::vector<std::string> lines_;
  std::optional<Error> record_error_;  // of a store that does not know the branch
};

}  // namespace holdfast
