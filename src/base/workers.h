// A group of threads that share one job: they run the same function, the first failure stops the
// others, and that failure is what the caller gets.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>

#include "base/run.h"

namespace holdfast {

// What a worker is handed: the group's wish to stop, and how to be told of it while blocked.
class WorkerScope {
 public:
  explicit WorkerScope(std::stop_token stop) : stop_(std::move(stop)) {}
  const std::stop_token& stop() const { return stop_; }
  // `action` is called, by another thread, when the group is to stop while the returned object
  // lives: to cancel what this worker waits for. It must not throw.
  std::unique_ptr<std::stop_callback<std::function<void()>>> on_stop(std::function<void()> action) {
    return std::make_unique<std::stop_callback<std::function<void()>>>(stop_, std::move(action));
  }

 private:
  std::stop_token stop_;
};

// Runs `work` in `count` threads and waits for all. When one throws, or the run is to stop,
// `on_failure` is called once (to wake workers that wait for each other), the scopes' stop actions
// run, and after all have ended the first failure is thrown: Error(cancelled) if it was the user.
void run_workers(int count, const Run& run, const std::function<void(WorkerScope&)>& work,
                 const std::function<void()>& on_failure);

// How many workers a job should have: `asked` if it is not 0, else one per core, from 2 to 8.
int worker_count(int asked);

}  // namespace holdfast
