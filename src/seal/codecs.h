// The codecs behind compression.h, one file each: gzip by ISA-L, zstd by libzstd. For this layer
// only.
#pragma once

#include <memory>

#include "seal/compression.h"

namespace holdfast {

std::unique_ptr<PieceCompressor> make_gzip_compressor();
std::unique_ptr<Decompressor> make_gzip_decompressor();
std::unique_ptr<PieceCompressor> make_zstd_compressor(int level);
std::unique_ptr<Decompressor> make_zstd_decompressor();

}  // namespace holdfast
