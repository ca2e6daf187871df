// Child processes: started with posix_spawn, an explicit environment and explicitly inherited
// handles, in a process group of their own, and never left behind.
//
// Why explicit: a child must not see secrets of ours (DATABASE_URL, AWS_*), and a handle leaked
// into one child keeps another's pipe open for ever: every handle that is not listed is closed.
// stderr is drained by a thread of its own into a bounded tail, so a chatty child can neither block
// nor fill memory. Destroying a running Process kills its group and reaps it; when a child ends,
// what is left of its group ends too. One thread uses a Process at a time; stderr_tail() any.
//
// The first Process makes this program ignore SIGPIPE (a child that stops reading is an error of
// write, not our death) and not ignore SIGCHLD (which would lose exit codes). Children start with
// every signal at its default and none blocked.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/file.h"

namespace holdfast {

struct ProcessOptions {
  std::vector<std::string> argv{};           // argv[0] is the path of the program
  std::map<std::string, std::string> env{};  // the child's whole environment
  std::vector<int> inherit{};                // handles the child keeps, under the same numbers
  bool pipe_stdin = false;                   // else /dev/null
  bool pipe_stdout = false;                  // else /dev/null
  std::string folder{};                      // working folder; empty: ours
  // User and group to become (a server refuses to run as root); -1: stay.
  uid_t uid = static_cast<uid_t>(-1);
  gid_t gid = static_cast<gid_t>(-1);
  // SIGKILL for the child when this program ends in any way, kill -9 included. For children that do
  // not end by themselves when their pipes break. Like uid and gid, it needs util-linux's setpriv.
  bool die_with_parent = false;
};

constexpr size_t kStderrTailBytes = 64 << 10;

struct ProcessResult {
  int exit_code = 0;  // 128 + signal number when a signal ended it
  std::string out;    // only of run_process
  std::string err;    // the last kStderrTailBytes of stderr, from the start of a line
};

class Process {
 public:
  // Throws Error if the program cannot be started.
  explicit Process(const ProcessOptions& options);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  pid_t pid() const { return pid_; }
  // Readable (for poll) once the child has ended.
  int ended_fd() const { return pidfd_.get(); }
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
  bool stderr_cut() const;  // whether stderr_tail() lacks the beginning

 private:
  void watch(int stderr_fd);
  void keep_tail(std::string_view part);
  void finish();

  pid_t pid_ = -1;
  int exit_code_ = -1;
  bool reaped_ = false;
  Fd pidfd_, stdin_, stdout_;
  mutable std::mutex stderr_mutex_;
  std::string stderr_tail_;
  // Starts the child, drains its stderr and lives until the child has ended (not just until stderr
  // is closed): the kernel ties "die with parent" to the thread that started the child.
  std::thread watcher_;
};

// Runs to the end, with `input` on stdin; stdout is collected. Throws Error(unsupported) after
// killing a child that writes more than `out_bytes_max`, and Error(unavailable) after killing one
// that runs for longer than `time_max` (0: as long as it likes). A child that ends without reading
// all its input is no error.
ProcessResult run_process(ProcessOptions options, std::string_view input = {},
                          size_t out_bytes_max = 64 << 20, std::chrono::seconds time_max = {});

// What children may see of our environment: PATH, HOME, LANG, LC_ALL, TZ, TMPDIR. No secrets.
std::map<std::string, std::string> clean_environment();

}  // namespace holdfast
