#include "dump/load_waves.h"

#include <gtest/gtest.h>

#include <atomic>
#include <list>
#include <thread>
#include <vector>

#include "base/expect_error.h"

namespace holdfast {
namespace {

struct WaveTables {
  // A unit for each piece.
  void add(int dump_id, size_t pieces = 1) {
    TableRecord& record = records.emplace_back();
    record.dump_id = dump_id;
    record.pieces.resize(pieces);
    for (size_t i = 0; i < pieces; ++i) units.push_back({&record, i, nullptr, false});
  }
  std::list<TableRecord> records;
  std::vector<LoadUnit> units;
};

std::vector<std::vector<int>> waves_of(const WaveTables& tables,
                                       const DataDependencies& dependencies) {
  std::vector<std::vector<int>> ids;
  for (const std::vector<LoadUnit>& wave : in_waves(tables.units, dependencies)) {
    ids.emplace_back();
    for (const LoadUnit& unit : wave) ids.back().push_back(unit.table ? unit.table->dump_id : -1);
  }
  return ids;
}

using Ids = std::vector<std::vector<int>>;

TEST(LoadWaves, WithoutDependenciesThereIsOneWave) {
  WaveTables tables;
  tables.add(3);
  tables.add(1, 2);
  EXPECT_EQ(waves_of(tables, {}), (Ids{{3, 1, 1}}));
}

TEST(LoadWaves, WhatIsNeededComesBefore) {
  WaveTables tables;
  LargeObjectRecord objects;
  tables.add(1, 2);
  tables.add(2);
  tables.add(3);
  tables.units.push_back({nullptr, 0, &objects, false});
  tables.add(4);
  EXPECT_EQ(waves_of(tables, {{1, {2, 3}}, {3, {4}}}), (Ids{{2, -1, 4}, {3}, {1, 1}}));
}

TEST(LoadWaves, CircleEndsSomewhere) {
  WaveTables tables;
  for (int id : {1, 2, 3}) tables.add(id);
  size_t units = 0;
  for (const auto& wave : waves_of(tables, {{1, {2}}, {2, {1}}, {3, {3}}})) units += wave.size();
  EXPECT_EQ(units, 3u);
}

TEST(LoadLast, TablesThatCallFunctionsComeLastInTheirOrderEachAlone) {
  WaveTables tables;
  tables.add(5, 2);
  tables.add(1);
  tables.add(4, 3);
  tables.add(2);
  tables.add(3);
  std::map<int, SendPlan> plans;
  for (int id : {1, 2, 3, 4, 5}) plans[id].can_be_made_anew = true;
  DataDependencies dependencies = {{3, {2}}};
  load_last({4, 5}, tables.units, plans, dependencies);
  EXPECT_EQ(waves_of(tables, dependencies), (Ids{{1, 2}, {3}, {5, 5}, {4, 4, 4}}));
  for (const std::vector<LoadUnit>& wave : in_waves(tables.units, dependencies))
    EXPECT_EQ(one_by_one(wave, dependencies), wave[0].table->dump_id >= 4);
  for (int id : {1, 2, 3, 4, 5}) EXPECT_EQ(plans[id].can_be_made_anew, id < 4);
}

TEST(LoadLast, WithoutSuchTablesNothingChanges) {
  WaveTables tables;
  tables.add(1);
  std::map<int, SendPlan> plans;
  plans[1].can_be_made_anew = true;
  DataDependencies dependencies;
  load_last({}, tables.units, plans, dependencies);
  EXPECT_TRUE(dependencies.empty());
  EXPECT_TRUE(plans[1].can_be_made_anew);
}

TEST(LoadGate, UnitsOfATableThatDependsOnItselfFollowEachOther) {
  WaveTables tables;
  tables.add(1);
  tables.add(2, 3);
  tables.units.erase(tables.units.begin() + 1);  // the first piece had nothing in it
  LoadGate gate(tables.units, {{2, {1, 2}}});
  std::stop_source stop;
  std::atomic<int> begun{0};
  auto wait_for = [&](size_t unit) {
    return std::jthread([&, unit] {
      gate.wait(tables.units[unit], stop.get_token());
      ++begun;
    });
  };
  std::jthread second = wait_for(2);
  {
    std::jthread first = wait_for(1);
    EXPECT_EQ(begun, 0);
    gate.done(tables.units[0]);
  }
  EXPECT_EQ(begun, 1);
  gate.done(tables.units[1]);
  second.join();
  EXPECT_EQ(begun, 2);
}

TEST(LoadGate, UnitWaitsForEveryPieceOfWhatItsTableNeeds) {
  WaveTables tables;
  tables.add(1, 2);
  tables.add(2);
  LoadGate gate(tables.units, {{2, {1}}});
  std::stop_source stop;
  gate.wait(tables.units[0], stop.get_token());
  gate.wait(tables.units[1], stop.get_token());
  std::atomic<bool> begun{false};
  std::jthread other([&] {
    gate.wait(tables.units[2], stop.get_token());
    begun = true;
  });
  gate.done(tables.units[1]);
  EXPECT_FALSE(begun);
  gate.done(tables.units[0]);
  other.join();
  EXPECT_TRUE(begun);
}

TEST(LoadGate, WhatStandsLaterIsNotWaitedFor) {
  WaveTables tables;
  tables.add(2);
  tables.add(1);
  LoadGate gate(tables.units, {{2, {1}}});
  gate.wait(tables.units[0], {});
}

TEST(LoadGate, StoppingEndsTheWait) {
  WaveTables tables;
  tables.add(1);
  tables.add(2);
  LoadGate gate(tables.units, {{2, {1}}});
  std::stop_source stop;
  std::jthread other(
      [&] { EXPECT_ERROR(cancelled, gate.wait(tables.units[1], stop.get_token())); });
  stop.request_stop();
}

}  // namespace
}  // namespace holdfast
