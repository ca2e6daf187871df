// One restore, whoever wrote the archive: where it goes, what must be there before anything is
// written, the working database, the swap, and the way back when something fails. How the database
// is filled and compared is the caller's part.
#pragma once

#include <functional>
#include <string>

#include "dump/database_admin.h"
#include "dump/restore.h"
#include "dump/restore_selection.h"
#include "dump/restore_steps.h"

namespace holdfast {

// What a restore needs to know of its source.
struct RestoreSource {
  ArchiveToc toc;
  DatabaseSpec spec;
  int server_major = 0;  // of the dumped server
  std::string globals;   // " from <object>": what to create missing roles from; may be empty
  std::vector<std::string> excluded;  // as the manifest says
  uint64_t tables = 0, rows = 0;      // restored; set while filling
};

// Fills the database that `target` names, and compares it. Throws Error: it is then dropped.
using RestoreFill = std::function<void(const Conninfo& target, const RestoreSelection& selection,
                                       const ClientTools& tools, const FillOptions& options,
                                       PhaseTimer& phases, RestoreReport& report)>;

RestoreReport run_restore(const RestoreSource& source, const RestoreOptions& options,
                          const RestoreFill& fill, const std::function<void()>& safety_backup,
                          const Run& run);

}  // namespace holdfast
