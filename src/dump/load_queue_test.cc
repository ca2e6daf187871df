#include "dump/load_queue.h"

#include <gtest/gtest.h>

#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace holdfast {
namespace {

// Tables and large objects of a backup as far as loading goes.
class Backlog {
 public:
  Backlog& table(int dump_id, std::vector<uint64_t> piece_bytes, bool can_be_made_anew = true) {
    TableRecord& record = tables_.emplace_back();
    record.dump_id = dump_id;
    for (uint64_t bytes : piece_bytes) {
      Piece piece;
      piece.text_bytes = bytes;
      record.pieces.push_back(piece);
    }
    for (size_t i = 0; i < piece_bytes.size(); ++i) units.push_back({&record, i, nullptr, false});
    plans[dump_id].can_be_made_anew = can_be_made_anew;
    return *this;
  }
  Backlog& objects(uint64_t bytes) {
    LargeObjectRecord& record = objects_.emplace_back();
    record.content_bytes = bytes;
    units.push_back({nullptr, 0, &record, false});
    return *this;
  }

  std::vector<LoadUnit> units;
  std::map<int, SendPlan> plans;

 private:
  std::list<TableRecord> tables_;  // whose addresses stay
  std::list<LargeObjectRecord> objects_;
};

// "7.0" is the first piece of table 7; "7.0 whole"; "objects".
std::string in_words(const std::optional<LoadUnit>& unit) {
  if (!unit) return "nothing";
  if (unit->objects != nullptr) return "objects";
  return std::to_string(unit->table->dump_id) + "." + std::to_string(unit->piece) +
         (unit->whole_table ? " whole" : "");
}

struct Connections {
  explicit Connections(const Backlog& backlog, int count)
      : queue(backlog.units, backlog.plans, count), places(static_cast<size_t>(count)) {}
  std::string next(size_t connection) { return in_words(queue.next(places[connection])); }

  LoadQueue queue;
  std::vector<LoadQueue::Place> places;
};

TEST(LoadQueue, NothingToLoad) {
  Connections two(Backlog(), 2);
  EXPECT_EQ(two.next(0), "nothing");
  EXPECT_EQ(two.next(1), "nothing");
}

TEST(LoadQueue, OneConnectionLoadsEveryTableWhole) {
  Backlog backlog;
  backlog.table(1, {5}).table(2, {30, 30}).table(3, {9, 1});
  Connections one(backlog, 1);
  std::vector<std::string> seen;
  for (int i = 0; i < 6; ++i) seen.push_back(one.next(0));
  EXPECT_EQ(seen, (std::vector<std::string>{"2.0 whole", "2.1 whole", "3.0 whole", "3.1 whole",
                                            "1.0 whole", "nothing"}));
}

TEST(LoadQueue, TableOfMoreThanAFairShareIsSharedOnceTheOthersAreBegun) {
  Backlog backlog;
  backlog.table(1, {10, 10, 10, 10, 10, 10, 10, 10}).table(2, {8, 8});
  Connections two(backlog, 2);
  EXPECT_EQ(two.next(0), "1.0");
  EXPECT_EQ(two.next(1), "2.0 whole");
  EXPECT_EQ(two.next(0), "1.1");
  EXPECT_EQ(two.next(1), "2.1 whole");
  EXPECT_EQ(two.next(1), "1.2");
  EXPECT_EQ(two.next(0), "1.3");
}

TEST(LoadQueue, NobodyHelpsWithATableThatIsLoadedWhole) {
  Backlog backlog;
  backlog.table(1, {10, 10}).table(2, {9, 9});
  Connections three(backlog, 2);
  EXPECT_EQ(three.next(0), "1.0 whole");
  EXPECT_EQ(three.next(1), "2.0 whole");
  EXPECT_EQ(three.next(0), "1.1 whole");
  EXPECT_EQ(three.next(0), "nothing");
  EXPECT_EQ(three.next(1), "2.1 whole");
  EXPECT_EQ(three.next(1), "nothing");
}

TEST(LoadQueue, ShareIsOfWhatIsLeftWhenATableIsBegun) {
  // 2 would end long after 1 if it were loaded whole; of all there was at first it is a fair share.
  Backlog backlog;
  backlog.table(1, {10, 10, 10, 10, 10}).table(3, {10, 10, 10, 9}).table(2, {10, 10, 10, 5});
  Connections two(backlog, 2);
  EXPECT_EQ(two.next(0), "1.0 whole");
  EXPECT_EQ(two.next(1), "3.0 whole");
  for (int i = 1; i < 4; ++i) EXPECT_EQ(two.next(0), "1." + std::to_string(i) + " whole");
  for (int i = 1; i < 4; ++i) EXPECT_EQ(two.next(1), "3." + std::to_string(i) + " whole");
  EXPECT_EQ(two.next(1), "2.0");
  EXPECT_EQ(two.next(0), "1.4 whole");
  EXPECT_EQ(two.next(0), "2.1");
}

TEST(LoadQueue, TableOfOnePieceIsAlwaysWhole) {
  Backlog backlog;
  backlog.table(1, {1000}).table(2, {1});
  Connections four(backlog, 4);
  EXPECT_EQ(four.next(0), "1.0 whole");
  EXPECT_EQ(four.next(1), "2.0 whole");
  EXPECT_EQ(four.next(2), "nothing");
}

TEST(LoadQueue, TableThatCannotBeMadeAnewIsNeverWhole) {
  Backlog backlog;
  backlog.table(1, {10, 10}, false).table(2, {1}, false);
  Connections one(backlog, 1);
  EXPECT_EQ(one.next(0), "1.0");
  EXPECT_EQ(one.next(0), "1.1");
  EXPECT_EQ(one.next(0), "2.0");
}

TEST(LoadQueue, TableWithoutAPlanIsNeverWhole) {
  Backlog backlog;
  backlog.table(1, {10});
  backlog.plans.clear();
  Connections one(backlog, 1);
  EXPECT_EQ(one.next(0), "1.0");
}

TEST(LoadQueue, LargeObjectsComeFirst) {
  Backlog backlog;
  backlog.objects(1).table(1, {100}).objects(2);
  Connections one(backlog, 1);
  EXPECT_EQ(one.next(0), "objects");
  EXPECT_EQ(one.next(0), "objects");
  EXPECT_EQ(one.next(0), "1.0 whole");
}

TEST(LoadQueue, EveryUnitIsHandedOutOnceAndWholeTablesToOneConnection) {
  Backlog backlog;
  uint64_t seed = 7;
  for (int table = 1; table <= 60; ++table) {
    std::vector<uint64_t> pieces;
    for (uint64_t i = 0; i < 1 + seed % 9; ++i) pieces.push_back(1 + (seed >> 8) % 1000);
    backlog.table(table, pieces, seed % 5 != 0);
    seed = seed * 6364136223846793005u + 1442695040888963407u;
  }
  Connections five(backlog, 5);
  std::map<const TableRecord*, size_t> owner;
  std::set<std::string> seen;
  std::set<size_t> ended;
  for (size_t turn = 0; ended.size() < 5; ++turn) {
    size_t connection = turn * 7 / 3 % 5;
    std::optional<LoadUnit> unit = five.queue.next(five.places[connection]);
    if (!unit) {
      ended.insert(connection);
      continue;
    }
    EXPECT_TRUE(seen.insert(in_words(unit)).second) << in_words(unit);
    if (unit->whole_table) {
      EXPECT_EQ(owner.emplace(unit->table, connection).first->second, connection);
    }
  }
  EXPECT_EQ(seen.size(), backlog.units.size());
}

TEST(LoadQueue, InTheArchivesOrderOnlyTablesOfOnePieceAreWhole) {
  Backlog backlog;
  backlog.table(1, {10, 10}).table(2, {1}).table(3, {1}, false).objects(5);
  keep_short_tables_whole(backlog.units, backlog.plans);
  std::vector<bool> whole;
  for (const LoadUnit& unit : backlog.units) whole.push_back(unit.whole_table);
  EXPECT_EQ(whole, (std::vector<bool>{false, false, true, false, false}));
}

}  // namespace
}  // namespace holdfast
