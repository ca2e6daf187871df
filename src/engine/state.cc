#include "engine/state.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include <array>

#include "base/file.h"

namespace holdfast {
namespace {

constexpr int kSchemaVersion = 1;
constexpr int kApplicationId = 0x48464545;  // "HFEE"
constexpr int kBusyTimeoutMs = 10'000;      // a backup tool may hold the file for a moment

constexpr std::array<std::string_view, 7> kKinds = {
    "project", "branch", "endpoint", "operation", "snapshot", "restore_journal", "gone"};

ErrorCode code_of(int sqlite_code) {
  switch (sqlite_code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorCode::corrupt;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorCode::busy;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      return ErrorCode::denied;
    default:
      return ErrorCode::unavailable;
  }
}

// SQLite's own words hold no values: all of them are bound.
Error database_error(sqlite3* db, const std::string& what) {
  return Error(code_of(sqlite3_extended_errcode(db)),
               fmt::format("engine state: {}: {}", what, sqlite3_errmsg(db)));
}

// Resets a statement and lets go of what was bound to it, however its use ends.
class StatementUse {
 public:
  explicit StatementUse(sqlite3_stmt* statement) : statement_(statement) {}
  ~StatementUse() {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }
  StatementUse(const StatementUse&) = delete;
  StatementUse& operator=(const StatementUse&) = delete;
  void bind(int index, std::string_view text) {
    sqlite3_bind_text64(statement_, index, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  }
  int step() { return sqlite3_step(statement_); }

 private:
  sqlite3_stmt* statement_;
};

std::string column_text(sqlite3_stmt* statement, int column) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
  return text ? std::string(text, static_cast<size_t>(sqlite3_column_bytes(statement, column)))
              : std::string();
}

}  // namespace

RecordKind kind_of(const Record& record) {
  return static_cast<RecordKind>(record.index());
}

std::string key_of(const Record& record) {
  struct Key {
    std::string operator()(const ProjectRecord&) const { return "project"; }
    std::string operator()(const BranchRecord& r) const { return r.shown.id; }
    std::string operator()(const EndpointRecord& r) const { return r.shown.id; }
    std::string operator()(const OperationRecord& r) const { return r.shown.id; }
    std::string operator()(const SnapshotRecord& r) const { return r.shown.id; }
    std::string operator()(const RestoreJournal& r) const { return r.operation_id; }
    std::string operator()(const GoneRecord& r) const { return r.id; }
  };
  return std::visit(Key{}, record);
}

std::string_view kind_name(RecordKind kind) {
  return kKinds.at(static_cast<size_t>(kind));
}

RecordKind kind_named(std::string_view name) {
  for (size_t i = 0; i < kKinds.size(); ++i)
    if (kKinds[i] == name) return static_cast<RecordKind>(i);
  throw Error(ErrorCode::corrupt, fmt::format("engine state: no kind of record is '{}'", name));
}

const BranchRecord* Tables::branch(const std::string& id) const {
  auto found = branches.find(id);
  return found == branches.end() || found->second.deleted ? nullptr : &found->second;
}

const EndpointRecord* Tables::endpoint(const std::string& id) const {
  auto found = endpoints.find(id);
  return found == endpoints.end() || found->second.deleted ? nullptr : &found->second;
}

const OperationRecord* Tables::operation(const std::string& id) const {
  auto found = operation_by_id.find(id);
  return found == operation_by_id.end() ? nullptr : &operations.at(found->second);
}

std::unique_ptr<State> State::open(const std::string& path, Probe probe) {
  std::unique_ptr<State> state(new State());
  state->probe_ = std::move(probe);
  state->prepare(path);
  state->load();
  return state;
}

State::~State() {
  sqlite3_finalize(put_);
  sqlite3_finalize(erase_);
  sqlite3_close(db_);
}

void State::execute(const char* sql) {
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK)
    throw database_error(db_, "write");
}

void State::prepare(const std::string& path) {
  // It holds passwords: 0600 before anything is in it. SQLite gives its -wal and -shm the same
  // mode.
  open_file(path, O_RDWR | O_CREAT, 0600);
  if (sqlite3_open_v2(path.c_str(), &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr) !=
      SQLITE_OK)
    throw database_error(db_, "open " + path);
  sqlite3_busy_timeout(db_, kBusyTimeoutMs);
  execute("PRAGMA journal_mode=WAL");
  execute("PRAGMA synchronous=FULL");

  auto number = [&](const char* pragma) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(db_, pragma, -1, &statement, nullptr) != SQLITE_OK)
      throw database_error(db_, "open " + path);
    int value = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int(statement, 0) : 0;
    sqlite3_finalize(statement);
    return value;
  };
  int version = number("PRAGMA user_version");
  if (version > kSchemaVersion)
    throw Error(ErrorCode::unsupported,
                fmt::format("{} was written by a newer holdfast (format {}, this one knows {})",
                            path, version, kSchemaVersion),
                "use that version, or another work folder");
  if (version == 0)
    execute(fmt::format("BEGIN;"
                        "CREATE TABLE IF NOT EXISTS record (kind TEXT NOT NULL, id TEXT NOT NULL,"
                        " body TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID;"
                        "PRAGMA application_id={};PRAGMA user_version={};COMMIT",
                        kApplicationId, kSchemaVersion)
                .c_str());
  if (number("PRAGMA application_id") != kApplicationId)
    throw Error(ErrorCode::invalid, fmt::format("{} is not the state of an engine", path),
                "choose another work folder");
  if (sqlite3_prepare_v2(db_, "INSERT OR REPLACE INTO record (kind, id, body) VALUES (?, ?, ?)", -1,
                         &put_, nullptr) != SQLITE_OK ||
      sqlite3_prepare_v2(db_, "DELETE FROM record WHERE kind = ? AND id = ?", -1, &erase_,
                         nullptr) != SQLITE_OK)
    throw database_error(db_, "open " + path);
}

void State::load() {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(db_, "SELECT kind, id, body FROM record", -1, &statement, nullptr) !=
      SQLITE_OK)
    throw database_error(db_, "read");
  std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> guard(statement, sqlite3_finalize);
  int result;
  while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
    RecordKind kind = kind_named(column_text(statement, 0));
    remember(with_context("engine state: " + column_text(statement, 1),
                          [&] { return read_record(kind, column_text(statement, 2)); }));
  }
  if (result != SQLITE_DONE) throw database_error(db_, "read");
}

void State::apply(Change change) {
  if (change.empty()) return;
  if (probe_) probe_("before a write");
  write(change);
  for (Record& record : change.puts_) remember(std::move(record));
  for (const auto& [kind, key] : change.erased_) forget(kind, key);
  if (probe_) probe_("after a write");
}

void State::write(const Change& change) {
  execute("BEGIN IMMEDIATE");
  try {
    for (const Record& record : change.puts_) {
      StatementUse put(put_);
      std::string key = key_of(record), text = record_text(record);
      put.bind(1, kind_name(kind_of(record)));
      put.bind(2, key);
      put.bind(3, text);
      if (put.step() != SQLITE_DONE) throw database_error(db_, "write " + key);
    }
    for (const auto& [kind, key] : change.erased_) {
      StatementUse erase(erase_);
      erase.bind(1, kind_name(kind));
      erase.bind(2, key);
      if (erase.step() != SQLITE_DONE) throw database_error(db_, "remove " + key);
    }
    execute("COMMIT");
  } catch (...) {
    sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
}

void State::remember(Record record) {
  struct Put {
    Tables& tables;
    void operator()(ProjectRecord& r) const { tables.project = std::move(r); }
    void operator()(BranchRecord& r) const { tables.branches[r.shown.id] = std::move(r); }
    void operator()(EndpointRecord& r) const { tables.endpoints[r.shown.id] = std::move(r); }
    void operator()(OperationRecord& r) const {
      tables.operation_by_id[r.shown.id] = r.sequence;
      if (r.shown.ended())
        tables.open_operations.erase(r.sequence);
      else
        tables.open_operations.insert(r.sequence);
      tables.operations[r.sequence] = std::move(r);
    }
    void operator()(SnapshotRecord& r) const { tables.snapshots[r.shown.id] = std::move(r); }
    void operator()(RestoreJournal& r) const { tables.journals[r.operation_id] = std::move(r); }
    void operator()(GoneRecord& r) const { tables.gone[r.id] = std::move(r); }
  };
  std::visit(Put{tables_}, record);
}

void State::forget(RecordKind kind, const std::string& key) {
  switch (kind) {
    case RecordKind::project:
      break;  // there is always one
    case RecordKind::branch:
      tables_.branches.erase(key);
      break;
    case RecordKind::endpoint:
      tables_.endpoints.erase(key);
      break;
    case RecordKind::operation:
      if (auto found = tables_.operation_by_id.find(key); found != tables_.operation_by_id.end()) {
        tables_.operations.erase(found->second);
        tables_.open_operations.erase(found->second);
        tables_.operation_by_id.erase(found);
      }
      break;
    case RecordKind::snapshot:
      tables_.snapshots.erase(key);
      break;
    case RecordKind::restore_journal:
      tables_.journals.erase(key);
      break;
    case RecordKind::gone:
      tables_.gone.erase(key);
      break;
  }
}

}  // namespace holdfast
