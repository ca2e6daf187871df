#include "cli/signals.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"

namespace holdfast {
namespace {

bool is_ignored(int signal_number) {
  struct sigaction action {};
  return ::sigaction(signal_number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

sigset_t stop_signals() {
  sigset_t watched;
  ::sigemptyset(&watched);
  for (int number : {SIGINT, SIGTERM, SIGHUP})
    if (!is_ignored(number)) ::sigaddset(&watched, number);
  return watched;
}

}  // namespace

void block_stop_signals() {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  sigset_t watched = stop_signals();
  ::pthread_sigmask(SIG_BLOCK, &watched, nullptr);
}

SignalWatcher::SignalWatcher(std::function<void()> on_first) : on_first_(std::move(on_first)) {
  block_stop_signals();
  sigset_t watched = stop_signals();
  signals_ = Fd(::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
  end_ = Fd(::eventfd(0, EFD_CLOEXEC));
  if (!signals_.open() || !end_.open()) throw system_error("watch for signals", errno);
  watcher_ = std::thread([this] { watch(); });
}

SignalWatcher::~SignalWatcher() {
  uint64_t one = 1;
  if (::write(end_.get(), &one, sizeof one) == sizeof one)
    watcher_.join();
  else
    watcher_.detach();
}

void SignalWatcher::watch() {
  while (true) {
    pollfd ready[] = {{signals_.get(), POLLIN, 0}, {end_.get(), POLLIN, 0}};
    if (::poll(ready, 2, -1) < 0 && errno != EINTR) return;
    if (ready[1].revents != 0) return;
    signalfd_siginfo info;
    if (::read(signals_.get(), &info, sizeof info) != sizeof info) continue;
    if (source_.stop_requested()) {
      // Past the console, whose lock may be held: only off the progress line.
      [[maybe_unused]] ssize_t ignored = ::write(STDERR_FILENO, "\n", 1);
      ::_exit(kExitInterrupted);
    }
    source_.request_stop();
    on_first_();
  }
}

}  // namespace holdfast
