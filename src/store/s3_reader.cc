#include "store/s3_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <thread>
#include <vector>

#include "base/error.h"

namespace holdfast {
namespace {

constexpr size_t kBlocksMax = 16;
constexpr size_t kAheadMax = 4;  // blocks, and the threads that fetch them
constexpr size_t kStreamsMax = 16;

// Which reads go on where others ended.
class StreamTracker {
 public:
  // How many reads in a row ended where this one begins; it is noted as the next of them.
  int next(uint64_t offset, uint64_t end) {
    ++tick_;
    for (Stream& stream : streams_)
      if (stream.used != 0 && stream.end == offset) {
        stream.end = end;
        stream.used = tick_;
        return ++stream.length;
      }
    Stream& oldest =
        *std::min_element(streams_.begin(), streams_.end(),
                          [](const Stream& a, const Stream& b) { return a.used < b.used; });
    oldest = {end, tick_, 0};
    return 0;
  }
  // Streams that were read from lately.
  size_t active() const {
    return static_cast<size_t>(
        std::count_if(streams_.begin(), streams_.end(), [this](const Stream& stream) {
          return stream.length > 0 && stream.used + 4 * kStreamsMax > tick_;
        }));
  }

 private:
  struct Stream {
    uint64_t end = 0, used = 0;
    int length = 0;
  };
  uint64_t tick_ = 0;
  std::array<Stream, kStreamsMax> streams_;
};

class S3Reader final : public ObjectReader {
 public:
  S3Reader(S3Bucket& bucket, const std::string& name, const S3Found& found)
      : bucket_(bucket),
        key_(bucket.key_of(name)),
        shown_(bucket.shown(name)),
        etag_(found.etag),
        size_(found.info.bytes),
        block_bytes_(bucket.settings().read_block_bytes),
        on_stop_(bucket.settings().stop, [this] { stop_.request_stop(); }) {}

  ~S3Reader() override {
    {
      std::lock_guard lock(mutex_);
      ended_ = true;
      wanted_.clear();
      changed_.notify_all();
    }
    stop_.request_stop();
    threads_.clear();  // joins
  }

  uint64_t size() const override { return size_; }

  size_t read(uint64_t offset, uint8_t* out, size_t size) override {
    if (offset >= size_ || size == 0) return 0;
    size = static_cast<size_t>(std::min<uint64_t>(size, size_ - offset));
    std::unique_lock lock(mutex_);
    int in_row = streams_.next(offset, offset + size);
    bool cached = blocks_.count(offset / block_bytes_) > 0;
    if ((in_row == 0 && !cached) || size > block_bytes_) {
      lock.unlock();
      fetch(offset, out, size);
      return size;
    }
    if (in_row > 1) fetch_ahead((offset + size - 1) / block_bytes_);
    for (size_t done = 0; done < size;) {
      uint64_t at = offset + done;
      Block& block = use_block(lock, at / block_bytes_);
      size_t begin = static_cast<size_t>(at % block_bytes_);
      size_t count = std::min(size - done, block.bytes.size() - begin);
      std::memcpy(out + done, block.bytes.data() + begin, count);
      done += count;
    }
    return size;
  }

 private:
  struct Block {
    std::vector<uint8_t> bytes;
    uint64_t used = 0;
    bool ready = false;
  };

  // The block, filled; by this thread if nobody else is at it. `lock` is held before and after, so
  // that the block stays while it is copied from.
  Block& use_block(std::unique_lock<std::mutex>& lock, uint64_t index) {
    while (true) {
      auto found = blocks_.find(index);
      if (found == blocks_.end()) {
        fill_block(lock, index);
        continue;  // it may have been pushed out again
      }
      if (found->second.ready) {
        found->second.used = ++tick_;
        return found->second;
      }
      changed_.wait(lock);
    }
  }

  // Fetches a block that nobody has begun. Throws what fetch() throws, and then there is no block.
  void fill_block(std::unique_lock<std::mutex>& lock, uint64_t index) {
    make_room();
    blocks_[index].used = ++tick_;
    std::vector<uint8_t> bytes = take_spare();
    lock.unlock();
    std::exception_ptr failure;
    try {
      uint64_t begin = index * block_bytes_;
      bytes.resize(static_cast<size_t>(std::min(block_bytes_, size_ - begin)));
      fetch(begin, bytes.data(), bytes.size());
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (failure) {
      blocks_.erase(index);
    } else {
      Block& block = blocks_[index];
      block.bytes = std::move(bytes);
      block.ready = true;
    }
    changed_.notify_all();
    if (failure) std::rethrow_exception(failure);
  }

  // The block that was not used for longest goes. Those on their way stay, so there may be as many
  // blocks as threads that read beyond kBlocksMax.
  void make_room() {
    while (blocks_.size() >= kBlocksMax) {
      auto oldest = blocks_.end();
      for (auto block = blocks_.begin(); block != blocks_.end(); ++block)
        if (block->second.ready &&
            (oldest == blocks_.end() || block->second.used < oldest->second.used))
          oldest = block;
      if (oldest == blocks_.end()) return;
      spare_ = std::move(oldest->second.bytes);
      blocks_.erase(oldest);
    }
  }
  // Memory of a block that went, so that new one need not be cleared.
  std::vector<uint8_t> take_spare() { return std::exchange(spare_, {}); }

  // Has the blocks after `index` fetched; the more streams there are, the fewer for each.
  void fetch_ahead(uint64_t index) {
    size_t share = kBlocksMax / std::max<size_t>(streams_.active(), 1);
    size_t ahead = std::min(kAheadMax, share > 0 ? share - 1 : 0);
    uint64_t count = (size_ + block_bytes_ - 1) / block_bytes_;
    for (uint64_t next = index + 1; next <= index + ahead && next < count; ++next) {
      bool known = blocks_.count(next) > 0 ||
                   std::find(wanted_.begin(), wanted_.end(), next) != wanted_.end();
      if (known || wanted_.size() >= kBlocksMax / 2) continue;
      wanted_.push_back(next);
      if (threads_.size() < kAheadMax) threads_.emplace_back([this] { fetch_wanted(); });
      changed_.notify_all();
    }
  }

  // What each thread does.
  void fetch_wanted() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return ended_ || !wanted_.empty(); });
      if (ended_) return;
      uint64_t index = wanted_.front();
      wanted_.pop_front();
      if (blocks_.count(index) > 0) continue;
      try {
        fill_block(lock, index);
      } catch (const std::exception&) {
        // Whoever needs the block tries again, and gets the failure.
      }
    }
  }

  void fetch(uint64_t offset, uint8_t* out, size_t size) {
    uint64_t last = offset + size - 1;
    std::string range = fmt::format("bytes {}-{}/{}", offset, last, size_);
    S3Request request;
    request.key = key_;
    request.headers = {{"range", fmt::format("bytes={}-{}", offset, last)}};
    if (!etag_.empty()) request.headers.emplace_back("if-match", etag_);
    request.into = {out, size};
    request.attempts = bucket_.settings().data_attempts;
    request.stop = stop_.get_token();
    request.check = [&](const HttpResponse& http) -> std::optional<Error> {
      bool right = http.status == 206 ? http.header("content-range") == range
                                      : http.status == 200 && size == size_;
      if (right && http.into_bytes == size) return std::nullopt;
      return Error(ErrorCode::unavailable, fmt::format("{}: the server sent {} bytes of {}", shown_,
                                                       http.into_bytes, size));
    };
    S3Answer answer = bucket_.client().call(request);
    if (answer.http.status == 412)
      throw Error(ErrorCode::corrupt, fmt::format("{} was replaced while it was read", shown_),
                  "see who else writes into this bucket; then read it again");
    bucket_.client().require_ok(answer, shown_);
  }

  S3Bucket& bucket_;
  const std::string key_, shown_, etag_;
  const uint64_t size_, block_bytes_;
  std::stop_source stop_;
  std::stop_callback<std::function<void()>> on_stop_;

  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_:
  StreamTracker streams_;
  uint64_t tick_ = 0;
  std::map<uint64_t, Block> blocks_;  // by number; one that is not ready is being fetched
  std::vector<uint8_t> spare_;
  std::deque<uint64_t> wanted_;
  bool ended_ = false;
  std::vector<std::jthread> threads_;  // the last member: they use all the others
};

}  // namespace

std::unique_ptr<ObjectReader> open_s3_object(S3Bucket& bucket, const std::string& name) {
  std::optional<S3Found> found = bucket.find(name);
  if (!found)
    throw Error(ErrorCode::not_found, fmt::format("{}: no such object", bucket.shown(name)));
  return std::make_unique<S3Reader>(bucket, name, *found);
}

}  // namespace holdfast
