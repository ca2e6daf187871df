#include "base/daemon.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "base/error.h"
#include "base/exec_pointers.h"
#include "base/file.h"

namespace holdfast {
namespace {

constexpr int kReportFd = STDERR_FILENO + 1;

// What the two new processes tell us, one write each: the daemon's id, and why it is not running.
struct Report {
  enum Kind : int32_t { pid, failure } kind;
  int32_t value;
};

// Everything that the new processes need, made before they are: between fork and exec only
// async-signal-safe functions may be called.
struct Prepared {
  std::vector<char*> argv, env;
  const char* folder;
  int input, output, report;
};

void send(int fd, Report report) {
  ssize_t ignored = ::write(fd, &report, sizeof report);
  (void)ignored;
}

[[noreturn]] void fail(int fd) {
  send(fd, {Report::failure, errno});
  ::_exit(127);
}

[[noreturn]] void become(const Prepared& prepared) {
  int report = prepared.report;
  if (report != kReportFd) {
    if (::dup3(report, kReportFd, O_CLOEXEC) < 0) fail(report);
    report = kReportFd;
  }
  if (::dup2(prepared.input, STDIN_FILENO) < 0 || ::dup2(prepared.output, STDOUT_FILENO) < 0 ||
      ::dup2(prepared.output, STDERR_FILENO) < 0 || ::chdir(prepared.folder) != 0 ||
      ::close_range(kReportFd + 1, UINT_MAX, 0) != 0)
    fail(report);
  ::umask(077);
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) ::sigaction(number, &action, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(prepared.argv[0], prepared.argv.data(), prepared.env.data());
  fail(report);
}

// The process in between: leads the session, starts the daemon and ends, so that the daemon is
// nobody's child here and can never get a terminal.
[[noreturn]] void start_and_end(const Prepared& prepared) {
  if (::setsid() < 0) fail(prepared.report);
  pid_t pid = ::fork();
  if (pid < 0) fail(prepared.report);
  if (pid == 0) become(prepared);
  send(prepared.report, {Report::pid, pid});
  ::_exit(0);
}

// A handle above those that the daemon's own will be put on.
Fd above_report(Fd fd) {
  if (fd.get() > kReportFd) return fd;
  Fd higher(::fcntl(fd.get(), F_DUPFD_CLOEXEC, kReportFd + 1));
  if (!higher.open()) throw system_error("start a daemon", errno);
  return higher;
}

// False at the end of the pipe. Reports are smaller than PIPE_BUF, so they arrive whole.
bool receive(int fd, Report& report) {
  ssize_t count;
  do {
    count = ::read(fd, &report, sizeof report);
  } while (count < 0 && errno == EINTR);
  return count == static_cast<ssize_t>(sizeof report);
}

}  // namespace

pid_t start_daemon(const DaemonOptions& options) {
  std::vector<std::string> argv = options.argv, env;
  for (const auto& [name, value] : options.env) env.push_back(name + "=" + value);
  const std::string what = "start " + argv.at(0);
  Fd input = above_report(open_file("/dev/null", O_RDONLY));
  Fd output =
      above_report(open_file(options.output_file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW));
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw system_error(what, errno);
  Fd reader(ends[0]);
  Fd report = above_report(Fd(ends[1]));
  Prepared prepared{exec_pointers(argv), exec_pointers(env), options.folder.c_str(),
                    input.get(),         output.get(),       report.get()};

  // No handler of ours may run in the new processes.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  // Not _Fork: the thread sanitizer would not know, and its wrappers of the calls below wait in the
  // child for locks of threads that are not there.
  pid_t between = ::fork();
  int error = errno;
  if (between == 0) start_and_end(prepared);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (between < 0) throw system_error(what, error);
  report.close();

  pid_t daemon = -1;
  int failure = 0;
  Report told{};
  while (receive(reader.get(), told)) {
    if (told.kind == Report::pid) daemon = told.value;
    if (told.kind == Report::failure) failure = told.value;
  }
  while (::waitpid(between, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (failure != 0) throw system_error(what, failure);
  if (daemon < 0) throw Error(ErrorCode::internal, what + ": it ended at once");
  return daemon;
}

}  // namespace holdfast
