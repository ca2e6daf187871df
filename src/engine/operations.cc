#include "engine/operations.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "engine/ids.h"

namespace holdfast {
namespace {

constexpr std::chrono::seconds kStuckPause{1};

bool share(const std::vector<std::string>& queues, const std::set<std::string>& taken) {
  return std::any_of(queues.begin(), queues.end(),
                     [&](const std::string& queue) { return taken.contains(queue); });
}

}  // namespace

OperationQueue::OperationQueue(State& state, OperationWork& work, const Clock& clock, Log& log)
    : state_(state), work_(work), clock_(clock), log_(log) {}

OperationQueue::~OperationQueue() {
  {
    auto lock = state_.lock();
    stopping_ = true;
    for (auto& [sequence, stop] : running_) stop.request_stop();
  }
  changed_.notify_all();
  workers_.clear();  // joins
}

void OperationQueue::start(int workers) {
  {
    auto lock = state_.lock();
    Change change;
    for (int64_t sequence : state_.tables().open_operations) {
      OperationRecord operation = state_.tables().operations.at(sequence);
      if (operation.shown.status != "running") continue;
      ++operation.shown.failures_count;
      bool gone_on_with = operation.shown.action == kRestoreAction;
      if (gone_on_with || operation.shown.failures_count < kAttemptsMax) {
        operation.shown.status = "scheduling";
        change.put(operation);
        continue;
      }
      Error error(ErrorCode::internal, fmt::format("the engine ended {} times while it ran",
                                                   operation.shown.failures_count));
      work_.failed(operation, error, change);
      finish(operation, "failed", error.what(), change);
    }
    state_.apply(std::move(change));
  }
  for (int i = 0; i < workers; ++i)
    workers_.emplace_back([this](std::stop_token stop) { work_on(stop); });
}

OperationRecord OperationQueue::make(ProjectRecord& project,
                                     const OperationRequest& request) const {
  OperationRecord operation;
  operation.shown.id = make_uuid();
  operation.shown.project_id = project.shown.id;
  operation.shown.action = request.action;
  operation.shown.branch_id = request.branch_id;
  operation.shown.endpoint_id = request.endpoint_id;
  operation.shown.created_at = operation.shown.updated_at = clock_.now();
  operation.sequence = project.next_number++;
  operation.queues = request.queues;
  operation.arguments = request.arguments;
  return operation;
}

neon::Operation OperationQueue::add(Change& change, ProjectRecord& project,
                                    const OperationRequest& request) {
  OperationRecord operation = make(project, request);
  neon::Operation shown = operation.shown;
  change.put(std::move(operation));
  return shown;
}

neon::Operation OperationQueue::add_finished(Change& change, ProjectRecord& project,
                                             const OperationRequest& request) {
  OperationRecord operation = make(project, request);
  operation.shown.status = "finished";
  neon::Operation shown = operation.shown;
  change.put(std::move(operation));
  return shown;
}

void OperationQueue::notify() {
  changed_.notify_all();
}

void OperationQueue::cancel(const std::string& branch_id, Change& change) {
  for (int64_t sequence : state_.tables().open_operations) {
    const OperationRecord& operation = state_.tables().operations.at(sequence);
    if (operation.shown.branch_id != branch_id) continue;
    if (auto runs = running_.find(sequence); runs != running_.end()) {
      cancelled_.insert(sequence);
      runs->second.request_stop();
    } else {
      finish(operation, "cancelled", "the branch was deleted", change);
    }
  }
}

std::vector<neon::Operation> OperationQueue::open(const std::string& queue) const {
  std::vector<neon::Operation> found;
  for (int64_t sequence : state_.tables().open_operations) {
    const OperationRecord& operation = state_.tables().operations.at(sequence);
    if (std::find(operation.queues.begin(), operation.queues.end(), queue) !=
        operation.queues.end())
      found.push_back(operation.shown);
  }
  return found;
}

std::vector<neon::Operation> OperationQueue::wait(const std::vector<neon::Operation>& operations,
                                                  std::chrono::milliseconds at_most) {
  auto lock = state_.lock();
  // One that is gone was trimmed, long after it had ended.
  auto ended = [&](const neon::Operation& operation) {
    const OperationRecord* now = state_.tables().operation(operation.id);
    return !now || now->shown.ended() || stuck_.contains(now->sequence);
  };
  changed_.wait_for(lock, at_most, [&] {
    return stopping_ || std::all_of(operations.begin(), operations.end(), ended);
  });
  std::vector<neon::Operation> result;
  for (const neon::Operation& operation : operations) {
    const OperationRecord* now = state_.tables().operation(operation.id);
    result.push_back(now ? now->shown : operation);
  }
  return result;
}

const OperationRecord* OperationQueue::next() const {
  std::set<std::string> taken;  // by earlier ones
  for (int64_t sequence : state_.tables().open_operations) {
    const OperationRecord& operation = state_.tables().operations.at(sequence);
    auto stuck = stuck_.find(sequence);
    bool waits = !running_.contains(sequence) &&
                 (stuck == stuck_.end() || stuck->second <= std::chrono::steady_clock::now());
    if (waits && !share(operation.queues, taken)) return &operation;
    taken.insert(operation.queues.begin(), operation.queues.end());
  }
  return nullptr;
}

void OperationQueue::work_on(std::stop_token) {
  auto lock = state_.lock();
  while (!stopping_) {
    const OperationRecord* operation = next();
    if (!operation) {
      if (stuck_.empty())
        changed_.wait(lock);
      else
        changed_.wait_for(lock, kStuckPause);
      continue;
    }
    int64_t sequence = operation->sequence;
    stuck_.erase(sequence);
    auto stop = running_.emplace(sequence, std::stop_source()).first->second.get_token();
    try {
      carry_out(lock, sequence, stop);
    } catch (...) {
      // The state cannot be written. The operation is done again, and finds what was done already.
      if (!lock.owns_lock()) lock.lock();
      stuck_[sequence] = std::chrono::steady_clock::now() + kStuckPause;
      log_.error(fmt::format("the state of operation {} cannot be written", sequence));
    }
    running_.erase(sequence);
    cancelled_.erase(sequence);
    changed_.notify_all();
  }
}

void OperationQueue::carry_out(std::unique_lock<std::mutex>& lock, int64_t sequence,
                               std::stop_token stop) {
  OperationRecord operation = state_.tables().operations.at(sequence);
  operation.shown.status = "running";
  operation.shown.updated_at = clock_.now();
  Change begin;
  begin.put(operation);
  state_.apply(std::move(begin));

  std::function<void(Change&)> effects;
  std::optional<Error> failure;
  lock.unlock();
  try {
    effects = work_.run(operation, Run{clock_, log_, progress_, stop});
  } catch (const Error& error) {
    failure = error;
  } catch (const std::exception& error) {
    failure = Error(ErrorCode::internal, error.what());
  }
  lock.lock();

  Change end;
  bool cancelled = cancelled_.contains(sequence);
  if (failure && stopping_ && !cancelled && stop.stop_requested()) return;  // the next engine's
  if (!failure) {
    if (effects) effects(end);
    finish(operation, "finished", std::nullopt, end);
  } else {
    work_.failed(operation, *failure, end);
    ++operation.shown.failures_count;
    finish(operation, cancelled ? "cancelled" : "failed", printable(failure->what()), end);
    if (!cancelled)
      log_.warning(fmt::format("{} of {} failed: {}", operation.shown.action,
                               operation.shown.branch_id.value_or("the project"), failure->what()));
  }
  state_.apply(std::move(end));
}

void OperationQueue::finish(OperationRecord operation, std::string status,
                            std::optional<std::string> error, Change& change) {
  operation.shown.status = std::move(status);
  operation.shown.error = std::move(error);
  operation.shown.updated_at = clock_.now();
  operation.arguments.clear();  // they may hold a password, and nobody needs them any more
  operation.shown.total_duration_ms =
      (operation.shown.updated_at - operation.shown.created_at).count();
  change.put(std::move(operation));
}

}  // namespace holdfast
