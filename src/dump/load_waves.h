// Which tables' rows must be there before another's: foreign keys come after the data, but for
// those between an extension's own tables, which CREATE EXTENSION has made.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <stop_token>
#include <vector>

#include "dump/unit_loader.h"
#include "pg/connection.h"

namespace holdfast {

// Dump id of a TABLE DATA entry → those whose rows its own refer to, if there are any.
using DataDependencies = std::map<int, std::set<int>>;

// By the foreign keys that the database of `connection` has now, of the tables of `plans`. (pg_dump
// knows them, but the table of contents does not say.)
DataDependencies data_dependencies(const std::map<int, SendPlan>& plans, Connection& connection);

// `units` in the waves in which they can be loaded, each after the one before has ended; their
// order is kept within a wave. Circles are broken where they are first met.
std::vector<std::vector<LoadUnit>> in_waves(std::vector<LoadUnit> units,
                                            const DataDependencies& dependencies);

// The same for units that come in the archive's order and are loaded by whoever is free: lets a
// unit wait for the tables that stand before it and that its own depends on. Used by several
// threads.
class LoadGate {
 public:
  // `units` in the archive's order.
  LoadGate(const std::vector<LoadUnit>& units, const DataDependencies& dependencies);
  // Throws Error(cancelled) when it is to stop.
  void wait(const LoadUnit& unit, const std::stop_token& stop);
  void done(const LoadUnit& unit);

 private:
  DataDependencies before_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<int, size_t> units_left_;  // of each table; guarded by mutex_
};

}  // namespace holdfast
