#include "engine/folder_copy.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/workers.h"

namespace holdfast {
namespace {

constexpr size_t kBlockBytes = 1 << 20;
constexpr size_t kKernelCopyBytes = 16 << 20;  // between two looks at whether to stop

// What the two file systems turned out to be able to do; learnt at the first file.
struct Abilities {
  std::atomic<bool> clone{true}, kernel_copy{true};
};

struct Tree {
  std::vector<std::string> folders;  // parents first
  std::vector<std::string> files;    // relative paths
  uint64_t bytes = 0;
};

Tree read_tree(const std::string& from, const std::function<bool(const std::string&)>& skip) {
  Tree tree;
  std::error_code failed;
  std::filesystem::recursive_directory_iterator entries(from, failed);
  if (failed) throw system_error("read folder " + from, failed.value());
  for (; entries != std::filesystem::recursive_directory_iterator(); entries.increment(failed)) {
    if (failed) throw system_error("read folder " + from, failed.value());
    std::string path = entries->path().string().substr(from.size() + 1);
    struct stat info {};
    if (::lstat(entries->path().c_str(), &info) != 0)
      throw system_error("look at " + entries->path().string(), errno);
    bool is_folder = S_ISDIR(info.st_mode);
    if (skip(path)) {
      if (is_folder) entries.disable_recursion_pending();
    } else if (is_folder) {
      tree.folders.push_back(path);
    } else if (S_ISREG(info.st_mode)) {
      tree.files.push_back(path);
      tree.bytes += static_cast<uint64_t>(info.st_size);
    }
  }
  return tree;
}

bool cannot(int error) {
  return error == EOPNOTSUPP || error == ENOSYS || error == EXDEV || error == EINVAL ||
         error == ENOTTY || error == EPERM;
}

class FileCopier {
 public:
  FileCopier(Abilities& abilities, const Run& run) : abilities_(abilities), run_(run) {}

  // Whether it was cloned.
  bool copy(const std::string& from, const std::string& to) {
    Fd source = open_file(from, O_RDONLY | O_NOFOLLOW);
    Fd target = open_file(to, O_WRONLY | O_CREAT | O_EXCL, 0600);
    struct stat info {};
    if (::fstat(source.get(), &info) != 0) throw system_error("look at " + from, errno);
    auto size = static_cast<uint64_t>(info.st_size);
    if (abilities_.clone && clone(source.get(), target.get(), to)) {
      count(size);
      return true;
    }
    bool sparse = static_cast<uint64_t>(info.st_blocks) * 512 < size;
    uint64_t at = 0;
    while (at < size) {
      uint64_t begin = at, end = size;
      if (sparse && !next_data(source.get(), at, size, begin, end)) break;
      copy_range(source.get(), target.get(), begin, end, from, to);
      at = end;
    }
    if (sparse && ::ftruncate(target.get(), static_cast<off_t>(size)) != 0)
      throw system_error("write " + to, errno);
    return size == 0;
  }

 private:
  bool clone(int source, int target, const std::string& to) {
    if (::ioctl(target, FICLONE, source) == 0) return true;
    if (!cannot(errno)) throw system_error("clone into " + to, errno);
    abilities_.clone = false;
    return false;
  }

  static bool next_data(int source, uint64_t at, uint64_t size, uint64_t& begin, uint64_t& end) {
    off_t data = ::lseek(source, static_cast<off_t>(at), SEEK_DATA);
    if (data < 0) {
      if (errno == ENXIO) return false;  // only a hole is left
      return true;                       // it cannot tell: all of it is data
    }
    off_t hole = ::lseek(source, data, SEEK_HOLE);
    begin = static_cast<uint64_t>(data);
    end = hole < 0 ? size : std::min(size, static_cast<uint64_t>(hole));
    return true;
  }

  void copy_range(int source, int target, uint64_t begin, uint64_t end, const std::string& from,
                  const std::string& to) {
    while (begin < end) {
      run_.check_stop();
      uint64_t done = 0;
      if (abilities_.kernel_copy) {
        auto in = static_cast<off_t>(begin), out = static_cast<off_t>(begin);
        ssize_t got = ::copy_file_range(source, &in, target, &out,
                                        std::min<uint64_t>(end - begin, kKernelCopyBytes), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && !cannot(errno)) throw system_error("write " + to, errno);
        if (got <= 0) {
          abilities_.kernel_copy = false;
          continue;
        }
        done = static_cast<uint64_t>(got);
      } else {
        done = copy_block(source, target, begin, std::min<uint64_t>(end - begin, kBlockBytes), from,
                          to);
        if (done == 0) throw Error(ErrorCode::corrupt, from + " ends before its size");
      }
      begin += done;
      count(done);
    }
  }

  size_t copy_block(int source, int target, uint64_t at, size_t size, const std::string& from,
                    const std::string& to) {
    buffer_.resize(kBlockBytes);
    size_t got = pread_all(source, buffer_.data(), size, at, from);
    if (::lseek(target, static_cast<off_t>(at), SEEK_SET) < 0)
      throw system_error("write " + to, errno);
    write_all(target, {buffer_.data(), got}, to);
    return got;
  }

  void count(uint64_t bytes) { run_.progress.counters().bytes += bytes; }

  Abilities& abilities_;
  const Run& run_;
  std::vector<uint8_t> buffer_;
};

void make_private_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0) throw system_error("make folder " + path, errno);
}

}  // namespace

FolderCopy copy_folder(const std::string& from, const std::string& to,
                       const std::function<bool(const std::string&)>& skip, int jobs,
                       const Run& run) {
  Tree tree = read_tree(from, skip);
  run.progress.counters().bytes_total += tree.bytes;
  make_private_folder(to);
  for (const std::string& each : tree.folders) make_private_folder(to + "/" + each);
  Abilities abilities;
  std::atomic<size_t> next{0}, cloned{0};
  run_workers(
      worker_count(jobs), run,
      [&](WorkerScope& scope) {
        FileCopier copier(abilities, run);
        for (size_t i = next++; i < tree.files.size() && !scope.stop().stop_requested(); i = next++)
          if (copier.copy(from + "/" + tree.files[i], to + "/" + tree.files[i])) ++cloned;
      },
      [] {});
  return {tree.files.size(), tree.bytes, abilities.clone && cloned == tree.files.size()};
}

uint64_t disk_bytes(const std::string& folder) {
  uint64_t bytes = 0;
  std::error_code failed;
  std::filesystem::recursive_directory_iterator entries(folder, failed), end;
  for (; !failed && entries != end; entries.increment(failed)) {
    struct stat info {};
    if (::lstat(entries->path().c_str(), &info) == 0)
      bytes += static_cast<uint64_t>(info.st_blocks) * 512;
  }
  if (failed) throw system_error("read folder " + folder, failed.value());
  return bytes;
}

}  // namespace holdfast
