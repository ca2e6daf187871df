// The source, as the storage sees it: who it is, how far it has written, what the slot holds, and
// what a snapshot wants to remember of it. Two connections that are opened when they are needed and
// again after an error: one for SQL, one that speaks the replication protocol.
//
// Thread-safe: calls wait for one another. Throws Error, as connection.h does; a source that stays
// silent for longer than kSourceStatementSeconds is Error(unavailable).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "engine/storage_documents.h"
#include "pg/connection.h"
#include "pg/conninfo.h"
#include "pg/lsn.h"

namespace holdfast {

inline constexpr int kSourceStatementSeconds = 20;

struct SlotState {
  bool exists = false, active = false;
  Lsn received;       // its restart_lsn: what the receiver said it has on disk; 0: nothing reserved
  std::string state;  // wal_status
};

struct SourceStatus {
  uint64_t system_identifier = 0;
  Timeline timeline = 0;
  bool standby = false;
  UtcTime clock;  // read before `flushed`
  Lsn flushed;
  SlotState slot;
};

struct SourceBasics {
  int server_version = 0;
  uint32_t segment_bytes = 0;
};

// Throws Error(invalid) if the system identifiers are not the same.
void check_same_cluster(uint64_t known, uint64_t found);

class SourceLink {
 public:
  SourceLink(const Conninfo& source, std::string slot);

  SourceStatus status();
  SourceBasics basics();

  // Content of its history file. Only for timelines above 1.
  std::string timeline_history(Timeline timeline);
  // Whether it still has the WAL at `start` and would send it: nothing, or why not.
  enum class HasWal { yes, removed, refused };
  HasWal has_wal(Lsn start, Timeline timeline);

  void make_slot();  // reserves WAL at once; harmless if it is there
  void drop_slot();  // harmless if it is not; ends whoever uses it

  UtcTime clock();
  // Settings, extensions of this database, collations' versions, tablespaces, version.
  StoredSnapshot describe();
  std::vector<SnapshotTablespace> tablespaces();

  const std::string& slot() const { return slot_; }
  void close();

 private:
  // Runs `work` on the connection; one that broke is closed, to be opened again at the next call.
  template <typename Work>
  auto with_sql(Work&& work);
  Connection open_replication() const;

  const Conninfo source_;
  const std::string slot_;
  std::mutex mutex_;
  std::unique_ptr<Connection> sql_;
};

}  // namespace holdfast
