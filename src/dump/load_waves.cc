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
}

void LoadGate::wait(const LoadUnit& unit, const std::stop_token& stop) {
  if (unit.table == nullptr) return;
  auto at = before_.find(unit.table->dump_id);
  if (at == before_.end()) return;
  std::unique_lock lock(mutex_);
  bool free = changed_.wait(lock, stop, [&] {
    return std::all_of(at->second.begin(), at->second.end(),
                       [&](int before) { return units_left_[before] == 0; });
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
