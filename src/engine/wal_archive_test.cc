#include "engine/wal_archive.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <random>

#include "base/expect_error.h"
#include "base/file.h"
#include "engine/wal_index.h"
#include "pg/wal_samples.h"

#include "engine/segment_samples.h"

namespace holdfast {
namespace {

using samples::WalMaker;

WalTime at_second(int64_t second) {
  return WalTime(std::chrono::seconds(1'800'000'000 + second));
}

// Every change gets a time of its own, whatever the file system's clock ticks in.
void write(const std::string& path, std::string_view content) {
  static int64_t tick = 0;
  std::ofstream(path, std::ios::binary) << content;
  struct timespec times[2] = {{0, UTIME_OMIT}, {1'700'000'000 + ++tick, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
}

// A commit a second, and what the archive must say of it.
struct Ledger {
  WalMaker wal{kSegment};
  struct Entry {
    WalTime time;
    Lsn commit, before, before_end;  // the record before it
  };
  std::vector<Entry> entries;
  int64_t second = 0;
  std::mt19937 random{5};

  void grow(int count) {
    for (int i = 0; i < count; ++i) {
      wal.filler(random() % 6000);
      Lsn before = wal.last(), end = wal.end();
      WalTime time = at_second(++second);
      entries.push_back({time, wal.commit(time, second % 7 == 0), before, end});
    }
  }
  // All segments; the last one as `.partial` unless `complete`.
  void write_to(const std::string& folder, bool complete = false, Timeline of = 1) {
    for (uint64_t i = 0; i < wal.segments(); ++i) {
      uint64_t number = wal.first_segment() + i;
      bool last = i + 1 == wal.segments() && !complete;
      std::string path = folder + "/" + wal.name(number, of);
      if (!last && file_exists(path)) continue;
      if (!last) unlink((path + ".partial").c_str());
      write(path + (last ? ".partial" : ""), wal.segment(number));
    }
  }
  Lsn first() const { return {wal.first_segment() * kSegment + kWalLongHeaderBytes}; }
};

struct WalArchiveTest : testing::Test {
  TempFolder temp{"hf-wal-"};
  std::string folder = temp.path() + "/wal", index = temp.path() + "/index";
  Ledger ledger;
  void SetUp() override { make_folders(folder); }
};

TEST_F(WalArchiveTest, NothingThere) {
  WalArchive archive(folder, index);
  archive.refresh();
  EXPECT_TRUE(archive.stretches().empty());
  EXPECT_ERROR(invalid, archive.head(archive.lineage(1)));
  EXPECT_ERROR(not_found, archive.lineage(2));
  EXPECT_TRUE(archive.missing(archive.lineage(1)));
}

TEST_F(WalArchiveTest, AnswersForEveryInstantAndPosition) {
  ledger.grow(1500);
  ledger.write_to(folder);
  WalArchive archive(folder, index);
  EXPECT_GT(archive.refresh().segments_verified, 2);
  ASSERT_EQ(archive.stretches().size(), 1u);
  WalStretch whole = archive.stretches()[0];
  EXPECT_EQ(whole.from, ledger.first());
  EXPECT_EQ(whole.to, ledger.wal.end());
  EXPECT_EQ(whole.last_record, ledger.wal.last());
  EXPECT_EQ(whole.ending, StretchEnd::head);
  EXPECT_EQ(whole.commits, 1500u);
  Lineage all = archive.lineage(1);
  EXPECT_EQ(archive.missing(all), std::nullopt);
  WalPoint head = archive.head(all);
  EXPECT_EQ(head.record, ledger.wal.last());
  EXPECT_EQ(head.end, ledger.wal.end());
  EXPECT_EQ(head.commit_time, at_second(1500));

  for (size_t i = 1; i < ledger.entries.size(); i += 13) {
    const auto& entry = ledger.entries[i];
    using std::chrono::microseconds;
    for (WalTime time : {entry.time - microseconds(1), ledger.entries[i - 1].time}) {
      WalTimePoint found = archive.at_time(all, time);
      EXPECT_TRUE(found.later_commit_seen);
      EXPECT_EQ(found.point.record, entry.before);
      EXPECT_EQ(found.point.end, entry.before_end);
      EXPECT_EQ(found.point.commit_time, ledger.entries[i - 1].time);
    }
    // A position in the midst of a record is the record before; a border is the one that ends
    // there.
    for (uint64_t beyond : {0, 1, 7}) {
      WalPoint point = archive.at_lsn(all, {entry.before_end.value + beyond});
      EXPECT_EQ(point.record, entry.before);
      EXPECT_EQ(point.end, entry.before_end);
    }
    EXPECT_LT(archive.at_lsn(all, {entry.before_end.value - 1}).record, entry.before);
  }
  EXPECT_FALSE(archive.at_time(all, at_second(1500)).later_commit_seen);
  EXPECT_EQ(archive.at_time(all, at_second(1500)).point.end, ledger.wal.end());
  EXPECT_EQ(archive.at_lsn(all, ledger.wal.end()).end, ledger.wal.end());
  EXPECT_ERROR(invalid, archive.at_lsn(all, {ledger.wal.end().value + 1}));
  EXPECT_ERROR(invalid, archive.at_lsn(all, ledger.first()));
}

TEST_F(WalArchiveTest, FollowsTheOrderOfTheWalWhenTheClockJumps) {
  ledger.wal.commit(at_second(10));
  ledger.wal.commit(at_second(50));
  Lsn early = ledger.wal.commit(at_second(20));
  for (int i = 0; i < 1000; ++i) ledger.wal.filler(3000);
  ledger.wal.commit(at_second(30));
  ledger.wal.commit(at_second(60));
  ledger.write_to(folder);
  WalArchive archive(folder, index);
  archive.refresh();
  // PostgreSQL stops at the first commit that is later: at 50, though 20 and 30 come behind it.
  WalTimePoint found = archive.at_time(archive.lineage(1), at_second(40));
  EXPECT_LT(found.point.end, early);
  EXPECT_EQ(found.point.commit_time, at_second(10));
  // Asked for what comes behind it, 60 is the first.
  WalTimePoint later = archive.at_time({{1, early, {}}}, at_second(40));
  EXPECT_EQ(later.point.commit_time, at_second(30));
  EXPECT_TRUE(later.later_commit_seen);
  // The first record is too late already: the point is the beginning that was given.
  found = archive.at_time({{1, early, {}}}, at_second(1));
  EXPECT_EQ(found.point.end, early);
  EXPECT_LT(found.point.record, early);
  EXPECT_ERROR(invalid, archive.at_time(archive.lineage(1), at_second(1)));
}

TEST_F(WalArchiveTest, ReadsOnlyWhatIsNew) {
  WalArchive archive(folder, index);
  for (int i = 0; i < 60; ++i) {
    ledger.grow(40);
    if (i == 20) ledger.wal.cut_off();
    if (i == 30) ledger.wal.switch_segment();
    if (i == 40) ledger.wal.filler(3 * kSegment);
    ledger.write_to(folder);
    uint64_t before = archive.stretches().empty() ? 0 : archive.stretches()[0].to.value;
    uint64_t read = archive.refresh().read_bytes;
    ASSERT_EQ(archive.stretches().size(), 1u);
    EXPECT_EQ(archive.stretches()[0].to, ledger.wal.end());
    EXPECT_EQ(archive.stretches()[0].commits, ledger.entries.size());
    if (before == 0) continue;
    // At most the rest of one segment and the beginning of the next one besides.
    EXPECT_LT(read, ledger.wal.end().value - before + 2 * kSegment);
  }
  EXPECT_LE(archive.refresh().read_bytes, 64u << 10);
  // A later process reads the open segment and takes the rest from the index.
  WalArchive again(folder, index);
  WalRefresh done = again.refresh();
  EXPECT_LT(done.read_bytes, 2 * kSegment);
  EXPECT_EQ(done.segments_verified, 0);
  EXPECT_EQ(again.stretches()[0].to, ledger.wal.end());
  EXPECT_EQ(again.stretches()[0].commits, ledger.entries.size());
  EXPECT_EQ(again.at_time(again.lineage(1), ledger.entries[100].time).point.record,
            ledger.entries[101].before);
}

TEST_F(WalArchiveTest, RebuildsAnIndexThatIsLostOrBroken) {
  ledger.grow(1500);
  ledger.write_to(folder);
  std::string file = index + "/00000001.walidx";
  uint64_t full = 0;
  {
    WalArchive archive(folder, index);
    full = archive.refresh().read_bytes;
  }
  const std::string sound = read_file(file, 1 << 20);
  std::mt19937 random(9);
  for (int i = 0; i < 60; ++i) {
    std::string broken = sound;
    if (i % 3 == 0) broken.resize(random() % broken.size());
    if (i % 3 == 1) broken[random() % broken.size()] ^= static_cast<char>(1 << random() % 8);
    if (i % 3 == 2) broken += broken.substr(random() % broken.size());
    write(file, broken);
    WalArchive archive(folder, index);
    archive.refresh();
    ASSERT_EQ(archive.stretches().size(), 1u) << i;
    EXPECT_EQ(archive.stretches()[0].to, ledger.wal.end());
    EXPECT_EQ(archive.stretches()[0].commits, 1500u);
    WalArchive again(folder, index);
    EXPECT_LT(again.refresh().read_bytes, full / 2) << i;
  }
  // Of another cluster: does not count.
  WalIndexHeader header{1, kSegment, 4711};
  WalIndexFile other(file);
  other.replace(header, {});
  WalArchive archive(folder, index);
  EXPECT_EQ(archive.refresh().read_bytes, full);
}

TEST_F(WalArchiveTest, WorksWithoutAnIndexThatCannotBeWritten) {
  ledger.grow(600);
  ledger.write_to(folder);
  write(temp.path() + "/file", "");
  WalArchive archive(folder, temp.path() + "/file/index");
  EXPECT_NE(archive.refresh().index_trouble, "");
  EXPECT_EQ(archive.stretches()[0].to, ledger.wal.end());
}

TEST_F(WalArchiveTest, SeesGapsAndWhatFillsThem) {
  ledger.grow(2500);
  ledger.write_to(folder);
  std::string lost = folder + "/" + ledger.wal.name(3);
  std::string content = read_file(lost, kSegment);
  ASSERT_EQ(rename(lost.c_str(), (temp.path() + "/away").c_str()), 0);
  WalArchive archive(folder, index);
  archive.refresh();
  auto stretches = archive.stretches();
  ASSERT_EQ(stretches.size(), 2u);
  EXPECT_EQ(stretches[0].ending, StretchEnd::gap);
  EXPECT_THAT(stretches[0].why, testing::HasSubstr("segment is not there"));
  EXPECT_LE(stretches[0].to.value, 3u * kSegment);
  EXPECT_GE(stretches[1].from.value, 4u * kSegment);
  EXPECT_EQ(stretches[1].to, ledger.wal.end());
  EXPECT_TRUE(archive.missing({{1, ledger.first(), {}}}));
  EXPECT_FALSE(archive.missing({{1, {}, {}}}));  // the last stretch
  EXPECT_ERROR(invalid, archive.at_time({{1, ledger.first(), {}}}, at_second(5)));
  EXPECT_ERROR(invalid, archive.at_lsn({{1, {}, {}}}, stretches[0].to));
  // Comes back: one stretch again, by reading little.
  write(lost, content);
  uint64_t read = archive.refresh().read_bytes;
  ASSERT_EQ(archive.stretches().size(), 1u);
  EXPECT_EQ(archive.stretches()[0].to, ledger.wal.end());
  EXPECT_LT(read, 4u * kSegment);
  WalArchive again(folder, index);
  again.refresh();
  EXPECT_EQ(again.stretches().size(), 1u);
  // The oldest go: what is left begins later.
  unlink((folder + "/" + ledger.wal.name(1)).c_str());
  again.refresh();
  ASSERT_EQ(again.stretches().size(), 1u);
  EXPECT_GE(again.stretches()[0].from.value, 2u * kSegment);
}

TEST_F(WalArchiveTest, SeesDamageAndItsRepair) {
  ledger.grow(2500);
  ledger.write_to(folder);
  std::string path = folder + "/" + ledger.wal.name(3), content = read_file(path, kSegment);
  std::string damaged = content;
  damaged[kSegment / 2] ^= 4;
  write(path, damaged);
  WalArchive archive(folder, index);
  EXPECT_EQ(archive.refresh().segments_damaged, 1);
  auto stretches = archive.stretches();
  ASSERT_EQ(stretches.size(), 2u);
  EXPECT_EQ(stretches[0].ending, StretchEnd::damage);
  EXPECT_LE(stretches[0].to.value, 3u * kSegment + kSegment / 2);
  EXPECT_GT(stretches[0].to.value, 3u * kSegment + kSegment / 4);
  EXPECT_GE(stretches[1].from.value, 4u * kSegment);
  write(path, content);
  archive.refresh();
  ASSERT_EQ(archive.stretches().size(), 1u);
  EXPECT_EQ(archive.stretches()[0].commits, 2500u);
  // A file that changes after it was verified is read again.
  write(path, damaged);
  archive.refresh();
  EXPECT_EQ(archive.stretches().size(), 2u);
  // Too short, as after a full disk.
  write(path, content.substr(0, kSegment / 2));
  archive.refresh();
  ASSERT_EQ(archive.stretches().size(), 2u);
  EXPECT_EQ(archive.stretches()[0].ending, StretchEnd::damage);
}

TEST_F(WalArchiveTest, PassesByRecycledFilesAndForeignOnes) {
  ledger.grow(900);
  ledger.write_to(folder, /*complete=*/true);
  std::string old = read_file(folder + "/" + ledger.wal.name(1), kSegment);
  uint64_t last = ledger.wal.first_segment() + ledger.wal.segments() - 1;
  for (uint64_t i = 1; i < 4; ++i) write(folder + "/" + ledger.wal.name(last + i), old);
  write(folder + "/notes.txt", "x");
  make_folders(folder + "/archive_status");
  WalArchive archive(folder, index);
  EXPECT_EQ(archive.refresh().segments_damaged, 0);
  ASSERT_EQ(archive.stretches().size(), 1u);
  EXPECT_EQ(archive.stretches()[0].to, ledger.wal.end());
  EXPECT_EQ(archive.stretches()[0].ending, StretchEnd::head);
  WalArchive other(folder, "");
  other.expect_system(4711);
  other.refresh();
  EXPECT_TRUE(other.stretches().empty());
}

TEST_F(WalArchiveTest, FollowsAForkOverSeveralFolders) {
  ledger.grow(700);
  Ledger child = ledger;  // leaves its parent here
  Lsn fork = ledger.wal.end();
  WalTime fork_time = ledger.entries.back().time;
  child.wal.timeline = 2;
  Lsn first =
      child.wal.add(0, 0x90, WalMaker::number(0) + WalMaker::number32(2) + WalMaker::number32(1));
  child.grow(700);
  ledger.grow(700);  // the parent goes on: a dead end for the child
  ledger.write_to(folder);
  std::string own = temp.path() + "/pg_wal";
  make_folders(own);
  uint64_t fork_segment = fork.value / kSegment;
  for (uint64_t i = fork_segment; i < child.wal.first_segment() + child.wal.segments(); ++i)
    write(own + "/" + child.wal.name(i, 2), child.wal.segment(i));
  write(own + "/00000002.history", "1\t" + format_lsn(fork) + "\tbefore\n");
  WalArchive archive(WalArchive::Folders{{1, {folder}}, {2, {own}}}, "");
  archive.refresh();
  Lineage lineage = archive.lineage(2);
  ASSERT_EQ(lineage.size(), 2u);
  EXPECT_EQ(lineage[0].to, fork);
  EXPECT_EQ(archive.missing(lineage), std::nullopt);
  EXPECT_EQ(archive.head(lineage).end, child.wal.end());
  EXPECT_EQ(archive.head(archive.lineage(1)).end, ledger.wal.end());
  WalPoint at_fork = archive.at_lsn(lineage, fork);
  EXPECT_EQ(at_fork.timeline, 1u);
  EXPECT_EQ(at_fork.end, fork);
  EXPECT_EQ(at_fork.commit_time, fork_time);
  EXPECT_EQ(archive.at_lsn(lineage, {fork.value + 30}).timeline, 1u);  // within its first record
  // Instants around it: the child's commits are seen, the parent's later ones are not.
  for (size_t i : {10, 300, 699, 700, 701, 900, 1399}) {
    WalTimePoint found = archive.at_time(lineage, child.entries[i].time);
    EXPECT_EQ(found.point.commit_time, child.entries[i].time) << i;
    EXPECT_EQ(found.later_commit_seen, i != 1399);
    if (i == 1399) continue;
    EXPECT_EQ(found.point.record, child.entries[i + 1].before);
    EXPECT_EQ(found.point.timeline, i + 1 < 700 ? 1u : 2u);
  }
  EXPECT_GE(first, fork);
  // Without its own WAL the lineage ends at the fork; without the parent's it is not there.
  WalArchive empty(WalArchive::Folders{{1, {folder}}}, "");
  empty.refresh();
  EXPECT_EQ(empty.head({{1, {}, fork}, {2, fork, {}}}).end, fork);
  WalArchive orphan(WalArchive::Folders{{2, {own}}}, "");
  orphan.refresh();
  EXPECT_TRUE(orphan.missing(lineage));
}

TEST_F(WalArchiveTest, TakesAGoodCopyBeforeARecycledOne) {
  ledger.grow(900);
  std::string recycled = temp.path() + "/pg_wal";
  make_folders(recycled);
  ledger.write_to(folder, true);
  for (uint64_t i = 2; i < 4; ++i)
    write(recycled + "/" + ledger.wal.name(i), ledger.wal.segment(1));
  WalArchive archive(WalArchive::Folders{{1, {recycled, folder}}}, "");
  archive.refresh();
  ASSERT_EQ(archive.stretches().size(), 1u);
  EXPECT_EQ(archive.stretches()[0].to, ledger.wal.end());
}

TEST_F(WalArchiveTest, SaysWhatRecoveryNeeds) {
  ledger.grow(300);
  ledger.wal.parameters(300);
  Lsn between = ledger.wal.last();
  ledger.grow(300);
  ledger.wal.parameters(200);
  ledger.wal.tablespace(16999, "/srv/fast");
  ledger.grow(300);
  Lsn before = ledger.wal.end();
  Lsn minimal = ledger.wal.parameters(50, 0);
  ledger.write_to(folder);
  WalArchive archive(folder, index);
  archive.refresh();
  WalNeeds needs = archive.needs(archive.lineage(1));
  EXPECT_EQ(needs.max_connections, 300);
  EXPECT_EQ(needs.max_locks_per_transaction, 64);
  ASSERT_EQ(needs.tablespaces.size(), 1u);
  EXPECT_EQ(needs.tablespaces[0].path, "/srv/fast");
  EXPECT_EQ(needs.minimal_wal, minimal);
  needs = archive.needs({{1, {between.value + 8}, before}});
  EXPECT_EQ(needs.max_connections, 200);
  EXPECT_FALSE(needs.minimal_wal);
  EXPECT_EQ(archive.needs({{1, ledger.first(), between}}).max_connections, 0);
}

TEST(WalIndex, EntriesComeBack) {
  WalIndexEntry entry;
  entry.segment = 5;
  entry.file_time = -7;
  entry.first_record = {5 * kSegment + 40};
  entry.last_record = {5 * kSegment + 80};
  entry.last_end = entry.next_record = {6 * kSegment + 64};
  entry.first_prev = {4 * kSegment + 8};
  entry.records = 2;
  entry.max_connections = -1;
  entry.magic = 0xD118;
  std::string text = write_wal_index_entry(entry);
  EXPECT_EQ(read_wal_index_entry(as_bytes(text), kSegment), entry);
  EXPECT_FALSE(read_wal_index_entry(as_bytes(text), 2 * kSegment));
  for (size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string broken = text;
    broken[bit / 8] = static_cast<char>(broken[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(read_wal_index_entry(as_bytes(broken), kSegment)) << bit;
  }
  WalIndexHeader header{3, kSegment, 99};
  EXPECT_EQ(read_wal_index_header(as_bytes(write_wal_index_header(header))), header);
}

}  // namespace
}  // namespace holdfast
