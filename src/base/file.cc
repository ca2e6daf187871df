#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/error.h"

namespace holdfast {
namespace {

bool is_folder(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// Removes a file at the end of a scope unless it has been kept.
class UnlinkGuard {
 public:
  explicit UnlinkGuard(std::string path) : path_(std::move(path)) {}
  UnlinkGuard(const UnlinkGuard&) = delete;
  UnlinkGuard& operator=(const UnlinkGuard&) = delete;
  ~UnlinkGuard() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  void keep() { path_.clear(); }

 private:
  std::string path_;
};

void make_one_folder(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0) {
    fsync_folder(parent_folder(path));
    return;
  }
  int error = errno;
  if (is_folder(path)) return;
  if (error == EEXIST || error == ENOTDIR)
    throw Error(ErrorCode::invalid, fmt::format("make folder {}: a file is in its place", path),
                "choose another folder, or move the file away");
  throw system_error(fmt::format("make folder {}", path), error);
}

}  // namespace

void Fd::close() {
  // Not repeated on EINTR: Linux has released the number by then, and it may be another's already.
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Fd open_file(const std::string& path, int flags, mode_t mode) {
  int fd;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) throw system_error(fmt::format("open {}", path), errno);
  return Fd(fd);
}

void write_all(int fd, ByteView bytes, const std::string& what) {
  while (!bytes.empty()) {
    ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw system_error(fmt::format("write {}", what), errno);
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
}

size_t pread_all(int fd, uint8_t* out, size_t size, uint64_t offset, const std::string& what) {
  size_t done = 0;
  while (done < size) {
    ssize_t count = ::pread(fd, out + done, size - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw system_error(fmt::format("read {}", what), errno);
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  return done;
}

std::string read_file(const std::string& path, uint64_t bytes_max) {
  Fd fd = open_file(path, O_RDONLY);
  struct stat info;
  if (::fstat(fd.get(), &info) != 0) throw system_error(fmt::format("read {}", path), errno);
  auto too_large = [&] {
    return Error(ErrorCode::invalid,
                 fmt::format("read {}: it is larger than {} bytes", path, bytes_max));
  };
  if (S_ISREG(info.st_mode) && static_cast<uint64_t>(info.st_size) > bytes_max) throw too_large();

  // Read to the end whatever fstat said: a file may grow, and those of /proc have no size.
  std::string content;
  while (true) {
    size_t part = std::max<size_t>(4096, std::min<size_t>(content.size(), size_t{1} << 20));
    size_t have = content.size();
    content.resize(have + part);
    ssize_t count;
    do {
      count = ::read(fd.get(), content.data() + have, part);
    } while (count < 0 && errno == EINTR);
    if (count < 0) throw system_error(fmt::format("read {}", path), errno);
    content.resize(have + static_cast<size_t>(count));
    if (content.size() > bytes_max) throw too_large();
    if (count == 0) return content;
  }
}

void write_file_atomic(const std::string& path, std::string_view content, mode_t mode) {
  std::string folder = parent_folder(path);
  std::string temporary = fmt::format("{}/.holdfast-{}.tmp", folder, random_hex(8));
  Fd fd = open_file(temporary, O_WRONLY | O_CREAT | O_EXCL, mode);
  UnlinkGuard guard(temporary);
  write_all(fd.get(), as_bytes(content), path);
  if (::fsync(fd.get()) != 0) throw system_error(fmt::format("write {}", path), errno);
  if (::rename(temporary.c_str(), path.c_str()) != 0)
    throw system_error(fmt::format("write {}", path), errno);
  guard.keep();
  fsync_folder(folder);
}

void fsync_folder(const std::string& folder) {
  Fd fd = open_file(folder, O_RDONLY | O_DIRECTORY);
  // Some network file systems cannot sync a folder and say so with EINVAL; they sync by themselves.
  if (::fsync(fd.get()) != 0 && errno != EINVAL && errno != ENOTSUP)
    throw system_error(fmt::format("sync folder {}", folder), errno);
}

bool file_exists(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  throw system_error(fmt::format("look for {}", path), errno);
}

std::string parent_folder(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

void rename_folder(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0)
    throw system_error(fmt::format("rename {} to {}", from, to), errno);
  fsync_folder(parent_folder(to));
  if (parent_folder(from) != parent_folder(to)) fsync_folder(parent_folder(from));
}

void remove_tree(const std::string& path) {
  std::error_code failed;
  std::filesystem::remove_all(path, failed);
  if (failed) throw system_error("remove " + path, failed.value());
}

void make_folders(const std::string& path, mode_t mode) {
  if (path.empty()) throw Error(ErrorCode::invalid, "make folder: its name is empty");
  if (is_folder(path)) return;
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    if (path[slash - 1] != '/') make_one_folder(path.substr(0, slash), mode);
  }
  if (path.back() != '/') make_one_folder(path, mode);
}

std::string temp_parent() {
  const char* set = std::getenv("TMPDIR");
  return set != nullptr && *set != '\0' ? set : "/tmp";
}

TempFolder::TempFolder(std::string_view prefix, const std::string& parent) {
  std::string base = parent.empty() ? temp_parent() : parent;
  path_ = fmt::format("{}/{}XXXXXX", base, prefix);
  if (::mkdtemp(path_.data()) == nullptr) {
    int error = errno;
    path_.clear();
    throw system_error(fmt::format("make a temporary folder in {}", base), error);
  }
}

TempFolder::~TempFolder() {
  std::error_code ignored;  // a destructor cannot report; the folder is private and under tmp
  std::filesystem::remove_all(path_, ignored);
}

FileLock::FileLock(const std::string& path, const std::string& what,
                   std::chrono::milliseconds wait_max)
    : fd_(open_file(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600)) {
  constexpr std::chrono::milliseconds kPause{5};
  int result;
  for (std::chrono::milliseconds waited{};; waited += kPause) {
    do {
      result = ::flock(fd_.get(), LOCK_EX | LOCK_NB);
    } while (result != 0 && errno == EINTR);
    if (result == 0 || errno != EWOULDBLOCK || waited >= wait_max) break;
    std::this_thread::sleep_for(kPause);
  }
  if (result != 0 && errno != EWOULDBLOCK) throw system_error(fmt::format("lock {}", path), errno);
  if (result == 0) {
    std::string line = fmt::format("{}\n", ::getpid());
    if (::ftruncate(fd_.get(), 0) != 0) throw system_error(fmt::format("write {}", path), errno);
    write_all(fd_.get(), as_bytes(line), path);
    return;
  }

  uint8_t text[32];
  size_t size = pread_all(fd_.get(), text, sizeof text, 0, path);
  std::string_view digits = as_text({text, size});
  pid_t holder = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), holder);
  if (holder <= 0)
    throw Error(ErrorCode::busy, fmt::format("another holdfast run holds {}", what),
                fmt::format("wait for it, or see who it is with: fuser {}", path));
  throw Error(ErrorCode::busy,
              fmt::format("another holdfast run holds {} (process {})", what, holder),
              fmt::format("wait for it, or see what it does with: ps -p {}", holder));
}

FileLock::~FileLock() {
  // The number of a process that is gone would mislead whoever reads it between two runs.
  if (fd_.open() && ::ftruncate(fd_.get(), 0) != 0) errno = 0;
}

Fd make_memory_file(const char* name, std::string_view content) {
  Fd fd(::memfd_create(name, MFD_CLOEXEC));
  if (!fd.open()) throw system_error("make a memory file", errno);
  // A memory file starts as 0777; libpq refuses password files that others may read.
  if (::fchmod(fd.get(), 0600) != 0) throw system_error("make a memory file", errno);
  write_all(fd.get(), as_bytes(content), "a memory file");
  if (::lseek(fd.get(), 0, SEEK_SET) != 0) throw system_error("make a memory file", errno);
  return fd;
}

std::string random_hex(size_t count) {
  std::string bytes(count, '\0');
  size_t done = 0;
  while (done < count) {
    ssize_t got = ::getrandom(bytes.data() + done, count - done, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw system_error("read random bytes", errno);
    done += static_cast<size_t>(got);
  }
  return to_hex(as_bytes(bytes));
}

}  // namespace holdfast
