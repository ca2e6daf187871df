#include "seal/compression.h"

#include <fmt/format.h>
#include <zlib.h>

#include <array>

#include "base/error.h"
#include "base/text.h"
#include "seal/codecs.h"

namespace holdfast {
namespace {

constexpr std::array<std::string_view, 4> kCodecNames = {"none", "gzip", "zstd", "lz4"};

class PlainCompressor final : public PieceCompressor {
 public:
  void begin(ByteSink sink) override { sink_ = std::move(sink); }
  void add(ByteView text) override { sink_(text); }
  void end() override {}
  uint32_t adler() const override { return 0; }

 private:
  ByteSink sink_;
};

class PlainDecompressor final : public Decompressor {
 public:
  void begin(bool, ByteSink sink) override { sink_ = std::move(sink); }
  void add(ByteView compressed) override { sink_(compressed); }
  void end() override {}
  uint32_t adler() const override { return 0; }

 private:
  ByteSink sink_;
};

}  // namespace

std::string_view codec_name(Codec codec) {
  return kCodecNames[static_cast<size_t>(codec)];
}

Codec parse_codec(std::string_view name) {
  for (size_t i = 0; i < kCodecNames.size(); ++i)
    if (kCodecNames[i] == name) return static_cast<Codec>(i);
  std::vector<std::string> known(kCodecNames.begin(), kCodecNames.end());
  std::string near = nearest_word(name, known);
  throw Error(ErrorCode::invalid, fmt::format("unknown compression '{}'", printable(name)),
              near.empty() ? "use gzip, zstd or none" : fmt::format("did you mean {}?", near));
}

std::unique_ptr<PieceCompressor> make_piece_compressor(Codec codec, int level) {
  switch (codec) {
    case Codec::none:
      return std::make_unique<PlainCompressor>();
    case Codec::gzip:
      return make_gzip_compressor();
    case Codec::zstd:
      return make_zstd_compressor(level);
    case Codec::lz4:
      break;
  }
  throw Error(ErrorCode::unsupported, "lz4 archives are not written", "use gzip or zstd");
}

std::unique_ptr<Decompressor> make_decompressor(Codec codec) {
  switch (codec) {
    case Codec::none:
      return std::make_unique<PlainDecompressor>();
    case Codec::gzip:
      return make_gzip_decompressor();
    case Codec::zstd:
      return make_zstd_decompressor();
    case Codec::lz4:
      break;
  }
  throw Error(ErrorCode::unsupported, "lz4-compressed data cannot be read by holdfast",
              "pg_restore can: use holdfast restore FILE, or pg_restore itself");
}

std::string stream_header(Codec codec) {
  // RFC 1950: deflate with a 32 KiB window, fastest level, no dictionary; a multiple of 31.
  return codec == Codec::gzip ? std::string("\x78\x01", 2) : std::string();
}

std::string stream_trailer(Codec codec, uint32_t adler_of_all) {
  if (codec != Codec::gzip) return {};
  // A final, empty block with fixed codes (RFC 1951 section 3.2.6), then Adler-32, big-endian.
  std::string trailer("\x03\x00\0\0\0\0", 6);
  store_be32(reinterpret_cast<uint8_t*>(trailer.data()) + 2, adler_of_all);
  return trailer;
}

uint32_t combine_adler(uint32_t first, uint32_t second, uint64_t length_of_second) {
  return static_cast<uint32_t>(
      adler32_combine(first, second, static_cast<z_off_t>(length_of_second)));
}

}  // namespace holdfast
