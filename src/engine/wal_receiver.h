// Keeps pg_receivewal running and an eye on source and slot: every second it looks how far the
// source has written, how far that was received, and what the slot makes the source keep.
//
// Why a program of PostgreSQL's: it syncs every byte before it acknowledges it, follows timelines,
// and is what operators know. What it does not do is done here: it is started again with growing
// pauses; a slot that is missing is made, and one that holds too much or is lost is given up; WAL
// that the source no longer has is written down as a gap, and receiving begins anew behind it; a
// source that is another cluster, or whose timeline is not the one that was received before, is
// refused, so that nothing is mixed up. Where the disk is full it stays down until there is room
// again, and nothing is removed.
//
// One thread does it all; every public function may be called by any thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"
#include "engine/branch_storage.h"
#include "engine/caught_up.h"
#include "engine/line_archives.h"
#include "engine/source_link.h"
#include "engine/storage_record.h"
#include "engine/wal_folder.h"
#include "pg/client_tools.h"

namespace holdfast {

struct WalReceiverSettings {
  std::string storage_folder;
  Conninfo source;
  ClientTools tools;
  uint64_t held_bytes_max = 0;
};

class WalReceiver {
 public:
  // Nothing is done before start(). All references must outlive it. `archives` is what reads
  // `folder`: it is told when files are moved.
  WalReceiver(const WalReceiverSettings& settings, StorageRecordFile& record, WalFolder& folder,
              LineArchives& archives, SourceLink& link, const Clock& clock, Log& log);
  ~WalReceiver();  // ends pg_receivewal
  WalReceiver(const WalReceiver&) = delete;
  WalReceiver& operator=(const WalReceiver&) = delete;

  void start();

  // Without what only the archive knows.
  StorageHealth health() const;
  std::optional<UtcTime> caught_up_at() const;

  // Waits until what the source has flushed by now was received. False if that cannot be told
  // (source away, receiver down, paused) or took too long.
  bool catch_up(std::chrono::milliseconds at_most);
  // For a snapshot: returns once all is received that the source had flushed. Throws
  // Error(unavailable), with the trouble there is, if that takes longer.
  void wait_caught_up(std::chrono::milliseconds at_most, const Run& run);
  // Waits until all that the source committed up to `time`, by its clock, was received. False at
  // once if that lies in its future.
  bool catch_up_to(UtcTime time, std::chrono::milliseconds at_most);

  void pause();  // returns when pg_receivewal has ended
  void resume();

 private:
  void work(const std::stop_token& stop);
  void tick();
  SourceStatus observe();
  void check_identity(const SourceStatus& status);
  void care_for_slot(const SourceStatus& status);
  void keep_running(const SourceStatus& status);
  void begin_receiving();
  Lineage lineage_of(Timeline timeline);
  void take_note_of_end();
  void note_gap(const SourceStatus& status, Lsn from);
  std::optional<ReceiveStart> arrange(const Lineage& lineage);
  void end_process();
  void set_trouble(const std::string& trouble, std::optional<ErrorCode> code = {});
  void remember_caught_up(bool now);
  bool has_room();

  const WalReceiverSettings settings_;
  StorageRecordFile& record_;
  WalFolder& folder_;
  LineArchives& archives_;
  SourceLink& link_;
  const Clock& clock_;
  Log& log_;

  mutable std::mutex mutex_;  // of what follows
  std::condition_variable_any changed_;
  StorageHealth health_;
  CaughtUp caught_up_;
  Timeline observed_timeline_ = 0;
  bool paused_ = false, standing_ = true;  // standing_: the thread has no process and starts none

  // Of the thread alone.
  std::unique_ptr<ChildLogin> login_;
  std::unique_ptr<Process> process_;
  double started_at_ = 0, next_start_ = 0, pause_seconds_ = 0, remembered_at_ = 0;
  bool ever_started_ = false;
  std::string last_words_;

  std::jthread thread_;  // last: ends before all else does
};

}  // namespace holdfast
