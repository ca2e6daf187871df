#include "dump/load_order.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TocEntry entry(int id, const char* desc, const char* tag, Section section,
               std::vector<int> dependencies) {
  TocEntry made;
  made.dump_id = id;
  made.desc = desc;
  made.tag = tag;
  made.name_space = "public";
  made.section = section;
  made.dependencies = std::move(dependencies);
  return made;
}

// parent ← middle (partitioned too) ← leaf; parent ← other
ArchiveToc partitioned() {
  ArchiveToc toc;
  toc.entries = {entry(1, "TABLE", "parent", Section::pre_data, {}),
                 entry(2, "TABLE", "middle", Section::pre_data, {}),
                 entry(3, "TABLE", "leaf", Section::pre_data, {}),
                 entry(4, "TABLE", "other", Section::pre_data, {}),
                 entry(5, "TABLE ATTACH", "middle", Section::pre_data, {2, 1}),
                 entry(6, "TABLE ATTACH", "leaf", Section::pre_data, {3, 2}),
                 entry(7, "TABLE ATTACH", "other", Section::pre_data, {1, 4}),
                 entry(8, "TABLE", "plain", Section::pre_data, {}),
                 entry(20, "TABLE DATA", "leaf", Section::data, {3}),
                 entry(21, "TABLE DATA", "other", Section::data, {4}),
                 entry(22, "TABLE DATA", "plain", Section::data, {8}),
                 entry(10, "TRIGGER", "parent t", Section::post_data, {1, 21}),
                 entry(11, "FK CONSTRAINT", "middle f", Section::post_data, {2, 8}),
                 entry(12, "INDEX", "plain_i", Section::post_data, {8})};
  return toc;
}

TEST(LoadOrder, WhatHangsOnAPartitionedTableWaitsForItsPartitions) {
  Dependencies expected = {{10, {20}}, {11, {20}}};
  EXPECT_EQ(load_order_dependencies(partitioned()), expected);
}

TEST(LoadOrder, ACircleOfPartitionsEnds) {
  ArchiveToc toc = partitioned();
  toc.entries.push_back(entry(9, "TABLE ATTACH", "parent", Section::pre_data, {1, 3}));
  EXPECT_EQ(load_order_dependencies(toc).at(11), (std::vector<int>{20, 21}));
}

}  // namespace
}  // namespace holdfast
