#include "serve/job_run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/pause.h"
#include "base/process.h"
#include "base/text.h"

namespace holdfast {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr size_t kJobLinesMax = 200;  // of each of the two outputs, in the log
constexpr size_t kJobLineBytesMax = 1000;
constexpr size_t kJobOutputTail = 64 << 10;
constexpr milliseconds kPollMax{60'000};

// Readable once a stop is asked for.
class StopHandle {
 public:
  explicit StopHandle(const std::stop_token& stop)
      : fd_(::eventfd(0, EFD_CLOEXEC)), raise_(stop, [this] {
          uint64_t one = 1;
          [[maybe_unused]] ssize_t written = ::write(fd_.get(), &one, sizeof one);
        }) {
    if (!fd_.open()) throw system_error("watch for the end of a job", errno);
  }
  int fd() const { return fd_.get(); }

 private:
  Fd fd_;
  std::stop_callback<std::function<void()>> raise_;
};

// Reads what is there; false at the end.
bool drain(int fd, std::string& tail) {
  char buffer[16 << 10];
  for (int reads = 0; reads < 64; ++reads) {
    ssize_t count = ::read(fd, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return count < 0 && errno == EAGAIN;
    tail.append(buffer, static_cast<size_t>(count));
    if (tail.size() > 2 * kJobOutputTail) tail.erase(0, tail.size() - kJobOutputTail);
  }
  return true;
}

class ProcessRun final : public JobRun {
 public:
  ProcessRun(const ScheduledTask& task, UtcTime firing, const ProcessRunnerSettings& settings,
             const Run& run)
      : task_(task), settings_(settings), run_(run) {
    end_.firing = firing;
    thread_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
  }

  ~ProcessRun() override { stop(); }

  std::optional<JobEnd> ended() override {
    std::lock_guard lock(mutex_);
    return done_ ? std::optional(end_) : std::nullopt;
  }

  JobEnd wait() override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return done_; });
    return end_;
  }

  void stop() override { thread_.request_stop(); }

 private:
  void work(const std::stop_token& stop) {
    JobEnd end = end_;  // its firing; nobody else writes
    try {
      if (claimed(end.firing))
        run_until_unlocked(end, stop);
      else
        end.elsewhere = true;
    } catch (const Error& error) {
      end.stopped = error.code() == ErrorCode::cancelled;
      if (!end.stopped) run_.log.error(fmt::format("{}: {}", task_.plan.name, error.in_one_line()));
      end.lost = !end.stopped;
      end.exit_code = exit_code_of(error.code());
    } catch (const std::exception& error) {
      run_.log.error(fmt::format("{}: {}", task_.plan.name, printable(error.what())));
      end.lost = true;
      end.exit_code = kExitFailed;
    }
    {
      std::lock_guard lock(mutex_);
      end_ = end;
      done_ = true;
    }
    changed_.notify_all();
    if (settings_.on_end) settings_.on_end();
  }

  bool claimed(UtcTime firing) {
    if (task_.claims == nullptr) return true;
    try {
      return task_.claims->claim(task_.job, firing, run_.clock.now());
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;  // this program stops
      run_.log.warning(
          fmt::format("{}: other hosts cannot be asked, so it runs here in any case: {}",
                      task_.plan.name, error.in_one_line()));
      return true;
    }
  }

  void run_until_unlocked(JobEnd& end, const std::stop_token& stop) {
    auto give_up_at = steady_clock::now() + settings_.retry_for;
    while (true) {
      if (stop.stop_requested()) {
        end.stopped = true;
        end.exit_code = kExitInterrupted;
        return;
      }
      run_once(end, stop);
      if (end.exit_code != kExitLocked || end.stopped || end.over_limit) return;
      if (steady_clock::now() + settings_.retry_every > give_up_at) {
        end.locked_out = true;
        return;
      }
      run_.log.info(fmt::format("{}: its stores are in use, it is tried again", task_.plan.name));
      pause_for(settings_.retry_every, stop);
    }
  }

  void run_once(JobEnd& end, const std::stop_token& stop) {
    ProcessOptions options;
    options.argv = task_.argv;
    options.env = settings_.env;
    options.pipe_stdout = true;
    options.die_with_parent = true;
    Process process(options);
    ::fcntl(process.stdout_fd(), F_SETFL, ::fcntl(process.stdout_fd(), F_GETFL) | O_NONBLOCK);
    std::string out;
    attend(process, out, end, stop);
    if (process.stdout_fd() >= 0) drain(process.stdout_fd(), out);
    end.exit_code = process.wait();
    say(process.stderr_tail());
    say(out);
  }

  // Until it has ended, or was killed for not doing so.
  void attend(Process& process, std::string& out, JobEnd& end, const std::stop_token& stop) {
    StopHandle wish(stop);
    auto deadline = steady_clock::now() + settings_.limit;
    bool asked = false;
    while (true) {
      auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
      pollfd fds[3] = {{process.ended_fd(), POLLIN, 0},
                       {process.stdout_fd(), POLLIN, 0},
                       {asked ? -1 : wish.fd(), POLLIN, 0}};
      ::poll(fds, 3, static_cast<int>(std::clamp(left, milliseconds(0), kPollMax).count()));
      if (fds[1].revents != 0 && !drain(process.stdout_fd(), out)) process.close_stdout();
      if (fds[0].revents != 0) return;
      bool late = steady_clock::now() >= deadline;
      if (asked && late) {
        run_.log.warning(fmt::format("{}: it does not stop, and is killed", task_.plan.name));
        return process.kill();
      }
      if (!asked && (late || fds[2].revents != 0)) {
        asked = true;
        (fds[2].revents != 0 ? end.stopped : end.over_limit) = true;
        process.terminate();
        deadline = steady_clock::now() + settings_.stop_grace;
      }
    }
  }

  void say(const std::string& text) {
    std::vector<std::string> lines = split(text, '\n');
    size_t from = lines.size() > kJobLinesMax ? lines.size() - kJobLinesMax : 0;
    if (from > 0) run_.log.info(fmt::format("{} | …", task_.plan.name));
    for (size_t i = from; i < lines.size(); ++i)
      if (!trim(lines[i]).empty())
        run_.log.info(
            fmt::format("{} | {}", task_.plan.name, printable(lines[i], kJobLineBytesMax)));
  }

  const ScheduledTask& task_;
  const ProcessRunnerSettings& settings_;
  const Run& run_;
  std::mutex mutex_;  // guards the two below
  JobEnd end_;
  bool done_ = false;
  std::condition_variable changed_;
  std::jthread thread_;  // last: it uses all of the above
};

class ProcessRunner final : public JobRunner {
 public:
  ProcessRunner(ProcessRunnerSettings settings, const Run& run)
      : settings_(std::move(settings)), run_(run) {}

  std::unique_ptr<JobRun> start(const ScheduledTask& task, UtcTime firing) override {
    return std::make_unique<ProcessRun>(task, firing, settings_, run_);
  }

 private:
  const ProcessRunnerSettings settings_;
  const Run& run_;
};

}  // namespace

std::optional<std::string> ask_program(const std::vector<std::string>& argv,
                                       const std::map<std::string, std::string>& env,
                                       const std::vector<int>& good, milliseconds limit,
                                       const std::stop_token& stop) {
  constexpr size_t kAnswerBytesMax = 8 << 20;
  ProcessOptions options;
  options.argv = argv;
  options.env = env;
  options.pipe_stdout = true;
  options.die_with_parent = true;
  Process process(options);
  StopHandle wish(stop);
  auto deadline = steady_clock::now() + limit;
  std::string out;
  while (true) {
    auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    if (left <= milliseconds(0)) return std::nullopt;  // its end kills it
    pollfd fds[2] = {{process.stdout_fd(), POLLIN, 0}, {wish.fd(), POLLIN, 0}};
    ::poll(fds, 2, static_cast<int>(std::min(left, kPollMax).count()));
    if (fds[1].revents != 0) return std::nullopt;
    if (fds[0].revents == 0) continue;
    char buffer[16 << 10];
    ssize_t count = ::read(process.stdout_fd(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    out.append(buffer, static_cast<size_t>(count));
    if (out.size() > kAnswerBytesMax) return std::nullopt;
  }
  int code = process.wait();
  if (std::find(good.begin(), good.end(), code) == good.end()) return std::nullopt;
  return out;
}

std::unique_ptr<JobRunner> make_process_runner(ProcessRunnerSettings settings, const Run& run) {
  return std::make_unique<ProcessRunner>(std::move(settings), run);
}

}  // namespace holdfast
