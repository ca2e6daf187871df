#include "seal/gpg_stream.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace holdfast {
namespace {

// Fewer, larger turns between the processes. Where the system does not allow it, the usual size
// does as well.
void widen(int pipe) {
  ::fcntl(pipe, F_SETPIPE_SZ, static_cast<int>(kGpgBlockBytes));
}

// False when nobody reads any more.
bool write_pipe(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EPIPE) return false;
    if (count < 0) throw system_error("write to gpg", errno);
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return true;
}

size_t read_pipe(int fd, uint8_t* out, size_t size) {
  while (true) {
    ssize_t count = ::read(fd, out, size);
    if (count >= 0) return static_cast<size_t>(count);
    if (errno != EINTR) throw system_error("read from gpg", errno);
  }
}

}  // namespace

// --- sealing ---

GpgSealer::GpgSealer(const SealSpec& spec, std::function<void(ByteView)> out)
    : out_(std::move(out)), command_(gpg_seal_command(spec)), gpg_(command_.options) {
  command_.passphrase.close();
  widen(gpg_.stdin_fd());
  widen(gpg_.stdout_fd());
  mover_ = std::thread([this] { move_out(); });
}

GpgSealer::~GpgSealer() {
  gpg_.kill();
  if (mover_.joinable()) mover_.join();
}

void GpgSealer::move_out() {
  try {
    std::vector<uint8_t> block(kGpgBlockBytes);
    while (size_t got = read_pipe(gpg_.stdout_fd(), block.data(), block.size()))
      out_(ByteView(block.data(), got));
  } catch (...) {
    out_failure_ = std::current_exception();
    gpg_.close_stdout();  // gpg ends, and with it the writing side
  }
}

void GpgSealer::write(ByteView bytes) {
  if (!write_pipe(gpg_.stdin_fd(), bytes)) fail();
}

void GpgSealer::finish() {
  gpg_.close_stdin();
  mover_.join();
  if (out_failure_) std::rethrow_exception(out_failure_);
  if (gpg_.wait() != 0) fail();
}

void GpgSealer::fail() {
  if (mover_.joinable()) mover_.join();
  int exit_code = gpg_.wait();
  if (out_failure_) std::rethrow_exception(out_failure_);
  throw gpg_seal_failure(gpg_.stderr_tail(), exit_code);
}

// --- opening ---

GpgOpener::GpgOpener(const OpenAttempt& attempt, std::function<size_t(uint8_t*, size_t)> in,
                     bool read_all)
    : in_(std::move(in)),
      read_all_(read_all),
      command_(gpg_open_command(attempt)),
      gpg_(command_.options) {
  command_.passphrase.close();
  widen(gpg_.stdin_fd());
  widen(gpg_.stdout_fd());
  mover_ = std::thread([this] { move_in(); });
}

GpgOpener::~GpgOpener() {
  abandoned_ = true;
  if (!ended_) gpg_.kill();
  if (mover_.joinable()) mover_.join();
}

void GpgOpener::move_in() {
  try {
    std::vector<uint8_t> block(kGpgBlockBytes);
    bool listening = true;
    while (!abandoned_ && (listening || read_all_)) {
      size_t got = in_(block.data(), block.size());
      if (got == 0) break;
      if (listening) listening = write_pipe(gpg_.stdin_fd(), ByteView(block.data(), got));
    }
  } catch (...) {
    in_failure_ = std::current_exception();
  }
  gpg_.close_stdin();
}

size_t GpgOpener::read(uint8_t* out, size_t size) {
  if (!ended_) {
    if (size_t got = read_pipe(gpg_.stdout_fd(), out, size)) return got;
    end();
  }
  if (in_failure_) std::rethrow_exception(in_failure_);
  return 0;
}

void GpgOpener::end() {
  int exit_code = gpg_.wait();
  mover_.join();
  ended_ = true;
  if (exit_code != 0) failure_ = gpg_open_failure(gpg_.stderr_tail(), exit_code);
}

}  // namespace holdfast
