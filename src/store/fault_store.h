// A store that fails on purpose, for tests: a decorator that counts every call and makes the Nth
// one fail, or runs out of space after so many bytes.
//
// The usual test is a loop: fail operation 1, then 2, … until a run makes no more calls than N, and
// after each failure check that nothing broken is visible and that the next run succeeds.
// As thread-safe as the store it wraps; the plan is changed only while no call is running.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>

#include "base/error.h"
#include "store/object_store.h"

namespace holdfast {

struct FaultPlan {
  uint64_t fail_at = 0;       // which operation fails, counted from 1; 0: none
  bool and_later = false;     // every later one too, as if the store had gone away
  bool after_effect = false;  // the operation is done, then reported as failed (a lost answer)
  ErrorCode code = ErrorCode::unavailable;
  uint64_t space_bytes = std::numeric_limits<uint64_t>::max();  // writes beyond it find no space
};

class FaultStore final : public ObjectStore {
 public:
  explicit FaultStore(ObjectStore& inner, FaultPlan plan = {}) : inner_(inner), plan_(plan) {}

  // Takes up a new plan and counts from the start.
  void restart(FaultPlan plan);
  uint64_t operations() const { return operations_; }
  uint64_t bytes_written() const { return bytes_written_; }

  std::string location() const override { return inner_.location(); }
  std::unique_ptr<ObjectWriter> put(const std::string& name,
                                    const PutOptions& options = {}) override;
  std::unique_ptr<ObjectReader> open(const std::string& name) override;
  ObjectInfo head(const std::string& name) override;
  std::vector<ObjectInfo> list(const std::string& prefix) override;
  void remove(const std::string& name) override;
  void check_writable(uint64_t bytes_expected) override;
  size_t reap_unfinished(const LeftoverTest& may_clear) override;

 private:
  friend class FaultWriter;
  friend class FaultReader;

  // Counts one operation and runs it, or fails as planned.
  template <typename Operation>
  auto run(const char* what, const std::string& name, Operation&& operation);
  void take_space(const std::string& name, uint64_t bytes);

  ObjectStore& inner_;
  FaultPlan plan_;
  std::atomic<uint64_t> operations_{0}, bytes_written_{0};
};

}  // namespace holdfast
