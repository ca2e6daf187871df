#include "dump/manifest.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "dump/names.h"
#include "seal/document.h"
#include "seal/json_fields.h"
#include "store/object_store.h"

namespace holdfast {
namespace {

constexpr const char* kFormat = "holdfast-manifest";
constexpr uint64_t kVersion = 1;
constexpr std::string_view kSealKey = "manifest_sha256";
constexpr size_t kPieceMembers = 6;
// Written only where they say something: older manifests have none of them.
constexpr std::pair<const char*, std::string Manifest::*> kWhereGiven[] = {
    {"locale_provider", &Manifest::locale_provider},
    {"locale", &Manifest::locale},
    {"icu_rules", &Manifest::icu_rules},
    {"time_zone", &Manifest::time_zone}};

// --- writing ---

template <typename... Args>
void add(std::string& out, fmt::format_string<Args...> format, Args&&... args) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
}

// One record a line; `write(out, record)` writes it. An empty list is `[]`.
template <typename Records, typename Write>
void add_list(std::string& out, const char* name, const Records& records, Write&& write) {
  add(out, ",\n  \"{}\": [", name);
  bool first = true;
  for (const auto& record : records) {
    out += first ? "\n    " : ",\n    ";
    first = false;
    write(out, record);
  }
  out += first ? "]" : "\n  ]";
}

void write_table(std::string& out, const TableRecord& table) {
  add(out,
      R"({{"name": {}, "dump_id": {}, "rows": {}, "checksum": "{}", "text_bytes": {}, "pieces": [)",
      json_text(table.name), table.dump_id, table.sum.rows, table.sum.sum_hex(), table.text_bytes);
  bool first = true;
  for (const Piece& piece : table.pieces) {
    add(out, "{}\n      [{}, {}, {}, {}, \"{}\", \"{}\"]", first ? "" : ",", piece.offset,
        piece.bytes, piece.text_bytes, piece.sum.rows, piece.sum.sum_hex(), piece.stored_xxh3);
    first = false;
  }
  out += "\n    ]}";
}

void write_large_objects(std::string& out, const LargeObjectRecord& block) {
  add(out,
      R"({{"dump_id": {}, "offset": {}, "bytes": {}, "content_bytes": {}, "objects": {}, )"
      R"("checksum": "{}", "xxh3": "{}"}})",
      block.dump_id, block.offset, block.bytes, block.content_bytes, block.sum.rows,
      block.sum.sum_hex(), block.stored_xxh3);
}

std::string stored_object(const StoredObject& object) {
  return fmt::format(R"({{"bytes": {}, "sha256": "{}"}})", object.bytes, object.sha256);
}

void write_seal(std::string& out, const SealRecord& seal) {
  std::string recipients;
  for (const std::string& fingerprint : seal.recipients)
    recipients += (recipients.empty() ? "" : ", ") + json_text(fingerprint);
  add(out,
      ",\n  \"seal\": {{\"method\": \"{}\", \"recipients\": [{}], \"program\": {},\n    "
      "\"archive\": {}, \"globals\": {}}}",
      seal_method_name(seal.method), recipients, json_text(seal.program),
      stored_object(seal.archive), seal.globals ? stored_object(*seal.globals) : "null");
}

std::string document_body(const Manifest& m) {
  std::string out;
  add(out, "{{\n  \"format\": \"{}\",\n  \"version\": {}", kFormat, kVersion);
  auto text = [&](const char* name, const std::string& value) {
    add(out, ",\n  \"{}\": {}", name, json_text(value));
  };
  text("id", m.id);
  text("database", m.database);
  text("source", m.source);
  text("created_at", format_rfc3339(m.created_at));
  text("finished_at", format_rfc3339(m.finished_at));
  text("server", m.server);
  text("server_version", m.server_version);
  add(out, ",\n  \"server_major\": {}", m.server_major);
  text("system_identifier", m.system_identifier);
  text("lsn", m.lsn);
  text("holdfast_version", m.holdfast_version);
  text("pg_dump_version", m.pg_dump_version);
  add(out,
      ",\n  \"archive\": {{\"object\": {}, \"bytes\": {}, \"sha256\": \"{}\", \"version\": {}, "
      "\"codec\": \"{}\",\n    \"toc_bytes\": {}, \"toc_sha256\": \"{}\", \"toc_entries\": {}}}",
      json_text(m.archive_object), m.archive_bytes, m.archive_sha256, json_text(m.archive_version),
      codec_name(m.codec), m.toc_bytes, m.toc_sha256, m.toc_entries);
  if (m.globals_object)
    add(out, ",\n  \"globals\": {{\"object\": {}, \"bytes\": {}, \"sha256\": \"{}\"}}",
        json_text(*m.globals_object), m.globals_bytes, m.globals_sha256);
  else
    out += ",\n  \"globals\": null";
  if (m.seal) write_seal(out, *m.seal);
  text("encoding", m.encoding);
  text("collate", m.collate);
  text("ctype", m.ctype);
  for (const auto& [name, member] : kWhereGiven)
    if (!(m.*member).empty()) text(name, m.*member);
  text("schema_fingerprint", m.schema_fingerprint);
  add_list(out, "extensions", m.extensions, [](std::string& to, const ExtensionRecord& extension) {
    add(to, R"({{"name": {}, "version": {}}})", json_text(extension.name),
        json_text(extension.version));
  });
  add_list(out, "excluded", m.excluded,
           [](std::string& to, const std::string& said) { to += json_text(said); });
  add_list(out, "tables", m.tables, write_table);
  add_list(out, "large_objects", m.large_objects, write_large_objects);
  return out;
}

// --- reading ---

Piece read_piece(const Json& row, const std::string& where) {
  if (!row.is_array() || row.size() != kPieceMembers)
    throw Error(ErrorCode::corrupt, where + " does not have its six members");
  auto number = [&](size_t member) {
    return number_of(row[member], where, std::numeric_limits<int64_t>::max());
  };
  Piece piece;
  piece.offset = number(0);
  piece.bytes = number(1);
  piece.text_bytes = number(2);
  piece.sum = RowChecksum::from(number(3), text_of(row[4], where));
  piece.stored_xxh3 = text_of(row[5], where);
  return piece;
}

// Takes tables and their pieces out of the document while it is parsed, so that the parser's tree
// (many times the size of the text) never holds more than one of them.
class TableCollector {
 public:
  bool operator()(int depth, Json::parse_event_t event, Json& parsed) {
    constexpr int kTopKey = 1, kTable = 2, kTableKey = 3, kPiece = 4;
    using Event = Json::parse_event_t;
    if (event == Event::key && depth == kTopKey) in_tables_ = parsed == "tables";
    if (!in_tables_) return true;
    if (event == Event::key && depth == kTableKey) in_pieces_ = parsed == "pieces";
    if (event == Event::array_end && depth == kPiece && in_pieces_) {
      pieces_.push_back(read_piece(
          parsed, fmt::format("table {}: piece {}", tables_.size() + 1, pieces_.size() + 1)));
      return false;
    }
    if (event == Event::object_end && depth == kTable) {
      add_table(parsed);
      return false;
    }
    return true;
  }

  std::vector<TableRecord> take() { return std::move(tables_); }

 private:
  void add_table(const Json& object) {
    JsonFields fields(object, fmt::format("table {}", tables_.size() + 1));
    if (!fields.list("pieces").empty())
      throw Error(ErrorCode::corrupt,
                  fmt::format("table {}: a piece is not a list", tables_.size() + 1));
    TableRecord table;
    table.name = fields.text("name");
    table.dump_id = fields.integer("dump_id");
    table.sum = RowChecksum::from(fields.number("rows"), fields.text("checksum"));
    table.text_bytes = fields.number("text_bytes");
    table.pieces = std::move(pieces_);
    pieces_.clear();
    tables_.push_back(std::move(table));
  }

  bool in_tables_ = false, in_pieces_ = false;
  std::vector<Piece> pieces_;
  std::vector<TableRecord> tables_;
};

void read_archive(const JsonFields& fields, Manifest& m) {
  m.archive_object = fields.text("object");
  m.archive_bytes = fields.number("bytes");
  m.archive_sha256 = fields.text("sha256");
  m.archive_version = fields.text("version");
  try {
    m.codec = parse_codec(fields.text("codec"));
  } catch (const Error& error) {
    throw Error(ErrorCode::corrupt, std::string("archive: field codec: ") + error.what());
  }
  m.toc_bytes = fields.number("toc_bytes", kTocBytesMax);
  m.toc_sha256 = fields.text("toc_sha256");
  m.toc_entries = fields.number("toc_entries", kTocBytesMax);
}

void read_globals(const Json& value, Manifest& m) {
  if (value.is_null()) return;
  JsonFields fields(value, "globals");
  m.globals_object = fields.text("object");
  m.globals_bytes = fields.number("bytes");
  m.globals_sha256 = fields.text("sha256");
}

StoredObject read_stored(const Json& value, const std::string& where) {
  JsonFields fields(value, where);
  return {fields.number("bytes"), fields.text("sha256")};
}

// Plain archives have no such member.
void read_seal(const Json& document, Manifest& m) {
  auto found = document.find("seal");
  if (found == document.end()) return;
  JsonFields fields(*found, "seal");
  SealRecord seal;
  seal.method = parse_seal_method(fields.text("method"));
  for (const Json& value : fields.list("recipients"))
    seal.recipients.push_back(text_of(value, "seal: field recipients"));
  seal.program = fields.text("program");
  seal.archive = read_stored(fields.at("archive"), "seal: archive");
  if (const Json& globals = fields.at("globals"); !globals.is_null())
    seal.globals = read_stored(globals, "seal: globals");
  m.seal = std::move(seal);
}

LargeObjectRecord read_large_objects(const Json& value, size_t number) {
  JsonFields fields(value, fmt::format("large_objects {}", number));
  LargeObjectRecord block;
  block.dump_id = fields.integer("dump_id");
  block.offset = fields.number("offset");
  block.bytes = fields.number("bytes");
  block.content_bytes = fields.number("content_bytes");
  block.sum = RowChecksum::from(fields.number("objects"), fields.text("checksum"));
  block.stored_xxh3 = fields.text("xxh3");
  return block;
}

void read_lists(const JsonFields& fields, Manifest& m) {
  for (const Json& value : fields.list("extensions")) {
    JsonFields extension(value, fmt::format("extension {}", m.extensions.size() + 1));
    m.extensions.push_back({extension.text("name"), extension.text("version")});
  }
  for (const Json& value : fields.list("excluded"))
    m.excluded.push_back(text_of(value, "field excluded"));
  if (!fields.list("tables").empty())
    throw Error(ErrorCode::corrupt, "field tables: a table is not an object");
  for (const Json& value : fields.list("large_objects"))
    m.large_objects.push_back(read_large_objects(value, m.large_objects.size() + 1));
}

// What the document says, not yet held against itself.
Manifest parse_document(const std::string& text) {
  TableCollector tables;
  Json document;
  try {
    document = Json::parse(text, [&](int depth, Json::parse_event_t event, Json& parsed) {
      return tables(depth, event, parsed);
    });
  } catch (const Json::parse_error& error) {
    auto end = text.begin() + static_cast<ptrdiff_t>(std::min(error.byte, text.size()));
    throw Error(ErrorCode::corrupt,
                fmt::format("line {} is not JSON", 1 + std::count(text.begin(), end, '\n')));
  } catch (const Json::exception&) {  // a number beyond any floating-point type
    throw Error(ErrorCode::corrupt, "a number in it is out of range");
  }
  JsonFields fields(document, "");
  check_format(fields, kFormat, kVersion);
  Manifest m;
  m.id = fields.text("id");
  m.database = fields.text("database");
  m.source = fields.text("source");
  m.created_at = fields.time("created_at");
  m.finished_at = fields.time("finished_at");
  m.server = fields.text("server");
  m.server_version = fields.text("server_version");
  m.server_major = fields.integer("server_major");
  m.system_identifier = fields.text("system_identifier");
  m.lsn = fields.text("lsn");
  m.holdfast_version = fields.text("holdfast_version");
  m.pg_dump_version = fields.text("pg_dump_version");
  read_archive(JsonFields(fields.at("archive"), "archive"), m);
  read_globals(fields.at("globals"), m);
  read_seal(document, m);
  m.encoding = fields.text("encoding");
  m.collate = fields.text("collate");
  m.ctype = fields.text("ctype");
  for (const auto& [name, member] : kWhereGiven)
    if (document.contains(name)) m.*member = fields.text(name);
  m.schema_fingerprint = fields.text("schema_fingerprint");
  read_lists(fields, m);
  m.tables = tables.take();
  return m;
}

// --- what must hold between the fields ---

[[noreturn]] void fail(const std::string& message) {
  throw Error(ErrorCode::corrupt, message);
}

void check_hex(const std::string& value, size_t digits, const std::string& where) {
  bool good = value.size() == digits && std::all_of(value.begin(), value.end(), [](char c) {
                return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
              });
  if (!good) fail(fmt::format("{} is not {} lower-case hexadecimal digits", where, digits));
}

void check_object(const std::string& name, const Manifest& m, const char* where) {
  try {
    check_object_name(name);
  } catch (const Error& error) {
    fail(fmt::format("{}: {}", where, error.what()));
  }
  if (!name.starts_with(m.id + ".")) fail(fmt::format("{} '{}' is of another backup", where, name));
}

bool is_fingerprint(const std::string& text) {
  constexpr size_t kVersion4 = 40, kVersion5 = 64;
  return (text.size() == kVersion4 || text.size() == kVersion5) &&
         text.find_first_not_of("0123456789ABCDEF") == std::string::npos;
}

// Objects are called sealed exactly if the manifest says that they are.
void check_seal_record(const Manifest& m) {
  bool named_sealed = m.archive_object.ends_with(kSealedSuffix);
  if (named_sealed != m.seal.has_value())
    fail(named_sealed ? "field seal is missing, but the archive's name says that it is sealed"
                      : "field seal: the archive's name does not say that it is sealed");
  if (m.globals_object && m.globals_object->ends_with(kSealedSuffix) != m.seal.has_value())
    fail("globals: field object does not agree with field seal");
  if (!m.seal) return;
  check_hex(m.seal->archive.sha256, 64, "seal: archive: field sha256");
  if (m.seal->globals.has_value() != m.globals_object.has_value())
    fail("seal: field globals does not agree with field globals");
  if (m.seal->globals) check_hex(m.seal->globals->sha256, 64, "seal: globals: field sha256");
  if ((m.seal->method == SealMethod::recipients) == m.seal->recipients.empty())
    fail("seal: field recipients does not fit its method");
  for (const std::string& recipient : m.seal->recipients)
    if (!is_fingerprint(recipient))
      fail(fmt::format("seal: recipient '{}' is no fingerprint", printable(recipient)));
}

void check_heads(const Manifest& m) {
  std::optional<BackupId> id = parse_backup_id(m.id);
  if (!id || id->is_branch) fail(fmt::format("field id: '{}' is no backup's id", printable(m.id)));
  if (id->database != m.database)
    fail(fmt::format("field database: '{}' is not the one of its id", printable(m.database)));
  check_object(m.archive_object, m, "archive: field object");
  check_hex(m.archive_sha256, 64, "archive: field sha256");
  check_hex(m.toc_sha256, 64, "archive: field toc_sha256");
  check_hex(m.schema_fingerprint, 64, "field schema_fingerprint");
  if (m.toc_bytes == 0 || m.toc_bytes > m.archive_bytes)
    fail("archive: field toc_bytes is not within the archive");
  check_seal_record(m);
  if (!m.globals_object) return;
  check_object(*m.globals_object, m, "globals: field object");
  check_hex(m.globals_sha256, 64, "globals: field sha256");
}

// Pieces and blocks must tile the archive from the end of its table of contents to its own end.
class Tiling {
 public:
  explicit Tiling(uint64_t position) : position_(position) {}
  void take(uint64_t offset, uint64_t bytes, const std::string& where) {
    if (offset != position_)
      fail(fmt::format("{} starts at {}, but what is before it ends at {}", where, offset,
                       position_));
    if (__builtin_add_overflow(position_, bytes, &position_)) fail(where + " is too large");
  }
  uint64_t position() const { return position_; }

 private:
  uint64_t position_;
};

void check_table(const TableRecord& table, Tiling& tiling) {
  std::string where = "table " + printable(table.name);
  if (table.pieces.empty()) fail(where + " has no piece");
  RowChecksum sum;
  uint64_t text_bytes = 0, rows = 0;
  for (size_t i = 0; i < table.pieces.size(); ++i) {
    const Piece& piece = table.pieces[i];
    std::string place = fmt::format("{}, piece {}", where, i + 1);
    if (piece.bytes == 0 && (piece.text_bytes != 0 || piece.sum.rows != 0 || i == 0))
      fail(place + " has no bytes");
    check_hex(piece.stored_xxh3, 32, place + ": its xxh3");
    tiling.take(piece.offset, piece.bytes, place);
    sum.add(piece.sum);
    if (__builtin_add_overflow(rows, piece.sum.rows, &rows) ||
        __builtin_add_overflow(text_bytes, piece.text_bytes, &text_bytes))
      fail(place + " is too large");
  }
  if (text_bytes != table.text_bytes)
    fail(fmt::format("{}: its pieces have {} bytes of text, not {}", where, text_bytes,
                     table.text_bytes));
  if (rows != table.sum.rows)
    fail(fmt::format("{}: its pieces have {} rows, not {}", where, rows, table.sum.rows));
  if (!(sum == table.sum)) fail(where + ": the checksums of its pieces do not add up to its own");
}

void check_large_objects(const LargeObjectRecord& block, Tiling& tiling) {
  std::string where = fmt::format("large objects {}", block.dump_id);
  if (block.bytes == 0) fail(where + " has no bytes");
  check_hex(block.stored_xxh3, 32, where + ": its xxh3");
  tiling.take(block.offset, block.bytes, where);
}

void check_manifest(const Manifest& m) {
  check_heads(m);
  Tiling tiling(m.toc_bytes);
  std::set<int> dump_ids;
  auto check_dump_id = [&](int dump_id) {
    if (dump_id <= 0 || !dump_ids.insert(dump_id).second)
      fail(fmt::format("dump_id {} is not valid or used twice", dump_id));
  };
  // Blocks of large objects stand between tables or after them, wherever their offset says.
  auto block = m.large_objects.begin();
  for (const TableRecord& table : m.tables) {
    while (block != m.large_objects.end() && block->offset == tiling.position() &&
           !(!table.pieces.empty() && table.pieces[0].offset == tiling.position()))
      check_large_objects(*block++, tiling);
    check_dump_id(table.dump_id);
    check_table(table, tiling);
  }
  for (; block != m.large_objects.end(); ++block) check_large_objects(*block, tiling);
  for (const LargeObjectRecord& record : m.large_objects) check_dump_id(record.dump_id);
  if (tiling.position() != m.archive_bytes)
    fail(fmt::format("its pieces end at {}, but its archive has {} bytes", tiling.position(),
                     m.archive_bytes));
}

// What the bytes that do not match their SHA-256 show of the damage: a place, or nothing.
std::string visible_damage(const std::string& text) {
  try {
    check_manifest(parse_document(text));
  } catch (const Error& error) {
    return error.what();
  }
  return "the change is where no other field confirms it";
}

}  // namespace

uint64_t Manifest::total_text_bytes() const {
  uint64_t bytes = 0;
  for (const TableRecord& table : tables) bytes += table.text_bytes;
  for (const LargeObjectRecord& block : large_objects) bytes += block.content_bytes;
  return bytes;
}

std::string write_manifest(const Manifest& manifest) {
  try {
    check_manifest(manifest);
  } catch (const Error& error) {
    throw Error(ErrorCode::internal,
                fmt::format("the manifest to write is wrong: {}", error.what()),
                "this is a fault of holdfast itself: please report it");
  }
  std::string text = seal_document(document_body(manifest), kSealKey);
  if (text.size() > kManifestBytesMax)
    throw Error(ErrorCode::unsupported,
                fmt::format("the manifest would have {} bytes, more than {}", text.size(),
                            kManifestBytesMax));
  return text;
}

Manifest read_manifest(const std::string& text) {
  switch (check_seal(text, kSealKey)) {
    case Seal::missing:
      throw Error(ErrorCode::corrupt,
                  fmt::format("the manifest's {} bytes do not end in their own SHA-256: "
                              "they were cut short, added to or changed at the end",
                              text.size()));
    case Seal::mismatch:
      throw Error(ErrorCode::corrupt,
                  fmt::format("the manifest's {} bytes do not match their own SHA-256: {}",
                              text.size(), visible_damage(text)));
    case Seal::sound:
      break;
  }
  return with_context("manifest", [&] {
    Manifest manifest = parse_document(text);
    check_manifest(manifest);
    return manifest;
  });
}

}  // namespace holdfast
