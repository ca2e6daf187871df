// A managed source's new data, recovered beside the source that still runs; and what a stopped
// source ended with. See source_server.h, which hands on to these.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "engine/source_server.h"

namespace holdfast {

// For each command of a source's server (start, stop).
inline constexpr std::chrono::seconds kSourceCommandMax{180};
inline constexpr std::chrono::milliseconds kSourcePoll{50};  // between looks at what it does
inline constexpr size_t kSourceWordsShown = 2000;            // of what it said

// Recovers `folder`, as SourceServer::recover_aside says. The server is reachable by nobody but us
// (a private socket) and dies with this program, so a crash leaves nothing that runs.
void recover_beside(const ClientTools& tools, const std::string& data_folder,
                    const std::string& folder, const BroughtFolder& brought,
                    const std::vector<SourceLogin>& logins, const Run& run);

// Where the checkpoint of a clean shutdown begins. Throws Error(unavailable) if the server of this
// folder runs, or was not shut down cleanly.
Lsn clean_shutdown_checkpoint(const ClientTools& tools, const std::string& data_folder);

}  // namespace holdfast
