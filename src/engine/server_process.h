// The server of a data folder as a process: whether one runs, which, in what state, and how to end
// it. Nothing is remembered between calls: PostgreSQL's own postmaster.pid says which process it
// should be, and the process itself proves that it is one. So an engine that comes back finds its
// servers, and a file that a power cut left behind is believed by nobody.
//
// A process is the server of a folder if its working folder is that folder (PostgreSQL changes into
// it) and it is a postmaster, not one of its children. Numbers of processes are reused; handles
// (pidfd) are taken before looking, so what is signalled is what was looked at.
//
// Thread-safe. Errors of the system only.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace holdfast {

// What postmaster.pid says (PostgreSQL's miscadmin.h: one item a line).
struct PostmasterFile {
  pid_t pid = 0;
  int port = 0;
  std::string status;  // starting, stopping, ready, standby; empty before it says so
};

// Nothing for a text that does not begin with a process id: an empty or torn file.
std::optional<PostmasterFile> parse_postmaster_file(std::string_view text);

struct ServerProcess {
  PostmasterFile file;
  Fd handle;  // pidfd

  bool ready() const { return file.status == "ready"; }
  bool stopping() const { return file.status == "stopping"; }
  void signal(int number) const;
  // Whether it has ended, after waiting for that at most so long.
  bool ended(std::chrono::milliseconds at_most) const;
};

// The running server of `data_folder`, if there is one.
std::optional<ServerProcess> find_server(const std::string& data_folder);

// A handle for a process; empty when there is none.
Fd open_process(pid_t pid);
bool process_ended(const Fd& handle, std::chrono::milliseconds at_most);

// Removes a postmaster.pid that would keep a server from starting although none runs: one whose
// process id now is another program's.
void remove_stale_postmaster_file(const std::string& data_folder);

// Ends what is left of a server whose postmaster was killed: its children hold its shared memory
// until they notice. With `all`, the postmaster too (SIGKILL).
void end_processes(const std::string& data_folder, bool all);

}  // namespace holdfast
