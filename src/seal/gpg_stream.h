// Bytes through gpg, as they come: sealing on the way to a store, opening on the way from one.
//
// Memory is the pipes and one block, whatever the size. Each class starts one gpg and one thread
// that moves bytes on the other side; destroying it early ends both. One thread uses an object.
// A failure of gpg, of the other side, or the death of either ends in one Error of finish(),
// write() or read(): that of the other side first, because a gpg whose pipe broke only echoes it.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "base/bytes.h"
#include "seal/gpg.h"

namespace holdfast {

constexpr size_t kGpgBlockBytes = size_t{1} << 20;

class GpgSealer {
 public:
  // `out` is called by another thread, in order; what it throws ends the sealing.
  GpgSealer(const SealSpec& spec, std::function<void(ByteView)> out);
  GpgSealer(const GpgSealer&) = delete;
  GpgSealer& operator=(const GpgSealer&) = delete;
  ~GpgSealer();

  void write(ByteView bytes);
  // No more comes: everything has gone through `out` when this returns.
  void finish();

 private:
  void move_out();
  [[noreturn]] void fail();

  std::function<void(ByteView)> out_;
  GpgCommand command_;
  Process gpg_;
  std::exception_ptr out_failure_;  // written by the thread, read after it was joined
  std::thread mover_;
};

class GpgOpener {
 public:
  // `in(buffer, size)` gives the next sealed bytes, 0 at the end; called by another thread. With
  // `read_all`, also after gpg has given up, so that all of it is seen once.
  GpgOpener(const OpenAttempt& attempt, std::function<size_t(uint8_t*, size_t)> in, bool read_all);
  GpgOpener(const GpgOpener&) = delete;
  GpgOpener& operator=(const GpgOpener&) = delete;
  ~GpgOpener();

  // The next bytes; 0 at the end, when failure() says whether it was a good one. Throws what `in`
  // threw.
  size_t read(uint8_t* out, size_t size);
  const std::optional<Error>& failure() const { return failure_; }

 private:
  void move_in();
  void end();

  std::function<size_t(uint8_t*, size_t)> in_;
  const bool read_all_;
  GpgCommand command_;
  Process gpg_;
  std::exception_ptr in_failure_;  // as out_failure_ above
  bool ended_ = false;
  std::optional<Error> failure_;
  std::atomic<bool> abandoned_{false};
  std::thread mover_;
};

}  // namespace holdfast
