// Compression of table data in pieces that can be made and read in parallel, and that stock
// pg_restore reads as one stream.
//
// A table's data is cut into pieces; each is compressed by itself, by the worker that read it, and
// the pieces stand one after another in the archive:
//   gzip  one zlib stream (RFC 1950) per table: the first piece is led by the two header bytes;
//         each piece is raw deflate (RFC 1951) that ends on a byte border and refers to nothing
//         before it; the last is followed by a final empty block and the Adler-32 of all pieces.
//   zstd  one frame (RFC 8878) with content checksum per piece. A frame starts on an archive chunk
//         border, because pg_restore drops what follows a frame inside a chunk.
//   none  the text itself.
// See docs/format/archive.md. Objects serve one thread at a time and are reused between pieces.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace holdfast {

enum class Codec { none, gzip, zstd, lz4 };  // lz4 is only named, never read or written

std::string_view codec_name(Codec codec);
// Throws Error(invalid) with a did-you-mean for an unknown name.
Codec parse_codec(std::string_view name);

// Receives compressed (or decompressed) bytes; valid only during the call.
using ByteSink = std::function<void(ByteView)>;

class PieceCompressor {
 public:
  virtual ~PieceCompressor() = default;
  // Starts a piece; what it produces goes to `sink` until end().
  virtual void begin(ByteSink sink) = 0;
  virtual void add(ByteView text) = 0;
  virtual void end() = 0;
  // Adler-32 of the text of the piece just ended (gzip; else 0).
  virtual uint32_t adler() const = 0;
};

// gzip ignores `level`, zstd takes 1..19 (0: the default, 1).
std::unique_ptr<PieceCompressor> make_piece_compressor(Codec codec, int level);

// What stands before the first and after the last piece of a stream.
std::string stream_header(Codec codec);
std::string stream_trailer(Codec codec, uint32_t adler_of_all);
// Adler-32 of two texts joined; the second is `length_of_second` bytes long.
uint32_t combine_adler(uint32_t first, uint32_t second, uint64_t length_of_second);

// Decompresses one piece, or one whole stream. Throws Error(corrupt) for anything that does not
// decode, that fails its own checksum, or that goes on after its end.
class Decompressor {
 public:
  virtual ~Decompressor() = default;
  // Starts anew. `whole_stream`: expect the header and trailer of a whole stream (what pg_dump
  // wrote); else just one piece as PieceCompressor made it.
  virtual void begin(bool whole_stream, ByteSink sink) = 0;
  virtual void add(ByteView compressed) = 0;
  // The input is complete: throws Error(corrupt) if the data is not.
  virtual void end() = 0;
  // gzip pieces: Adler-32 of the text since begin().
  virtual uint32_t adler() const = 0;
};

// Throws Error(unsupported) for lz4.
std::unique_ptr<Decompressor> make_decompressor(Codec codec);

}  // namespace holdfast
