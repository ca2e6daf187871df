// The engine's work that takes time: a queue of operations, kept in the state, carried out by a few
// threads.
//
// Order: an operation names queues (the ids of the branches that it changes, mostly) and waits for
// every earlier one that shares one of them. Operations of different branches run side by side.
// Nothing is refused because something else is under way.
//
// Crashes: an operation is in the state before its caller is answered, and its end is written in
// one transaction with what it changed. What had not ended when the engine stopped, by whatever
// means, is run again by the next one: work must be idempotent. One that was running in
// kAttemptsMax crashes is given up, lest it take the engine down for ever; but for restoring in
// place, which would leave the source down.
//
// Functions with `Change` are called with the state's lock held, the others without it. The worker
// (OperationWork) is called without it in run(), with it in the function that run() returns and in
// failed().
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/run.h"
#include "engine/state.h"

namespace holdfast {

constexpr int kAttemptsMax = 3;

// The API's set of actions is closed, and knows nothing of snapshots and of restoring in place:
// these are told as what comes nearest at Neon.
inline constexpr char kSnapshotAction[] = "create_branch";  // a snapshot is a hidden branch there
inline constexpr char kSnapshotRemovalAction[] = "timeline_mark_invisible";
inline constexpr char kRestoreAction[] = "swap_binding_id";  // a name goes on with other data

class OperationWork {
 public:
  virtual ~OperationWork() = default;
  // Does it. What it returns (may be empty) adds to the change that marks the operation finished.
  // Throws Error; with cancelled where run.stop was requested.
  virtual std::function<void(Change&)> run(const OperationRecord& operation, const Run& run) = 0;
  // It failed, or was cancelled: what changes by that.
  virtual void failed(const OperationRecord& operation, const Error& error, Change& change) = 0;
};

struct OperationRequest {
  std::string action;
  std::optional<std::string> branch_id, endpoint_id;
  std::vector<std::string> queues;
  std::map<std::string, std::string> arguments;
};

class OperationQueue {
 public:
  OperationQueue(State& state, OperationWork& work, const Clock& clock, Log& log);
  // Stops what runs (it is gone on with after the next start) and waits for it.
  ~OperationQueue();
  OperationQueue(const OperationQueue&) = delete;
  OperationQueue& operator=(const OperationQueue&) = delete;

  // Until then nothing runs. Counts an attempt of what was running when the engine ended.
  void start(int workers);

  // Adds an operation to `change`, with the lock held; the caller applies the change and then calls
  // notify(). `sequence` counters are taken from `project`, which the caller puts too.
  neon::Operation add(Change& change, ProjectRecord& project, const OperationRequest& request);
  // The same for one that has nothing to do: it is finished from the start.
  neon::Operation add_finished(Change& change, ProjectRecord& project,
                               const OperationRequest& request);
  void notify();

  // Cancels what waits for this branch and asks what runs for it to stop. With the lock held.
  void cancel(const std::string& branch_id, Change& change);
  // Those that have not ended, with the lock held.
  std::vector<neon::Operation> open(const std::string& queue) const;

  // Until they have ended, or are held up because nothing can be written.
  std::vector<neon::Operation> wait(const std::vector<neon::Operation>& operations,
                                    std::chrono::milliseconds at_most);

 private:
  OperationRecord make(ProjectRecord& project, const OperationRequest& request) const;
  void work_on(std::stop_token stop);
  const OperationRecord* next() const;
  void carry_out(std::unique_lock<std::mutex>& lock, int64_t sequence, std::stop_token stop);
  void finish(OperationRecord operation, std::string status, std::optional<std::string> error,
              Change& change);

  State& state_;
  OperationWork& work_;
  const Clock& clock_;
  Log& log_;
  NullProgress progress_;
  std::condition_variable_any changed_;          // with the state's lock
  std::map<int64_t, std::stop_source> running_;  // guarded by it
  std::set<int64_t> cancelled_;                  // likewise
  // Whose begin or end could not be written; when they are tried again.
  std::map<int64_t, std::chrono::steady_clock::time_point> stuck_;
  bool stopping_ = false;
  std::vector<std::jthread> workers_;
};

}  // namespace holdfast
