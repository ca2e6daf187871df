// Restoring a managed source in place: the source goes on, on the same port and with the same
// logins, from a point of its own history, and its old state is kept.
//
//   recover  the point is brought into <data_folder>.new and recovered there, while the source runs
//   stop     the source is stopped cleanly, and all that it wrote has been received
//   adopt    storage takes over the new timeline's first WAL
//   swap     data_folder → kept_folder, <data_folder>.new → data_folder
//   start    the source starts on the new data; receiving goes on
//   record   done; the engine's records follow
//   undo     something failed from `stop` on: the old folder is put back, and the old source
//   started
//
// The journal names the step to be done next and is written after each. Each step finds out for
// itself how much of it was done before a crash, so a run after a crash goes on from the journal
// and ends where an undisturbed one would: on the new state or on the old one, running. Until
// `stop`, nothing of the source has been touched; the old data is never removed.
//
// What fails before `stop` leaves the source as it was. What fails later is undone, again and again
// until that succeeds: nothing else would leave the source running. Only an engine that is stopped
// ends it, and then the next engine goes on.
#pragma once

#include <functional>
#include <string_view>

#include "engine/branch_storage.h"
#include "engine/source_server.h"
#include "engine/state.h"

namespace holdfast {

class InPlaceRestore {
 public:
  // `probe` is for tests: called before and after each thing that is done.
  InPlaceRestore(State& state, BranchStorage& storage, SourceServer& source,
                 std::function<void(std::string_view)> probe)
      : state_(state), storage_(storage), source_(source), probe_(std::move(probe)) {}

  // Goes on from the journal's step, to the end. Returns the journal as it is then: `record`, with
  // what the old state ends with. Throws Error if the source goes on in its old state.
  RestoreJournal run(RestoreJournal journal, const Run& run);

 private:
  void forward(RestoreJournal& journal, const Run& run);
  void recover(RestoreJournal& journal, const Run& run);
  void stop(RestoreJournal& journal, const Run& run);
  RestorePoint wait_for_tail(Lsn last, const Run& run);
  void wait_for_receiver(const Run& run);
  void swap(const RestoreJournal& journal);
  void undo(RestoreJournal& journal, const Run& run);
  void undo_once(const RestoreJournal& journal, const Run& run);
  void write(RestoreJournal& journal, RestoreStep next);
  void did(std::string_view what) const {
    if (probe_) probe_(what);
  }

  State& state_;
  BranchStorage& storage_;
  SourceServer& source_;
  std::function<void(std::string_view)> probe_;
};

}  // namespace holdfast
