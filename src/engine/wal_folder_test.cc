#include "engine/wal_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"

#include "engine/segment_samples.h"

namespace holdfast {
namespace {

using testing::ElementsAre;

class WalFolderTest : public testing::Test {
 protected:
  void put(const std::string& folder, const std::string& name, const std::string& content = "x") {
    make_folders(folder);
    std::ofstream(folder + "/" + name) << content;
  }
  std::string name(Timeline timeline, uint64_t number, bool partial = false) {
    return wal_file_name(timeline, number, kSegment) + (partial ? ".partial" : "");
  }
  bool has(const std::string& folder, const std::string& file) {
    return file_exists(folder + "/" + file);
  }

  TempFolder temporary_{"hf-wal-folder-"};
  WalFolder folder_{temporary_.path()};
};

TEST_F(WalFolderTest, ListsBothFoldersInTheOrderOfTheWal) {
  put(folder_.current(), name(1, 5000));
  put(folder_.current(), name(2, 5001, true));
  put(folder_.current(), "00000002.history");
  put(folder_.current(), "archive_status");
  put(folder_.earlier(), name(1, 4999));
  std::vector<uint64_t> numbers;
  for (const SegmentFile& each : folder_.list(kSegment)) numbers.push_back(each.number);
  EXPECT_THAT(numbers, ElementsAre(4999, 5000, 5001));
  EXPECT_THAT(folder_.timelines(), ElementsAre(1, 2));
}

TEST_F(WalFolderTest, GoesOnWherePgReceivewalDoes) {
  EXPECT_EQ(folder_.arrange(first_timeline(1), {}, kSegment), std::nullopt);
  put(folder_.current(), name(1, 7));
  EXPECT_EQ(folder_.arrange(first_timeline(1), {}, kSegment), (ReceiveStart{1, {8 * kMiB}}));
  put(folder_.current(), name(1, 8, true));
  EXPECT_EQ(folder_.arrange(first_timeline(1), {}, kSegment), (ReceiveStart{1, {8 * kMiB}}));
  put(folder_.current(), name(1, 8));
  EXPECT_EQ(folder_.arrange(first_timeline(1), {}, kSegment), (ReceiveStart{1, {9 * kMiB}}));
}

// The source was promoted within segment 8; what was received of timeline 1 goes on beyond that.
TEST_F(WalFolderTest, PutsAsideWhatTheSourceHasLeft) {
  Lineage lineage = {{1, {}, {8 * kMiB + 512}}, {2, {8 * kMiB + 512}, {}}};
  for (uint64_t number : {6, 7, 8, 9}) put(folder_.current(), name(1, number));
  put(folder_.current(), name(1, 10, true));
  EXPECT_EQ(folder_.arrange(lineage, {}, kSegment), (ReceiveStart{1, {8 * kMiB}}));
  EXPECT_TRUE(has(folder_.current(), name(1, 7)));
  EXPECT_TRUE(has(folder_.earlier(), name(1, 8)));
  EXPECT_TRUE(has(folder_.earlier(), name(1, 9)));
  EXPECT_TRUE(has(folder_.earlier(), name(1, 10, true)));
  // And takes it back when the source is on timeline 1 after all.
  put(folder_.current(), name(2, 8, true));
  EXPECT_EQ(folder_.arrange(first_timeline(1), {}, kSegment), (ReceiveStart{1, {10 * kMiB}}));
  EXPECT_TRUE(has(folder_.earlier(), name(2, 8, true)));
  EXPECT_TRUE(has(folder_.current(), name(1, 10, true)));
}

TEST_F(WalFolderTest, BeginsAnewBehindAGap) {
  for (uint64_t number : {6, 7}) put(folder_.current(), name(1, number));
  put(folder_.current(), name(1, 8, true));
  EXPECT_EQ(folder_.arrange(first_timeline(1), {20 * kMiB}, kSegment), std::nullopt);
  EXPECT_TRUE(has(folder_.earlier(), name(1, 8, true)));
  put(folder_.current(), name(1, 20, true));
  EXPECT_EQ(folder_.arrange(first_timeline(1), {20 * kMiB}, kSegment),
            (ReceiveStart{1, {20 * kMiB}}));
}

TEST_F(WalFolderTest, AdoptsATimelineUpToItsEnd) {
  std::string pg_wal = temporary_.path() + "/pg_wal";
  put(pg_wal, "00000002.history", "1\t0/800200\tx\n");
  put(pg_wal, name(1, 7));
  put(pg_wal, name(2, 8), "eight");
  put(pg_wal, name(2, 9), std::string(100, '9') + "older WAL behind the end");
  put(pg_wal, name(2, 10), "recycled");
  folder_.adopt(pg_wal, 2, {9 * kMiB + 100}, kSegment);
  folder_.adopt(pg_wal, 2, {9 * kMiB + 100}, kSegment);
  EXPECT_TRUE(has(folder_.current(), name(2, 8)));
  EXPECT_TRUE(has(folder_.current(), name(2, 9, true)));
  EXPECT_EQ(read_file(folder_.current() + "/" + name(2, 9, true), kMiB),
            std::string(100, '9') + std::string(24, '\0'));
  EXPECT_FALSE(has(folder_.current(), name(2, 9)));
  EXPECT_FALSE(has(folder_.current(), name(2, 10)));
  EXPECT_FALSE(has(folder_.current(), name(1, 7)));
  EXPECT_EQ(folder_.history(2), "1\t0/800200\tx\n");
  EXPECT_EQ(folder_.history(3), std::nullopt);
}

TEST_F(WalFolderTest, RemovesWhatIsUnneededButNeverTheNewest) {
  for (uint64_t number : {6, 7}) put(folder_.current(), name(1, number));
  put(folder_.current(), name(1, 8, true));
  put(folder_.earlier(), name(1, 5));
  EXPECT_EQ(folder_.remove([](const SegmentFile& each) { return each.number != 6; }, kSegment),
            2 * kMiB);
  EXPECT_TRUE(has(folder_.current(), name(1, 6)));
  EXPECT_FALSE(has(folder_.current(), name(1, 7)));
  EXPECT_TRUE(has(folder_.current(), name(1, 8, true)));
  EXPECT_FALSE(has(folder_.earlier(), name(1, 5)));
}

}  // namespace
}  // namespace holdfast
