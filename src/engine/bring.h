// A data folder out of a snapshot that recovers to a point: the snapshot's files, backup_label as
// it is (it says where replay begins), recovery.signal, and the script that fetches the WAL.
//
//   <folder>                         the data folder; `<folder>.partial` while it is made
//   <folder>/holdfast-restore-wal    the script (restore_script.h)
//   <folder>/../tablespaces/<oid>    tablespaces; `tablespaces-<hex>` where that is taken
//
// A crash leaves no `folder`; what it leaves beside it is removed by the next call for the same
// folder. Throws Error: exists (`folder` is there), and what copying throws.
#pragma once

#include <string>
#include <vector>

#include "base/run.h"
#include "engine/branch_storage.h"
#include "engine/line_archives.h"
#include "engine/restore_script.h"
#include "engine/snapshot_catalog.h"

namespace holdfast {

struct BringOrder {
  RestorePoint point;
  std::vector<PathPart> path;  // to the point
  WalNeeds needs;              // of the WAL that will be replayed
  // History files that the script shows; see restore_script.h.
  std::vector<std::string> histories;
  StoredSnapshot snapshot;
  int copy_jobs = 0;
};

// The snapshot must be leased.
BroughtFolder bring_folder(const BringOrder& order, const SnapshotCatalog& catalog,
                           const std::string& folder, const Run& run);

// What the server has to be told: recovery's target and settings that replay demands. Pure.
std::vector<std::pair<std::string, std::string>> recovery_settings(const BringOrder& order,
                                                                   const std::string& script_path);

// Folders for each timeline on the way. Pure.
RestoreScript script_for(const BringOrder& order);

}  // namespace holdfast
