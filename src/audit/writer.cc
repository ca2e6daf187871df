#include "audit/writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "audit/log_folder.h"
#include "base/error.h"
#include "seal/sha256.h"

namespace holdfast {
namespace {

constexpr uint64_t kPendingBytesMax = 8 << 20;  // a torn line of 1 MiB, and what crashes added

std::chrono::year_month month_in_utc(UtcTime time) {
  std::chrono::year_month_day date(std::chrono::floor<std::chrono::days>(time));
  return date.year() / date.month();
}

// The log while its lock is held. Its members say where it ends.
class LockedLog {
 public:
  LockedLog(const std::string& folder, const Clock& clock, const AuditWho& who)
      : folder_(folder), clock_(clock), who_(who), lock_(lock_audit_folder(folder)) {
    AuditFolder files = scan_audit_folder(folder);
    if (files.segments.empty()) {
      begin();
      return;
    }
    segment_ = files.segments.back();
    log_ = read_audit_opening(folder, segment_).log;
    AuditTail tail = read_audit_tail(folder, segment_);
    last_ = std::move(tail.last);
    bytes_ = tail.whole_bytes;
    if (!tail.torn.empty() && !complete(tail.torn)) set_aside(tail.torn, files);
    for (uint64_t seq : files.pending) record_pending(seq);
  }

  AuditHead append(const AuditEvent& event, uint64_t segment_bytes_max) {
    AuditRecord record = next_record(event);
    std::string line = write_audit_line(record) + "\n";
    bool new_month = month_in_utc(record.time) > month_in_utc(last_.time);
    if (new_month || bytes_ + line.size() > segment_bytes_max) {
      begin_segment();
      record = next_record(event);
      line = write_audit_line(record) + "\n";
    }
    add(line);
    last_ = record;
    return {log_, record.seq, record.hash, record.time};
  }

 private:
  AuditRecord next_record(AuditEvent event) const {
    AuditRecord record;
    record.seq = last_.seq + 1;
    record.time = clock_.now();
    record.event = std::move(event);
    record.prev = last_.seq == 0 ? audit_no_hash() : last_.hash;
    return record;
  }

  AuditEvent own_event(std::string_view action, std::map<std::string, std::string> detail) const {
    AuditEvent event;
    event.who = who_;
    event.action = action;
    event.detail = std::move(detail);
    return bounded_event(std::move(event));
  }

  std::string path() const { return folder_ + "/" + audit_segment_name(segment_); }

  void begin() {
    segment_ = 1;
    log_ = random_hex(16);
    open_with(own_event(kAuditBegin, {{"log", log_}}));
  }

  void begin_segment() {
    ++segment_;
    open_with(own_event(kAuditSegment, {{"log", log_}, {"segment", std::to_string(segment_)}}));
  }

  // A segment is there with its first line or not at all.
  void open_with(const AuditEvent& event) {
    AuditRecord record = next_record(event);
    std::string line = write_audit_line(record) + "\n";
    write_file_atomic(path(), line);
    last_ = record;
    bytes_ = line.size();
  }

  // Adds whole lines at the end. What could not be added is taken back.
  void add(const std::string& lines) {
    Fd file = open_file(path(), O_WRONLY | O_APPEND | O_NOFOLLOW);
    try {
      write_all(file.get(), as_bytes(lines), path());
      if (::fsync(file.get()) != 0) throw system_error("write " + path(), errno);
    } catch (const Error&) {
      // If this fails too, the next append finds a torn line, and says so.
      if (::ftruncate(file.get(), static_cast<off_t>(bytes_)) == 0) ::fsync(file.get());
      throw;
    }
    bytes_ += lines.size();
  }

  // Whether the torn line lacks but its line break; then it gets one.
  bool complete(const std::string& torn) {
    AuditRecord record;
    try {
      record = read_audit_line(torn);
    } catch (const Error&) {
      return false;
    }
    if (record.seq != last_.seq + 1 || record.prev != last_.hash) return false;
    uint64_t before = bytes_;
    bytes_ += torn.size();
    AuditRecord previous = std::exchange(last_, record);
    AuditRecord recovery =
        next_record(own_event(kAuditRecover, {{"completed", std::to_string(record.seq)}}));
    try {
      add("\n" + write_audit_line(recovery) + "\n");
    } catch (const Error&) {
      bytes_ = before;
      last_ = previous;
      throw;
    }
    last_ = recovery;
    return true;
  }

  // Moves a torn line to a file of its own, which record_pending then takes up.
  void set_aside(const std::string& torn, AuditFolder& files) {
    uint64_t seq = last_.seq + 1;
    std::string pending = folder_ + "/" + audit_pending_name(seq), content;
    bool again = std::find(files.pending.begin(), files.pending.end(), seq) != files.pending.end();
    if (again) content = read_file(pending, kPendingBytesMax);
    // A crash after the copy was made, before the line was cut off, leaves it in both places.
    if (!again || !content.ends_with(torn)) {
      content += (content.empty() ? "" : "\n") + torn;
      write_file_atomic(pending, content);
    }
    if (!again) files.pending.push_back(seq);
    Fd file = open_file(path(), O_WRONLY | O_NOFOLLOW);
    if (::ftruncate(file.get(), static_cast<off_t>(bytes_)) != 0 || ::fsync(file.get()) != 0)
      throw system_error("write " + path(), errno);
  }

  // Line `seq` is the record of torn-<seq>: it is written if the log does not reach so far.
  void record_pending(uint64_t seq) {
    std::string pending = folder_ + "/" + audit_pending_name(seq);
    if (last_.seq < seq) {
      std::string content = read_file(pending, kPendingBytesMax);
      AuditRecord record =
          next_record(own_event(kAuditRecover, {{"bytes", std::to_string(content.size())},
                                                {"sha256", sha256_hex(as_bytes(content))},
                                                {"file", audit_torn_name(seq)}}));
      add(write_audit_line(record) + "\n");
      last_ = record;
    }
    rename_folder(pending, folder_ + "/" + audit_torn_name(seq));
  }

  const std::string& folder_;
  const Clock& clock_;
  const AuditWho& who_;  // whose append this is: lines of the trail's own bear its name
  std::unique_ptr<FileLock> lock_;
  std::string log_;
  uint64_t segment_ = 0, bytes_ = 0;
  AuditRecord last_;
};

}  // namespace

AuditWriter::AuditWriter(std::string folder, const Clock& clock, AuditWriterOptions options)
    : folder_(std::move(folder)), clock_(clock), options_(options) {}

AuditHead AuditWriter::append(const AuditEvent& event) {
  AuditEvent bounded = bounded_event(event);
  if (is_audit_own(bounded.action))
    throw Error(ErrorCode::invalid,
                fmt::format("audit log: only the trail itself writes {}", bounded.action));
  return append_any(bounded);
}

AuditHead AuditWriter::append_removal(const AuditRemoval& removal, const AuditWho& who) {
  AuditEvent event;
  event.who = who;
  event.action = kAuditRetention;
  event.target = audit_segment_name(removal.segment);
  event.detail = {{"segment", std::to_string(removal.segment)},
                  {"first_seq", std::to_string(removal.first_seq)},
                  {"last_seq", std::to_string(removal.last_seq)},
                  {"last_hash", removal.last_hash},
                  {"last_time", format_rfc3339(removal.last_time)}};
  return append_any(bounded_event(std::move(event)));
}

AuditHead AuditWriter::append_any(const AuditEvent& event) {
  return with_context("audit log", [&] {
    make_folders(folder_);
    return LockedLog(folder_, clock_, event.who).append(event, options_.segment_bytes_max);
  });
}

}  // namespace holdfast
