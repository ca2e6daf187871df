#include "engine/storage_documents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/expect_error.h"

namespace holdfast {
namespace {

using testing::HasSubstr;

UtcTime at(int64_t ms) {
  return UtcTime(std::chrono::milliseconds(ms));
}

TEST(StorageDocuments, TheStorageComesBack) {
  StorageRecord record;
  record.id = "0123abcd";
  record.system_identifier = 18446744073709551615u;
  record.segment_bytes = 16 << 20;
  record.server_version = 150018;
  record.timeline = 3;
  record.receive_from = {0x3000000};
  record.gaps = {{2, {100}, {200}, at(5), at(3)}, {2, {300}, {400}, at(7), std::nullopt}};
  StorageRecord read = parse_storage_json(storage_json(record));
  EXPECT_EQ(read.slot(), "holdfast_0123abcd");
  EXPECT_EQ(read.system_identifier, record.system_identifier);
  EXPECT_EQ(read.segment_bytes, record.segment_bytes);
  EXPECT_EQ(read.timeline, 3u);
  EXPECT_EQ(read.receive_from, record.receive_from);
  EXPECT_FALSE(read.caught_up_at);
  ASSERT_EQ(read.gaps.size(), 2u);
  EXPECT_EQ(read.gaps[0].to.value, 200u);
  EXPECT_EQ(read.gaps[0].caught_up_at, at(3));
  EXPECT_FALSE(read.gaps[1].caught_up_at);
}

TEST(StorageDocuments, ASnapshotComesBack) {
  StoredSnapshot document;
  document.info = {"snap-calm-lake-00000001", "main", 1, {100}, {200}, at(1), at(2), 3, 150018};
  document.settings = {{"max_connections", "100"}, {"search_path", "caf\xC3\xA9"}};
  document.tablespaces = {{16384, "/srv/space"}};
  document.extensions = {{"postgres", "plpgsql", "1.0"}};
  document.collations = {{"libc", "2.36"}};
  document.verified = true;
  StoredSnapshot read = parse_snapshot_json(snapshot_json(document));
  EXPECT_EQ(read.info.id, document.info.id);
  EXPECT_EQ(read.info.end, document.info.end);
  EXPECT_EQ(read.info.ended_at, at(2));
  EXPECT_EQ(read.settings, document.settings);
  EXPECT_EQ(read.tablespaces.at(0).path, "/srv/space");
  EXPECT_EQ(read.collations.at(0).version, "2.36");
  EXPECT_TRUE(read.verified);
  document.settings = {};
  EXPECT_TRUE(parse_snapshot_json(snapshot_json(document)).settings.empty());
}

ErrorCode code_of(const std::string& text) {
  try {
    parse_storage_json(text);
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::internal;
}

TEST(StorageDocuments, OthersAreRefused) {
  std::string good = storage_json({"0123abcd", 1, 16 << 20, 150018, 1, {}, {}, {}});
  auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    size_t place = text.find(from);
    EXPECT_NE(place, std::string::npos) << from;
    return text.replace(place, from.size(), to);
  };
  EXPECT_EQ(code_of(""), ErrorCode::corrupt);
  EXPECT_EQ(code_of("[]"), ErrorCode::corrupt);
  EXPECT_EQ(code_of(with("holdfast-storage", "holdfast-snapshot")), ErrorCode::corrupt);
  EXPECT_EQ(code_of(with("\"version\": 1", "\"version\": 2")), ErrorCode::unsupported);
  EXPECT_EQ(code_of(with("0123abcd", "../etc/x")), ErrorCode::corrupt);
  EXPECT_EQ(code_of(with("\"receive_from\": \"0/0\"", "\"receive_from\": 0")), ErrorCode::corrupt);
  EXPECT_EQ(code_of(with("\"timeline\": 1", "\"timeline\": -1")), ErrorCode::corrupt);
}

constexpr char kManifest[] =
    "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n"
    "{ \"Path\": \"odd \\\"WAL-Ranges\\\": [\", \"Size\": 3 }\n],\n"
    "\"WAL-Ranges\": [\n"
    "{ \"Timeline\": 1, \"Start-LSN\": \"0/2000028\", \"End-LSN\": \"0/2000100\" }\n"
    "],\n\"Manifest-Checksum\": \"00\"}\n";

TEST(StorageDocuments, ReadsTheRangesOfAManifest) {
  std::vector<BackupRange> ranges = manifest_wal_ranges(kManifest);
  ASSERT_EQ(ranges.size(), 1u);
  EXPECT_EQ(ranges[0].timeline, 1u);
  EXPECT_EQ(ranges[0].start.value, 0x2000028u);
  EXPECT_EQ(ranges[0].end.value, 0x2000100u);
  for (const char* text : {"", "\n\"WAL-Ranges\": [", "\n\"WAL-Ranges\": []",
                           "\n\"WAL-Ranges\": [{\"Timeline\": 0, \"Start-LSN\": \"0/1\", "
                           "\"End-LSN\": \"0/2\"}]",
                           "\n\"WAL-Ranges\": [{\"Timeline\": 1, \"Start-LSN\": \"0/3\", "
                           "\"End-LSN\": \"0/2\"}]"})
    EXPECT_THROW(manifest_wal_ranges(text), Error) << text;
}

}  // namespace
}  // namespace holdfast
