#include "engine/operations.h"

#include <gtest/gtest.h>

#include <mutex>

#include "base/expect_error.h"
#include "base/file.h"

namespace holdfast {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Does what its operations say, and notes it.
class Notes final : public OperationWork {
 public:
  std::function<void(Change&)> run(const OperationRecord& operation, const Run& run) override {
    std::unique_lock lock(mutex);
    std::string name = operation.argument("name");
    log.push_back("begin " + name);
    changed.notify_all();
    if (name == "fails") throw Error(ErrorCode::unavailable, "no");
    if (name == "waits") {
      while (!released && !run.stop.stop_requested()) changed.wait_for(lock, milliseconds(5));
      run.check_stop();
    }
    log.push_back("end " + name);
    changed.notify_all();
    return {};
  }
  void failed(const OperationRecord& operation, const Error&, Change&) override {
    std::lock_guard lock(mutex);
    log.push_back("failed " + operation.argument("name"));
  }
  void wait_for(const std::string& line) {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, seconds(10), [&] {
      return std::find(log.begin(), log.end(), line) != log.end();
    })) << line;
  }
  void hold_back() {
    std::lock_guard lock(mutex);
    released = false;
  }
  void release() {
    std::lock_guard lock(mutex);
    released = true;
  }
  std::mutex mutex;
  std::condition_variable changed;
  bool released = false;
  std::vector<std::string> log;
};

class OperationsTest : public testing::Test {
 protected:
  OperationsTest() { open(); }
  void open(int workers = 3) {
    queue.reset();
    state.reset();
    state = State::open(folder.path() + "/engine.db");
    queue = std::make_unique<OperationQueue>(*state, work, clock, log);
    if (workers > 0) queue->start(workers);
  }
  neon::Operation add(const std::string& name, std::vector<std::string> queues) {
    auto lock = state->lock();
    Change change;
    ProjectRecord project = state->tables().project;
    neon::Operation operation = queue->add(change, project,
                                           {.action = "test",
                                            .branch_id = queues.at(0),
                                            .endpoint_id = {},
                                            .queues = queues,
                                            .arguments = {{"name", name}}});
    change.put(project);
    state->apply(std::move(change));
    lock.unlock();
    queue->notify();
    return operation;
  }
  neon::Operation ended(const neon::Operation& operation) {
    return queue->wait({operation}, seconds(10)).at(0);
  }

  TempFolder folder{"holdfast-operations-test-"};
  SystemClock clock;
  NullLog log;
  Notes work;
  std::unique_ptr<State> state;
  std::unique_ptr<OperationQueue> queue;
};

TEST_F(OperationsTest, OneQueueRunsInOrderAndOthersBesideIt) {
  add("waits", {"a"});
  neon::Operation second = add("second", {"a", "b"});
  neon::Operation third = add("third", {"b"});
  neon::Operation other = add("other", {"c"});
  EXPECT_EQ(ended(other).status, "finished");
  EXPECT_EQ(queue->wait({second, third}, milliseconds(20))[1].status, "scheduling");
  work.release();
  EXPECT_EQ(ended(third).status, "finished");
  std::vector<std::string> expected = {"end waits", "begin second", "end second", "begin third"};
  auto at = work.log.begin();
  for (const std::string& line : expected) {
    at = std::find(at, work.log.end(), line);
    EXPECT_NE(at, work.log.end()) << line;
  }
}

TEST_F(OperationsTest, AFailureIsTheOperationsEndAndTheNextOneRuns) {
  neon::Operation fails = add("fails", {"a"});
  neon::Operation next = add("next", {"a"});
  EXPECT_EQ(ended(next).status, "finished");
  EXPECT_EQ(ended(fails).status, "failed");
  EXPECT_EQ(ended(fails).error, "no");
}

TEST_F(OperationsTest, WhatRanWhenTheEngineEndedRunsAgain) {
  neon::Operation waits = add("waits", {"a"});
  neon::Operation next = add("next", {"a"});
  work.wait_for("begin waits");
  work.hold_back();
  open(0);
  EXPECT_EQ(queue->wait({waits}, milliseconds(0))[0].status, "running");
  work.release();
  queue->start(1);
  EXPECT_EQ(ended(next).status, "finished");
  EXPECT_EQ(ended(waits).status, "finished");
  EXPECT_EQ(ended(waits).failures_count, 1);
}

TEST_F(OperationsTest, CancellingStopsWhatRunsAndWhatWaits) {
  neon::Operation waits = add("waits", {"a"});
  neon::Operation next = add("next", {"a"});
  neon::Operation other = add("other", {"b", "a"});
  work.wait_for("begin waits");
  {
    auto lock = state->lock();
    Change change;
    queue->cancel("a", change);
    state->apply(std::move(change));
  }
  EXPECT_EQ(ended(waits).status, "cancelled");
  EXPECT_EQ(ended(next).status, "cancelled");
  EXPECT_EQ(ended(other).status, "finished");
}

TEST_F(OperationsTest, ArgumentsDoNotOutliveTheOperation) {
  neon::Operation operation = ended(add("secret", {"a"}));
  auto lock = state->lock();
  EXPECT_TRUE(state->tables().operation(operation.id)->arguments.empty());
}

}  // namespace
}  // namespace holdfast
