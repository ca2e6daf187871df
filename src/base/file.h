// Files and folders of the local machine: handles that close themselves, whole-file reads with a
// bound, temporary folders that remove themselves, and the lock that keeps two runs apart.
//
// Failures are Errors with the path in the message. Nothing here is shared between threads.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace holdfast {

// An owned file descriptor; -1 when empty.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      close();
      fd_ = other.release();
    }
    return *this;
  }
  ~Fd() { close(); }

  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  int release() {
    int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void close();

 private:
  int fd_ = -1;
};

// Opens with O_CLOEXEC. Throws Error naming `path`.
Fd open_file(const std::string& path, int flags, mode_t mode = 0600);

// Writes all of `bytes`. Throws Error naming `what`.
void write_all(int fd, ByteView bytes, const std::string& what);

// Reads up to `size` bytes at `offset` (fewer only at the end of the file); returns how many.
size_t pread_all(int fd, uint8_t* out, size_t size, uint64_t offset, const std::string& what);

// The whole file. Throws Error(invalid) if it is larger than `bytes_max`.
std::string read_file(const std::string& path, uint64_t bytes_max);

// Writes `content` so that a crash leaves either the old file or the new one: temporary name in the
// same folder, fsync, rename, fsync of the folder.
void write_file_atomic(const std::string& path, std::string_view content, mode_t mode = 0600);

void fsync_folder(const std::string& folder);
bool file_exists(const std::string& path);
// "." for a bare name.
std::string parent_folder(const std::string& path);

// Renames durably: the folders of both names are synced.
void rename_folder(const std::string& from, const std::string& to);

// Like rm -rf; harmless if there is nothing.
void remove_tree(const std::string& path);

// Like mkdir -p, and durable. Throws Error(invalid) if a file is in the way, Error(denied) without
// the right.
void make_folders(const std::string& path, mode_t mode = 0700);

std::string temp_parent();  // $TMPDIR, or /tmp

// A fresh private folder (0700) in `parent` (empty: temp_parent()), removed with its contents at
// the end.
class TempFolder {
 public:
  explicit TempFolder(std::string_view prefix, const std::string& parent = {});
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// An exclusive advisory lock (flock) on a file, released when the process ends however it ends.
// While it is held, the file holds the holder's process id. The file itself stays: removing it
// would let two runs lock two different files of the same name.
class FileLock {
 public:
  // Takes the lock or throws Error(busy): "another holdfast run holds <what> (process 1234)".
  // With `wait_max`, waits so long for the other one to be done: for locks that are held briefly.
  FileLock(const std::string& path, const std::string& what,
           std::chrono::milliseconds wait_max = {});
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock();

 private:
  Fd fd_;
};

// An unnamed in-memory file with mode 0600 that holds `content`: how secrets reach child processes
// without touching a disk, an argument list or an environment. The child opens it as /dev/fd/N; one
// that changed its user can do so only if the file is given to that user first (fchown).
Fd make_memory_file(const char* name, std::string_view content);

// `count` random bytes in hexadecimal, from the operating system.
std::string random_hex(size_t count);

}  // namespace holdfast
