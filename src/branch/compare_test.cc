#include "branch/compare.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <vector>

namespace holdfast {
namespace {

RowChecksum sum(uint64_t rows, uint64_t low) {
  RowChecksum made;
  made.rows = rows, made.low = low;
  return made;
}

TEST(SideBySide, TablesMeetByName) {
  BranchComparison all{"before", "main",
                       side_by_side({{"a", sum(1, 5)}, {"b", sum(2, 6)}, {"d", sum(3, 7)}},
                                    {{"b", sum(2, 6)}, {"c", sum(4, 8)}, {"d", sum(3, 9)}})};
  ASSERT_EQ(all.tables.size(), 4u);
  EXPECT_EQ(all.tables[0].name, "a");
  EXPECT_FALSE(all.tables[0].in_other.has_value());
  EXPECT_TRUE(all.tables[1].equal());
  EXPECT_EQ(all.tables[2].name, "c");
  EXPECT_FALSE(all.tables[2].in_branch.has_value());
  EXPECT_EQ(all.tables[2].in_other->rows, 4u);
  EXPECT_FALSE(all.tables[3].equal()) << "as many rows, but others";
  EXPECT_EQ(all.equal(), 1u);
  EXPECT_FALSE(all.all_equal());
}

// An empty table is not a table that is missing.
TEST(SideBySide, EmptyIsNotMissing) {
  EXPECT_FALSE(side_by_side({{"a", {}}}, {}).front().equal());
  EXPECT_TRUE(side_by_side({{"a", {}}}, {{"a", {}}}).front().equal());
  EXPECT_TRUE((BranchComparison{"x", "y", side_by_side({}, {})}.all_equal()));
}

RC_GTEST_PROP(SideBySide, NoTableIsLostOrInvented,
              (const std::vector<uint8_t>& here, const std::vector<uint8_t>& there)) {
  using Tables = std::map<std::string, uint8_t>;
  auto tables_of = [](const std::vector<uint8_t>& seeds) {  // a dozen names, so that many meet
    Tables tables;
    for (uint8_t seed : seeds) tables[std::to_string(seed % 12)] = seed % 3;
    return tables;
  };
  Tables branch = tables_of(here), other = tables_of(there);
  auto sums = [](const Tables& tables) {
    std::vector<TableSum> list;
    for (const auto& [table, rows] : tables) list.push_back({table, sum(rows, rows)});
    return list;
  };
  size_t in_branch = 0, in_other = 0;
  std::string before;
  for (const ComparedTable& table : side_by_side(sums(branch), sums(other))) {
    RC_ASSERT(before < table.name);
    before = table.name;
    RC_ASSERT(table.in_branch.has_value() == (branch.count(table.name) > 0));
    RC_ASSERT(table.in_other.has_value() == (other.count(table.name) > 0));
    if (table.in_branch) RC_ASSERT(table.in_branch->rows == branch.at(table.name));
    if (table.in_other) RC_ASSERT(table.in_other->rows == other.at(table.name));
    in_branch += table.in_branch ? 1 : 0;
    in_other += table.in_other ? 1 : 0;
  }
  RC_ASSERT(in_branch == branch.size());
  RC_ASSERT(in_other == other.size());
}

}  // namespace
}  // namespace holdfast
