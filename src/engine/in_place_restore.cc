#include "engine/in_place_restore.h"

#include <fmt/format.h>

#include <chrono>
#include <thread>

namespace holdfast {
namespace {

constexpr double kReceiveSecondsMax = 60;
constexpr std::chrono::milliseconds kReceivePoll{50};
constexpr int kStillPolls = 20;  // without a receiver or a byte more: nothing comes any more
constexpr int kStopsMax = 3;
constexpr std::chrono::seconds kUndoPause{5};

}  // namespace

void InPlaceRestore::write(RestoreJournal& journal, RestoreStep next) {
  journal.step = next;
  auto lock = state_.lock();
  Change change;
  change.put(journal);
  state_.apply(std::move(change));
}

RestoreJournal InPlaceRestore::run(RestoreJournal journal, const Run& run) {
  if (journal.step == RestoreStep::undo) {
    undo(journal, run);
    throw Error(ErrorCode::unavailable,
                "the source could not be restored in place and goes on in its old state");
  }
  try {
    forward(journal, run);
  } catch (const std::exception& error) {
    const std::string why = error.what();
    if (journal.step == RestoreStep::recover) {
      remove_tree(journal.new_folder);
      throw;
    }
    try {
      write(journal, RestoreStep::undo);
    } catch (const Error&) {
      journal.step = RestoreStep::undo;  // a full disk, say: the source is more urgent
    }
    undo(journal, run);
    throw Error(ErrorCode::unavailable, "the source goes on in its old state: " + why);
  }
  return journal;
}

void InPlaceRestore::forward(RestoreJournal& journal, const Run& run) {
  // From the moment that the source is stopped, stopping the engine does not stop this: it takes
  // seconds, and the source is down.
  const Run unstoppable{run.clock, run.log, run.progress, {}};
  if (journal.step == RestoreStep::recover) {
    recover(journal, run);
    write(journal, RestoreStep::stop);
  }
  if (journal.step == RestoreStep::stop) {
    if (source_.running()) wait_for_receiver(unstoppable);
    stop(journal, unstoppable);
    write(journal, RestoreStep::adopt);
  }
  if (journal.step == RestoreStep::adopt) {
    source_.stop(unstoppable);  // a machine that came up again may have started it
    storage_.pause();
    did("paused");
    storage_.adopt_timeline(journal.new_folder, journal.point);
    did("adopted");
    write(journal, RestoreStep::swap);
  }
  if (journal.step == RestoreStep::swap) {
    storage_.pause();
    if (file_exists(journal.data_folder) && file_exists(journal.new_folder))
      source_.stop(unstoppable);
    swap(journal);
    write(journal, RestoreStep::start);
  }
  if (journal.step == RestoreStep::start) {
    source_.start(unstoppable);
    did("started");
    storage_.resume();
    did("resumed");
    write(journal, RestoreStep::record);
  }
}

void InPlaceRestore::recover(RestoreJournal& journal, const Run& run) {
  source_.start(run);
  source_.check_restorable();
  if (journal.logins.empty()) {
    journal.logins = source_.logins();
    write(journal, RestoreStep::recover);
  }
  remove_tree(journal.new_folder);
  did("cleared");
  BroughtFolder brought = storage_.bring(journal.point, journal.new_folder, run);
  did("brought");
  source_.recover_aside(journal.new_folder, brought, journal.logins, run);
  did("recovered");
}

void InPlaceRestore::stop(RestoreJournal& journal, const Run& run) {
  for (int attempt = 1;; ++attempt) {
    source_.stop(run);
    did("stopped");
    Lsn last = source_.shutdown_checkpoint();
    RestorePoint head = wait_for_tail(last, run);
    if (head.record >= last) {
      journal.old_end = head;
      return;
    }
    if (attempt == kStopsMax)
      throw Error(ErrorCode::unavailable,
                  fmt::format("WAL of the source was received to {} only, and it ends after {}",
                              format_lsn(head.end), format_lsn(last)),
                  "see why the engine does not receive, and try again");
    // Its receiver was away when it was stopped: what it wrote last can only come from itself.
    source_.start(run);
    did("started again");
    wait_for_receiver(run);
  }
}

// A source that is stopped sends its receiver everything first, so that what is missing then is on
// its way to disk; or the receiver was not there, and nothing comes any more.
RestorePoint InPlaceRestore::wait_for_tail(Lsn last, const Run& run) {
  double deadline = run.clock.monotonic_seconds() + kReceiveSecondsMax;
  RestorePoint head = storage_.head(kMainLine);
  for (int still = 0; head.record < last && still < kStillPolls;) {
    if (run.clock.monotonic_seconds() > deadline) break;
    std::this_thread::sleep_for(kReceivePoll);
    RestorePoint now = storage_.head(kMainLine);
    still = now.end > head.end || storage_.health().receiving ? 0 : still + 1;
    head = now;
  }
  return head;
}

void InPlaceRestore::wait_for_receiver(const Run& run) {
  double deadline = run.clock.monotonic_seconds() + kReceiveSecondsMax;
  for (;;) {
    StorageHealth health = storage_.health();
    if (health.receiving && health.received >= health.source) return;
    if (run.clock.monotonic_seconds() > deadline) return;  // the next stop says what is missing
    std::this_thread::sleep_for(kReceivePoll);
  }
}

// Which of the three folders are there says how far it got.
void InPlaceRestore::swap(const RestoreJournal& journal) {
  if (!file_exists(journal.kept_folder)) {
    rename_folder(journal.data_folder, journal.kept_folder);
    did("kept");
  }
  if (file_exists(journal.new_folder)) {
    rename_folder(journal.new_folder, journal.data_folder);
    did("swapped");
  }
}

void InPlaceRestore::undo(RestoreJournal& journal, const Run& run) {
  for (;;) {
    try {
      undo_once(journal, Run{run.clock, run.log, run.progress, {}});
      return;
    } catch (const Error& error) {
      run.log.error(fmt::format("the source's old state cannot be put back yet: {}", error.what()));
    }
    auto until = std::chrono::steady_clock::now() + kUndoPause;
    while (std::chrono::steady_clock::now() < until) {
      run.check_stop();
      std::this_thread::sleep_for(kReceivePoll);
    }
  }
}

void InPlaceRestore::undo_once(const RestoreJournal& journal, const Run& run) {
  if (file_exists(journal.kept_folder)) {
    if (file_exists(journal.data_folder)) {
      source_.stop(run);
      remove_tree(journal.new_folder);
      rename_folder(journal.data_folder, journal.new_folder);
      did("put aside");
    }
    rename_folder(journal.kept_folder, journal.data_folder);
    did("put back");
  }
  source_.start(run);
  did("old started");
  storage_.resume();
  remove_tree(journal.new_folder);
  did("undone");
}

}  // namespace holdfast
