// What the few kinds of WAL records say that recovery and its targets depend on: ends of
// transactions with their times, checkpoints, changes of parameters, restore points, new
// tablespaces and databases. Layouts: PostgreSQL 13 to 18,
// src/include/access/{xact,xlog_internal}.h, catalog/pg_control.h,
// commands/{dbcommands_xlog,tablespace}.h; the major version of the WAL is
// wal_major_version(reader.magic()).
//
// Pure. Records come from a WalReader, which has verified them; one that is too short for its kind
// is Error(corrupt) all the same.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "pg/wal_reader.h"
#include "pg/wal_time.h"

namespace holdfast {

// Also of two-phase transactions (COMMIT PREPARED, ROLLBACK PREPARED).
struct WalTransactionEnd {
  bool committed = false;
  WalTime time;
};

struct WalCheckpoint {
  bool shutdown = false;
  Lsn redo;
  Timeline timeline = 0, previous_timeline = 0;  // differ just after a promotion
  bool full_page_writes = false;
  WalTime time;  // full seconds
};

enum class WalLevel { minimal = 0, replica = 1, logical = 2 };

struct WalParameters {
  int max_connections = 0, max_worker_processes = 0, max_wal_senders = 0;
  int max_prepared_transactions = 0, max_locks_per_transaction = 0;
  WalLevel wal_level = WalLevel::replica;
  bool wal_log_hints = false, track_commit_timestamp = false;
};

struct WalEndOfRecovery {
  WalTime time;
  Timeline timeline = 0, previous_timeline = 0;
};

struct WalRestorePoint {
  WalTime time;
  std::string name;
};

struct WalBackupEnd {
  Lsn start;  // of the backup that is complete here
};

struct WalFullPageWrites {
  bool on = false;
};

struct WalTablespaceCreated {
  uint32_t oid = 0;
  std::string path;  // on the machine that wrote the WAL; empty: in place
};

struct WalDatabaseCreated {
  uint32_t oid = 0, tablespace = 0;
};

using WalEvent = std::variant<std::monostate, WalTransactionEnd, WalCheckpoint, WalParameters,
                              WalEndOfRecovery, WalRestorePoint, WalBackupEnd, WalFullPageWrites,
                              WalTablespaceCreated, WalDatabaseCreated>;

// std::monostate for every other kind.
WalEvent decode_wal_record(const WalRecord& record, int major);

// The part of a record that belongs to its resource manager as a whole, behind what is about pages
// of relations. Of a record longer than what is kept, as much as is there. Throws Error(corrupt) if
// the record's parts do not fit together.
ByteView wal_main_data(const WalRecord& record, int major);

}  // namespace holdfast
