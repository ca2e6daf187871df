// A PostgreSQL server of our own for a rehearsal: made with initdb in a private temporary folder,
// reachable only through a unix socket in that folder, and destroyed with all its data at the end.
//
// As root (PostgreSQL refuses it) the server runs as `postgres`, else as `nobody`; otherwise as
// ourselves. It is tuned for loading (fsync off: it never outlives the run). Its data are people's
// records: the folder is 0700, the server logs no statements, and when this program is killed the
// server dies with it; the folder that then stays behind is removed by the next ScratchServer
// beside it, and by remove_stale_scratch_folders. One thread makes and destroys it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/process.h"
#include "base/run.h"
#include "pg/client_tools.h"
#include "pg/conninfo.h"

namespace holdfast {

// Where data are put that may not lie on a disk in the clear.
inline constexpr const char* kScratchMemoryFolder = "/dev/shm";

// What runs that were killed left behind, in `parent` (empty: $TMPDIR or /tmp) and in the memory's
// folder: folders that a ScratchServer of this user made more than a minute ago and that no run
// holds. What cannot be looked at is passed over.
std::vector<std::string> stale_scratch_folders(const std::string& parent);
// Removes them; says so, and what cannot be removed.
void remove_stale_scratch_folders(const std::string& parent, Log& log);

class ScratchServer {
 public:
  struct Options {
    std::string parent_folder;  // where to make its folder; empty: $TMPDIR or /tmp
    std::string encoding = "UTF8";
    std::string locale = "C.UTF-8";  // where the machine lacks it: C.utf8, then C
    int jobs = 2;
  };
  // Throws Error(unsupported) if `tools` has no server programs (the caller's verdict is then
  // INCONCLUSIVE), Error(cancelled), and others with the server's last words if it does not start
  // within a minute.
  ScratchServer(const ClientTools& tools, const Options& options, const Run& run);
  ~ScratchServer();
  ScratchServer(const ScratchServer&) = delete;
  ScratchServer& operator=(const ScratchServer&) = delete;

  // As superuser `postgres`, database `postgres`.
  const Conninfo& conninfo() const { return conninfo_; }
  // Its folder, which is gone with it.
  const std::string& folder() const { return folder_->path(); }

 private:
  const Run& run_;
  std::unique_ptr<TempFolder> folder_;
  Fd lock_;  // held as long as the folder is in use
  std::unique_ptr<Process> server_;
  Conninfo conninfo_;
};

}  // namespace holdfast
