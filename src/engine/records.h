// What the engine remembers: one struct per kind of record, each the API's own thing (`shown`) and
// what only the engine knows of it. Plain data; kept by State (state.h), on disk as
// docs/format/engine-state.md says.
//
// Branches, lines and folders: a branch's data lives on its *line*, a name that is also the name of
// its compute's folder and the storage's name for its WAL. A branch starts out with its own id as
// its line. A restored branch gets a new line, and the branch that preserves its old state takes
// over the old one: points on it (of children, of snapshots) stay true without being rewritten, and
// no folder moves.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/branch_storage.h"
#include "engine/source_server.h"
#include "neon/types.h"

namespace holdfast {

struct ProjectRecord {
  neon::Project shown;
  int64_t next_number = 1;  // of operations and databases that have no number yet
};

struct RoleRecord {
  std::string name;
  Secret password;  // empty: only the source's administrator knows it
  bool login = true;
  UtcTime created_at, updated_at;
};

struct DatabaseRecord {
  int64_t id = 0;
  std::string name, owner;
  UtcTime created_at, updated_at;
};

struct BranchRecord {
  neon::Branch shown;
  bool source = false;   // the source itself: always on kMainLine, never without a server
  bool deleted = false;  // answered as gone; kept until its folder is
  RestorePoint point;    // where it begins; not of the source
  std::string line;
  // Its line has a state of its own: a compute was started, recovered, and is in its folder.
  bool started = false;
  // Between BranchStorage::bring and the end of the first start: what the folder was brought with.
  std::optional<BroughtFolder> brought;
  std::vector<RoleRecord> roles;  // that are listed
  std::vector<DatabaseRecord> databases;
  std::vector<neon::ScheduleItem> schedule;
  std::optional<UtcTime> schedule_ran_at;
  std::string kept_folder;  // of a source that was restored in place: its old data, as it was
};

struct EndpointRecord {
  neon::Endpoint shown;
  bool source = false;   // the source's own server
  bool deleted = false;  // answered as gone; kept until its server is stopped
  int port = 0;          // not of the source
};

struct OperationRecord {
  neon::Operation shown;
  int64_t sequence = 0;             // in order of creation; unique
  std::vector<std::string> queues;  // never runs beside another that shares one of these
  std::map<std::string, std::string> arguments;

  std::string argument(const std::string& name) const {
    auto found = arguments.find(name);
    return found == arguments.end() ? std::string() : found->second;
  }
};

struct SnapshotRecord {
  neon::Snapshot shown;
  RestorePoint point;
};

// Where an in-place restore stands (in_place_restore.h). The step is the one to be done next.
enum class RestoreStep { recover, stop, adopt, swap, start, record, undo };

struct RestoreJournal {
  std::string operation_id;
  RestoreStep step = RestoreStep::recover;
  std::string branch_id, preserved_id;
  RestorePoint point;
  std::string data_folder, new_folder, kept_folder;
  std::vector<SourceLogin> logins;      // as they are now: they outlive the restore
  std::optional<RestorePoint> old_end;  // all that the old state holds; known once it is stopped
};

// The id of a thing that was deleted: asking for it again is no error, deleting it again neither.
struct GoneRecord {
  std::string id;
  UtcTime at;
};

using Record = std::variant<ProjectRecord, BranchRecord, EndpointRecord, OperationRecord,
                            SnapshotRecord, RestoreJournal, GoneRecord>;

enum class RecordKind { project, branch, endpoint, operation, snapshot, restore_journal, gone };

RecordKind kind_of(const Record& record);
std::string key_of(const Record& record);  // its id; "project" for the only one of its kind

// The kind's name on disk ("branch"), and back. Throws Error(corrupt) for a name that is none.
std::string_view kind_name(RecordKind kind);
RecordKind kind_named(std::string_view name);

// A record as JSON text, and back (record_json.cc). Members that are missing keep their defaults,
// unknown ones are passed over. Throws Error(corrupt) for text that is no record of this kind.
std::string record_text(const Record& record);
Record read_record(RecordKind kind, const std::string& text);

}  // namespace holdfast
