// Who loads what: the units of a restore, dealt out to connections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "dump/unit_loader.h"

namespace holdfast {

// Hands out units. A connection stays with a table as long as it can, because two COPYs into one
// table wait for each other whenever it grows. It goes on with the largest that nobody has begun;
// only when there is none left does it help where most is left per connection.
//
// A table that one connection can load alone without keeping the others waiting at the end, one of
// no more than about a fair share of all that is left, is loaded whole (LoadUnit::whole_table):
// nobody helps with it. Used by all connections' threads.
class LoadQueue {
 public:
  // `units` has each table's pieces one after the other; `plans` says which tables can be whole.
  LoadQueue(std::vector<LoadUnit> units, const std::map<int, SendPlan>& plans, int connections);

  static constexpr size_t kNone = SIZE_MAX;
  // Where a connection is, which it keeps between its calls.
  struct Place {
    size_t stretch = kNone;
    uint64_t bytes = 0;  // of the unit that it is loading
  };
  // The next unit for the connection at `place`, which has loaded the one before.
  std::optional<LoadUnit> next(Place& place);

 private:
  // The units of a table, or one block of large objects, which cannot be shared and so goes first.
  struct Stretch {
    size_t begin = 0, end = 0;  // units that are left
    uint64_t bytes_left = 0;
    uint64_t connections = 0;
    bool objects = false, can_be_whole = false, whole = false;
  };
  size_t choose() const;
  void start(Stretch& stretch);

  const std::vector<LoadUnit> units_;
  const int connections_;
  std::mutex mutex_;  // guards what follows
  std::vector<Stretch> stretches_;
  uint64_t bytes_left_ = 0;  // with what is being loaded
};

// Marks the tables that can be whole where units are dealt out in the archive's order to whoever is
// free: those of one piece.
void keep_short_tables_whole(std::vector<LoadUnit>& units, const std::map<int, SendPlan>& plans);

}  // namespace holdfast
