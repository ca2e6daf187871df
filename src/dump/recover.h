// A database brought back on a new server: roles and tablespaces, the database under its own name,
// its contents compared with the manifest, statistics, then the operator's hooks.
//
// Everything that can be known beforehand is looked for first and said in a plan, each step with an
// estimate of its time; what is missing on the server stops the recovery before anything is written
// unless the operator chose to go on. Nothing is ever replaced: that is `restore --confirm`. As
// with every restore the database has a working name until it is whole, so a recovery that is
// killed can just be run again.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dump/globals_restore.h"
#include "dump/hook.h"
#include "dump/restore.h"

namespace holdfast {

struct RecoverOptions {
  Conninfo server;              // its dbname is where to connect first
  std::string database;         // empty: as dumped
  bool ignore_missing = false;  // go on without what the server does not have
  int jobs = 0;
  ReadBack read_back = ReadBack::full;
  std::string client_folder;
  std::vector<std::string> checks;  // as of RestoreOptions
  OpenKeys keys;                    // for a sealed backup
  std::vector<Hook> hooks;  // in this order; one that fails keeps the later ones from running
  std::map<std::string, std::string> hook_environment;
  double hook_limit_seconds = 3600;
};

struct RecoverFinding {
  enum class Weight {
    note,    // good to know
    choice,  // something will be missing: the operator must choose to go on
    refusal  // cannot be gone on with
  };
  Weight weight = Weight::note;
  std::string check;  // "extension", "role", "database", …
  std::string message, hint;
};

struct RecoverStep {
  std::string name, what;
  std::optional<double> estimate_seconds;  // nothing: unknown
};

struct RecoverPlan {
  std::string id, database;
  std::vector<RecoverStep> steps;
  std::vector<RecoverFinding> findings;
  std::string estimate_basis;   // what the estimates are taken from
  double estimate_seconds = 0;  // of the steps that have one

  std::vector<GlobalStatement> globals;
  GlobalsPlan globals_plan;
  std::vector<std::string> unknown_roles;  // needed, and neither there nor in the globals

  // Whether it would start.
  bool ready(bool ignore_missing) const;
};

struct RecoverReport {
  GlobalsOutcome globals;
  RestoreReport restore;  // its phases and seconds are the whole recovery's, without the hooks
  std::vector<HookOutcome> hooks;
  double seconds = 0;  // all of it: the recovery time that was reached
  bool hooks_ok() const;
};

// Looks at the backup and the server; writes nothing. Throws Error if either cannot be reached.
RecoverPlan plan_recovery(ObjectStore& store, const Backup& backup, const RecoverOptions& options,
                          const Run& run);

// Throws Error for findings that are not to be gone on with; then nothing has been written. A
// failed hook is in the report: the data is recovered all the same.
RecoverReport recover(ObjectStore& store, const Backup& backup, const RecoverPlan& plan,
                      const RecoverOptions& options, const Run& run);

}  // namespace holdfast
