// What pg_controldata says of a data folder whose server is stopped.
#pragma once

#include <string>

#include "pg/client_tools.h"

namespace holdfast {

struct ControlFile {
  std::string state;  // "shut down", "in production", "in archive recovery", …
  std::string checkpoint_lsn;
  int checkpoint_timeline = 0;
};

// Throws Error(unavailable) with what the program said, if it cannot read it.
ControlFile read_control_file(const ClientTools& tools, const std::string& data_folder);

// Has the next start of a folder that recovers from an archive to a point of `timeline` go on with
// that. PostgreSQL takes recovery.signal away before its promotion is durable: of a server that
// died in between, the next start would replay whatever WAL it finds, past the point, as after a
// crash. As long as the control file knows no later timeline, nothing of a promotion counts, and
// recovering anew is right. No process may be at work on the folder.
void keep_recovering(const ClientTools& tools, const std::string& data_folder, int timeline);

}  // namespace holdfast
