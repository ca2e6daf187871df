// Starts a program that outlives this one: no child of ours, in a session of its own, with none of
// our handles, signal dispositions or environment, its output appended to a file.
//
// Why not Process: that one is there so that nothing is left behind. A daemon is meant to be, and
// is found again by whatever it leaves in the file system. It needs no waiting for: its parent is
// the system's first process (in a container, one that reaps, such as tini).
//
// Thread-safe.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace holdfast {

struct DaemonOptions {
  std::vector<std::string> argv{};           // argv[0] is the path of the program
  std::map<std::string, std::string> env{};  // its whole environment
  std::string folder{};                      // working folder
  std::string output_file{};                 // stdout and stderr, appended; made with mode 0600
};

// Returns its process id. Throws Error if the program cannot be started.
pid_t start_daemon(const DaemonOptions& options);

}  // namespace holdfast
