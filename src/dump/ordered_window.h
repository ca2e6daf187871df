// Brings pieces that are made in parallel into their order, with bounded memory.
//
// Pieces are numbered from 0 and taken up in that order, each by one worker. The worker of the
// lowest unfinished piece (the head) hands its bytes straight on; the others' bytes wait in memory,
// at most `bytes_max` in all. A worker that finds the window full waits until there is room or its
// piece has become the head. The head never waits, so the window always moves on.
//
// The consumer's calls come from one thread at a time, in order: begin(0), bytes(0) …, end(0),
// begin(1) …
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>

#include "base/bytes.h"

namespace holdfast {

class OrderedConsumer {
 public:
  virtual ~OrderedConsumer() = default;
  virtual void begin(size_t piece) = 0;
  virtual void bytes(size_t piece, ByteView bytes) = 0;
  virtual void end(size_t piece) = 0;
};

class OrderedWindow {
 public:
  OrderedWindow(OrderedConsumer& consumer, size_t bytes_max)
      : consumer_(consumer), bytes_max_(bytes_max) {}

  // By the worker of `piece`. Throws Error(cancelled) after fail().
  void append(size_t piece, ByteView bytes);
  void finish(size_t piece);
  // Wakes everybody; further calls throw. For when a worker has failed.
  void fail();

 private:
  struct Waiting {
    std::deque<std::string> parts;
    bool finished = false;
  };
  void check_failed() const;
  // Makes the piece at head_ ready to be handed on directly, and passes over finished ones.
  void advance(std::unique_lock<std::mutex>& lock);

  OrderedConsumer& consumer_;
  const size_t bytes_max_;
  std::mutex mutex_;
  std::condition_variable moved_;
  // All below: guarded by mutex_.
  std::map<size_t, Waiting> waiting_;
  size_t head_ = 0;
  bool head_begun_ = false;   // begin(head_) was called
  bool head_drained_ = true;  // nothing of head_ waits and nobody hands it on: its worker may
  size_t bytes_waiting_ = 0;
  bool failed_ = false;
};

}  // namespace holdfast
