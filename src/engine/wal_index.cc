#include "engine/wal_index.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "seal/crc32c.h"

namespace holdfast {
namespace {

constexpr std::string_view kMagic = "HFWALIDX";
constexpr uint64_t kIndexFileBytesMax = uint64_t{4} << 30;
constexpr size_t kBlockEntries = 4096;

uint8_t* data_of(std::string& text) {
  return reinterpret_cast<uint8_t*>(text.data());
}

void seal(std::string& text) {
  size_t body = text.size() - 4;
  store_le32(data_of(text) + body, crc32c(as_bytes(text).first(body)));
}

bool sealed(ByteView bytes) {
  size_t body = bytes.size() - 4;
  return crc32c(bytes.first(body)) == load_le32(bytes.data() + body);
}

// Writes fields one behind the other.
class FieldWriter {
 public:
  explicit FieldWriter(size_t bytes) : text_(bytes, '\0') {}
  void u16(uint16_t value) { store_le16(next(2), value); }
  void u32(uint32_t value) { store_le32(next(4), value); }
  void i32(int32_t value) { u32(static_cast<uint32_t>(value)); }
  void u64(uint64_t value) { store_le64(next(8), value); }
  void i64(int64_t value) { u64(static_cast<uint64_t>(value)); }
  void lsn(Lsn value) { u64(value.value); }
  void time(WalTime value) { i64(value.time_since_epoch().count()); }
  void text(std::string_view value) { std::memcpy(next(value.size()), value.data(), value.size()); }
  std::string finish() {
    seal(text_);
    return std::move(text_);
  }

 private:
  uint8_t* next(size_t count) {
    at_ += count;
    return data_of(text_) + at_ - count;
  }
  std::string text_;
  size_t at_ = 0;
};

class FieldReader {
 public:
  explicit FieldReader(ByteView bytes) : bytes_(bytes) {}
  uint16_t u16() { return load_le16(next(2)); }
  uint32_t u32() { return load_le32(next(4)); }
  int32_t i32() { return static_cast<int32_t>(u32()); }
  uint64_t u64() { return load_le64(next(8)); }
  int64_t i64() { return static_cast<int64_t>(u64()); }
  Lsn lsn() { return {u64()}; }
  WalTime time() { return WalTime(std::chrono::microseconds(i64())); }
  std::string_view text(size_t count) { return as_text({next(count), count}); }

 private:
  const uint8_t* next(size_t count) {
    at_ += count;
    return bytes_.data() + at_ - count;
  }
  ByteView bytes_;
  size_t at_ = 0;
};

bool plausible(const WalIndexEntry& entry, uint32_t segment_bytes) {
  if (entry.segment >= ~uint64_t{0} / segment_bytes - 1) return false;
  uint64_t begin = entry.segment * segment_bytes, end = begin + segment_bytes;
  auto inside = [&](Lsn lsn) { return lsn.value >= begin && lsn.value < end; };
  if (entry.next_record.value < end) return false;
  if (entry.first_record.value == 0) return entry.records == 0 && entry.commits == 0;
  return inside(entry.first_record) && inside(entry.last_record) &&
         entry.first_record <= entry.last_record && entry.first_prev < entry.first_record &&
         entry.last_record < entry.last_end && entry.last_end <= entry.next_record &&
         entry.commits <= entry.records &&
         (entry.commits == 0) == (entry.last_commit_record.value == 0);
}

}  // namespace

void WalIndexEntry::add(const WalRecord& record, Lsn next, int major) {
  WalEvent event = decode_wal_record(record, major);
  if (first_record.value == 0) {
    first_record = record.start;
    first_prev = record.prev;
  }
  last_record = record.start;
  last_end = record.end;
  next_record = next;
  ++records;
  if (auto* end = std::get_if<WalTransactionEnd>(&event); end != nullptr && end->committed) {
    if (commits++ == 0) first_commit = least_commit = greatest_commit = end->time;
    last_commit = end->time;
    last_commit_record = record.start;
    least_commit = std::min(least_commit, end->time);
    greatest_commit = std::max(greatest_commit, end->time);
  } else if (auto* set = std::get_if<WalParameters>(&event)) {
    flags |= kParameters;
    if (set->wal_level == WalLevel::minimal) flags |= kMinimalLevel;
    max_connections = std::max(max_connections, set->max_connections);
    max_worker_processes = std::max(max_worker_processes, set->max_worker_processes);
    max_wal_senders = std::max(max_wal_senders, set->max_wal_senders);
    max_prepared_transactions = std::max(max_prepared_transactions, set->max_prepared_transactions);
    max_locks_per_transaction = std::max(max_locks_per_transaction, set->max_locks_per_transaction);
  } else if (std::holds_alternative<WalTablespaceCreated>(event)) {
    flags |= kTablespaces;
  }
}

std::string write_wal_index_header(const WalIndexHeader& header) {
  FieldWriter out(kWalIndexHeaderBytes);
  out.text(kMagic);
  out.u32(kWalIndexVersion);
  out.u32(kWalIndexEntryBytes);
  out.u32(header.timeline);
  out.u32(header.segment_bytes);
  out.u64(header.system_identifier);
  return out.finish();
}

std::optional<WalIndexHeader> read_wal_index_header(ByteView bytes) {
  if (bytes.size() != kWalIndexHeaderBytes || !sealed(bytes)) return std::nullopt;
  FieldReader in(bytes);
  if (in.text(kMagic.size()) != kMagic || in.u32() != kWalIndexVersion ||
      in.u32() != kWalIndexEntryBytes)
    return std::nullopt;
  WalIndexHeader header;
  header.timeline = in.u32();
  header.segment_bytes = in.u32();
  header.system_identifier = in.u64();
  return header;
}

std::string write_wal_index_entry(const WalIndexEntry& entry) {
  FieldWriter out(kWalIndexEntryBytes);
  out.u64(entry.segment);
  out.i64(entry.file_time);
  for (Lsn lsn : {entry.first_record, entry.first_prev, entry.last_record, entry.last_end,
                  entry.next_record, entry.last_commit_record})
    out.lsn(lsn);
  for (WalTime time :
       {entry.first_commit, entry.last_commit, entry.least_commit, entry.greatest_commit})
    out.time(time);
  out.u64(entry.commits);
  out.u64(entry.records);
  out.u32(entry.flags);
  for (int32_t value : {entry.max_connections, entry.max_worker_processes, entry.max_wal_senders,
                        entry.max_prepared_transactions, entry.max_locks_per_transaction})
    out.i32(value);
  out.u16(entry.magic);
  return out.finish();
}

std::optional<WalIndexEntry> read_wal_index_entry(ByteView bytes, uint32_t segment_bytes) {
  if (bytes.size() != kWalIndexEntryBytes || !sealed(bytes)) return std::nullopt;
  FieldReader in(bytes);
  WalIndexEntry entry;
  entry.segment = in.u64();
  entry.file_time = in.i64();
  for (Lsn* lsn : {&entry.first_record, &entry.first_prev, &entry.last_record, &entry.last_end,
                   &entry.next_record, &entry.last_commit_record})
    *lsn = in.lsn();
  for (WalTime* time :
       {&entry.first_commit, &entry.last_commit, &entry.least_commit, &entry.greatest_commit})
    *time = in.time();
  entry.commits = in.u64();
  entry.records = in.u64();
  entry.flags = in.u32();
  for (int32_t* value :
       {&entry.max_connections, &entry.max_worker_processes, &entry.max_wal_senders,
        &entry.max_prepared_transactions, &entry.max_locks_per_transaction})
    *value = in.i32();
  entry.magic = in.u16();
  if (!plausible(entry, segment_bytes)) return std::nullopt;
  return entry;
}

std::vector<WalIndexEntry> WalIndexFile::load(const WalIndexHeader& header) {
  fits_ = false;
  std::vector<WalIndexEntry> entries;
  if (path_.empty() || !file_exists(path_)) return entries;
  Fd file = open_file(path_, O_RDONLY);
  std::vector<uint8_t> block(kBlockEntries * kWalIndexEntryBytes);
  size_t count = pread_all(file.get(), block.data(), kWalIndexHeaderBytes, 0, path_);
  auto found = read_wal_index_header({block.data(), count});
  if (!found || *found != header) return entries;
  fits_ = true;
  for (uint64_t at = kWalIndexHeaderBytes; at < kIndexFileBytesMax; at += block.size()) {
    count = pread_all(file.get(), block.data(), block.size(), at, path_);
    for (size_t i = 0; i + kWalIndexEntryBytes <= count; i += kWalIndexEntryBytes)
      if (auto entry =
              read_wal_index_entry({block.data() + i, kWalIndexEntryBytes}, header.segment_bytes))
        entries.push_back(*entry);
    if (count < block.size()) break;
  }
  return entries;
}

void WalIndexFile::append(const WalIndexHeader& header, const std::vector<WalIndexEntry>& entries) {
  if (path_.empty() || entries.empty()) return;
  if (!fits_) return replace(header, entries);
  Fd file = open_file(path_, O_WRONLY);
  struct stat status {};
  if (fstat(file.get(), &status) != 0) throw system_error(path_, errno);
  // What a crash left of an entry is written over.
  uint64_t size = std::max<uint64_t>(static_cast<uint64_t>(status.st_size), kWalIndexHeaderBytes);
  uint64_t at = size - (size - kWalIndexHeaderBytes) % kWalIndexEntryBytes;
  if (lseek(file.get(), static_cast<off_t>(at), SEEK_SET) < 0) throw system_error(path_, errno);
  std::string text;
  for (const WalIndexEntry& entry : entries) text += write_wal_index_entry(entry);
  write_all(file.get(), as_bytes(text), path_);
}

void WalIndexFile::replace(const WalIndexHeader& header,
                           const std::vector<WalIndexEntry>& entries) {
  if (path_.empty()) return;
  std::string text = write_wal_index_header(header);
  for (const WalIndexEntry& entry : entries) text += write_wal_index_entry(entry);
  write_file_atomic(path_, text);
  fits_ = true;
}

}  // namespace holdfast
