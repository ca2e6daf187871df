#include <gtest/gtest.h>

#include <random>

#include "base/expect_error.h"
#include "pg/timeline_history.h"
#include "pg/wal_format.h"
#include "pg/wal_reader.h"
#include "pg/wal_records.h"
#include "pg/wal_samples.h"

namespace holdfast {
namespace {

using samples::WalMaker;
constexpr uint32_t kSegment = 1 << 20;

WalTime at_second(int64_t second) {
  return WalTime(std::chrono::seconds(1'800'000'000 + second));
}

struct Read {
  std::vector<WalRecord> records;  // their bytes are gone
  std::vector<WalEvent> events;
  std::optional<WalStop> stop;
  Lsn verified, next;
};

Read read_all(std::string_view bytes, WalReaderStart start, size_t step = 1 << 20) {
  WalReader reader(start);
  Read found;
  WalRecord record;
  for (size_t at = 0; at < bytes.size() && !reader.stopped(); at += step) {
    reader.feed(as_bytes(bytes.substr(at, step)));
    while (reader.next(record)) {
      found.events.push_back(decode_wal_record(record, wal_major_version(reader.magic())));
      found.records.push_back(record);
      found.records.back().bytes = {};
    }
  }
  found.stop = reader.stopped();
  found.verified = reader.verified();
  found.next = reader.next_record();
  return found;
}

WalReaderStart from_start(const WalMaker& wal) {
  WalReaderStart start;
  start.at = {wal.first_segment() * wal.segment_bytes()};
  return start;
}

// Some of everything, over a few segments.
WalMaker busy_wal() {
  WalMaker wal;
  std::mt19937 random(7);
  for (int i = 0; i < 400; ++i) {
    wal.filler(random() % 9000);
    wal.commit(at_second(i));
    if (i % 50 == 10) wal.abort(at_second(i));
    if (i == 100) wal.cut_off();
    if (i == 150) wal.switch_segment();
    if (i == 200) wal.filler(2 * kSegment + 5);
  }
  return wal;
}

TEST(WalFormat, Names) {
  auto name = parse_wal_file_name("0000000A000000020000000F.partial");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->timeline, 10u);
  EXPECT_TRUE(name->partial);
  EXPECT_EQ(name->segment(16 << 20), 2 * 256 + 15);
  EXPECT_EQ(name->segment(1u << 30), std::nullopt);  // a size at which there are 4 a word
  EXPECT_EQ(wal_file_name(10, 2 * 256 + 15, 16 << 20), "0000000A000000020000000F");
  for (const char* wrong : {"", "00000001000000000000000", "00000001000000000000000G",
                            "000000010000000000000001.gz", "0000000100000000000000aa",
                            "000000000000000000000001", "000000010000000000000001.partial.partial"})
    EXPECT_FALSE(parse_wal_file_name(wrong)) << wrong;
  EXPECT_EQ(parse_history_file_name("0000000B.history"), 11u);
  EXPECT_EQ(history_file_name(11), "0000000B.history");
  EXPECT_FALSE(parse_history_file_name("00000000.history"));
  EXPECT_FALSE(parse_history_file_name("B.history"));
}

TEST(WalReader, ReadsAllThatWasWritten) {
  WalMaker wal;
  std::vector<Lsn> starts;
  std::mt19937 random(3);
  for (int i = 0; i < 2000; ++i) starts.push_back(wal.filler(random() % 3000));
  for (size_t step : {size_t{1} << 20, size_t{8192}, size_t{5000}, size_t{100'003}}) {
    Read found = read_all(wal.all(), from_start(wal), step);
    ASSERT_EQ(found.records.size(), starts.size());
    for (size_t i = 0; i < starts.size(); ++i) {
      EXPECT_EQ(found.records[i].start, starts[i]);
      EXPECT_EQ(found.records[i].prev, i == 0 ? Lsn{} : starts[i - 1]);
      if (i == 0) continue;
      EXPECT_EQ(wal_record_position(found.records[i - 1].end, kSegment), starts[i]);
    }
    EXPECT_EQ(found.verified, wal.end());
    ASSERT_TRUE(found.stop);
    EXPECT_EQ(found.stop->kind, WalStop::Kind::end) << found.stop->why;
  }
}

TEST(WalReader, BeginsInTheMidstOfARecordAndAtAKnownOne) {
  WalMaker wal;
  wal.filler(1000);
  wal.filler(kSegment + 100);  // lies over the border
  Lsn third = wal.filler(50);
  Lsn fourth = wal.filler(50);
  WalReaderStart start = from_start(wal);
  start.at = {start.at.value + kSegment};
  Read found = read_all(std::string_view(wal.all()).substr(kSegment), start);
  ASSERT_EQ(found.records.size(), 2u);
  EXPECT_EQ(found.records[0].start, third);

  WalReaderStart known;
  known.segment_bytes = kSegment;
  known.at = wal_page_start(fourth);
  known.record = fourth;
  known.prev = third;
  std::string rest = wal.all().substr(known.at.value - wal.first_segment() * kSegment);
  found = read_all(rest, known);
  ASSERT_EQ(found.records.size(), 1u);
  known.prev = {third.value - 8};  // it says otherwise
  found = read_all(rest, known);
  EXPECT_EQ(found.records.size(), 0u);
  EXPECT_EQ(found.stop->kind, WalStop::Kind::damage);
}

TEST(WalReader, KeepsToItsMemory) {
  WalMaker wal;
  wal.filler(30 << 20);
  wal.commit(at_second(1));
  WalReader reader(from_start(wal));
  std::string all = wal.all();
  reader.feed(as_bytes(all));
  WalRecord record;
  ASSERT_TRUE(reader.next(record));
  EXPECT_EQ(record.bytes.size(), kWalRecordKeptBytes);
  EXPECT_GT(record.total_bytes, 30u << 20);
  EXPECT_LE(wal_main_data(record, 15).size(), kWalRecordKeptBytes);
  EXPECT_TRUE(reader.next(record));
  all[20 << 20] ^= 1;  // verified all the same
  WalReader again(from_start(wal));
  again.feed(as_bytes(all));
  EXPECT_FALSE(again.next(record));
  EXPECT_EQ(again.stopped()->kind, WalStop::Kind::damage);
}

TEST(WalReader, FollowsSwitchesAndCutOffRecords) {
  WalMaker wal;
  Lsn first = wal.filler(100);
  Lsn lost = wal.cut_off();
  Lsn replacement = wal.last();
  Lsn swap = wal.switch_segment();
  Lsn last = wal.filler(10);
  Read found = read_all(wal.all(), from_start(wal));
  ASSERT_EQ(found.records.size(), 4u);
  EXPECT_EQ(found.records[0].start, first);
  EXPECT_EQ(wal_record_position(found.records[0].end, kSegment), lost);
  EXPECT_EQ(found.records[1].start, replacement);
  EXPECT_EQ(found.records[1].prev, first);
  EXPECT_EQ(found.records[2].start, swap);
  EXPECT_EQ(found.records[2].end.value, 2 * kSegment);
  EXPECT_EQ(found.records[3].start, last);
}

TEST(WalReader, SaysWhereWhatWasWrittenEnds) {
  WalMaker old(kSegment, 0), wal;
  for (int i = 0; i < 300; ++i) old.filler(3000);
  for (int i = 0; i < 30; ++i) wal.filler(3000);
  // A recycled file: beyond what was written now stands what was written then.
  std::string all = wal.all(), stale = old.segment(0);
  size_t page = (wal.end().value % kSegment + 8191) / 8192 * 8192;
  all.replace(page, std::string::npos, stale.substr(page));
  Read found = read_all(all, from_start(wal));
  EXPECT_EQ(found.verified, wal.end());
  EXPECT_EQ(found.stop->kind, WalStop::Kind::end);
  EXPECT_EQ(found.records.size(), 30u);
  // In the midst of a record.
  found = read_all(all.substr(0, 10 * 8192) + std::string(8192, '\0'), from_start(wal));
  EXPECT_EQ(found.stop->kind, WalStop::Kind::end);
  EXPECT_EQ(found.stop->at.value, kSegment + 10 * 8192u);
  EXPECT_EQ(found.next, wal_record_position(found.verified, kSegment));
}

TEST(WalReader, RefusesOtherClustersTimelinesAndSizes) {
  WalMaker wal;
  wal.filler(100);
  WalReaderStart start = from_start(wal);
  start.system_identifier = 1;
  EXPECT_EQ(read_all(wal.all(), start).stop->kind, WalStop::Kind::damage);
  start = from_start(wal);
  start.segment_bytes = 16 << 20;
  EXPECT_EQ(read_all(wal.all(), start).stop->kind, WalStop::Kind::damage);
  WalMaker later;
  later.timeline = 3;
  later.filler(100);
  start = from_start(later);
  start.timeline = 2;
  EXPECT_EQ(read_all(later.all(), start).stop->kind, WalStop::Kind::damage);
  start.timeline = 3;
  EXPECT_EQ(read_all(later.all(), start).stop->kind, WalStop::Kind::end);
}

TEST(WalReader, NoticesEveryFlippedBit) {
  WalMaker wal = busy_wal();
  const std::string all = wal.all();
  const Read whole = read_all(all, from_start(wal));
  ASSERT_EQ(whole.verified, wal.end());
  // Bytes that mean nothing: behind a switch, of a record that was cut off, the flag 0x0004.
  auto means_nothing = [&](size_t at, int bit) {
    Lsn lsn{wal.first_segment() * kSegment + at};
    if (lsn >= whole.verified) return true;
    if (at % kWalPageBytes == 2 && bit == 2) return true;
    for (size_t i = 0; i < whole.records.size(); ++i) {
      const WalRecord& record = whole.records[i];
      Lsn body{record.start.value + (record.total_bytes + 7) / 8 * 8};
      if (record.rmid == 0 && record.info == 0x40 && lsn >= body && lsn < record.end) return true;
      if (i + 1 < whole.records.size() &&
          wal_record_position(record.end, kSegment) != whole.records[i + 1].start &&
          lsn >= record.end && lsn < whole.records[i + 1].start)
        return true;
    }
    return false;
  };
  std::mt19937_64 random(11);
  std::string changed = all;
  int noticed = 0;
  for (int i = 0; i < 1200; ++i) {
    size_t at = random() % all.size();
    // Half of them where headers are: pages' and what follows them.
    if (i % 2 == 0) at = at / kWalPageBytes * kWalPageBytes + random() % 64;
    int bit = static_cast<int>(random() % 8);
    if (means_nothing(at, bit)) continue;
    changed[at] = static_cast<char>(all[at] ^ (1 << bit));
    Read found = read_all(changed, from_start(wal));
    changed[at] = all[at];
    Lsn lsn{wal.first_segment() * kSegment + at};
    EXPECT_LE(found.verified, lsn) << format_lsn(lsn) << " bit " << bit;
    ASSERT_TRUE(found.stop);
    ++noticed;
  }
  EXPECT_GT(noticed, 600);
}

TEST(WalRecords, SayWhatTheyAreFor) {
  WalMaker wal;
  wal.commit(at_second(5));
  wal.commit(at_second(6), /*prepared=*/true);
  wal.abort(at_second(7));
  wal.parameters(123, 0);
  wal.restore_point(at_second(8), "before_upgrade");
  wal.tablespace(16500, "/srv/fast");
  wal.add(4, 0x00, WalMaker::number32(5) + WalMaker::number32(1663) + std::string(8, '\0'));
  wal.add(4, 0x10, WalMaker::number32(6) + WalMaker::number32(1663));
  wal.add(4, 0x20, WalMaker::number32(6) + WalMaker::number32(1663));
  wal.add(0, 0x50, WalMaker::number(0x2000028));
  wal.add(0, 0x80, std::string(1, '\1'));
  wal.add(0, 0x90, WalMaker::number(0) + WalMaker::number32(2) + WalMaker::number32(1));
  Read found = read_all(wal.all(), from_start(wal));
  ASSERT_EQ(found.events.size(), 12u);
  auto* commit = std::get_if<WalTransactionEnd>(&found.events[0]);
  ASSERT_NE(commit, nullptr);
  EXPECT_TRUE(commit->committed);
  EXPECT_EQ(commit->time, at_second(5));
  EXPECT_TRUE(std::get<WalTransactionEnd>(found.events[1]).committed);
  EXPECT_FALSE(std::get<WalTransactionEnd>(found.events[2]).committed);
  EXPECT_EQ(std::get<WalParameters>(found.events[3]).max_connections, 123);
  EXPECT_EQ(std::get<WalParameters>(found.events[3]).wal_level, WalLevel::minimal);
  EXPECT_TRUE(std::get<WalParameters>(found.events[3]).track_commit_timestamp);
  EXPECT_EQ(std::get<WalRestorePoint>(found.events[4]).name, "before_upgrade");
  EXPECT_EQ(std::get<WalTablespaceCreated>(found.events[5]).path, "/srv/fast");
  EXPECT_EQ(std::get<WalDatabaseCreated>(found.events[6]).oid, 5u);
  EXPECT_EQ(std::get<WalDatabaseCreated>(found.events[7]).oid, 6u);
  EXPECT_TRUE(std::holds_alternative<std::monostate>(found.events[8]));
  EXPECT_EQ(std::get<WalBackupEnd>(found.events[9]).start, Lsn{0x2000028});
  EXPECT_TRUE(std::get<WalFullPageWrites>(found.events[10]).on);
  EXPECT_EQ(std::get<WalEndOfRecovery>(found.events[11]).timeline, 2u);

  wal = WalMaker();
  wal.add(1, 0x00, "short");
  EXPECT_ERROR(corrupt, read_all(wal.all(), from_start(wal)));
}

TEST(TimelineHistory, ReadsWhatPostgresWrites) {
  Lineage lineage = parse_timeline_history(
      3, "1\t0/3000148\tno recovery target specified\n\n# note\n2\t1/40\tbefore x\n");
  Lineage expected = {
      {1, {}, {0x3000148}}, {2, {0x3000148}, {0x100000040}}, {3, {0x100000040}, {}}};
  EXPECT_EQ(lineage, expected);
  EXPECT_EQ(timeline_of(lineage, {0x3000148}), 1u);
  EXPECT_EQ(timeline_of(lineage, {0x3000149}), 2u);
  EXPECT_EQ(timeline_of(lineage, {0x200000000}), 3u);
  EXPECT_EQ(parse_timeline_history(2, ""), (Lineage{{2, {}, {}}}));
  for (const char* wrong : {"x\t0/1\n", "1\t0\n", "1\n", "2\t0/1\n1\t0/2\n", "1\t0/5\n2\t0/4\n",
                            "3\t0/1\n", "0\t0/1\n", "-1\t0/1\n", "1\t0/1\n1\t0/2\n"})
    EXPECT_ERROR(corrupt, parse_timeline_history(3, wrong));
}

}  // namespace
}  // namespace holdfast
