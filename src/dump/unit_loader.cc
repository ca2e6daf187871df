#include "dump/unit_loader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "dump/verify_deep.h"

namespace holdfast {
namespace {

// Text gathered before it is sent: large writes, still within the second-level cache.
constexpr size_t kSendBytes = 128 << 10;
// A longer line is sent as text, in parts.
constexpr size_t kLineBytesMax = 1 << 20;
constexpr size_t kObjectPartBytes = 256 << 10;  // of a large object per call
constexpr int kObjectsPerTransaction = 500;

// Whether each of these types, which are not built in, is its text in binary form too: enums,
// citext and the like. The functions say so, which only a superuser could have made.
bool binary_is_text(Connection& connection, const std::set<uint32_t>& type_oids) {
  QueryResult found = connection.query(fmt::format(
      "SELECT 1 FROM pg_catalog.pg_type t"
      " JOIN pg_catalog.pg_proc i ON i.oid = t.typinput AND i.prolang = 12"  // language internal
      " JOIN pg_catalog.pg_proc r ON r.oid = t.typreceive AND r.prolang = 12"
      " WHERE (i.prosrc, r.prosrc) IN (('enum_in', 'enum_recv'), ('textin', 'textrecv'))"
      " AND t.oid IN ({})",
      fmt::join(type_oids, ", ")));
  return static_cast<size_t>(found.rows()) == type_oids.size();
}

// Binary rows for the columns of `found`, if every one of them has a type for it.
std::optional<BinaryRows> binary_rows_for(Connection& connection, const QueryResult& found) {
  std::vector<BinaryColumn> columns;
  std::set<uint32_t> others;
  for (int i = 0; i < found.columns(); ++i) {
    std::optional<BinaryColumn> column = binary_column_of(found.column_type(i));
    if (!column) others.insert(found.column_type(i));
    columns.push_back(column.value_or(BinaryColumn{BinaryType::text}));
  }
  if (!others.empty() && !binary_is_text(connection, others)) return std::nullopt;
  return BinaryRows(std::move(columns));
}

SendPlan send_plan(Connection& connection, CopyTarget target) {
  SendPlan plan;
  QueryResult table = connection.query(
      "SELECT c.oid, c.relkind = 'r' AND coalesce(a.amname, '') = 'heap'"
      " AND pg_catalog.has_table_privilege(c.oid, 'TRUNCATE')"
      " FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam"
      " WHERE c.oid = $1::pg_catalog.regclass",
      {target.table});
  if (table.rows() == 1) plan.table_oid = table.text(0, 0);
  if (!target.columns.empty()) {
    QueryResult found = connection.query(
        fmt::format("SELECT {} FROM ONLY {} LIMIT 1",
                    target.columns.substr(1, target.columns.size() - 2), target.table));
    plan.binary = binary_rows_for(connection, found);
    // Rows that are there already, of an extension's own table for example, are nobody's to remove.
    plan.can_be_made_anew = found.rows() == 0 && table.rows() == 1 && table.boolean(0, 1);
  }
  plan.target = std::move(target);
  return plan;
}

}  // namespace

std::map<int, SendPlan> send_plans(const ArchiveToc& toc, const std::set<int>& wanted,
                                   Connection& connection) {
  std::map<int, SendPlan> plans;
  for (const TocEntry& entry : toc.entries) {
    if (entry.desc != "TABLE DATA" || !entry.had_dumper || wanted.count(entry.dump_id) == 0)
      continue;
    plans.emplace(entry.dump_id, send_plan(connection, parse_copy_statement(entry.copy_stmt)));
  }
  return plans;
}

// Gathers text and sends it in large writes, as binary rows as long as they convert, then as text.
class CopySender {
 public:
  CopySender(Connection& connection, const SendPlan& plan, bool freeze, ProgressCounters& counters)
      : connection_(connection),
        plan_(plan),
        freeze_(freeze),
        counters_(counters),
        binary_(plan.binary.has_value()),
        copy_(std::in_place, connection, sql()) {
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
  std::string sql() const {
    return fmt::format("COPY {} {} FROM STDIN (FORMAT {}, FREEZE {})", plan_.target.table,
                       plan_.target.columns, binary_ ? "binary" : "text", freeze_);
  }
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
    binary_ = false;
    copy_.emplace(connection_, sql());
  }

  Connection& connection_;
  const SendPlan& plan_;
  const bool freeze_;
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

UnitLoader::UnitLoader(const Manifest& manifest, const std::map<int, SendPlan>& plans,
                       bool create_objects, Connection& connection, const Run& run)
    : manifest_(manifest),
      plans_(plans),
      create_objects_(create_objects),
      connection_(connection),
      counters_(run.progress.counters()),
      decoder_(manifest.codec) {}

UnitLoader::~UnitLoader() = default;

void UnitLoader::begin(const LoadUnit& unit) {
  unit_ = &unit;
  hash_.reset();
  if (unit.objects != nullptr) return begin_objects(*unit.objects);
  begin_piece(unit.table->pieces[unit.piece]);
  PieceRole role;
  role.dump_id = unit.table->dump_id;
  role.first = unit.piece == 0;
  role.last = unit.piece + 1 == unit.table->pieces.size();
  decoder_.begin(role, [&](ByteView text) {
    if (sender_) sender_->write(text);
  });
}

void UnitLoader::begin_piece(const Piece& piece) {
  const SendPlan& plan = plans_.at(unit_->table->dump_id);
  sender_.reset();
  if (unit_->whole_table && unit_->piece == 0) begin_whole_table(plan);
  if (piece.sum.rows > 0)
    sender_ =
        std::make_unique<CopySender>(connection_, plan, unit_->whole_table && anew_, counters_);
}

// That the server refuses it (a foreign key between an extension's tables, an extension that has
// its own kind of tables) is no reason not to load.
void UnitLoader::begin_whole_table(const SendPlan& plan) {
  connection_.execute("BEGIN");
  anew_ = unit_->table->sum.rows > 0;
  if (!anew_) return;
  try {
    connection_.execute("TRUNCATE ONLY " + plan.target.table);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    connection_.execute("ROLLBACK");
    connection_.execute("BEGIN");
    anew_ = false;
  }
}

void UnitLoader::add(ByteView part) {
  hash_.add(part);
  if (unit_->objects != nullptr)
    objects_->add(part);
  else
    decoder_.add(part);
}

void UnitLoader::end() {
  if (unit_->objects != nullptr) return end_objects(*unit_->objects);
  end_piece();
  if (unit_->piece + 1 < unit_->table->pieces.size()) return;
  if (unit_->whole_table) connection_.execute("COMMIT");
  ++counters_.tables;
}

void UnitLoader::end_piece() {
  const Piece& piece = unit_->table->pieces[unit_->piece];
  decoder_.end();
  if (hash_.hex() != piece.stored_xxh3)
    throw Error(ErrorCode::corrupt, "the stored bytes are not those that were written");
  if (!(decoder_.sum() == piece.sum))
    throw Error(ErrorCode::corrupt, "the rows are not those that were dumped");
  if (!sender_) return;
  uint64_t rows = sender_->finish();
  sender_.reset();
  if (rows != piece.sum.rows)
    throw Error(ErrorCode::corrupt,
                fmt::format("the server took {} rows of {}", rows, piece.sum.rows));
  counters_.rows += rows;
}

void UnitLoader::begin_objects(const LargeObjectRecord& record) {
  if (!objects_) objects_.emplace(manifest_.codec);
  loader_ = std::make_unique<LargeObjectLoader>(connection_, create_objects_);
  objects_->begin(record.dump_id, loader_.get());
}

void UnitLoader::end_objects(const LargeObjectRecord& record) {
  objects_->end();
  if (hash_.hex() != record.stored_xxh3 || !(objects_->sum() == record.sum))
    throw Error(ErrorCode::corrupt, "the large objects are not those that were dumped");
  loader_->commit();
  counters_.bytes += record.content_bytes;
}

Stretch stretch_of(const LoadUnit& unit) {
  if (unit.objects != nullptr)
    return {unit.objects->offset, unit.objects->bytes, unit.objects->stored_xxh3};
  const Piece& piece = unit.table->pieces[unit.piece];
  return {piece.offset, piece.bytes, piece.stored_xxh3};
}

std::string place_of(const LoadUnit& unit, const Manifest& manifest) {
  Stretch stretch = stretch_of(unit);
  return archive_place(manifest.archive_label(), stretch.offset, stretch.offset + stretch.bytes,
                       unit.objects != nullptr
                           ? "large objects"
                           : fmt::format("table {}, piece {} of {}", unit.table->name,
                                         unit.piece + 1, unit.table->pieces.size()));
}

void explain_load(const Error& error, const LoadUnit& unit, const std::string& stored) {
  if (stored != stretch_of(unit).stored_xxh3)
    throw Error(ErrorCode::corrupt, "the stored bytes are not those that were written",
                "restore another backup; holdfast verify --level deep shows all that is damaged");
  throw error;
}

}  // namespace holdfast
