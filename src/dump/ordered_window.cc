#include "dump/ordered_window.h"

#include "base/error.h"

namespace holdfast {

void OrderedWindow::check_failed() const {
  if (failed_) throw Error(ErrorCode::cancelled, "another worker failed");
}

void OrderedWindow::append(size_t piece, ByteView bytes) {
  std::unique_lock lock(mutex_);
  auto may_hand_on = [&] { return piece == head_ && head_drained_; };
  // The head is let in even when the window is full: what it brings leaves at once.
  moved_.wait(lock, [&] {
    return failed_ || may_hand_on() || piece == head_ ||
           bytes_waiting_ + bytes.size() <= bytes_max_;
  });
  check_failed();
  if (!may_hand_on()) {
    waiting_[piece].parts.emplace_back(as_text(bytes));
    bytes_waiting_ += bytes.size();
    return;
  }
  bool begun = head_begun_;
  head_begun_ = true;
  lock.unlock();  // only the head's worker is here, and only finish() moves the head on
  if (!begun) consumer_.begin(piece);
  consumer_.bytes(piece, bytes);
}

void OrderedWindow::finish(size_t piece) {
  std::unique_lock lock(mutex_);
  check_failed();
  waiting_[piece].finished = true;
  if (piece == head_ && head_drained_) advance(lock);
}

void OrderedWindow::advance(std::unique_lock<std::mutex>& lock) {
  head_drained_ = false;
  while (!failed_) {
    auto at = waiting_.find(head_);
    if (at == waiting_.end() || (at->second.parts.empty() && !at->second.finished)) break;
    std::deque<std::string> parts = std::move(at->second.parts);
    at->second.parts.clear();
    bool finished = at->second.finished;
    bool begun = head_begun_;
    head_begun_ = true;
    size_t piece = head_, bytes = 0;
    lock.unlock();
    if (!begun) consumer_.begin(piece);
    for (std::string& part : parts) {
      consumer_.bytes(piece, as_bytes(part));
      bytes += part.size();
    }
    if (finished) consumer_.end(piece);
    lock.lock();
    bytes_waiting_ -= bytes;
    if (finished) {
      waiting_.erase(piece);
      ++head_;
      head_begun_ = false;
    }
    moved_.notify_all();
  }
  head_drained_ = true;
  moved_.notify_all();
}

void OrderedWindow::fail() {
  std::lock_guard lock(mutex_);
  failed_ = true;
  moved_.notify_all();
}

}  // namespace holdfast
