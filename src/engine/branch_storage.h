// Where the engine's history lives: the seam between branches and computes above, and the way
// snapshots and WAL are kept below. Today it is PostgreSQL's own pg_basebackup and pg_receivewal
// and a copy (plain_storage.h); a page-exact vault can take its place, and nothing above may know.
//
// Three things matter to the outside: take a snapshot, say what can be recovered to, and bring a
// point into a folder. A point is asked for by LSN or time and answered exactly: the last commit at
// or before the instant is in it, the next one is not.
//
// A *line* is one stretch of history: `main` is the source's own, received as it is written; every
// branch that has had a compute is a line of its own, whose WAL is in its compute's folder. Lines
// begin at a point of another line. Timelines are numbered within a lineage, so two lines may both
// have a timeline 2: a point therefore always names its line.
//
// All functions may be called by any thread. They throw Error: invalid (a point outside the
// windows; the message names the windows that exist), not_found (no such line or snapshot), busy (a
// snapshot that something still needs), unavailable (the source cannot be reached), corrupt (WAL or
// snapshot are not what was received).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/run.h"
#include "pg/lsn.h"

namespace holdfast {

inline constexpr char kMainLine[] = "main";

struct RestorePoint {
  std::string line = kMainLine;
  Timeline timeline = 0;  // on which `end` lies
  Lsn record;             // start of the last record that is in it: recovery's target, inclusive
  Lsn end;                // end of that record: what users see as the point's LSN
  std::optional<UtcTime> commit_time;  // of the last commit in it, where that is known
};

// A stretch of history that can be recovered to at every point, both ends included.
struct Window {
  std::string line = kMainLine;
  Timeline timeline = 0;  // at its end
  Lsn from, to;
  UtcTime from_time, to_time;  // `to_time`: up to when the source is known to have written no more
};

// A consistent physical state. Recoverable once WAL up to `end` is there.
struct SnapshotInfo {
  std::string id;  // snap-<word>-<word>-<number>
  std::string line = kMainLine;
  Timeline timeline = 0;
  Lsn start, end;                // of its backup: replay begins at `start`, is consistent at `end`
  UtcTime started_at, ended_at;  // the source's clock
  uint64_t bytes = 0;            // on disk
  int server_version = 0;        // 150018
};

struct Line {
  std::string id;          // the branch's
  std::string wal_folder;  // pg_wal of its compute
  RestorePoint parent;     // where it left its parent line
};

// What keeps the newest of what was received from being recovered to.
enum class HeadTrouble {
  none,         // it can be, or there is no snapshot at all yet
  no_snapshot,  // no snapshot leads there: after a gap, until there is a new one
  damaged,      // it is not what PostgreSQL wrote
};

// What there is to know of how well history is being received.
struct StorageHealth {
  bool receiving = false;
  bool paused = false;          // on purpose: the source is being restored in place
  bool source_answers = false;  // and is the one whose history this is, as last seen
  bool slot_active = false;     // somebody is connected by it, as last seen
  std::string trouble;          // why not, for people; empty when all is well
  std::optional<ErrorCode> trouble_code;
  Lsn received, source;  // flushed here, flushed there (as last seen)
  uint64_t lag_bytes = 0;
  std::optional<UtcTime>
      caught_up_at;         // the source's clock; when `received` last equalled `source`
  std::string slot;         // name
  std::string slot_state;   // pg_replication_slots.wal_status: reserved, extended, unreserved, lost
  uint64_t held_bytes = 0;  // WAL that the slot makes the source keep
  int restarts = 0;         // of the receiver since the engine started
  int gaps = 0;             // stretches that are lost for ever
  HeadTrouble head = HeadTrouble::none;
  // Since the engine started: gaps that were noticed, and about how much is in them; slots that
  // were given up, by the source or by us.
  int new_gaps = 0, lost_slots = 0;
  uint64_t lost_bytes = 0;
};

// A data folder that a server can be started on, and what it has to be told.
struct BroughtFolder {
  // For postgresql.conf, in order: recovery target and restore_command, and the least that
  // PostgreSQL's recovery demands of max_connections and its like.
  std::vector<std::pair<std::string, std::string>> settings;
  // What the source's settings were when the snapshot was taken (pg_settings, by name).
  std::map<std::string, std::string> source_settings;
  SnapshotInfo snapshot;  // that it began with
  uint64_t copied_bytes = 0;
  bool cloned = false;  // the file system shared the blocks (reflink)
};

class BranchStorage {
 public:
  virtual ~BranchStorage() = default;

  virtual StorageHealth health() const = 0;

  // Takes a snapshot of `main` as it is now and returns when it can be recovered from.
  virtual SnapshotInfo take_snapshot(const Run& run) = 0;
  virtual std::vector<SnapshotInfo> snapshots() const = 0;  // oldest first
  virtual void remove_snapshot(const std::string& id) = 0;

  // Of `main`, oldest first; empty before the first snapshot.
  virtual std::vector<Window> windows() const = 0;
  virtual RestorePoint head(const std::string& line) = 0;  // all that was received
  virtual RestorePoint at_lsn(const std::string& line, Lsn lsn) = 0;
  virtual RestorePoint at_time(const std::string& line, UtcTime time) = 0;
  // The same in the history that leads to `limit`, which is the answer for anything later. That may
  // be another than its line's present one: a source that was restored in place goes on elsewhere.
  virtual RestorePoint at_lsn_within(const RestorePoint& limit, Lsn lsn) = 0;
  virtual RestorePoint at_time_within(const RestorePoint& limit, UtcTime time) = 0;

  virtual void add_line(const Line& line) = 0;  // harmless when it is known already
  virtual void remove_line(const std::string& id) = 0;

  // Makes `folder` (which must not exist) a data folder that recovers to `point` and is promoted
  // there when it is started with the settings returned. A crash leaves no `folder`, or one that a
  // new call may replace after the caller has removed it.
  virtual BroughtFolder bring(const RestorePoint& point, const std::string& folder,
                              const Run& run) = 0;

  // Removes snapshots and WAL that neither `keep_since` nor any of `needed` requires.
  virtual void trim(UtcTime keep_since, const std::vector<RestorePoint>& needed) = 0;

  // The source goes on elsewhere: `data_folder` was recovered to a point of `main`, promoted to a
  // new timeline and stopped. Takes over that timeline's first WAL, so that nothing is missing
  // between the fork and what is received next. Receiving stands still from pause() to resume().
  virtual void pause() = 0;
  virtual void adopt_timeline(const std::string& data_folder, const RestorePoint& fork) = 0;
  virtual void resume() = 0;
};

}  // namespace holdfast
