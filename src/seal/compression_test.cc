#include "seal/compression.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <random>

#include "base/error.h"

namespace holdfast {
namespace {

std::string sample_text(size_t bytes, uint32_t seed) {
  std::mt19937 random(seed);
  std::string text;
  while (text.size() < bytes) {
    text += "visit-" + std::to_string(random() % 5000) + "\t2026-11-23 02:00:00+00\t";
    text += random() % 3 == 0 ? "\\N\n" : "{\"status\": \"COMPLETED\"}\n";
  }
  text.resize(bytes);
  return text;
}

std::string compress_piece(PieceCompressor& compressor, std::string_view text, size_t step = 1000) {
  std::string out;
  compressor.begin([&](ByteView bytes) { out.append(as_text(bytes)); });
  for (size_t at = 0; at < text.size(); at += step) compressor.add(as_bytes(text.substr(at, step)));
  compressor.end();
  return out;
}

std::string decompress(Codec codec, bool whole_stream, std::string_view stored, size_t step = 777) {
  auto decompressor = make_decompressor(codec);
  std::string out;
  decompressor->begin(whole_stream, [&](ByteView bytes) { out.append(as_text(bytes)); });
  for (size_t at = 0; at < stored.size(); at += step)
    decompressor->add(as_bytes(stored.substr(at, step)));
  decompressor->end();
  return out;
}

// Three pieces, the middle one empty, put together as the archive does.
struct GzipStream {
  std::vector<std::string> texts = {sample_text(300000, 1), "", sample_text(70001, 2)};
  std::vector<std::string> pieces;
  std::string whole;
  GzipStream() {
    auto compressor = make_piece_compressor(Codec::gzip, 0);
    uint32_t adler = 1;
    whole = stream_header(Codec::gzip);
    for (const std::string& text : texts) {
      pieces.push_back(compress_piece(*compressor, text));
      adler = combine_adler(adler, compressor->adler(), text.size());
      whole += pieces.back();
    }
    whole += stream_trailer(Codec::gzip, adler);
  }
};

TEST(Gzip, PiecesJoinToOneStreamThatZlibReads) {
  GzipStream stream;
  std::string expected = stream.texts[0] + stream.texts[2];
  std::string out(expected.size() + 10, '\0');
  uLongf size = out.size();
  ASSERT_EQ(Z_OK,
            uncompress(reinterpret_cast<Bytef*>(out.data()), &size,
                       reinterpret_cast<const Bytef*>(stream.whole.data()), stream.whole.size()));
  out.resize(size);
  EXPECT_EQ(out, expected);
  EXPECT_EQ(decompress(Codec::gzip, true, stream.whole), expected);
}

TEST(Gzip, EachPieceIsReadByItself) {
  GzipStream stream;
  for (size_t i = 0; i < stream.texts.size(); ++i)
    EXPECT_EQ(decompress(Codec::gzip, false, stream.pieces[i]), stream.texts[i]);
}

TEST(Gzip, ReadsWhatZlibWrote) {
  std::string text = sample_text(500000, 3);
  std::string stored(compressBound(text.size()), '\0');
  uLongf size = stored.size();
  ASSERT_EQ(Z_OK, compress2(reinterpret_cast<Bytef*>(stored.data()), &size,
                            reinterpret_cast<const Bytef*>(text.data()), text.size(), 6));
  stored.resize(size);
  EXPECT_EQ(decompress(Codec::gzip, true, stored, 1), text);
}

TEST(Gzip, OutputThatExactlyFillsTheBufferEnds) {
  std::string text(256 << 10, 'x');
  std::string stored(compressBound(text.size()), '\0');
  uLongf size = stored.size();
  ASSERT_EQ(Z_OK, compress2(reinterpret_cast<Bytef*>(stored.data()), &size,
                            reinterpret_cast<const Bytef*>(text.data()), text.size(), 1));
  stored.resize(size);
  EXPECT_EQ(decompress(Codec::gzip, true, stored, stored.size()), text);
}

// Cut at every place, a piece or stream is damaged, never silently shorter.
TEST(Gzip, TruncationIsFound) {
  auto compressor = make_piece_compressor(Codec::gzip, 0);
  std::string text = sample_text(3000, 4);
  std::string piece = compress_piece(*compressor, text);
  std::string whole =
      stream_header(Codec::gzip) + piece + stream_trailer(Codec::gzip, compressor->adler());
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_THROW(decompress(Codec::gzip, true, whole.substr(0, size)), Error) << size;
  size_t whole_pieces = 0;
  for (size_t size = 1; size < piece.size(); ++size) {
    try {
      if (decompress(Codec::gzip, false, piece.substr(0, size)) == text) ++whole_pieces;
    } catch (const Error&) {
    }
  }
  // Only the empty block that aligns a piece may be missing without the text being shorter.
  EXPECT_LE(whole_pieces, 5u);
}

TEST(Gzip, EveryFlippedBitOfAStreamIsFound) {
  GzipStream stream;
  std::string small = stream_header(Codec::gzip);
  auto compressor = make_piece_compressor(Codec::gzip, 0);
  small += compress_piece(*compressor, sample_text(2000, 5));
  small += stream_trailer(Codec::gzip, compressor->adler());
  std::string text = decompress(Codec::gzip, true, small);
  size_t silent_and_different = 0;
  for (size_t bit = 0; bit < small.size() * 8; ++bit) {
    std::string damaged = small;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    try {
      if (decompress(Codec::gzip, true, damaged) != text) ++silent_and_different;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::corrupt);
    }
  }
  EXPECT_EQ(silent_and_different, 0u);
}

TEST(Gzip, DataAfterTheEndIsFound) {
  GzipStream stream;
  EXPECT_THROW(decompress(Codec::gzip, true, stream.whole + "x"), Error);
}

TEST(Zstd, FramesJoinAndCarryAChecksum) {
  auto compressor = make_piece_compressor(Codec::zstd, 0);
  std::string first = sample_text(300000, 6), second = sample_text(100, 7);
  std::string stored = compress_piece(*compressor, first);
  size_t first_size = stored.size();
  stored += compress_piece(*compressor, "");
  stored += compress_piece(*compressor, second);
  EXPECT_EQ(decompress(Codec::zstd, true, stored), first + second);
  EXPECT_EQ(decompress(Codec::zstd, false, stored.substr(0, first_size)), first);
  // Frame header descriptor, bit 2: content checksum (RFC 8878 section 3.1.1.1.1).
  EXPECT_NE(stored[4] & 4, 0);
}

TEST(Zstd, EveryFlippedBitOfTheContentIsFound) {
  auto compressor = make_piece_compressor(Codec::zstd, 3);
  std::string text = sample_text(2000, 8);
  std::string stored = compress_piece(*compressor, text);
  for (size_t bit = 0; bit < stored.size() * 8; ++bit) {
    std::string damaged = stored;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    try {
      // Some header bits change nothing (a larger window, say): then the text must be the same.
      EXPECT_EQ(decompress(Codec::zstd, false, damaged), text) << bit;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::corrupt);
    }
  }
}

TEST(Zstd, TruncationIsFound) {
  auto compressor = make_piece_compressor(Codec::zstd, 1);
  std::string stored = compress_piece(*compressor, sample_text(3000, 9));
  for (size_t size = 1; size < stored.size(); ++size)
    EXPECT_THROW(decompress(Codec::zstd, false, stored.substr(0, size)), Error) << size;
}

TEST(Codecs, LargeInputInOneCall) {
  std::string text = sample_text(5 << 20, 10);
  for (Codec codec : {Codec::none, Codec::gzip, Codec::zstd}) {
    auto compressor = make_piece_compressor(codec, 0);
    std::string stored = compress_piece(*compressor, text, text.size());
    EXPECT_EQ(decompress(codec, false, stored, stored.size()), text) << codec_name(codec);
  }
}

TEST(Codecs, NamesAndMistakes) {
  EXPECT_EQ(parse_codec("zstd"), Codec::zstd);
  try {
    parse_codec("gzp");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid);
    EXPECT_THAT(error.hint(), testing::HasSubstr("gzip"));
  }
  EXPECT_THROW(make_decompressor(Codec::lz4), Error);
}

}  // namespace
}  // namespace holdfast
