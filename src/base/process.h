// Child processes: started with posix_spawn, an explicit environment and explicitly inherited
// handles, in a process group of their own, and never left behind.
//
// Why explicit: a child must not see secrets of ours (DATABASE_URL, AWS_*), and a handle leaked
// into one child keeps another's pipe open for ever. stderr is drained by a thread of its own into a
// bounded tail, so a chatty child can neither block nor fill memory. Destroying a running Process
// kills its group and reaps it. One thread uses a Process at a time.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"

namespace holdfast {

struct ProcessOptions {
  std::vector<std::string> argv;            // argv[0] is the path of the program
  std::map<std::string, std::string> env;   // the child's whole environment
  std::vector<int> inherit;                 // handles the child keeps, under the same numbers
  bool pipe_stdin = false;                  // else /dev/null
  bool pipe_stdout = false;                 // else /dev/null
  std::string folder;                       // working folder; empty: ours
  // User and group to become (a server refuses to run as root); -1: stay.
  uid_t uid = static_cast<uid_t>(-1);
  gid_t gid = static_cast<gid_t>(-1);
};

struct ProcessResult {
  int exit_code = 0;  // 128 + signal number when a signal ended it
  std::string out;    // only of run_process
  std::string err;    // the last part of stderr
};

class Process {
 public:
  explicit Process(const ProcessOptions& options);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  pid_t pid() const { return pid_; }
  int stdin_fd() const { return stdin_.get(); }
  int stdout_fd() const { return stdout_.get(); }
  void close_stdin() { stdin_.close(); }
  void close_stdout() { stdout_.close(); }

  // Waits for the end; returns the exit code as in ProcessResult.
  int wait();
  // Whether it has ended, without waiting.
  bool ended();
  // SIGKILLs the group and reaps it. Harmless when it has ended.
  void kill();
  void terminate();  // SIGTERM to the group, no waiting
  std::string stderr_tail() const;

 private:
  void drain_stderr(Fd fd);

  pid_t pid_ = -1;
  int exit_code_ = -1;
  bool reaped_ = false;
  Fd stdin_, stdout_;
  mutable std::mutex stderr_mutex_;
  std::string stderr_tail_;
  std::thread stderr_thread_;
};

// Runs to the end, with `input` on stdin; stdout is collected up to `out_bytes_max` (then Error).
ProcessResult run_process(ProcessOptions options, std::string_view input = {},
                          size_t out_bytes_max = 64 << 20);

// What children may see of our environment: PATH, HOME, LANG, LC_ALL, TZ, TMPDIR. No secrets.
std::map<std::string, std::string> clean_environment();

}  // namespace holdfast
