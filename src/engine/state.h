// The engine's memory: every record, in memory and in <work>/engine.db (SQLite, in WAL mode, with
// synchronous=FULL). A change is on disk, whole, before anybody can see it.
//
// One mutex guards the records in memory; whoever reads tables() or applies a change holds lock().
// A change costs one transaction and one fsync, held under the lock: changes are small (a few
// records), so readers wait for milliseconds at most. If it cannot be written, nothing has changed.
// Errors: corrupt (the file, or a record in it), unsupported (made by a newer Holdfast),
// unavailable (disk full, I/O).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/records.h"

struct sqlite3;
struct sqlite3_stmt;

namespace holdfast {

struct Tables {
  ProjectRecord project;
  std::map<std::string, BranchRecord> branches;
  std::map<std::string, EndpointRecord> endpoints;
  std::map<int64_t, OperationRecord> operations;  // by sequence
  std::map<std::string, SnapshotRecord> snapshots;
  std::map<std::string, RestoreJournal> journals;
  std::map<std::string, GoneRecord> gone;

  // Kept up by State.
  std::map<std::string, int64_t> operation_by_id;
  std::set<int64_t> open_operations;  // that have not ended

  // Null if there is none of this id; things that are deleted are none.
  const BranchRecord* branch(const std::string& id) const;
  const EndpointRecord* endpoint(const std::string& id) const;
  const OperationRecord* operation(const std::string& id) const;
};

// Records to be written and removed together.
class Change {
 public:
  void put(Record record) { puts_.push_back(std::move(record)); }
  void erase(RecordKind kind, std::string key) { erased_.emplace_back(kind, std::move(key)); }
  bool empty() const { return puts_.empty() && erased_.empty(); }

 private:
  friend class State;
  std::vector<Record> puts_;
  std::vector<std::pair<RecordKind, std::string>> erased_;
};

class State {
 public:
  // `probe` is for tests: called before and after each write, and what it throws goes through.
  using Probe = std::function<void(std::string_view where)>;
  static std::unique_ptr<State> open(const std::string& path, Probe probe = {});
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  std::unique_lock<std::mutex> lock() const { return std::unique_lock(mutex_); }
  const Tables& tables() const { return tables_; }
  void apply(Change change);

 private:
  State() = default;
  void prepare(const std::string& path);
  void load();
  void execute(const char* sql);
  void write(const Change& change);
  void remember(Record record);
  void forget(RecordKind kind, const std::string& key);

  mutable std::mutex mutex_;
  Tables tables_;
  Probe probe_;
  sqlite3* db_ = nullptr;
  sqlite3_stmt* put_ = nullptr;
  sqlite3_stmt* erase_ = nullptr;
};

}  // namespace holdfast
