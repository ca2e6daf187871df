#include "audit/log_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <thread>

#include "base/error.h"

namespace holdfast {
namespace {

constexpr std::string_view kSegmentPrefix = "audit-";
constexpr std::string_view kSegmentSuffix = ".jsonl";
constexpr std::string_view kTornPrefix = "torn-";
constexpr std::string_view kTornSuffix = ".bin";
constexpr std::string_view kPendingSuffix = ".pending";
constexpr const char* kLockName = "audit.lock";

constexpr std::chrono::milliseconds kLockPoll{1};

constexpr size_t kForwardBlockBytes = 256 << 10;
constexpr size_t kBackwardBlockBytes = 64 << 10;
// What a crash leaves is less than a line, but a file system may add a block or two of zeros.
constexpr size_t kTornBytesMax = 1 << 20;

std::optional<uint64_t> number_in(std::string_view name, std::string_view prefix,
                                  std::string_view suffix) {
  if (!name.starts_with(prefix) || !name.ends_with(suffix)) return std::nullopt;
  if (name.size() < prefix.size() + suffix.size()) return std::nullopt;
  name = name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
  uint64_t number = 0;
  auto [end, wrong] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (wrong != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

// Adds the number in `name` if that is exactly how `spell` would write it.
void add_number(std::vector<uint64_t>& numbers, const std::string& name, std::string_view prefix,
                std::string_view suffix, std::string (*spell)(uint64_t)) {
  std::optional<uint64_t> number = number_in(name, prefix, suffix);
  if (number && spell(*number) == name) numbers.push_back(*number);
}

Fd open_segment(const std::string& path) {
  return open_file(path, O_RDONLY | O_NOFOLLOW);
}

uint64_t size_of_file(int fd, const std::string& path) {
  struct stat info;
  if (::fstat(fd, &info) != 0) throw system_error("look at " + path, errno);
  return static_cast<uint64_t>(info.st_size);
}

std::string read_range(int fd, uint64_t from, uint64_t to, const std::string& path) {
  std::string bytes(static_cast<size_t>(to - from), '\0');
  bytes.resize(pread_all(fd, reinterpret_cast<uint8_t*>(bytes.data()), bytes.size(), from, path));
  return bytes;
}

Error damaged(const std::string& path, const char* which, std::string_view what) {
  return Error(ErrorCode::corrupt, fmt::format("{}: its {} is damaged: {}", path, which, what),
               "see what else is wrong with: holdfast audit verify. To begin a new log, move the "
               "folder away, and keep it");
}

std::string path_in(const std::string& folder, uint64_t segment) {
  return folder + "/" + audit_segment_name(segment);
}

// What a reader holds so that nobody appends meanwhile; nothing where it cannot.
std::unique_ptr<FileLock> lock_for_reading(const std::string& folder,
                                           std::chrono::milliseconds wait_max) {
  try {
    // Not made where there is none: somebody reads a copy.
    if (file_exists(folder + "/" + kLockName)) return lock_audit_folder(folder, wait_max);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::denied) throw;  // an auditor may only read
  }
  return nullptr;
}

}  // namespace

std::string audit_segment_name(uint64_t number) {
  return fmt::format("{}{:08}{}", kSegmentPrefix, number, kSegmentSuffix);
}

std::string audit_torn_name(uint64_t seq) {
  return fmt::format("{}{:020}{}", kTornPrefix, seq, kTornSuffix);
}

std::string audit_pending_name(uint64_t seq) {
  return fmt::format("{}{:020}{}", kTornPrefix, seq, kPendingSuffix);
}

AuditFolder scan_audit_folder(const std::string& folder) {
  AuditFolder files;
  std::unique_ptr<DIR, int (*)(DIR*)> handle(::opendir(folder.c_str()), ::closedir);
  if (!handle && errno == ENOENT) return files;
  if (!handle) throw system_error("list " + folder, errno);
  errno = 0;
  while (const dirent* entry = ::readdir(handle.get())) {
    std::string name = entry->d_name;
    add_number(files.segments, name, kSegmentPrefix, kSegmentSuffix, audit_segment_name);
    add_number(files.torn, name, kTornPrefix, kTornSuffix, audit_torn_name);
    add_number(files.pending, name, kTornPrefix, kPendingSuffix, audit_pending_name);
  }
  if (errno != 0) throw system_error("list " + folder, errno);
  for (std::vector<uint64_t>* numbers : {&files.segments, &files.torn, &files.pending})
    std::sort(numbers->begin(), numbers->end());
  return files;
}

std::unique_ptr<FileLock> lock_audit_folder(const std::string& folder,
                                            std::chrono::milliseconds wait_max) {
  auto give_up = std::chrono::steady_clock::now() + wait_max;
  while (true) {
    try {
      return std::make_unique<FileLock>(folder + "/" + kLockName, "the audit log");
    } catch (const Error& error) {
      if (error.code() != ErrorCode::busy || std::chrono::steady_clock::now() > give_up) throw;
    }
    std::this_thread::sleep_for(kLockPoll);
  }
}

std::string opened_log(const AuditRecord& record, uint64_t segment) {
  constexpr size_t kLogDigits = 32;
  const std::map<std::string, std::string>& detail = record.event.detail;
  auto log = detail.find("log"), number = detail.find("segment");
  bool first = segment == 1;
  bool right = record.event.action == (first ? kAuditBegin : kAuditSegment) &&
               log != detail.end() && log->second.size() == kLogDigits &&
               !from_hex(log->second).empty();
  if (first)
    right = right && record.seq == 1 && record.prev == audit_no_hash();
  else
    right = right && number != detail.end() && number->second == std::to_string(segment);
  if (!right)
    throw Error(ErrorCode::corrupt, fmt::format("it is not what begins segment {}", segment));
  return log->second;
}

AuditOpening read_audit_opening(const std::string& folder, uint64_t segment) {
  std::string path = path_in(folder, segment);
  Fd file = open_segment(path);
  std::string bytes = read_range(file.get(), 0, kAuditLineBytesMax, path);
  size_t end = bytes.find('\n');
  if (end == std::string::npos) throw damaged(path, "first line", "it does not end");
  try {
    AuditRecord record = read_audit_line(std::string_view(bytes).substr(0, end));
    std::string log = opened_log(record, segment);
    return {std::move(record), std::move(log)};
  } catch (const Error& error) {
    throw damaged(path, "first line", error.what());
  }
}

AuditTail read_audit_tail(const std::string& folder, uint64_t segment) {
  std::string path = path_in(folder, segment);
  Fd file = open_segment(path);
  uint64_t size = size_of_file(file.get(), path);
  // Two lines nearly always; a file system's zeros after a crash of the machine may be more.
  for (uint64_t reach : {2 * kAuditLineBytesMax, kTornBytesMax + 2 * kAuditLineBytesMax}) {
    uint64_t from = size - std::min<uint64_t>(size, reach);
    std::string bytes = read_range(file.get(), from, size, path);
    size_t end = bytes.rfind('\n');
    if (end == std::string::npos) continue;
    size_t before = end == 0 ? std::string::npos : bytes.rfind('\n', end - 1);
    if (before == std::string::npos && from != 0) continue;
    size_t start = before == std::string::npos ? 0 : before + 1;
    AuditTail tail;
    try {
      tail.last = read_audit_line(std::string_view(bytes).substr(start, end - start));
    } catch (const Error& error) {
      throw damaged(path, "last line", error.what());
    }
    tail.whole_bytes = from + end + 1;
    tail.torn = bytes.substr(end + 1);
    if (tail.torn.size() <= kTornBytesMax) return tail;
  }
  throw damaged(path, "end", "there is no line where the last one should be");
}

AuditEnd find_audit_end(const std::string& folder) {
  std::unique_ptr<FileLock> lock = lock_for_reading(folder, kAuditLockMax);
  AuditEnd end;
  end.files = scan_audit_folder(folder);
  if (!end.files.segments.empty()) {
    std::string path = path_in(folder, end.files.segments.back());
    end.last_bytes = size_of_file(open_segment(path).get(), path);
  }
  return end;
}

AuditHead read_audit_head(const std::string& folder, std::chrono::milliseconds lock_wait_max) {
  std::unique_ptr<FileLock> lock = lock_for_reading(folder, lock_wait_max);
  std::vector<uint64_t> segments = scan_audit_folder(folder).segments;
  if (segments.empty())
    throw Error(ErrorCode::not_found, fmt::format("there is no audit log in {}", folder),
                "name its folder; the first operation that is recorded makes it");
  AuditRecord last = read_audit_tail(folder, segments.back()).last;
  std::string log = read_audit_opening(folder, segments.back()).log;
  return {log, last.seq, last.hash, last.time};
}

AuditLineReader::AuditLineReader(const std::string& path, uint64_t end)
    : path_(path), file_(open_segment(path)), end_(end) {}

bool AuditLineReader::fill() {
  uint64_t until = std::min<uint64_t>(end_, read_ + kForwardBlockBytes);
  std::string more = read_range(file_.get(), read_, until, path_);
  read_ += more.size();
  buffer_ += more;
  return !more.empty();
}

bool AuditLineReader::next() {
  offset_ = next_offset_;
  line_.clear();
  size_t at = next_offset_ - (read_ - buffer_.size());  // of the line in the buffer
  size_t searched = at;
  while (true) {
    size_t end = buffer_.find('\n', searched);
    finished_ = end != std::string::npos;
    size_t until = finished_ ? end : buffer_.size();
    line_.append(buffer_, searched,
                 std::min(until - searched,
                          kAuditLineBytesMax - std::min(line_.size(), kAuditLineBytesMax)));
    next_offset_ += until - searched + (finished_ ? 1 : 0);
    if (finished_) break;
    buffer_.clear();
    searched = 0;
    if (!fill()) break;
  }
  if (!finished_ && next_offset_ == offset_) return false;
  ++number_;
  return true;
}

AuditBackwardReader::AuditBackwardReader(const std::string& path, uint64_t end)
    : path_(path), file_(open_segment(path)) {
  start_ = block_at_ = std::min(end, size_of_file(file_.get(), path));
}

bool AuditBackwardReader::next() {
  if (start_ == 0) return false;
  // The byte before start_ is the line break of the line that is looked for, unless it was torn.
  while (true) {
    size_t have = static_cast<size_t>(start_ - block_at_);
    size_t last = have > 0 && block_[have - 1] == '\n' ? have - 1 : have;
    size_t before = last == 0 ? std::string::npos : block_.rfind('\n', last - 1);
    bool too_long = have > 2 * kAuditLineBytesMax;
    if (have > 0 && (before != std::string::npos || block_at_ == 0 || too_long)) {
      size_t from = before == std::string::npos ? 0 : before + 1;
      line_ = block_.substr(from, last - from);
      start_ = block_at_ + from;
      block_.resize(from);
      return true;
    }
    uint64_t from = block_at_ - std::min<uint64_t>(block_at_, kBackwardBlockBytes);
    std::string more = read_range(file_.get(), from, block_at_, path_);
    if (more.size() != block_at_ - from)
      throw Error(ErrorCode::busy, path_ + " became shorter while it was read", "try again");
    block_.insert(0, more);
    block_at_ = from;
  }
}

}  // namespace holdfast
