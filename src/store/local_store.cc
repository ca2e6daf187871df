#include "store/local_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <functional>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace holdfast {
namespace {

constexpr std::string_view kPartialPrefix = ".holdfast-";
constexpr std::string_view kPartialSuffix = ".partial";
constexpr size_t kBufferBytes = 256 << 10;      // spares a system call per small write
constexpr uint64_t kWritebackBytes = 16 << 20;  // so that the final fsync has little left to do

std::string new_partial(const std::string& folder) {
  return fmt::format("{}/{}{}{}", folder, kPartialPrefix, random_hex(8), kPartialSuffix);
}

bool is_partial(std::string_view file_name) {
  return file_name.starts_with(kPartialPrefix) && file_name.ends_with(kPartialSuffix);
}

UtcTime modified_of(const struct stat& info) {
  return UtcTime(std::chrono::floor<std::chrono::milliseconds>(
      std::chrono::seconds(info.st_mtim.tv_sec) + std::chrono::nanoseconds(info.st_mtim.tv_nsec)));
}

// Gives `from` the name `to` unless that is taken; returns 0 or the errno. Three ways, because not
// every file system knows the better ones (NFS: no RENAME_NOREPLACE; FAT, some CIFS: no links). The
// last can replace what appears between its two steps; the run lock keeps other runs away from it.
int rename_without_replacing(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP) return errno;
  if (::link(from.c_str(), to.c_str()) == 0) {
    ::unlink(from.c_str());
    return 0;
  }
  if (errno != EPERM && errno != ENOSYS && errno != ENOTSUP && errno != EMLINK) return errno;
  struct stat info;
  if (::lstat(to.c_str(), &info) == 0) return EEXIST;
  return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

class LocalWriter final : public ObjectWriter {
 public:
  LocalWriter(std::string path)
      : path_(std::move(path)),
        partial_(new_partial(parent_folder(path_))),
        fd_(open_file(partial_, O_WRONLY | O_CREAT | O_EXCL, 0600)) {}

  ~LocalWriter() override {
    if (!committed_) ::unlink(partial_.c_str());
  }

  void write(ByteView bytes) override {
    if (buffer_.size() + bytes.size() > kBufferBytes) flush();
    if (bytes.size() >= kBufferBytes)
      write_through(bytes);
    else
      buffer_.append(as_text(bytes));
  }

  void commit() override {
    flush();
    if (::fsync(fd_.get()) != 0) throw system_error(fmt::format("write {}", path_), errno);
    int error = rename_without_replacing(partial_, path_);
    if (error == EEXIST)
      throw Error(ErrorCode::exists, fmt::format("{} is there already", path_),
                  "an existing object is never replaced: move it away if it is not needed");
    if (error != 0) throw system_error(fmt::format("name {}", path_), error);
    committed_ = true;
    try {
      fsync_folder(parent_folder(path_));
    } catch (const Error&) {
      ::unlink(path_.c_str());  // what is not durable must not look as if it were
      throw;
    }
  }

 private:
  void flush() {
    write_through(as_bytes(buffer_));
    buffer_.clear();
  }

  void write_through(ByteView bytes) {
    write_all(fd_.get(), bytes, path_);
    written_ += bytes.size();
    if (written_ - synced_ < kWritebackBytes) return;
    // A hint only: what it does not do, fsync does.
    ::sync_file_range(fd_.get(), static_cast<off_t>(synced_),
                      static_cast<off_t>(written_ - synced_), SYNC_FILE_RANGE_WRITE);
    synced_ = written_;
  }

  std::string path_, partial_;
  Fd fd_;
  std::string buffer_;
  uint64_t written_ = 0, synced_ = 0;
  bool committed_ = false;
};

class LocalReader final : public ObjectReader {
 public:
  LocalReader(std::string path, Fd fd, uint64_t size)
      : path_(std::move(path)), fd_(std::move(fd)), size_(size) {}

  uint64_t size() const override { return size_; }

  size_t read(uint64_t offset, uint8_t* out, size_t size) override {
    if (offset >= size_) return 0;
    size = static_cast<size_t>(std::min<uint64_t>(size, size_ - offset));
    return pread_all(fd_.get(), out, size, offset, path_);
  }

 private:
  std::string path_;
  Fd fd_;
  uint64_t size_;
};

// What is in a folder, by name. A folder that is not there, or a sub-folder that may not be read
// (the `lost+found` of a disk of its own), holds no objects of ours.
std::vector<std::string> entries_of(const std::string& folder, bool is_root) {
  std::unique_ptr<DIR, int (*)(DIR*)> handle(::opendir(folder.c_str()), ::closedir);
  if (!handle) {
    if (errno == ENOENT || (errno == EACCES && !is_root)) return {};
    if (errno == ENOTDIR)
      throw Error(ErrorCode::invalid, fmt::format("{} is a file, not a folder", folder),
                  "choose another folder with BACKUP_DIR (--dir)");
    throw system_error(fmt::format("list {}", folder), errno);
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(handle.get())) names.emplace_back(entry->d_name);
  if (errno != 0) throw system_error(fmt::format("list {}", folder), errno);
  return names;
}

class LocalStore final : public ObjectStore {
 public:
  explicit LocalStore(std::string folder) : root_(std::move(folder)) {
    while (root_.size() > 1 && root_.back() == '/') root_.pop_back();
    if (root_.empty())
      throw Error(ErrorCode::invalid, "the store's folder is not named",
                  "set it with BACKUP_DIR or --dir");
  }

  std::string location() const override { return root_; }

  std::unique_ptr<ObjectWriter> put(const std::string& name, const PutOptions&) override {
    std::string path = path_of(name);
    make_folders(parent_folder(path));
    if (file_exists(path))
      throw Error(ErrorCode::exists, fmt::format("{} is there already", path),
                  "an existing object is never replaced: move it away if it is not needed");
    return std::make_unique<LocalWriter>(path);
  }

  std::unique_ptr<ObjectReader> open(const std::string& name) override {
    std::string path = path_of(name);
    Fd fd = open_file(path, O_RDONLY);
    struct stat info;
    if (::fstat(fd.get(), &info) != 0) throw system_error(fmt::format("open {}", path), errno);
    if (!S_ISREG(info.st_mode)) throw no_object(path);
    return std::make_unique<LocalReader>(path, std::move(fd), static_cast<uint64_t>(info.st_size));
  }

  ObjectInfo head(const std::string& name) override {
    std::string path = path_of(name);
    struct stat info;
    if (::stat(path.c_str(), &info) != 0)
      throw system_error(fmt::format("look at {}", path), errno);
    if (!S_ISREG(info.st_mode)) throw no_object(path);
    return {name, static_cast<uint64_t>(info.st_size), modified_of(info)};
  }

  std::vector<ObjectInfo> list(const std::string& prefix) override {
    std::vector<ObjectInfo> found;
    walk(root_, "", [&](const std::string& path, const std::string& name, const struct stat& info) {
      bool related =
          name.starts_with(prefix) || (S_ISDIR(info.st_mode) && prefix.starts_with(name + "/"));
      if (name[name.rfind('/') + 1] == '.' || !related) return false;
      if (!S_ISDIR(info.st_mode) && is_object(path, name))
        found.push_back({name, static_cast<uint64_t>(info.st_size), modified_of(info)});
      return true;
    });
    std::sort(found.begin(), found.end(),
              [](const ObjectInfo& a, const ObjectInfo& b) { return a.name < b.name; });
    return found;
  }

  void remove(const std::string& name) override {
    std::string path = path_of(name);
    if (::unlink(path.c_str()) != 0) {
      if (errno == ENOENT || errno == ENOTDIR || errno == EISDIR) return;
      throw system_error(fmt::format("remove {}", path), errno);
    }
    fsync_folder(
        parent_folder(path));  // or a crash could bring back a manifest without its archive
  }

  void check_writable(uint64_t bytes_expected) override;
  size_t reap_unfinished(const LeftoverTest& may_clear) override;

 private:
  // Called with path, name in the store and lstat (of files: stat); whether to go on into a folder.
  using Visitor = std::function<bool(const std::string&, const std::string&, const struct stat&)>;

  std::string path_of(const std::string& name) const {
    check_object_name(name);
    return root_ + "/" + name;
  }

  static Error no_object(const std::string& path) {
    return Error(ErrorCode::not_found, fmt::format("{} is not an object", path));
  }

  static bool is_object(const std::string& path, const std::string& name) {
    try {
      check_object_name(name);
      struct stat info;
      return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
    } catch (const Error&) {
      return false;  // a file of another maker, under a name that we could not open
    }
  }

  void walk(const std::string& folder, const std::string& prefix, const Visitor& visit) const;

  std::string root_;
};

void LocalStore::walk(const std::string& folder, const std::string& prefix,
                      const Visitor& visit) const {
  for (const std::string& entry : entries_of(folder, prefix.empty())) {
    if (entry == "." || entry == "..") continue;
    std::string path = folder + "/" + entry, name = prefix + entry;
    struct stat info, target;
    if (::lstat(path.c_str(), &info) != 0) continue;  // removed since it was listed
    // Links to files count as the files; links to folders are not followed (they can go in
    // circles).
    if (S_ISLNK(info.st_mode)) {
      if (::stat(path.c_str(), &target) != 0 || !S_ISREG(target.st_mode)) continue;
      info = target;
    }
    if (visit(path, name, info) && S_ISDIR(info.st_mode)) walk(path, name + "/", visit);
  }
}

size_t LocalStore::reap_unfinished(const LeftoverTest&) {
  size_t removed = 0;
  walk(root_, "", [&](const std::string& path, const std::string& name, const struct stat& info) {
    std::string_view file_name = std::string_view(name).substr(name.rfind('/') + 1);
    if (S_ISDIR(info.st_mode)) return file_name[0] != '.';
    if (!is_partial(file_name)) return false;
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
      throw system_error(fmt::format("remove {}", path), errno);
    ++removed;
    return false;
  });
  return removed;
}

// Tries for real, because rights alone do not say it (root on a read-only disk, NFS, quotas).
void LocalStore::check_writable(uint64_t bytes_expected) {
  std::string existing = root_;
  while (!file_exists(existing)) {
    size_t slash = existing.rfind('/');
    existing = slash == std::string::npos ? "." : slash == 0 ? "/" : existing.substr(0, slash);
  }
  struct stat info;
  if (::stat(existing.c_str(), &info) != 0)
    throw system_error(fmt::format("look at {}", existing), errno);
  if (!S_ISDIR(info.st_mode))
    throw Error(ErrorCode::invalid, fmt::format("{} is a file, not a folder", existing),
                "choose another folder with BACKUP_DIR (--dir)");

  std::string probe = new_partial(existing);
  Fd fd = open_file(probe, O_WRONLY | O_CREAT | O_EXCL, 0600);
  ::unlink(probe.c_str());
  write_all(fd.get(), as_bytes("holdfast\n"), existing);
  if (::fsync(fd.get()) != 0) throw system_error(fmt::format("write to {}", existing), errno);

  struct statvfs space;
  if (::statvfs(existing.c_str(), &space) != 0)
    throw system_error(fmt::format("look at the space of {}", existing), errno);
  uint64_t free_bytes = uint64_t{space.f_bavail} * space.f_frsize;
  if (free_bytes < bytes_expected)
    throw Error(ErrorCode::unavailable,
                fmt::format("{} has {} free, and about {} are needed", root_,
                            human_bytes(free_bytes), human_bytes(bytes_expected)),
                "free some space there, or point BACKUP_DIR (--dir) at a larger disk");
}

}  // namespace

std::unique_ptr<ObjectStore> make_local_store(const std::string& folder) {
  return std::make_unique<LocalStore>(folder);
}

std::unique_ptr<ObjectReader> open_local_file(const std::string& path) {
  Fd fd = open_file(path, O_RDONLY);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) throw system_error("open " + path, errno);
  if (!S_ISREG(info.st_mode))
    throw Error(ErrorCode::invalid, path + " is not a file",
                "name one archive in pg_dump's custom format (pg_dump -Fc)");
  return std::make_unique<LocalReader>(path, std::move(fd), static_cast<uint64_t>(info.st_size));
}

}  // namespace holdfast
