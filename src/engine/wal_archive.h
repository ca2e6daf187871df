// What a line's WAL holds: which stretches of it are there and verified, and where in it an
// instant or an LSN lies. Over folders as pg_receivewal writes them (complete segments, one
// `.partial` a timeline, `.history` files) and over a server's own pg_wal, where recycled segments
// with names of the future and stale content are; those simply end what is valid.
//
// Why: PostgreSQL replays what it is given until something is wrong and then stops without a word.
// Here every record's checksum and its link to the one before were checked before a point is
// offered, so a point that is offered can be recovered to.
//
// refresh() reads what is new since the last one (of a growing segment, too) and nothing else.
// What it learns of complete segments is kept in the index folder, one file a timeline
// (docs/format/wal-index.md): a cache, rebuilt where it is lost or broken. Two archives must not
// share an index folder. Commit times are PostgreSQL's, to the microsecond.
//
// Times follow PostgreSQL's own rule for recovery_target_time: the point of T is just before the
// first commit later than T, in the order of the WAL, whatever the clock did.
//
// Thread-safe; refresh() and queries wait for one another. Errors: invalid (a point outside of what
// there is; the message names what is), not_found (no such timeline or history file), denied and
// unavailable (files that cannot be read), internal. Damage found by refresh() is no error: it ends
// a stretch, which says so.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pg/lsn.h"
#include "pg/timeline_history.h"
#include "pg/wal_time.h"

namespace holdfast {

struct WalPoint {
  Timeline timeline = 0;               // on which `end` lies
  Lsn record;                          // start of the last record that is in it
  Lsn end;                             // end of that record
  std::optional<WalTime> commit_time;  // of the last commit in it (within the lineage asked for)
};

// The answer to a question for an instant.
struct WalTimePoint {
  WalPoint point;
  // Whether a later commit is there, which makes the point exact. If not, the point is the head,
  // and it is exact only if the source is known to have written no commit up to that instant.
  bool later_commit_seen = false;
};

enum class StretchEnd {
  head,    // nothing more was received yet: may grow
  gap,     // segments are missing and later ones are there
  damage,  // the bytes that follow are not what PostgreSQL wrote
};

// WAL of one timeline without a gap, every record of it verified. A damaged tail of the newest
// segment is tried again at each refresh(): a reader may have met a write half done.
struct WalStretch {
  Timeline timeline = 0;
  Lsn from;         // start of its first whole record (after the page header, where there is one)
  Lsn to;           // end of its last whole record
  Lsn last_record;  // start of that; 0 if the stretch holds no whole record
  std::optional<WalTime> first_commit, last_commit;  // in the order of the WAL
  uint64_t commits = 0;
  StretchEnd ending = StretchEnd::head;
  std::string why;  // for people: what follows `to`
};

struct WalTablespace {
  Lsn record;
  uint32_t oid = 0;
  std::string path;
};

// What recovery through a lineage demands of a server.
struct WalNeeds {
  // The greatest values that parameter changes in it set; 0 where there was none.
  int max_connections = 0, max_worker_processes = 0, max_wal_senders = 0;
  int max_prepared_transactions = 0, max_locks_per_transaction = 0;
  std::vector<WalTablespace> tablespaces;  // created in it, at paths of the source's machine
  std::optional<Lsn> minimal_wal;          // first change to wal_level=minimal: no recovery past it
};

// What refresh() did.
struct WalRefresh {
  uint64_t read_bytes = 0;
  int segments_verified = 0;
  int segments_damaged = 0;   // that were read now
  std::string index_trouble;  // why the index could not be written (it goes on without); else empty
};

class WalArchive {
 public:
  // Timeline → folders of its segments, best first. A segment is taken from the first folder that
  // has it, complete before `.partial`.
  using Folders = std::map<Timeline, std::vector<std::string>>;

  // Every timeline that `folder` holds. `index_folder` empty: no cache.
  WalArchive(const std::string& folder, const std::string& index_folder);
  // These timelines and their histories, each from its own folders.
  WalArchive(Folders folders, const std::string& index_folder);
  WalArchive(const WalArchive&) = delete;
  WalArchive& operator=(const WalArchive&) = delete;
  ~WalArchive();

  // Refuses WAL of any other cluster from now on (as damage). Without it, the first segment that
  // is read decides.
  void expect_system(uint64_t system_identifier);

  WalRefresh refresh();

  // All below answer for what the last refresh() saw.
  uint64_t system_identifier() const;  // 0: nothing read yet
  uint32_t segment_bytes() const;      // 0: nothing read yet
  std::vector<Timeline> timelines() const;
  // Of one timeline, oldest first. Of 0: of all.
  std::vector<WalStretch> stretches(Timeline timeline = 0) const;

  // How `timeline` came to be, from its history file; the first part begins at 0 and the last one
  // ends at 0 (open). Throws not_found if the history of a timeline above 1 is not there.
  Lineage lineage(Timeline timeline) const;

  // In all of these: parts clip what is looked at (a fork's segment holds the parent's bytes too);
  // a `from` of 0 is the start of the timeline's last stretch that reaches the part's end, and a
  // `to` of 0 is the end of its last stretch. Parts must be covered: otherwise Error(invalid).

  // The last record of the lineage. Throws invalid if there is none.
  WalPoint head(const Lineage& lineage) const;

  // The last record that ends at or before `lsn`, which need not be a border of records. Throws
  // invalid for an LSN before the first record's end or after the last one's.
  WalPoint at_lsn(const Lineage& lineage, Lsn lsn) const;

  // Just before the first commit later than `time`; the head if there is none.
  WalTimePoint at_time(const Lineage& lineage, WalTime time) const;

  WalNeeds needs(const Lineage& lineage) const;

  // Whether every byte of the lineage is there and verified: nothing, or what is missing, in words
  // ("timeline 1: 0/5000000 to 0/6000000 is missing").
  std::optional<std::string> missing(const Lineage& lineage) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast
