// Decompression of foreign bytes. Input: one byte that chooses codec and framing, one that chooses
// how the rest is cut into calls. However it is cut, the outcome is the same; and what our own
// compressor makes of the same bytes comes back as they were.
#include <algorithm>
#include <optional>
#include <string>

#include "base/error.h"
#include "expect.h"
#include "seal/compression.h"

namespace {

using namespace holdfast;

constexpr size_t kTextBytesMax = 4 << 20;  // a small input can stand for very much text

// The text, or nothing if the input is refused.
std::optional<std::string> decompress(Decompressor& decompressor, bool whole_stream, ByteView input,
                                      size_t cut) {
  std::string text;
  try {
    decompressor.begin(whole_stream, [&](ByteView part) {
      if (text.size() + part.size() > kTextBytesMax) throw Error(ErrorCode::corrupt, "too much");
      text.append(as_text(part));
    });
    while (!input.empty()) {
      ByteView part = input.first(std::min(cut, input.size()));
      decompressor.add(part);
      input = input.subspan(part.size());
    }
    decompressor.end();
  } catch (const Error& error) {
    FUZZ_EXPECT(error.code() == ErrorCode::corrupt);
    return std::nullopt;
  }
  return text;
}

std::string compress(Codec codec, ByteView text, size_t cut) {
  auto compressor = make_piece_compressor(codec, 0);
  std::string bytes;
  compressor->begin([&](ByteView part) { bytes.append(as_text(part)); });
  while (!text.empty()) {
    ByteView part = text.first(std::min(cut, text.size()));
    compressor->add(part);
    text = text.subspan(part.size());
  }
  compressor->end();
  return stream_header(codec) + bytes + stream_trailer(codec, compressor->adler());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  constexpr Codec kCodecs[] = {Codec::none, Codec::gzip, Codec::zstd};
  Codec codec = kCodecs[data[0] % 3];
  bool whole_stream = (data[0] & 0x80) != 0;
  size_t cut = size_t{data[1]} + 1;
  ByteView input(data + 2, size - 2);

  auto decompressor = make_decompressor(codec);
  auto at_once = decompress(*decompressor, whole_stream, input, std::max<size_t>(input.size(), 1));
  auto in_parts = decompress(*decompressor, whole_stream, input, cut);
  FUZZ_EXPECT(at_once == in_parts);

  std::string made = compress(codec, input, cut);
  auto back = decompress(*decompressor, true, as_bytes(made), cut);
  FUZZ_EXPECT(back && *back == as_text(input));
  return 0;
}
