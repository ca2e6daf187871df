#include "dump/restore_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "base/text.h"
#include "base/workers.h"
#include "dump/archive_blocks.h"
#include "dump/verify_deep.h"
#include "pg/binary_rows.h"
#include "pg/copy_stream.h"

namespace holdfast {
namespace {

constexpr size_t kReadBytes = 256 << 10;
// Text gathered before it is sent: large writes, still within the second-level cache.
constexpr size_t kSendBytes = 128 << 10;
// A longer line is sent as text, in parts.
constexpr size_t kLineBytesMax = 1 << 20;
constexpr size_t kObjectPartBytes = 256 << 10;  // of a large object per call
constexpr int kObjectsPerTransaction = 500;

// A piece of a table, or a block of large objects.
struct LoadUnit {
  const TableRecord* table = nullptr;
  size_t piece = 0;
  const LargeObjectRecord* objects = nullptr;
};

std::vector<LoadUnit> load_units(const Manifest& manifest, const std::set<int>& wanted) {
  std::vector<LoadUnit> units;
  for (const LargeObjectRecord& record : manifest.large_objects)
    if (wanted.count(record.dump_id) > 0) units.push_back({nullptr, 0, &record});
  for (const TableRecord& table : manifest.tables)
    if (wanted.count(table.dump_id) > 0)
      for (size_t i = 0; i < table.pieces.size(); ++i) units.push_back({&table, i, nullptr});
  return units;
}

// Hands out units. Every connection stays with a table as long as it can, because two COPYs into
// one table wait for each other whenever it grows; a table is shared when there is no other left,
// the one with the most left per connection first.
class LoadQueue {
 public:
  explicit LoadQueue(const std::vector<LoadUnit>& units) : units_(units) {
    for (size_t i = 0; i < units.size(); ++i) {
      if (i == 0 || units[i].table == nullptr || units[i].table != units[i - 1].table)
        stretches_.push_back({i, i, 0, 0});
      stretches_.back().end = i + 1;
      stretches_.back().bytes_left += bytes_of(units[i]);
    }
  }

  // The next unit for a connection whose last stretch was `stretch` (kNone at first).
  static constexpr size_t kNone = SIZE_MAX;
  std::optional<size_t> next(size_t& stretch) {
    std::lock_guard lock(mutex_);
    if (stretch != kNone && stretches_[stretch].begin == stretches_[stretch].end) {
      --stretches_[stretch].connections;
      stretch = kNone;
    }
    if (stretch == kNone) {
      stretch = fullest();
      if (stretch == kNone) return std::nullopt;
      ++stretches_[stretch].connections;
    }
    size_t unit = stretches_[stretch].begin++;
    stretches_[stretch].bytes_left -= bytes_of(units_[unit]);
    return unit;
  }

 private:
  struct Stretch {
    size_t begin = 0, end = 0;  // units that are left
    uint64_t bytes_left = 0;
    uint64_t connections = 0;
  };
  static uint64_t bytes_of(const LoadUnit& unit) {
    // Large objects cannot be shared out, so they start first.
    return unit.objects != nullptr ? UINT64_MAX : unit.table->pieces[unit.piece].text_bytes;
  }
  size_t fullest() const {
    size_t best = kNone;
    auto share = [&](size_t i) {
      return stretches_[i].bytes_left / (stretches_[i].connections + 1);
    };
    for (size_t i = 0; i < stretches_.size(); ++i)
      if (stretches_[i].begin < stretches_[i].end && (best == kNone || share(i) > share(best)))
        best = i;
    return best;
  }

  const std::vector<LoadUnit>& units_;
  std::mutex mutex_;
  std::vector<Stretch> stretches_;  // guarded by mutex_
};

// How a table's rows are sent: its COPY as text, and, if all its columns have a type that is
// converted here (pg/binary_rows.h), as binary, which spares the server the parsing.
struct SendPlan {
  std::string text_sql;
  std::optional<BinaryRows> binary;
};

// Binary rows for the columns of `target`, if every one of them has a type for it.
std::optional<BinaryRows> binary_rows_for(Connection& connection, const CopyTarget& target) {
  if (target.columns.empty()) return std::nullopt;
  QueryResult found = connection.query(
      fmt::format("SELECT {} FROM ONLY {} LIMIT 0",
                  target.columns.substr(1, target.columns.size() - 2), target.table));
  std::vector<BinaryType> types;
  for (int column = 0; column < found.columns(); ++column) {
    std::optional<BinaryType> type = binary_type_of(found.column_type(column));
    if (!type) return std::nullopt;
    types.push_back(*type);
  }
  return BinaryRows(std::move(types));
}

// By the dump id of the TABLE DATA entry.
std::map<int, SendPlan> send_plans(const ArchiveToc& toc, const std::set<int>& wanted,
                                   Connection& connection) {
  std::map<int, SendPlan> plans;
  for (const TocEntry& entry : toc.entries) {
    if (entry.desc != "TABLE DATA" || !entry.had_dumper || wanted.count(entry.dump_id) == 0)
      continue;
    CopyTarget target = parse_copy_statement(entry.copy_stmt);
    plans[entry.dump_id] = {fmt::format("COPY {} {} FROM STDIN", target.table, target.columns),
                            binary_rows_for(connection, target)};
  }
  return plans;
}

// Gathers text and sends it in large writes, as binary rows as long as they convert, then as text.
class CopySender {
 public:
  CopySender(Connection& connection, const SendPlan& plan, ProgressCounters& counters)
      : connection_(connection),
        plan_(plan),
        counters_(counters),
        binary_(plan.binary.has_value()),
        copy_(std::in_place, connection, plan.text_sql + (binary_ ? " (FORMAT binary)" : "")) {
    buffer_.reserve(kSendBytes);
    if (binary_) copy_->write(as_bytes(binary_header()));
  }
  void write(ByteView text) {
    counters_.bytes += text.size();
    if (buffer_.size() + text.size() > kSendBytes) flush();
    if (!binary_ && text.size() >= kSendBytes)
      copy_->write(text);
    else
      buffer_.insert(buffer_.end(), text.begin(), text.end());
  }
  // Ends the COPY; the number of rows that the server counted.
  uint64_t finish() {
    flush();
    if (binary_ && !buffer_.empty()) go_on_as_text();  // the rest of a line: the server's to refuse
    flush();
    if (binary_) copy_->write(as_bytes(binary_trailer()));
    rows_ += copy_->finish();
    return rows_;
  }

 private:
  void flush() {
    if (buffer_.empty()) return;
    if (binary_ && send_lines_as_binary()) return;
    if (binary_) go_on_as_text();
    copy_->write(buffer_);
    buffer_.clear();
  }
  // Sends the whole lines in the buffer. False if they do not convert, or if a line does not fit.
  bool send_lines_as_binary() {
    auto newline = std::find(buffer_.rbegin(), buffer_.rend(), uint8_t{'\n'});
    auto lines = static_cast<size_t>(buffer_.rend() - newline);
    if (lines == 0) return buffer_.size() < kLineBytesMax;
    rows_out_.clear();
    if (!plan_.binary->append(ByteView(buffer_.data(), lines), rows_out_)) return false;
    copy_->write(as_bytes(rows_out_));
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<ptrdiff_t>(lines));
    return true;
  }
  void go_on_as_text() {
    copy_->write(as_bytes(binary_trailer()));
    rows_ += copy_->finish();
    copy_.emplace(connection_, plan_.text_sql);
    binary_ = false;
  }

  Connection& connection_;
  const SendPlan& plan_;
  ProgressCounters& counters_;
  bool binary_;
  std::optional<CopyIn> copy_;
  std::vector<uint8_t> buffer_;
  std::string rows_out_;
  uint64_t rows_ = 0;
};

// Puts large objects into the database; a transaction per kObjectsPerTransaction of them.
class LargeObjectLoader final : public LargeObjectSink {
 public:
  LargeObjectLoader(Connection& connection, bool create)
      : connection_(connection), create_(create) {}

  void object_begin(uint32_t oid) override {
    if (in_transaction_ == 0) connection_.execute("BEGIN");
    ++in_transaction_;
    oid_ = oid;
    offset_ = 0;
    buffer_.clear();
    if (create_) connection_.query(fmt::format("SELECT pg_catalog.lo_create({})", oid));
  }
  void content(ByteView part) override {
    while (!part.empty()) {
      size_t take = std::min(part.size(), kObjectPartBytes - buffer_.size());
      buffer_.insert(buffer_.end(), part.begin(), part.begin() + static_cast<ptrdiff_t>(take));
      part = part.subspan(take);
      if (buffer_.size() == kObjectPartBytes) put();
    }
  }
  void object_end() override {
    if (!buffer_.empty()) put();
    if (in_transaction_ >= kObjectsPerTransaction) commit();
  }
  void commit() {
    if (in_transaction_ > 0) connection_.execute("COMMIT");
    in_transaction_ = 0;
  }

 private:
  void put() {
    std::string id = std::to_string(oid_), offset = std::to_string(offset_);
    const char* values[] = {id.c_str(), offset.c_str(),
                            reinterpret_cast<const char*>(buffer_.data())};
    const int lengths[] = {0, 0, static_cast<int>(buffer_.size())};
    const int formats[] = {0, 0, 1};
    constexpr Oid kByteaOid = 17;
    const Oid types[] = {0, 0, kByteaOid};
    std::unique_ptr<PGresult, void (*)(PGresult*)> result(
        PQexecParams(connection_.raw(), "SELECT pg_catalog.lo_put($1::oid, $2::bigint, $3)", 3,
                     types, values, lengths, formats, 0),
        PQclear);
    if (PQresultStatus(result.get()) != PGRES_TUPLES_OK)
      throw connection_.error(fmt::format("write large object {}", oid_));
    offset_ += buffer_.size();
    buffer_.clear();
  }

  Connection& connection_;
  const bool create_;
  uint32_t oid_ = 0;
  uint64_t offset_ = 0;
  int in_transaction_ = 0;
  std::vector<uint8_t> buffer_;
};

// One connection's part of the work.
class Loader {
 public:
  Loader(ObjectReader& archive, const Manifest& manifest, const std::map<int, SendPlan>& plans,
         bool create_objects, Connection& connection, const WorkerScope& scope, const Run& run)
      : archive_(archive),
        manifest_(manifest),
        plans_(plans),
        create_objects_(create_objects),
        connection_(connection),
        scope_(scope),
        counters_(run.progress.counters()),
        decoder_(manifest.codec),
        buffer_(kReadBytes) {}

  void load(const LoadUnit& unit) {
    if (unit.objects != nullptr) return load_objects(*unit.objects);
    const Piece& piece = unit.table->pieces[unit.piece];
    std::string place =
        archive_place(manifest_.archive_object, piece.offset, piece.offset + piece.bytes,
                      fmt::format("table {}, piece {} of {}", unit.table->name, unit.piece + 1,
                                  unit.table->pieces.size()));
    with_context(place, [&] {
      try {
        load_piece(*unit.table, unit.piece);
      } catch (const Error& error) {
        explain(error, piece.offset, piece.bytes, piece.stored_xxh3);
      }
    });
    if (unit.piece + 1 == unit.table->pieces.size()) ++counters_.tables;
  }

 private:
  void load_piece(const TableRecord& table, size_t index) {
    const Piece& piece = table.pieces[index];
    std::optional<CopySender> sender;
    if (piece.sum.rows > 0) sender.emplace(connection_, plans_.at(table.dump_id), counters_);
    PieceRole role;
    role.dump_id = table.dump_id;
    role.first = index == 0;
    role.last = index + 1 == table.pieces.size();
    decoder_.begin(role, [&](ByteView text) {
      if (sender) sender->write(text);
    });
    std::string stored =
        read(piece.offset, piece.bytes, [&](ByteView part) { decoder_.add(part); });
    decoder_.end();
    if (stored != piece.stored_xxh3)
      throw Error(ErrorCode::corrupt, "the stored bytes are not those that were written");
    if (!(decoder_.sum() == piece.sum))
      throw Error(ErrorCode::corrupt, "the rows are not those that were dumped");
    if (!sender) return;
    uint64_t rows = sender->finish();
    if (rows != piece.sum.rows)
      throw Error(ErrorCode::corrupt,
                  fmt::format("the server took {} rows of {}", rows, piece.sum.rows));
    counters_.rows += rows;
  }

  // Damaged bytes may fail first where they decode to nonsense, or in the server, which does not
  // take it: the cause is what the user needs to know.
  [[noreturn]] void explain(const Error& error, uint64_t offset, uint64_t bytes,
                            const std::string& stored_xxh3) {
    if (error.code() != ErrorCode::cancelled && read(offset, bytes, [](ByteView) {}) != stored_xxh3)
      throw Error(ErrorCode::corrupt, "the stored bytes are not those that were written",
                  "restore another backup; holdfast verify --level deep shows all that is damaged");
    throw error;
  }

  void load_objects(const LargeObjectRecord& record) {
    std::string place = archive_place(manifest_.archive_object, record.offset,
                                      record.offset + record.bytes, "large objects");
    with_context(place, [&] {
      try {
        load_object_block(record);
      } catch (const Error& error) {
        explain(error, record.offset, record.bytes, record.stored_xxh3);
      }
    });
  }

  void load_object_block(const LargeObjectRecord& record) {
    if (!objects_) objects_.emplace(manifest_.codec);
    LargeObjectLoader loader(connection_, create_objects_);
    objects_->begin(record.dump_id, &loader);
    std::string stored =
        read(record.offset, record.bytes, [&](ByteView part) { objects_->add(part); });
    objects_->end();
    if (stored != record.stored_xxh3 || !(objects_->sum() == record.sum))
      throw Error(ErrorCode::corrupt, "the large objects are not those that were dumped");
    loader.commit();
    counters_.bytes += record.content_bytes;
  }

  // Reads a stretch of the archive; its XXH3-128.
  template <typename Sink>
  std::string read(uint64_t offset, uint64_t bytes, Sink&& sink) {
    hash_.reset();
    while (bytes > 0) {
      if (scope_.stop().stop_requested()) throw Error(ErrorCode::cancelled, "interrupted");
      size_t wanted = static_cast<size_t>(std::min<uint64_t>(bytes, buffer_.size()));
      size_t got = archive_.read(offset, buffer_.data(), wanted);
      if (got == 0)
        throw Error(ErrorCode::corrupt, fmt::format("the archive ends at byte {}", offset));
      ByteView part(buffer_.data(), got);
      hash_.add(part);
      sink(part);
      offset += got;
      bytes -= got;
    }
    return hash_.hex();
  }

  ObjectReader& archive_;
  const Manifest& manifest_;
  const std::map<int, SendPlan>& plans_;
  const bool create_objects_;
  Connection& connection_;
  const WorkerScope& scope_;
  ProgressCounters& counters_;
  PieceDecoder decoder_;
  std::optional<LargeObjectDecoder> objects_;
  StoredHash hash_;
  std::vector<uint8_t> buffer_;
};

}  // namespace

std::string data_session_settings(int server_major, const std::string& encoding) {
  return dump_session_settings(server_major) + ";SET client_encoding = '" + encoding +
         "';SET synchronous_commit = off;SET check_function_bodies = off";
}

void load_data(ObjectStore& store, const Manifest& manifest, const ArchiveToc& toc,
               const Conninfo& target, const std::set<int>& wanted, int jobs, const Run& run) {
  std::vector<LoadUnit> units = load_units(manifest, wanted);
  std::map<int, SendPlan> plans;
  {
    Connection connection = Connection::open(target, "holdfast restore");
    connection.execute(data_session_settings(connection.server_major(), manifest.encoding));
    plans = send_plans(toc, wanted, connection);
  }
  ProgressCounters& counters = run.progress.counters();
  for (const LoadUnit& unit : units) {
    if (unit.table != nullptr && plans.count(unit.table->dump_id) == 0)
      throw Error(ErrorCode::corrupt,
                  fmt::format("the table of contents has no data entry for {}", unit.table->name));
    if (unit.table != nullptr && unit.piece == 0) ++counters.tables_total;
    counters.bytes_total += unit.table != nullptr ? unit.table->pieces[unit.piece].text_bytes
                                                  : unit.objects->content_bytes;
  }
  // Archives of pg_dump since 9.0 make their objects in pre-data, or by BLOB METADATA.
  bool create_objects = std::none_of(toc.entries.begin(), toc.entries.end(), [](const TocEntry& e) {
    return e.desc == "BLOB" || e.desc == "BLOB METADATA";
  });

  std::unique_ptr<ObjectReader> archive = store.open(manifest.archive_object);
  LoadQueue queue(units);
  int workers = static_cast<int>(
      std::min<size_t>(static_cast<size_t>(worker_count(jobs)), std::max<size_t>(1, units.size())));
  run_workers(
      workers, run,
      [&](WorkerScope& scope) {
        Connection connection = Connection::open(target, "holdfast restore worker");
        auto cancelling = scope.on_stop([&] { connection.cancel(); });
        connection.execute(data_session_settings(connection.server_major(), manifest.encoding));
        Loader loader(*archive, manifest, plans, create_objects, connection, scope, run);
        size_t stretch = LoadQueue::kNone;
        while (std::optional<size_t> unit = queue.next(stretch)) loader.load(units[*unit]);
      },
      [] {});
}

void analyze_database(const Conninfo& target, int jobs, const Run& run) {
  Connection control = Connection::open(target, "holdfast restore");
  QueryResult found = control.query(
      "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_class c"
      " JOIN pg_namespace n ON n.oid = c.relnamespace"
      " WHERE c.relkind IN ('r', 'm', 'p') AND n.nspname <> 'information_schema'"
      " AND n.nspname NOT LIKE 'pg\\_%'"
      " ORDER BY pg_relation_size(c.oid) DESC");
  std::atomic<int> next{0};
  run_workers(
      std::min(worker_count(jobs), std::max(1, found.rows())), run,
      [&](WorkerScope& scope) {
        Connection connection = Connection::open(target, "holdfast restore worker");
        auto cancelling = scope.on_stop([&] { connection.cancel(); });
        for (int row; (row = next++) < found.rows();)
          connection.execute("ANALYZE " + found.text(row, 0));
      },
      [] {});
}

}  // namespace holdfast
