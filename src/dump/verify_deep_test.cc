#include "dump/verify_deep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "dump/archive_sample.h"
#include "dump/archive_scan.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

struct Outcome {
  ScanResult scan;
  std::vector<Problem> problems;
};

Outcome scan(const std::string& bytes, const Manifest& manifest) {
  QuietRun quiet;
  MemoryReader reader(bytes);
  ProblemList problems;
  Outcome outcome;
  outcome.scan = scan_with_manifest(reader, manifest, 2, problems, quiet.run);
  outcome.problems = problems.take();
  return outcome;
}

// Whether `problem`'s place, "… bytes A-B (…)", holds `position`.
bool names_place(const Problem& problem, uint64_t position) {
  size_t at = problem.where.find(" bytes ");
  if (at == std::string::npos) return false;
  unsigned long long begin = 0, end = 0;
  if (std::sscanf(problem.where.c_str() + at, " bytes %llu-%llu", &begin, &end) != 2) return false;
  return begin <= position && position < end;
}

class Deep : public ::testing::TestWithParam<Codec> {
 protected:
  Deep() : builder_(GetParam()) {
    builder_.table("public.visits", 10, {sample_rows(40), sample_rows(30, 5), sample_rows(20, 9)});
    builder_.table("public.nothing", 11, {""});
    builder_.table("public.one", 12, {"1\n"});
    builder_.large_objects(13, {{500, "a photograph"}, {501, sample_rows(30, 11)}});
  }
  ArchiveBuilder builder_;
};

TEST_P(Deep, SoundArchiveHasNoProblem) {
  Outcome outcome = scan(builder_.bytes(), builder_.manifest());
  EXPECT_TRUE(outcome.problems.empty()) << outcome.problems[0].where << outcome.problems[0].what;
  EXPECT_EQ(outcome.scan.rows, 91u);
  EXPECT_EQ(outcome.scan.sha256, builder_.manifest().archive_sha256);
  ASSERT_EQ(outcome.scan.tables.size(), 3u);
  for (const TableVerdict& table : outcome.scan.tables) EXPECT_TRUE(table.ok) << table.name;
}

TEST_P(Deep, EveryFlippedBitIsFoundAndItsPlaceNamed) {
  Manifest manifest = builder_.manifest();
  std::mt19937 random(7);
  for (size_t at = 0; at < builder_.bytes().size(); ++at) {
    std::string damaged = builder_.bytes();
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (random() % 8)));
    Outcome outcome = scan(damaged, manifest);
    ASSERT_EQ(outcome.problems.size(), 1u) << "byte " << at;
    EXPECT_TRUE(names_place(outcome.problems[0], at))
        << "byte " << at << ": " << outcome.problems[0].where;
  }
}

TEST_P(Deep, EveryTruncationIsFoundAndItsPlaceNamed) {
  Manifest manifest = builder_.manifest();
  for (size_t size = 0; size < builder_.bytes().size(); size += 3) {
    Outcome outcome = scan(builder_.bytes().substr(0, size), manifest);
    ASSERT_FALSE(outcome.problems.empty()) << size;
    bool named = false;
    for (const Problem& problem : outcome.problems) named = named || names_place(problem, size);
    EXPECT_TRUE(named) << size << ": " << outcome.problems[0].where;
    EXPECT_TRUE(size >= manifest.tables[0].pieces[2].offset || !outcome.scan.tables[0].ok);
  }
}

TEST_P(Deep, AppendedBytesAreFound) {
  Manifest manifest = builder_.manifest();
  for (const std::string& more : {std::string("\0", 1), std::string(5000, 'x')}) {
    Outcome outcome = scan(builder_.bytes() + more, manifest);
    ASSERT_EQ(outcome.problems.size(), 1u);
    EXPECT_TRUE(names_place(outcome.problems[0], builder_.bytes().size()));
    EXPECT_THAT(outcome.problems[0].what, HasSubstr("follow the archive's end"));
  }
}

TEST_P(Deep, DamageIsDescribedInWords) {
  Manifest manifest = builder_.manifest();
  std::string damaged = builder_.bytes();
  damaged[manifest.tables[0].pieces[1].offset + 20] ^= 4;
  Outcome outcome = scan(damaged, manifest);
  ASSERT_EQ(outcome.problems.size(), 1u);
  EXPECT_THAT(outcome.problems[0].where, HasSubstr("care.dump bytes "));
  EXPECT_THAT(outcome.problems[0].where, HasSubstr("(table public.visits, piece 2 of 3)"));
  EXPECT_FALSE(outcome.scan.tables[0].ok);
  EXPECT_TRUE(outcome.scan.tables[1].ok);
  EXPECT_TRUE(outcome.scan.tables[2].ok);
}

TEST_P(Deep, RowsOtherThanTheManifestSaysAreFound) {
  Manifest manifest = builder_.manifest();
  manifest.tables[0].pieces[0].sum.low ^= 1;
  Outcome outcome = scan(builder_.bytes(), manifest);
  ASSERT_FALSE(outcome.problems.empty());
  EXPECT_THAT(outcome.problems[0].what, HasSubstr("not those that were dumped"));

  manifest = builder_.manifest();
  manifest.tables[2].sum.rows = 2;
  outcome = scan(builder_.bytes(), manifest);
  ASSERT_EQ(outcome.problems.size(), 1u);
  EXPECT_EQ(outcome.problems[0].where, "table public.one");
}

TEST_P(Deep, ManifestThatDoesNotTileTheFileIsFound) {
  Manifest manifest = builder_.manifest();
  manifest.tables[0].pieces[1].bytes -= 1;
  Outcome outcome = scan(builder_.bytes(), manifest);
  ASSERT_FALSE(outcome.problems.empty());
  EXPECT_THAT(outcome.problems[0].what, HasSubstr("gap or an overlap"));
}

INSTANTIATE_TEST_SUITE_P(Codecs, Deep, ::testing::Values(Codec::none, Codec::gzip, Codec::zstd),
                         [](const auto& at) { return std::string(codec_name(at.param)); });

TEST(DeepScan, PieceLargerThanAllBuffersIsReadInParts) {
  ArchiveBuilder builder(Codec::none);
  std::string wide(40 << 20, 'w');
  wide.back() = '\n';
  ASSERT_GT(wide.size(), kScanBlocks * kScanBlockBytes);
  builder.table("public.wide", 10, {wide, "1\n"});
  EXPECT_TRUE(scan(builder.bytes(), builder.manifest()).problems.empty());
}

TEST(DeepScan, ManyProblemsAreBounded) {
  ArchiveBuilder builder(Codec::gzip);
  std::vector<std::string> pieces(200, "1\n");
  builder.table("public.many", 10, pieces);
  std::string damaged = builder.bytes();
  Manifest manifest = builder.manifest();
  for (const Piece& piece : manifest.tables[0].pieces) damaged[piece.offset + piece.bytes - 2] ^= 1;
  Outcome outcome = scan(damaged, manifest);
  ASSERT_EQ(outcome.problems.size(), kProblemsMax + 1);
  EXPECT_EQ(outcome.problems.back().what, "150 further problems");
}

TEST(DeepScan, StopIsHonoured) {
  ArchiveBuilder builder(Codec::gzip);
  builder.table("t", 10, {"1\n"});
  QuietRun quiet;
  quiet.stop.request_stop();
  MemoryReader reader(builder.bytes());
  ProblemList problems;
  try {
    scan_with_manifest(reader, builder.manifest(), 2, problems, quiet.run);
    FAIL() << "it went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::cancelled);
  }
}

TEST(DeepScan, ReaderThatFailsEndsTheScan) {
  struct Failing final : ObjectReader {
    uint64_t size() const override { return 100; }
    size_t read(uint64_t, uint8_t*, size_t) override {
      throw Error(ErrorCode::unavailable, "the network is gone");
    }
  } reader;
  ArchiveBuilder builder(Codec::gzip);
  builder.table("t", 10, {"1\n"});
  QuietRun quiet;
  ProblemList problems;
  try {
    scan_with_manifest(reader, builder.manifest(), 2, problems, quiet.run);
    FAIL() << "it went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unavailable);
  }
}

// --- archives without a manifest ---

class Foreign : public ::testing::TestWithParam<Codec> {
 protected:
  Foreign() : builder_(GetParam()) {
    builder_.table("public.a", 10, {sample_rows(40) + "\\.\n\n\n"});
    builder_.table("public.b", 11, {"\\.\n\n\n"});
    builder_.large_objects(12, {{500, "a photograph"}});
    toc_.bytes = "the table of contents";
    toc_.header.codec = GetParam();
    for (int id : {10, 11, 12}) {
      TocEntry entry;
      entry.dump_id = id;
      entry.had_dumper = true;
      entry.desc = id == 12 ? "BLOBS" : "TABLE DATA";
      if (id != 12)
        entry.copy_stmt =
            id == 10 ? "COPY public.a (x) FROM stdin;" : "COPY public.b (x) FROM stdin;";
      toc_.entries.push_back(entry);
    }
  }
  ForeignScan scan(const std::string& bytes) {
    QuietRun quiet;
    MemoryReader reader(bytes);
    ProblemList problems;
    ForeignScan result = scan_without_manifest(reader, "other.dump", toc_, 2, problems, quiet.run);
    problems_ = problems.take();
    return result;
  }
  ArchiveBuilder builder_;
  ArchiveToc toc_;
  std::vector<Problem> problems_;
};

TEST_P(Foreign, RowsAreCounted) {
  ForeignScan result = scan(builder_.bytes());
  EXPECT_TRUE(problems_.empty()) << problems_[0].where << ": " << problems_[0].what;
  ASSERT_EQ(result.tables.size(), 2u);
  EXPECT_EQ(result.tables[0].sum.rows, 40u);
  EXPECT_EQ(result.tables[1].sum.rows, 0u);
  EXPECT_EQ(result.large_objects.size(), 1u);
  EXPECT_EQ(result.result.rows, 40u);
}

TEST_P(Foreign, TruncationsAndAppendedBytesAreFound) {
  for (size_t size = toc_.bytes.size(); size < builder_.bytes().size(); ++size) {
    scan(builder_.bytes().substr(0, size));
    EXPECT_FALSE(problems_.empty()) << size;
  }
  scan(builder_.bytes() + "x");
  EXPECT_FALSE(problems_.empty());
}

TEST_P(Foreign, MissingBlockIsFound) {
  toc_.entries.push_back(toc_.entries[0]);
  toc_.entries.back().dump_id = 99;
  scan(builder_.bytes());
  ASSERT_EQ(problems_.size(), 1u);
  EXPECT_THAT(problems_[0].what, HasSubstr("no intact data block"));
}

INSTANTIATE_TEST_SUITE_P(Codecs, Foreign, ::testing::Values(Codec::none, Codec::gzip, Codec::zstd),
                         [](const auto& at) { return std::string(codec_name(at.param)); });

}  // namespace
}  // namespace holdfast
