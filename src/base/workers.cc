#include "base/workers.h"

#include <algorithm>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace holdfast {
namespace {

class FirstFailure {
 public:
  FirstFailure(std::function<void()> on_failure) : on_failure_(std::move(on_failure)) {}

  void set(std::exception_ptr failure) {
    {
      std::lock_guard lock(mutex_);
      if (failure_) return;
      failure_ = std::move(failure);
    }
    on_failure_();
    stop_.request_stop();
  }
  std::stop_token token() const { return stop_.get_token(); }
  void rethrow() {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  std::function<void()> on_failure_;
  std::mutex mutex_;
  std::exception_ptr failure_;
  std::stop_source stop_;
};

}  // namespace

void run_workers(int count, const Run& run, const std::function<void(WorkerScope&)>& work,
                 const std::function<void()>& on_failure) {
  FirstFailure failure(on_failure);
  {
    std::stop_callback interrupted(run.stop, [&] {
      failure.set(std::make_exception_ptr(Error(ErrorCode::cancelled, "interrupted")));
    });
    std::vector<std::jthread> threads;
    for (int i = 0; i < count; ++i)
      threads.emplace_back([&] {
        try {
          WorkerScope scope(failure.token());
          work(scope);
        } catch (...) {
          failure.set(std::current_exception());
        }
      });
  }
  failure.rethrow();
}

int worker_count(int asked) {
  if (asked > 0) return asked;
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 2, 8);
}

}  // namespace holdfast
