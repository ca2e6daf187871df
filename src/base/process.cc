#include "base/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <future>
#include <mutex>
#include <set>

#include "base/error.h"
#include "base/exec_pointers.h"

namespace holdfast {
namespace {

constexpr size_t kLineBytesMax = 4096;  // how far the tail is cut to begin with a whole line

void settle_signals() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    if (::sigaction(SIGPIPE, nullptr, &action) == 0 && action.sa_handler == SIG_DFL)
      ::signal(SIGPIPE, SIG_IGN);
    if (::sigaction(SIGCHLD, nullptr, &action) == 0 && action.sa_handler == SIG_IGN)
      ::signal(SIGCHLD, SIG_DFL);
  });
}

struct Pipe {
  Fd read, write;
};

// Both ends above the standard handles, so that giving a child its 0, 1 and 2 never overwrites
// them, even where this program was started with those closed.
Pipe make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw system_error("make a pipe", errno);
  Pipe pipe{Fd(ends[0]), Fd(ends[1])};
  for (Fd* end : {&pipe.read, &pipe.write}) {
    if (end->get() > STDERR_FILENO) continue;
    Fd higher(::fcntl(end->get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    if (!higher.open()) throw system_error("make a pipe", errno);
    *end = std::move(higher);
  }
  return pipe;
}

void set_nonblocking(int fd) {
  int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
    throw system_error("set up a pipe", errno);
}

class FileActions {
 public:
  FileActions() { check(::posix_spawn_file_actions_init(&actions_)); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }

  void standard(int fd, const Fd& end) {
    if (end.open())
      check(::posix_spawn_file_actions_adddup2(&actions_, end.get(), fd));
    else
      check(::posix_spawn_file_actions_addopen(&actions_, fd, "/dev/null",
                                               fd == STDIN_FILENO ? O_RDONLY : O_WRONLY, 0));
  }

  // Keeps `handles` under their numbers and closes every other one above stderr. (Duplicating a
  // handle onto itself clears its close-on-exec flag.)
  void keep_only(const std::set<int>& handles) {
    int next = STDERR_FILENO + 1;
    for (int handle : handles) {
      for (; next < handle; ++next) check(::posix_spawn_file_actions_addclose(&actions_, next));
      check(::posix_spawn_file_actions_adddup2(&actions_, handle, handle));
      next = handle + 1;
    }
    check(::posix_spawn_file_actions_addclosefrom_np(&actions_, next));
  }

  void folder(const std::string& path) {
    check(::posix_spawn_file_actions_addchdir_np(&actions_, path.c_str()));
  }

  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  static void check(int error) {
    if (error != 0) throw system_error("prepare a process", error);
  }
  posix_spawn_file_actions_t actions_;
};

class SpawnAttributes {
 public:
  SpawnAttributes() {
    ::posix_spawnattr_init(&attributes_);
    sigset_t none, all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    ::posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
  ~SpawnAttributes() { ::posix_spawnattr_destroy(&attributes_); }
  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

// Blocks every signal for the running thread: a thread started inside inherits that, so that the
// program's handlers run in the threads that expect them.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

std::string setpriv_path() {
  for (const char* path : {"/usr/bin/setpriv", "/bin/setpriv"})
    if (::access(path, X_OK) == 0) return path;
  throw Error(ErrorCode::unsupported, "cannot start a process as another user: no setpriv here",
              "install the package util-linux");
}

// The child's arguments, led by setpriv where it has to become someone else or die with us. setpriv
// replaces itself by the program, so the process id stays the child's.
std::vector<std::string> full_argv(const ProcessOptions& options) {
  constexpr auto kStayUser = static_cast<uid_t>(-1);
  constexpr auto kStayGroup = static_cast<gid_t>(-1);
  std::vector<std::string> prefix;
  bool other_group = options.gid != kStayGroup && options.gid != ::getegid();
  bool other_user = options.uid != kStayUser && options.uid != ::geteuid();
  if (other_user) prefix.push_back(fmt::format("--reuid={}", options.uid));
  if (options.gid != kStayGroup && (other_user || other_group))
    prefix.push_back(fmt::format("--regid={}", options.gid));
  if (!prefix.empty()) prefix.push_back("--clear-groups");
  if (options.die_with_parent) prefix.push_back("--pdeathsig=KILL");
  if (prefix.empty()) return options.argv;
  prefix.insert(prefix.begin(), setpriv_path());
  prefix.push_back("--");
  prefix.insert(prefix.end(), options.argv.begin(), options.argv.end());
  return prefix;
}

void check_options(const ProcessOptions& options) {
  if (options.argv.empty() || options.argv[0].empty())
    throw Error(ErrorCode::invalid, "start a process: no program is named");
  for (int handle : options.inherit)
    if (handle <= STDERR_FILENO)
      throw Error(ErrorCode::invalid,
                  fmt::format("start {}: handle {} cannot be inherited", options.argv[0], handle));
  // setpriv would report it only on the child's stderr.
  if (options.argv[0].find('/') != std::string::npos &&
      ::access(options.argv[0].c_str(), X_OK) != 0 && options.folder.empty())
    throw system_error(fmt::format("start {}", options.argv[0]), errno);
}

// Throws Error(…) if the program cannot be started.
pid_t spawn(const ProcessOptions& options, const FileActions& actions) {
  std::vector<std::string> arguments = full_argv(options);
  std::vector<std::string> environment;
  for (const auto& [name, value] : options.env) environment.push_back(name + "=" + value);
  SpawnAttributes attributes;
  pid_t pid = -1;
  int error = ::posix_spawn(&pid, arguments[0].c_str(), actions.get(), attributes.get(),
                            exec_pointers(arguments).data(), exec_pointers(environment).data());
  if (error != 0) throw system_error(fmt::format("start {}", options.argv[0]), error);
  return pid;
}

// The C library's own pidfd_open cannot be linked from C++ before glibc 2.37.
Fd open_pidfd(pid_t pid) {
  return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

// Reads what is there now, up to a bound; false at the end of the stream.
template <typename Sink>
bool read_available(int fd, Sink&& sink) {
  constexpr int kReadsMax = 64;  // then others get their turn
  char buffer[16 << 10];
  for (int reads = 0; reads < kReadsMax;) {
    ssize_t count = ::read(fd, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return count < 0 && errno == EAGAIN;
    sink(std::string_view(buffer, static_cast<size_t>(count)));
    ++reads;
  }
  return true;
}

// Writes what fits now; false when there is no more to write or nobody to read it.
bool write_available(int fd, std::string_view& input) {
  ssize_t count = ::write(fd, input.data(), input.size());
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  input.remove_prefix(static_cast<size_t>(count));
  return !input.empty();
}

}  // namespace

Process::Process(const ProcessOptions& options) {
  settle_signals();
  check_options(options);

  Pipe in, out, err = make_pipe();
  if (options.pipe_stdin) in = make_pipe();
  if (options.pipe_stdout) out = make_pipe();
  set_nonblocking(err.read.get());
  FileActions actions;
  actions.standard(STDIN_FILENO, in.read);
  actions.standard(STDOUT_FILENO, out.write);
  actions.standard(STDERR_FILENO, err.write);
  actions.keep_only({options.inherit.begin(), options.inherit.end()});
  if (!options.folder.empty()) actions.folder(options.folder);

  std::promise<void> started;
  {
    SignalsBlocked blocked;
    watcher_ =
        std::thread([this, &options, &actions, &started, fd = std::move(err.read)]() mutable {
          try {
            pid_ = spawn(options, actions);
            pidfd_ = open_pidfd(pid_);
            if (!pidfd_.open()) {
              int error = errno;
              ::kill(-pid_, SIGKILL);
              ::waitpid(pid_, nullptr, 0);
              throw system_error("watch a process", error);
            }
          } catch (...) {
            started.set_exception(std::current_exception());
            return;
          }
          started.set_value();
          watch(fd.get());
        });
  }
  try {
    started.get_future().get();
  } catch (...) {
    watcher_.join();
    throw;
  }
  stdin_ = std::move(in.write);
  stdout_ = std::move(out.read);
}

Process::~Process() {
  kill();
}

// Until the child has ended; a stderr that a stray grandchild keeps open does not hold it up.
void Process::watch(int stderr_fd) {
  pollfd fds[2] = {{pidfd_.get(), POLLIN, 0}, {stderr_fd, POLLIN, 0}};
  auto keep = [this](std::string_view part) { keep_tail(part); };
  while (true) {
    if (::poll(fds, 2, -1) < 0) continue;
    if (fds[1].revents != 0 && !read_available(stderr_fd, keep)) fds[1].fd = -1;
    if (fds[0].revents == 0) continue;
    if (fds[1].fd >= 0) read_available(stderr_fd, keep);
    return;
  }
}

void Process::keep_tail(std::string_view part) {
  std::lock_guard lock(stderr_mutex_);
  stderr_tail_.append(part);
  if (stderr_tail_.size() > 2 * kStderrTailBytes)
    stderr_tail_.erase(0, stderr_tail_.size() - kStderrTailBytes - 1);
}

std::string Process::stderr_tail() const {
  std::lock_guard lock(stderr_mutex_);
  if (stderr_tail_.size() <= kStderrTailBytes) return stderr_tail_;
  size_t start = stderr_tail_.size() - kStderrTailBytes;
  size_t newline = stderr_tail_.find('\n', start - 1);
  bool near = newline != std::string::npos && newline < start + kLineBytesMax;
  return stderr_tail_.substr(near ? newline + 1 : start);
}

bool Process::stderr_cut() const {
  std::lock_guard lock(stderr_mutex_);
  return stderr_tail_.size() > kStderrTailBytes;
}

int Process::wait() {
  if (reaped_) return exit_code_;
  siginfo_t info;
  while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) != 0) {
    if (errno != EINTR) break;
  }
  finish();
  return exit_code_;
}

bool Process::ended() {
  if (reaped_) return true;
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT | WNOHANG) == 0 &&
      info.si_pid == 0)
    return false;
  finish();
  return true;
}

void Process::kill() {
  if (reaped_) return;
  ::kill(-pid_, SIGKILL);
  wait();
}

void Process::terminate() {
  if (!reaped_) ::kill(-pid_, SIGTERM);
}

// The child is dead but not reaped: its id is still its own, so its group can be killed safely.
void Process::finish() {
  ::kill(-pid_, SIGKILL);
  int status = 0;
  pid_t got;
  do {
    got = ::waitpid(pid_, &status, 0);
  } while (got < 0 && errno == EINTR);
  reaped_ = true;
  if (got == pid_) exit_code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  if (watcher_.joinable()) watcher_.join();
}

ProcessResult run_process(ProcessOptions options, std::string_view input, size_t out_bytes_max,
                          std::chrono::seconds time_max) {
  using std::chrono::steady_clock;
  options.pipe_stdin = !input.empty();
  options.pipe_stdout = true;
  Process process(options);
  ProcessResult result;
  auto collect = [&](std::string_view part) {
    if (result.out.size() <= out_bytes_max) result.out.append(part);
  };
  auto check_size = [&] {
    if (result.out.size() > out_bytes_max)
      throw Error(ErrorCode::unsupported,
                  fmt::format("{} wrote more than {} bytes", options.argv[0], out_bytes_max));
  };
  if (options.pipe_stdin) set_nonblocking(process.stdin_fd());
  set_nonblocking(process.stdout_fd());

  bool ended = false;
  const steady_clock::time_point deadline = steady_clock::now() + time_max;
  while (!ended) {
    int wait_ms = -1;
    if (time_max.count() > 0) {
      auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now());
      if (left.count() <= 0)
        throw Error(ErrorCode::unavailable,
                    fmt::format("{} did not end within {} s", options.argv[0], time_max.count()));
      wait_ms = static_cast<int>(std::min<int64_t>(left.count(), 60'000));
    }
    pollfd fds[3] = {{process.ended_fd(), POLLIN, 0},
                     {process.stdout_fd(), POLLIN, 0},
                     {process.stdin_fd(), POLLOUT, 0}};
    if (::poll(fds, 3, wait_ms) <= 0) continue;
    ended = fds[0].revents != 0;
    bool more_out = fds[1].revents == 0 || read_available(process.stdout_fd(), collect);
    check_size();
    if (!more_out) process.close_stdout();
    if (fds[2].revents != 0 && !write_available(process.stdin_fd(), input)) process.close_stdin();
  }
  // What was written before the end may still be in the pipe (it holds less than one such read).
  if (process.stdout_fd() >= 0) read_available(process.stdout_fd(), collect);
  check_size();
  process.close_stdin();
  result.exit_code = process.wait();
  result.err = process.stderr_tail();
  return result;
}

std::map<std::string, std::string> clean_environment() {
  std::map<std::string, std::string> kept;
  for (const char* name : {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"})
    if (const char* value = std::getenv(name)) kept[name] = value;
  return kept;
}

}  // namespace holdfast
