// BranchStorage on PostgreSQL's own programs: pg_receivewal and pg_basebackup into a folder, and
// plain copies out of it (docs/format/engine-storage.md says what is where).
//
//   wal_receiver.h    keeps pg_receivewal running and watches source and slot
//   snapshot_taker.h  pg_basebackup, checked and described
//   line_archives.h   what the WAL of `main` and of every other line holds
//   bring.h           a snapshot's copy that recovers to a point
//   windows.h, trim.h what can be recovered to; what is needed for it (pure)
//
// Invariants. Nothing is offered that was not verified: windows come from WAL whose records were
// checked and snapshots whose files were. What the source loses (a gap) is written down and ends a
// window; it never joins two. A point in time after the last commit is answered only up to the
// instant by which the source is known to have written no more. Nothing is removed but by trim()
// and remove_snapshot(), and never what a bring() is reading.
//
// After a gap, or anything else past which no snapshot leads (a tablespace made at a path of the
// source's machine, wal_level = minimal), a new snapshot is taken by itself, provided that there
// was one before: the first is the caller's to ask for.
//
// Lines other than `main` are not remembered over a restart: their owner adds them again. Thread-
// safe; see branch_storage.h for errors. `clock` and `log` must outlive the storage.
#pragma once

#include <memory>

#include "base/clock.h"
#include "base/log.h"
#include "engine/branch_storage.h"
#include "pg/client_tools.h"
#include "pg/conninfo.h"

namespace holdfast {

inline constexpr uint64_t kSlotHeldBytesMax = uint64_t{16} << 30;

struct PlainStorageSettings {
  std::string folder;  // made if it is missing; one engine at a time
  Conninfo source;     // a login with REPLICATION, or a superuser
  ClientTools tools;   // of the source's major
  // How much WAL the source may be made to keep for us: beyond it the slot is given up, and what
  // was not received is lost to us (a gap) rather than the source's disk.
  uint64_t held_bytes_max = kSlotHeldBytesMax;
  int copy_jobs = 0;  // threads of a copy; 0: by the number of cores
};

class PlainStorage final : public BranchStorage {
 public:
  // Opens or makes the folder and starts receiving. The source need not be reachable. Throws busy
  // if another engine has the folder, corrupt or unsupported if its storage.json is not ours.
  PlainStorage(const PlainStorageSettings& settings, const Clock& clock, Log& log);
  PlainStorage(const PlainStorage&) = delete;
  PlainStorage& operator=(const PlainStorage&) = delete;
  ~PlainStorage() override;

  StorageHealth health() const override;
  SnapshotInfo take_snapshot(const Run& run) override;
  std::vector<SnapshotInfo> snapshots() const override;
  void remove_snapshot(const std::string& id) override;
  std::vector<Window> windows() const override;
  RestorePoint head(const std::string& line) override;
  RestorePoint at_lsn(const std::string& line, Lsn lsn) override;
  RestorePoint at_time(const std::string& line, UtcTime time) override;
  RestorePoint at_lsn_within(const RestorePoint& limit, Lsn lsn) override;
  RestorePoint at_time_within(const RestorePoint& limit, UtcTime time) override;
  void add_line(const Line& line) override;
  void remove_line(const std::string& id) override;
  BroughtFolder bring(const RestorePoint& point, const std::string& folder,
                      const Run& run) override;
  void trim(UtcTime keep_since, const std::vector<RestorePoint>& needed) override;
  void pause() override;
  void adopt_timeline(const std::string& data_folder, const RestorePoint& fork) override;
  void resume() override;

 private:
  class Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace holdfast
