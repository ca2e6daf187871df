// Which tables' rows must be there before another's. Foreign keys come after the data, but for
// those between an extension's own tables, which CREATE EXTENSION has made. And a CHECK constraint
// may call a function that reads other tables, or its own: such tables come last.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <stop_token>
#include <utility>
#include <vector>

#include "dump/unit_loader.h"
#include "pg/connection.h"

namespace holdfast {

// Dump id of a TABLE DATA entry → those whose rows must be there before its own, if there are any.
// A table that depends on itself is loaded as pg_restore does it: its rows in their order, one
// piece after the other.
using DataDependencies = std::map<int, std::set<int>>;

// By the foreign keys that the database of `connection` has now, of the tables of `plans`. (pg_dump
// knows them, but the table of contents does not say.)
DataDependencies data_dependencies(const std::map<int, SendPlan>& plans, Connection& connection);

// Tables of `plans` whose rows are checked, or completed (generated columns), by functions that are
// neither PostgreSQL's own nor an extension's: such functions may read tables, whatever they are
// declared to be.
std::set<int> tables_that_call_functions(const std::map<int, SendPlan>& plans,
                                         Connection& connection);

// Lets the tables `callers` wait for all others, and for each other, in the order of `units`, the
// archive's. None of them is made anew: a TRUNCATE would lock out who reads it.
void load_last(const std::set<int>& callers, const std::vector<LoadUnit>& units,
               std::map<int, SendPlan>& plans, DataDependencies& dependencies);

// Whether the units of a wave are to be loaded by one connection, in their order.
bool one_by_one(const std::vector<LoadUnit>& wave, const DataDependencies& dependencies);

// `units` in the waves in which they can be loaded, each after the one before has ended; their
// order is kept within a wave. Circles are broken where they are first met.
std::vector<std::vector<LoadUnit>> in_waves(std::vector<LoadUnit> units,
                                            const DataDependencies& dependencies);

// The same for units that come in the archive's order and are loaded by whoever is free: lets a
// unit wait for the tables that stand before it and that its own depends on, and, where that is the
// table itself, for the units before it. Used by several threads.
class LoadGate {
 public:
  // `units` in the archive's order.
  LoadGate(const std::vector<LoadUnit>& units, const DataDependencies& dependencies);
  // Throws Error(cancelled) when it is to stop.
  void wait(const LoadUnit& unit, const std::stop_token& stop);
  void done(const LoadUnit& unit);

 private:
  DataDependencies before_;
  // By dump id and piece: units of the table from there on.
  std::map<std::pair<int, size_t>, size_t> left_at_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<int, size_t> units_left_;  // of each table; guarded by mutex_
};

}  // namespace holdfast
