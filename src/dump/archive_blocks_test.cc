#include "dump/archive_blocks.h"

#include <gtest/gtest.h>

#include "dump/archive_sample.h"

namespace holdfast {
namespace {

class Blocks : public ::testing::TestWithParam<Codec> {};

std::string decode(PieceDecoder& decoder, const PieceRole& role, std::string_view stored,
                   size_t step) {
  std::string text;
  decoder.begin(role, [&](ByteView part) { text += as_text(part); });
  for (size_t at = 0; at < stored.size(); at += step)
    decoder.add(as_bytes(stored.substr(at, step)));
  decoder.end();
  return text;
}

PieceRole role_of(const TableRecord& table, size_t piece) {
  PieceRole role;
  role.dump_id = table.dump_id;
  role.first = piece == 0;
  role.last = piece + 1 == table.pieces.size();
  return role;
}

TEST_P(Blocks, PiecesComeBackHoweverTheyAreCut) {
  ArchiveBuilder builder(GetParam());
  std::vector<std::string> texts = {sample_rows(300), "", sample_rows(200, 7), "\\N\n"};
  builder.table("public.visits", 42, texts);
  TableRecord table = builder.manifest().tables[0];
  PieceDecoder decoder(GetParam());
  for (size_t step : {1, 2, 3, 7, 64, 1 << 20}) {
    uint32_t adler = 1;
    for (size_t i = 0; i < texts.size(); ++i) {
      const Piece& piece = table.pieces[i];
      std::string_view stored = std::string_view(builder.bytes()).substr(piece.offset, piece.bytes);
      EXPECT_EQ(decode(decoder, role_of(table, i), stored, step), texts[i]);
      EXPECT_EQ(decoder.sum(), piece.sum);
      EXPECT_EQ(decoder.text_bytes(), texts[i].size());
      adler = combine_adler(adler, decoder.adler(), decoder.decoded_bytes());
      if (i + 1 == texts.size() && GetParam() == Codec::gzip)
        EXPECT_EQ(decoder.stream_adler(), adler);
      else
        EXPECT_FALSE(decoder.stream_adler());
    }
  }
}

TEST_P(Blocks, PieceCutShortOrLongIsCorrupt) {
  ArchiveBuilder builder(GetParam());
  builder.table("public.visits", 42, {sample_rows(50), sample_rows(50, 3)});
  TableRecord table = builder.manifest().tables[0];
  PieceDecoder decoder(GetParam());
  for (size_t i = 0; i < 2; ++i) {
    const Piece& piece = table.pieces[i];
    std::string stored = builder.bytes().substr(piece.offset, piece.bytes);
    for (size_t cut : {1, 4, 6, 11}) {
      // What is missing is found, unless it is whole chunks: those the rows tell.
      std::string shorter = stored.substr(0, stored.size() - cut);
      EXPECT_THROW(decode(decoder, role_of(table, i), shorter, 100), Error) << i << " " << cut;
    }
    EXPECT_THROW(decode(decoder, role_of(table, i), stored + "x", 100), Error);
    PieceRole other = role_of(table, i);
    other.dump_id = 43;
    if (i == 0) {
      EXPECT_THROW(decode(decoder, other, stored, 100), Error);
    }
  }
  // And it can be used again.
  const Piece& piece = table.pieces[0];
  EXPECT_NO_THROW(decode(decoder, role_of(table, 0),
                         std::string_view(builder.bytes()).substr(piece.offset, piece.bytes), 100));
}

TEST_P(Blocks, EndMarkOfPgDumpIsNoRow) {
  ArchiveBuilder builder(GetParam());
  builder.table("public.visits", 42, {"a\n\n\\\\.\n\\.\n\n\n"});
  TableRecord table = builder.manifest().tables[0];
  PieceDecoder decoder(GetParam());
  std::string_view stored =
      std::string_view(builder.bytes()).substr(table.pieces[0].offset, table.pieces[0].bytes);
  for (size_t step : {1, 5, 1000}) {
    EXPECT_EQ(decode(decoder, role_of(table, 0), stored, step), "a\n\n\\\\.\n");
    EXPECT_EQ(decoder.sum().rows, 3u);
    EXPECT_EQ(decoder.text_bytes() + 5, decoder.decoded_bytes());
  }
  PieceRole whole;
  whole.dump_id = 42;
  whole.whole = true;
  EXPECT_EQ(decode(decoder, whole, stored, 3), "a\n\n\\\\.\n");
}

TEST_P(Blocks, RowThatDoesNotEndIsCorrupt) {
  ArchiveBuilder builder(GetParam());
  builder.table("t", 1, {"a\nhalf"});
  TableRecord table = builder.manifest().tables[0];
  PieceDecoder decoder(GetParam());
  EXPECT_THROW(decode(decoder, role_of(table, 0),
                      std::string_view(builder.bytes()).substr(table.pieces[0].offset), 9),
               Error);
}

class Collector final : public LargeObjectSink {
 public:
  void object_begin(uint32_t oid) override { open = &objects[oid]; }
  void content(ByteView part) override { *open += as_text(part); }
  void object_end() override { open = nullptr; }
  std::map<uint32_t, std::string> objects;
  std::string* open = nullptr;
};

TEST_P(Blocks, LargeObjectsComeBack) {
  std::map<uint32_t, std::string> objects = {
      {16401, "scan of a form"}, {16402, ""}, {4000000000u, sample_rows(3000)}};
  ArchiveBuilder builder(GetParam());
  builder.large_objects(77, objects);
  LargeObjectRecord record = builder.manifest().large_objects[0];
  std::string stored = builder.bytes().substr(record.offset, record.bytes);
  LargeObjectDecoder decoder(GetParam());
  for (size_t step : {1, 13, 1 << 20}) {
    Collector collector;
    decoder.begin(77, &collector);
    for (size_t at = 0; at < stored.size(); at += step)
      decoder.add(as_bytes(std::string_view(stored).substr(at, step)));
    decoder.end();
    EXPECT_EQ(collector.objects, objects);
    EXPECT_EQ(decoder.sum(), record.sum);
    EXPECT_EQ(decoder.content_bytes(), record.content_bytes);
  }
  decoder.begin(77, nullptr);
  decoder.add(as_bytes(stored).first(stored.size() - 5));
  EXPECT_THROW(decoder.end(), Error);
}

INSTANTIATE_TEST_SUITE_P(Codecs, Blocks, ::testing::Values(Codec::none, Codec::gzip, Codec::zstd),
                         [](const auto& at) { return std::string(codec_name(at.param)); });

TEST(BlockWalker, FindsEveryBorder) {
  ArchiveBuilder builder(Codec::none, "");
  builder.table("a", 1, {sample_rows(3)});
  builder.large_objects(2, {{5, "five"}});
  builder.table("b", 3, {""});
  struct Borders final : BlockEvents {
    void block_begin(const BlockHeader& header) override { ids.push_back(header.dump_id); }
    void block_end() override { ++ended; }
    std::vector<int> ids;
    int ended = 0;
  } borders;
  BlockWalker walker(borders);
  ByteView bytes = as_bytes(builder.bytes());
  std::vector<size_t> sizes;
  while (!bytes.empty()) {
    size_t used = walker.add(bytes);
    sizes.push_back(used);
    bytes = bytes.subspan(used);
  }
  Manifest manifest = builder.manifest();
  EXPECT_EQ(borders.ids, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(borders.ended, 3);
  EXPECT_TRUE(walker.between_blocks());
  EXPECT_EQ(sizes, (std::vector<size_t>{manifest.tables[0].pieces[0].bytes,
                                        manifest.large_objects[0].bytes,
                                        manifest.tables[1].pieces[0].bytes}));
}

TEST(TailHolder, KeepsTheLastBytesBack) {
  for (size_t step : {1, 2, 3, 4, 5, 9}) {
    TailHolder<3> holder;
    std::string out, all = "abcdefghijk";
    for (size_t at = 0; at < all.size(); at += step)
      holder.add(as_bytes(std::string_view(all).substr(at, step)),
                 [&](ByteView part) { out += as_text(part); });
    EXPECT_EQ(out, "abcdefgh");
    EXPECT_EQ(holder.tail(), "ijk");
  }
}

}  // namespace
}  // namespace holdfast
