#include "store/s3_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "store/s3_errors.h"
#include "store/s3_multipart.h"
#include "store/s3_parts.h"

namespace holdfast {
namespace {

constexpr uint64_t kPartsMemory = 96 << 20;
// Standard-IA bills 128 KiB at least: smaller objects stay in the standard class.
constexpr uint64_t kLargeBytes = 128 << 10;
// A server may need minutes to put 10,000 parts together, and says nothing meanwhile.
constexpr int kCompleteStallMs = 300'000;

Error taken(const std::string& shown) {
  return Error(ErrorCode::exists, fmt::format("{} is there already", shown),
               "an existing object is never replaced: move it away if it is not needed");
}

class S3Writer final : public ObjectWriter {
 public:
  S3Writer(S3Bucket& bucket, const std::string& name, const PutOptions& options)
      : bucket_(bucket),
        name_(name),
        key_(bucket.key_of(name)),
        shown_(bucket.shown(name)),
        options_(options),
        token_(random_hex(16)),
        first_part_bytes_(
            s3_first_part_bytes(options.bytes_expected, bucket.settings().part_bytes_min)),
        on_stop_(bucket.settings().stop, [this] { stop_.request_stop(); }) {
    bool small = options.bytes_expected > 0 && options.bytes_expected <= first_part_bytes_;
    if (!small) begin();
  }

  ~S3Writer() override {
    abandon();
    if (upload_.empty()) return;
    try {
      abort_s3_upload(bucket_, key_, upload_);
    } catch (const std::exception&) {
      // A destructor cannot say so; reap_unfinished() finds it.
    }
  }

  void write(ByteView bytes) override {
    while (!bytes.empty()) {
      if (!filling_.bytes) filling_ = next_part();
      size_t count = std::min(bytes.size(), filling_.room - filling_.size);
      std::memcpy(filling_.bytes.get() + filling_.size, bytes.data(), count);
      filling_.size += count;
      total_ += count;
      bytes = bytes.subspan(count);
      if (filling_.size < filling_.room) return;
      if (upload_.empty()) begin();  // it was said to be small
      hand_over();
    }
  }

  void commit() override {
    if (committed_) throw Error(ErrorCode::internal, "an object is committed once");
    refuse_if_taken();
    if (upload_.empty() || total_ == 0) {
      make_visible([this] { return put_whole(); });
    } else {
      if (filling_.size > 0) hand_over();
      wait_for_parts();
      make_visible([this] { return complete(); });
      upload_.clear();
      check_size();
    }
    committed_ = true;
  }

 private:
  struct Part {
    std::unique_ptr<uint8_t[]> bytes;
    size_t size = 0, room = 0;
    int number = 0;
  };

  void begin() {
    refuse_if_taken();  // sooner is better than after hours
    upload_ = begin_s3_upload(bucket_, key_, shown_, options_, token_);
  }

  // With rights to write alone one cannot look; the server's own check then has to do.
  std::optional<S3Found> look() {
    try {
      return bucket_.find(name_);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::denied) return std::nullopt;
      throw;
    }
  }
  void refuse_if_taken() {
    if (look()) throw taken(shown_);
  }

  // An empty part to fill; waits until memory allows it.
  Part next_part() {
    std::unique_lock lock(mutex_);
    if (++parts_ > kS3PartsMax)
      throw Error(
          ErrorCode::unsupported,
          fmt::format("{}: {} parts were not enough", shown_, static_cast<int>(kS3PartsMax)),
          "the backup is far larger than was estimated");
    size_t room = s3_part_bytes(first_part_bytes_, parts_);
    auto wanted = static_cast<uint64_t>(bucket_.settings().parallel) + 1;
    size_t most = std::clamp<uint64_t>(kPartsMemory / room, 2, std::max<uint64_t>(wanted, 2));
    changed_.wait(lock, [&] { return failure_ || under_way_ + 1 <= most; });
    check_failure();
    Part part;
    if (!spare_.empty() && spare_.back().room == room) {
      part = std::move(spare_.back());
    } else {
      spare_.clear();
      part.bytes.reset(new uint8_t[room]);
    }
    if (!spare_.empty()) spare_.pop_back();
    part.size = 0;
    part.room = room;
    part.number = parts_;
    return part;
  }

  void hand_over() {
    std::lock_guard lock(mutex_);
    check_failure();
    etags_.resize(static_cast<size_t>(filling_.number));
    queue_.push_back(std::move(filling_));
    filling_ = {};
    ++under_way_;
    if (under_way_ > threads_.size() &&
        threads_.size() < static_cast<size_t>(std::max(1, bucket_.settings().parallel)))
      threads_.emplace_back([this] { send_parts(); });
    changed_.notify_all();
  }

  // What each thread does.
  void send_parts() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return ended_ || !queue_.empty(); });
      if (queue_.empty()) return;
      Part part = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      std::string etag;
      std::exception_ptr failure;
      try {
        etag = send_s3_part(bucket_, key_, upload_, part.number, {part.bytes.get(), part.size},
                            shown_, stop_.get_token());
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      --under_way_;
      if (failure && !failure_) fail(failure);
      if (!failure) etags_[static_cast<size_t>(part.number) - 1] = etag;
      spare_.push_back(std::move(part));
      changed_.notify_all();
    }
  }

  // mutex_ is held. The other parts need not be sent any more.
  void fail(const std::exception_ptr& failure) {
    failure_ = failure;
    under_way_ -= queue_.size();
    queue_.clear();
    stop_.request_stop();
  }
  void check_failure() const {
    if (failure_) std::rethrow_exception(failure_);
  }

  void wait_for_parts() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return failure_ || under_way_ == 0; });
    check_failure();
  }

  void abandon() {
    {
      std::lock_guard lock(mutex_);
      queue_.clear();
      ended_ = true;
      changed_.notify_all();
    }
    stop_.request_stop();
    threads_.clear();  // joins
  }

  S3Answer put_whole() {
    ByteView body(filling_.bytes.get(), filling_.size);
    std::string md5 = md5_bytes(body);
    S3Request request;
    request.method = "PUT";
    request.key = key_;
    request.headers = bucket_.new_object_headers(options_, body.size() >= kLargeBytes, token_);
    request.headers.emplace_back("content-md5", to_base64(as_bytes(md5)));
    request.body = body;
    request.attempts = bucket_.settings().data_attempts;
    request.check = [&](const HttpResponse& http) {
      std::optional<Error> wrong = check_s3_etag(http, md5);
      damaged_ = wrong && wrong->code() == ErrorCode::corrupt;
      return wrong;
    };
    return ask_create_only(request);
  }

  S3Answer complete() {
    std::string body = write_s3_completion(etags_);
    S3Request request;
    request.method = "POST";
    request.key = key_;
    request.query = {{"uploadId", upload_}};
    request.headers = {{"content-type", "application/xml"}};
    request.body = as_bytes(body);
    request.attempts = bucket_.settings().data_attempts;
    request.stall_timeout_ms = kCompleteStallMs;
    request.check = [](const HttpResponse& http) -> std::optional<Error> {
      if (is_s3_completion(http.body)) return std::nullopt;
      return Error(ErrorCode::unavailable, "the server did not say that the upload is complete");
    };
    return ask_create_only(request);
  }

  S3Answer ask_create_only(S3Request& request) {
    if (bucket_.asks_create_only) {
      request.headers.emplace_back("if-none-match", "*");
      S3Answer answer = bucket_.client().call(request);
      if (!s3_is_not_implemented(answer.http.status, answer.error)) return answer;
      bucket_.asks_create_only = false;
      request.headers.pop_back();
    }
    return bucket_.client().call(request);
  }

  // An answer may be lost, and the attempt after it be refused because the first had succeeded:
  // then what stands there has our token.
  template <typename Send>
  void make_visible(Send&& send, bool may_send_again = true) {
    S3Answer answer;
    std::optional<Error> unanswered;
    try {
      answer = send();
      if (answer.ok()) return;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unavailable) throw;
      unanswered = error.within(shown_);
    }
    std::optional<S3Found> found;
    try {
      found = look();
    } catch (const Error&) {
      // The first failure says more.
    }
    if (found && found->token == token_) {
      if (!damaged_) return;
      // Ours, but of other bytes, and it stood in the way of the next attempt: that one comes now.
      bucket_.remove(name_);
      if (!may_send_again) throw s3_stored_other_bytes().within(shown_);
      damaged_ = false;
      return make_visible(send, /*may_send_again=*/false);
    }
    if (unanswered) throw *unanswered;
    int status = answer.http.status;
    if (found && (status == 412 || status == 409 || status == 404)) throw taken(shown_);
    if (status == 412) throw taken(shown_);
    if (answer.error.code == "NoSuchUpload") throw s3_upload_ended(shown_);
    throw bucket_.client().error_of(answer, fmt::format("finish {}", shown_));
  }

  // The server put the parts together; that they are all there can be seen from outside.
  void check_size() {
    std::optional<S3Found> found;
    try {
      found = look();
    } catch (const Error&) {
      return;  // stored, and said so: the proof of the backup comes later
    }
    if (!found || found->token != token_ || found->info.bytes == total_) return;
    bucket_.remove(name_);
    throw Error(ErrorCode::corrupt,
                fmt::format("{}: the server has {} bytes of {}", shown_, found->info.bytes, total_),
                "the server does not put uploads together right: use another store");
  }

  S3Bucket& bucket_;
  const std::string name_, key_, shown_;
  const PutOptions options_;
  const std::string token_;
  const uint64_t first_part_bytes_;
  std::stop_source stop_;
  std::stop_callback<std::function<void()>> on_stop_;

  // The caller's thread only:
  std::string upload_;  // its id; empty: none under way. Set before any thread reads it
  Part filling_;
  uint64_t total_ = 0;
  bool committed_ = false;
  bool damaged_ = false;  // the server said that the last PUT stored other bytes

  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_:
  int parts_ = 0;
  std::deque<Part> queue_;
  std::vector<Part> spare_;
  size_t under_way_ = 0;  // in the queue or being sent
  std::vector<std::string> etags_;
  std::exception_ptr failure_;
  bool ended_ = false;
  std::vector<std::jthread> threads_;  // touched by the caller's thread only
};

}  // namespace

std::unique_ptr<ObjectWriter> make_s3_writer(S3Bucket& bucket, const std::string& name,
                                             const PutOptions& options) {
  return std::make_unique<S3Writer>(bucket, name, options);
}

}  // namespace holdfast
