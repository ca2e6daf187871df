#include "pg/archive.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "pg/archive_samples.h"

namespace holdfast {
namespace {

using samples::parse;

ErrorCode code_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error";
  return ErrorCode::internal;
}

const TocEntry& find(const ArchiveToc& toc, std::string_view desc) {
  for (const TocEntry& entry : toc.entries) {
    if (entry.desc == desc) return entry;
  }
  throw Error(ErrorCode::not_found, std::string(desc));
}

TEST(ArchiveInt, SpellsNumbersAsPgDumpDoes) {
  EXPECT_EQ(to_hex(as_bytes(encode_int(0))), "0000000000");
  EXPECT_EQ(to_hex(as_bytes(encode_int(258))), "0002010000");
  EXPECT_EQ(to_hex(as_bytes(encode_int(-1))), "0101000000");
  EXPECT_EQ(to_hex(as_bytes(encode_int(-2147483648))), "0100000080");
}

TEST(ArchiveInt, ComesBackAsItWas) {
  for (int64_t value : {0, 1, -1, 255, 256, 65536, 2147483647}) {
    EXPECT_EQ(decode_int(as_bytes(encode_int(value))), value);
    EXPECT_EQ(decode_int(as_bytes(encode_int(-value))), -value);
  }
}

TEST(ArchiveInt, KeepsTheBitsOfLargeObjectIds) {
  for (uint32_t id : {1U, 2147483647U, 2147483648U, 4000000000U, 4294967295U}) {
    EXPECT_EQ(static_cast<uint32_t>(decode_int(as_bytes(encode_int(id)))), id);
  }
  // As it stands in pg_dump's own archive of large object 4000000000.
  EXPECT_EQ(to_hex(as_bytes(encode_int(4000000000))), "0100d89411");
}

TEST(ArchiveInt, RefusesWhatPgDumpNeverWrites) {
  for (const char* hex : {"0200000000", "0100000000", "0000000080", "01ffffffff", "00000000"}) {
    std::string bytes = from_hex(hex);
    EXPECT_EQ(code_of([&] { decode_int(as_bytes(bytes)); }), ErrorCode::corrupt) << hex;
  }
  EXPECT_EQ(code_of([] { encode_int(int64_t{1} << 32); }), ErrorCode::internal);
}

TEST(BlockHeader, ComesBackAndRefusesTheUnknown) {
  BlockHeader header = decode_block_header(as_bytes(encode_block_header(kBlockData, 4711)));
  EXPECT_EQ(header.type, kBlockData);
  EXPECT_EQ(header.dump_id, 4711);
  for (const std::string& bytes : {encode_block_header(2, 1), encode_block_header(1, 0),
                                   encode_block_header(3, -5), std::string(5, '\1')}) {
    EXPECT_EQ(code_of([&] { decode_block_header(as_bytes(bytes)); }), ErrorCode::corrupt);
  }
}

TEST(ArchiveToc, ReadsWhatPgDump15Wrote) {
  std::string bytes = samples::pg15();
  ArchiveToc toc = parse(bytes);
  EXPECT_EQ(toc.header.version_minor, 14);
  EXPECT_EQ(toc.header.codec, Codec::gzip);
  EXPECT_EQ(toc.header.gzip_level, -1);
  EXPECT_EQ(toc.header.database, "seed");
  EXPECT_EQ(toc.header.server_version.substr(0, 3), "15.");
  EXPECT_EQ(toc.header.created[5], 126);
  EXPECT_EQ(bytes.substr(0, toc.bytes.size()), toc.bytes);
  // What follows is the data block of the only table.
  const TocEntry& data = find(toc, "TABLE DATA");
  BlockHeader block =
      decode_block_header(as_bytes(bytes).subspan(toc.bytes.size(), kBlockHeaderBytes));
  EXPECT_EQ(block.type, kBlockData);
  EXPECT_EQ(block.dump_id, data.dump_id);

  EXPECT_TRUE(data.had_dumper);
  EXPECT_EQ(data.data_state, DataState::not_set);
  EXPECT_EQ(data.section, Section::data);
  EXPECT_EQ(data.copy_stmt, "COPY public.visits (id, \"b c\", status) FROM stdin;\n");
  const TocEntry& table = find(toc, "TABLE");
  EXPECT_EQ(data.dependencies, std::vector<int>{table.dump_id});
  EXPECT_EQ(table.name_space, "public");
  EXPECT_EQ(table.tag, "visits");
  EXPECT_EQ(table.owner, "postgres");
  EXPECT_EQ(table.access_method, "heap");
  EXPECT_EQ(table.section, Section::pre_data);
  EXPECT_EQ(table.data_state, DataState::no_data);
  EXPECT_EQ(table.drop_stmt, "DROP TABLE public.visits;\n");
  EXPECT_EQ(find(toc, "CONSTRAINT").section, Section::post_data);
}

TEST(ArchiveToc, ReadsWhatPgDump17Wrote) {
  ArchiveToc toc = parse(samples::pg17());
  EXPECT_EQ(toc.header.version_minor, 16);
  EXPECT_EQ(toc.header.codec, Codec::gzip);
  EXPECT_EQ(find(toc, "TABLE").relkind, 'r');
  EXPECT_EQ(find(toc, "TABLE").owner, "postgres");
}

TEST(ArchiveToc, ReadsEveryVersionsFields) {
  for (int minor = 12; minor <= 16; ++minor) {
    std::string bytes = samples::header(minor) + encode_int(2) +
                        samples::entry(minor, 7, "TABLE", "t", "CREATE TABLE t ();") +
                        samples::entry(minor, 8, "VIEW", "v", "CREATE VIEW v AS SELECT 1;");
    ArchiveToc toc = parse(bytes + "data");
    ASSERT_EQ(toc.entries.size(), 2U) << minor;
    EXPECT_EQ(toc.header_bytes, samples::header(minor).size());
    EXPECT_EQ(toc.bytes, bytes);
    EXPECT_EQ(toc.entries[1].dump_id, 8);
    EXPECT_EQ(toc.entries[1].defn, "CREATE VIEW v AS SELECT 1;");
    EXPECT_EQ(toc.entries[1].owner, "owner");
    EXPECT_EQ(toc.entries[1].dependencies, (std::vector<int>{3, 17}));
    EXPECT_EQ(toc.entries[1].access_method, minor >= 14 ? "heap" : "");
    EXPECT_EQ(toc.entries[1].relkind, minor >= 16 ? 'r' : 0);
  }
}

TEST(ArchiveToc, ReadsPlacesOfDataBlocks) {
  std::string bytes =
      samples::header(14) + encode_int(1) + samples::entry(14, 7, "TABLE DATA", "t", "");
  bytes[bytes.size() - 9] = 2;
  bytes[bytes.size() - 8] = 0x10;
  bytes[bytes.size() - 3] = 0x02;
  ArchiveToc toc = parse(bytes);
  EXPECT_EQ(toc.entries[0].data_state, DataState::set);
  EXPECT_EQ(toc.entries[0].data_offset, 0x020000000010U);
  // They would be wrong in front of data that is compressed otherwise.
  EXPECT_EQ(code_of([&] { toc_bytes_with_codec(toc, Codec::gzip); }), ErrorCode::unsupported);
}

TEST(ArchiveToc, HundredThousandEntries) {
  constexpr int kEntries = 100'000;
  std::string bytes = samples::header(16) + encode_int(kEntries);
  for (int id = 1; id <= kEntries; ++id) {
    bytes += samples::entry(16, id, "TABLE", fmt::format("t{}", id), "CREATE TABLE t ();");
  }
  ArchiveToc toc = parse(bytes);
  EXPECT_EQ(toc.entries.size(), static_cast<size_t>(kEntries));
  EXPECT_EQ(toc.entries.back().tag, "t100000");
}

TEST(ArchiveToc, EveryCutIsFound) {
  for (const std::string& bytes : {samples::pg15(), samples::pg17()}) {
    size_t whole = parse(bytes).bytes.size();
    for (size_t size = 0; size < whole; ++size) {
      EXPECT_EQ(code_of([&] { parse(std::string_view(bytes).substr(0, size)); }),
                ErrorCode::corrupt);
    }
  }
}

TEST(ArchiveToc, NoChangedByteDoesWorseThanAnError) {
  std::string good = samples::pg15();
  size_t whole = parse(good).bytes.size();
  size_t refused = 0;
  for (size_t at = 0; at < whole; ++at) {
    for (int value : {0, 1, 2, 0x7f, 0x80, 0xff}) {
      std::string bytes = good;
      bytes[at] = static_cast<char>(value);
      try {
        parse(bytes);
      } catch (const Error& error) {
        ++refused;
        EXPECT_TRUE(error.code() == ErrorCode::corrupt || error.code() == ErrorCode::unsupported)
            << error.what();
      }
    }
  }
  EXPECT_GT(refused, whole);
}

TEST(ArchiveToc, AClaimedLengthCostsNothingUntilItsBytesCome) {
  std::string bytes = samples::header(14) + encode_int(1) + encode_int(1) + encode_int(0) +
                      encode_int((1 << 30) - 1000) + std::string(100'000, 'x');
  samples::TextReader reader{bytes};
  EXPECT_EQ(code_of([&] { read_archive_toc(std::ref(reader)); }), ErrorCode::corrupt);
  EXPECT_EQ(reader.largest, kTocReadStep);

  std::string beyond = samples::header(14) + encode_int(1) + encode_int(1) + encode_int(0) +
                       encode_int(2147483647) + std::string(100'000, 'x');
  samples::TextReader other{beyond};
  EXPECT_EQ(code_of([&] { read_archive_toc(std::ref(other)); }), ErrorCode::corrupt);
  EXPECT_LE(other.largest, kIntBytes * 2);
  // So does a claimed number of entries.
  EXPECT_EQ(code_of([] { parse(samples::header(14) + encode_int(2147483647)); }),
            ErrorCode::corrupt);
}

TEST(ArchiveToc, RefusesWhatPgRestoreWouldReadOtherwise) {
  auto toc_of = [](const std::string& entries, int count) {
    return samples::header(14) + encode_int(count) + entries;
  };
  std::string good = samples::entry(14, 7, "TABLE", "t", "");
  EXPECT_EQ(parse(toc_of(good, 1)).entries.size(), 1U);
  std::string zero_byte = samples::entry(14, 7, "TABLE", std::string_view("t\0x", 3), "");
  std::string no_type = samples::entry(14, 7, "", "t", "");
  std::string no_id = samples::entry(14, 0, "TABLE", "t", "");
  std::string bad_state = good;
  bad_state[bad_state.size() - 9] = 4;
  for (const std::string& bytes : {toc_of(good + good, 2), toc_of(zero_byte, 1), toc_of(no_type, 1),
                                   toc_of(no_id, 1), toc_of(bad_state, 1), toc_of("", -1)}) {
    EXPECT_EQ(code_of([&] { parse(bytes); }), ErrorCode::corrupt);
  }
}

TEST(ArchiveToc, SaysWhatOtherFilesAre) {
  auto with = [](size_t at, char value) {
    std::string bytes = samples::pg15();
    bytes[at] = value;
    return bytes;
  };
  EXPECT_EQ(code_of([&] { parse("--\n-- PostgreSQL database dump\n--\n"); }), ErrorCode::corrupt);
  EXPECT_EQ(code_of([&] { parse(with(5, 2)); }), ErrorCode::unsupported);   // version 2.14
  EXPECT_EQ(code_of([&] { parse(with(6, 17)); }), ErrorCode::unsupported);  // newer than ours
  EXPECT_EQ(code_of([&] { parse(with(6, 10)); }), ErrorCode::unsupported);  // older than ours
  EXPECT_EQ(code_of([&] { parse(with(8, 8)); }), ErrorCode::unsupported);   // 8-byte integers
  EXPECT_EQ(code_of([&] { parse(with(10, 3)); }), ErrorCode::unsupported);  // tar
  EXPECT_EQ(code_of([&] { parse(with(10, 5)); }), ErrorCode::unsupported);  // directory
  EXPECT_EQ(code_of([&] { parse(with(10, 9)); }), ErrorCode::corrupt);
}

TEST(ArchiveToc, TellsThePlaceOfDamageAndLeavesOtherErrorsAlone) {
  try {
    parse(samples::header(14) + encode_int(1) + encode_int(0));
    FAIL();
  } catch (const Error& error) {
    size_t at = samples::header(14).size() + 2 * kIntBytes;
    EXPECT_NE(std::string(error.what()).find(fmt::format("byte {}:", at)), std::string::npos)
        << error.what();
  }
  try {
    read_archive_toc([](uint8_t*, size_t) { throw Error(ErrorCode::denied, "no right"); });
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::denied);
    EXPECT_STREQ(error.what(), "no right");
  }
}

TEST(TocBytesWithCodec, ChangesTheCompressionAndNothingElse) {
  for (const std::string& sample : {samples::pg15(), samples::pg17()}) {
    ArchiveToc toc = parse(sample);
    // Back to what pg_dump itself wrote.
    std::string none = toc_bytes_with_codec(toc, Codec::none);
    EXPECT_EQ(parse(none).header.codec, Codec::none);
    EXPECT_EQ(toc_bytes_with_codec(parse(none), Codec::gzip), toc.bytes);
    EXPECT_EQ(none.size(), toc.bytes.size());
  }
}

TEST(TocBytesWithCodec, KnowsWhatTheVersionCanName) {
  ArchiveToc old = parse(samples::pg15()), newer = parse(samples::pg17());
  EXPECT_EQ(parse(toc_bytes_with_codec(newer, Codec::zstd)).header.codec, Codec::zstd);
  EXPECT_EQ(code_of([&] { toc_bytes_with_codec(old, Codec::zstd); }), ErrorCode::unsupported);
  EXPECT_EQ(code_of([&] { toc_bytes_with_codec(newer, Codec::lz4); }), ErrorCode::unsupported);
}

TEST(ArchiveToc, FurtherDependenciesArePutInWithoutTouchingTheRest) {
  ArchiveToc toc = parse(samples::pg15());
  const TocEntry& first = toc.entries.front();
  const TocEntry& last = toc.entries.back();
  ArchiveToc more = parse(toc_bytes_with_codec(
      toc, Codec::gzip, {{first.dump_id, {last.dump_id, 77}}, {last.dump_id, {123456}}}));
  std::vector<int> expected = first.dependencies;
  expected.insert(expected.end(), {last.dump_id, 77});
  EXPECT_EQ(more.entries.front().dependencies, expected);
  EXPECT_EQ(more.entries.back().dependencies.back(), 123456);
  ASSERT_EQ(more.entries.size(), toc.entries.size());
  for (size_t i = 0; i < toc.entries.size(); ++i) {
    EXPECT_EQ(more.entries[i].tag, toc.entries[i].tag);
    EXPECT_EQ(more.entries[i].defn, toc.entries[i].defn);
    EXPECT_EQ(more.entries[i].data_state, toc.entries[i].data_state);
  }
}

}  // namespace
}  // namespace holdfast
