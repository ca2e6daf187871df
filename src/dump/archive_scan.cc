#include "dump/archive_scan.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

#include "base/workers.h"

namespace holdfast {
namespace {

using Block = std::vector<uint8_t>;

struct Slice {
  std::shared_ptr<Block> block;  // shared by the slices cut from it
  ByteView bytes;
  size_t unit = 0;
  bool first = false, last = false;
};

// Blocks in circulation, and what waits for each worker.
class Queues {
 public:
  explicit Queues(size_t workers) : waiting_(workers), load_(workers) {}

  // Waits until one of the kScanBlocks is free.
  std::shared_ptr<Block> take_block() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return failed_ || in_use_ < kScanBlocks; });
    check_failed();
    ++in_use_;
    std::unique_ptr<Block> block;
    if (spare_.empty()) {
      block = std::make_unique<Block>(kScanBlockBytes);
    } else {
      block = std::move(spare_.back());
      spare_.pop_back();
    }
    lock.unlock();
    return {block.release(), [this](Block* used) { give_back(std::unique_ptr<Block>(used)); }};
  }

  size_t least_loaded() {
    std::lock_guard lock(mutex_);
    size_t best = 0;
    for (size_t i = 1; i < load_.size(); ++i)
      if (load_[i] < load_[best]) best = i;
    return best;
  }

  void push(size_t worker, Slice slice) {
    std::lock_guard lock(mutex_);
    check_failed();
    load_[worker] += slice.bytes.size();
    waiting_[worker].push_back(std::move(slice));
    changed_.notify_all();
  }

  // Empty at the end.
  std::optional<Slice> pop(size_t worker) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return failed_ || closed_ || !waiting_[worker].empty(); });
    check_failed();
    if (waiting_[worker].empty()) return std::nullopt;
    Slice slice = std::move(waiting_[worker].front());
    waiting_[worker].pop_front();
    return slice;
  }

  void done(size_t worker, size_t bytes) {
    std::lock_guard lock(mutex_);
    load_[worker] -= bytes;
  }

  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  void fail() {
    std::lock_guard lock(mutex_);
    failed_ = true;
    changed_.notify_all();
  }

 private:
  void check_failed() const {
    if (failed_) throw Error(ErrorCode::cancelled, "another worker failed");
  }
  void give_back(std::unique_ptr<Block> block) {
    std::lock_guard lock(mutex_);
    --in_use_;
    spare_.push_back(std::move(block));
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  // All below: guarded by mutex_. `waiting_` holds blocks, whose return needs `spare_`: it is
  // destroyed first.
  std::vector<std::unique_ptr<Block>> spare_;
  size_t in_use_ = 0;
  bool closed_ = false, failed_ = false;
  std::vector<std::deque<Slice>> waiting_;
  std::vector<uint64_t> load_;
};

uint64_t read_in_order(ObjectReader& archive, Splitter& splitter, Queues& queues,
                       const std::function<void(ByteView)>& in_order, const Run& run) {
  uint64_t offset = 0;
  size_t worker = 0;
  while (true) {
    run.check_stop();
    std::shared_ptr<Block> block = queues.take_block();
    size_t got = archive.read(offset, block->data(), block->size());
    if (got == 0) return offset;
    ByteView left(block->data(), got);
    in_order(left);
    while (!left.empty()) {
      Splitter::Part part = splitter.next(offset, left);
      if (part.in_unit) {
        if (part.first) worker = queues.least_loaded();
        queues.push(worker, {block, left.first(part.bytes), part.unit, part.first, part.last});
      }
      left = left.subspan(part.bytes);
      offset += part.bytes;
    }
  }
}

void handle_slices(size_t worker, Queues& queues, UnitHandler& handler) {
  while (std::optional<Slice> slice = queues.pop(worker)) {
    if (slice->first) handler.begin(slice->unit);
    handler.add(slice->bytes);
    if (slice->last) handler.end();
    size_t bytes = slice->bytes.size();
    slice.reset();
    queues.done(worker, bytes);
  }
}

}  // namespace

uint64_t scan_archive(ObjectReader& archive, int workers, Splitter& splitter,
                      const std::function<void(ByteView)>& in_order,
                      const std::function<std::unique_ptr<UnitHandler>(WorkerScope&)>& make_handler,
                      const Run& run) {
  Queues queues(static_cast<size_t>(workers));
  std::atomic<size_t> next_role{0};
  uint64_t bytes = 0;
  run_workers(
      workers + 1, run,
      [&](WorkerScope& scope) {
        size_t role = next_role++;
        if (role == 0) {
          bytes = read_in_order(archive, splitter, queues, in_order, run);
          queues.close();
          return;
        }
        std::unique_ptr<UnitHandler> handler = make_handler(scope);
        handle_slices(role - 1, queues, *handler);
      },
      [&] { queues.fail(); });
  return bytes;
}

}  // namespace holdfast
