#include "dump/load_waves.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/error.h"

namespace holdfast {
namespace {

class Waves {
 public:
  explicit Waves(const DataDependencies& dependencies) : dependencies_(dependencies) {}

  int wave_of(int id) {
    auto at = dependencies_.find(id);
    if (at == dependencies_.end()) return 0;
    auto [known, is_new] = waves_.emplace(id, 0);  // what a circle finds
    if (!is_new) return known->second;
    int wave = 0;
    for (int before : at->second) wave = std::max(wave, wave_of(before) + 1);
    return waves_[id] = wave;
  }

 private:
  const DataDependencies& dependencies_;
  std::map<int, int> waves_;
};

}  // namespace

DataDependencies data_dependencies(const std::map<int, SendPlan>& plans, Connection& connection) {
  QueryResult found = connection.query(
      "SELECT conrelid, confrelid FROM pg_catalog.pg_constraint WHERE contype = 'f' AND conrelid "
      "<> confrelid");
  DataDependencies dependencies;
  if (found.rows() == 0) return dependencies;
  std::map<std::string, int> ids;
  for (const auto& [id, plan] : plans) ids[plan.table_oid] = id;
  for (int row = 0; row < found.rows(); ++row) {
    auto table = ids.find(found.text(row, 0)), before = ids.find(found.text(row, 1));
    if (table != ids.end() && before != ids.end())
      dependencies[table->second].insert(before->second);
  }
  return dependencies;
}

std::set<int> tables_that_call_functions(const std::map<int, SendPlan>& plans,
                                         Connection& connection) {
  // What is PostgreSQL's own is in no pg_depend, or has an oid below 16384. A function is called by
  // name, or through an operator; by the table, or by a domain in the type of a column.
  std::string sql =
      "WITH RECURSIVE calls AS (SELECT d.classid, d.objid, d.objsubid FROM pg_catalog.pg_depend d"
      " WHERE d.refclassid IN ('pg_catalog.pg_proc'::pg_catalog.regclass,"
      " 'pg_catalog.pg_operator'::pg_catalog.regclass) AND d.refobjid >= 16384"
      " AND d.classid IN ('pg_catalog.pg_constraint'::pg_catalog.regclass,"
      " 'pg_catalog.pg_attrdef'::pg_catalog.regclass, 'pg_catalog.pg_class'::pg_catalog.regclass)"
      " AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = d.refclassid"
      " AND e.objid = d.refobjid AND e.deptype = 'e')),"
      " checks AS (SELECT c.conrelid, c.contypid FROM pg_catalog.pg_constraint c JOIN calls"
      " ON calls.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND calls.objid = c.oid"
      " WHERE c.contype = 'c'),"
      " types AS (SELECT contypid AS oid FROM checks WHERE contypid <> 0"
      " UNION SELECT t.oid FROM types JOIN pg_catalog.pg_type t ON t.typbasetype = types.oid"
      " OR t.typelem = types.oid OR t.typrelid IN"
      " (SELECT a.attrelid FROM pg_catalog.pg_attribute a WHERE a.atttypid = types.oid))"
      " SELECT conrelid FROM checks"
      " UNION SELECT a.attrelid FROM pg_catalog.pg_attribute a JOIN types ON a.atttypid = "
      "types.oid";
  constexpr int kGeneratedMajor = 12;
  if (connection.server_major() >= kGeneratedMajor)
    sql +=
        " UNION SELECT a.attrelid FROM calls JOIN pg_catalog.pg_attrdef g ON g.oid = calls.objid"
        " AND calls.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass"
        " JOIN pg_catalog.pg_attribute a ON a.attrelid = g.adrelid AND a.attnum = g.adnum"
        " WHERE a.attgenerated = 's'"
        // Up to PostgreSQL 14 it is the column itself that depends on what it calls.
        " UNION SELECT a.attrelid FROM calls JOIN pg_catalog.pg_attribute a"
        " ON a.attrelid = calls.objid AND a.attnum = calls.objsubid"
        " AND calls.classid = 'pg_catalog.pg_class'::pg_catalog.regclass"
        " WHERE a.attgenerated = 's'";
  QueryResult found = connection.query(sql);
  std::set<std::string> oids;
  for (int row = 0; row < found.rows(); ++row) oids.insert(found.text(row, 0));
  std::set<int> callers;
  for (const auto& [id, plan] : plans)
    if (oids.contains(plan.table_oid)) callers.insert(id);
  return callers;
}

void load_last(const std::set<int>& callers, const std::vector<LoadUnit>& units,
               std::map<int, SendPlan>& plans, DataDependencies& dependencies) {
  if (callers.empty()) return;
  // Each waits for the one before and what stands between, and so for all before that.
  std::vector<int> in_order;
  std::set<int> others, between, seen;
  for (const LoadUnit& unit : units) {
    if (unit.table == nullptr || !seen.insert(unit.table->dump_id).second) continue;
    int id = unit.table->dump_id;
    if (!callers.contains(id)) {
      others.insert(id);
      between.insert(id);
      continue;
    }
    std::set<int>& before = dependencies[id];
    before.insert(between.begin(), between.end());
    if (!in_order.empty()) before.insert(in_order.back());
    before.insert(id);
    plans.at(id).can_be_made_anew = false;
    in_order.push_back(id);
    between.clear();
  }
  if (!in_order.empty()) dependencies[in_order.front()].insert(others.begin(), others.end());
}

bool one_by_one(const std::vector<LoadUnit>& wave, const DataDependencies& dependencies) {
  return std::any_of(wave.begin(), wave.end(), [&](const LoadUnit& unit) {
    if (unit.table == nullptr) return false;
    auto at = dependencies.find(unit.table->dump_id);
    return at != dependencies.end() && at->second.contains(unit.table->dump_id);
  });
}

std::vector<std::vector<LoadUnit>> in_waves(std::vector<LoadUnit> units,
                                            const DataDependencies& dependencies) {
  if (dependencies.empty()) return {std::move(units)};
  Waves waves(dependencies);
  std::map<int, std::vector<LoadUnit>> by_wave;
  for (const LoadUnit& unit : units)
    by_wave[unit.table == nullptr ? 0 : waves.wave_of(unit.table->dump_id)].push_back(unit);
  std::vector<std::vector<LoadUnit>> in_order;
  for (auto& [wave, part] : by_wave) in_order.push_back(std::move(part));
  return in_order;
}

LoadGate::LoadGate(const std::vector<LoadUnit>& units, const DataDependencies& dependencies) {
  std::set<int> seen;
  for (const LoadUnit& unit : units) {
    if (unit.table == nullptr) continue;
    int id = unit.table->dump_id;
    ++units_left_[id];
    if (!seen.insert(id).second) continue;
    auto at = dependencies.find(id);
    if (at == dependencies.end()) continue;
    for (int before : at->second)
      if (seen.contains(before)) before_[id].insert(before);
  }
  std::map<int, size_t> left = units_left_;
  for (const LoadUnit& unit : units)
    if (unit.table != nullptr)
      left_at_[{unit.table->dump_id, unit.piece}] = left[unit.table->dump_id]--;
}

void LoadGate::wait(const LoadUnit& unit, const std::stop_token& stop) {
  if (unit.table == nullptr) return;
  auto at = before_.find(unit.table->dump_id);
  if (at == before_.end()) return;
  std::unique_lock lock(mutex_);
  bool free = changed_.wait(lock, stop, [&] {
    return std::all_of(at->second.begin(), at->second.end(), [&](int before) {
      bool itself = before == unit.table->dump_id;
      return units_left_[before] == (itself ? left_at_.at({before, unit.piece}) : 0);
    });
  });
  if (!free) throw Error(ErrorCode::cancelled, "interrupted");
}

void LoadGate::done(const LoadUnit& unit) {
  if (unit.table == nullptr) return;
  std::lock_guard lock(mutex_);
  --units_left_[unit.table->dump_id];
  changed_.notify_all();
}

}  // namespace holdfast
