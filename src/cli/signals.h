// SIGINT, SIGTERM and SIGHUP as a wish to stop: the first lets the command end in order (what is
// half-written is removed, children are ended), the second ends the program at once with code 130.
//
// block_stop_signals() goes before any thread is started: the signals are blocked in this thread
// and all later ones, and read by the watcher's own. A signal that was ignored at the start (nohup,
// a background job) stays ignored. SIGPIPE and SIGXFSZ are ignored: a closed pipe, and a file that
// may not grow (ulimit -f), are errors of write, not our death.
#pragma once

#include <functional>
#include <stop_token>
#include <thread>

#include "base/file.h"

namespace holdfast {

void block_stop_signals();

class SignalWatcher {
 public:
  // `on_first` is called by the watching thread after the stop was requested; it must not throw.
  explicit SignalWatcher(std::function<void()> on_first);
  SignalWatcher(const SignalWatcher&) = delete;
  SignalWatcher& operator=(const SignalWatcher&) = delete;
  ~SignalWatcher();

  std::stop_token token() const { return source_.get_token(); }
  bool stop_requested() const { return source_.stop_requested(); }

 private:
  void watch();

  std::stop_source source_;
  std::function<void()> on_first_;
  Fd signals_, end_;
  std::thread watcher_;
};

}  // namespace holdfast
