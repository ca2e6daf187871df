// Zstandard by libzstd: one frame with content checksum per piece (pg_dump's own frames have none,
// and of those 84 % of single-bit flips decode silently wrong).
#include <zstd.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "seal/codecs.h"

namespace holdfast {
namespace {

constexpr int kDefaultLevel = 1;
// Frames of others may ask for up to 128 MiB of window by default (ZSTD_WINDOWLOG_LIMIT_DEFAULT);
// refused above that, as zstd itself does.
constexpr int kWindowLogMax = 27;

void check(size_t result, ErrorCode code, const char* what) {
  if (ZSTD_isError(result)) throw Error(code, std::string(what) + ": " + ZSTD_getErrorName(result));
}

class ZstdCompressor final : public PieceCompressor {
 public:
  explicit ZstdCompressor(int level)
      : context_(ZSTD_createCCtx(), ZSTD_freeCCtx), out_(ZSTD_CStreamOutSize()) {
    if (!context_) throw std::bad_alloc();
    check(ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel,
                                 level == 0 ? kDefaultLevel : level),
          ErrorCode::invalid, "zstd level");
    check(ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 1), ErrorCode::internal,
          "zstd");
  }

  void begin(ByteSink sink) override {
    sink_ = std::move(sink);
    ZSTD_CCtx_reset(context_.get(), ZSTD_reset_session_only);
  }
  void add(ByteView text) override { run(text, ZSTD_e_continue); }
  void end() override { run({}, ZSTD_e_end); }
  uint32_t adler() const override { return 0; }

 private:
  void run(ByteView text, ZSTD_EndDirective directive) {
    ZSTD_inBuffer in{text.data(), text.size(), 0};
    size_t left = 0;
    do {
      ZSTD_outBuffer out{out_.data(), out_.size(), 0};
      left = ZSTD_compressStream2(context_.get(), &out, &in, directive);
      check(left, ErrorCode::internal, "zstd");
      if (out.pos > 0) sink_({out_.data(), out.pos});
    } while (directive == ZSTD_e_end ? left != 0 : in.pos < in.size);
  }

  std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> context_;
  std::vector<uint8_t> out_;
  ByteSink sink_;
};

class ZstdDecompressor final : public Decompressor {
 public:
  ZstdDecompressor() : context_(ZSTD_createDCtx(), ZSTD_freeDCtx), out_(ZSTD_DStreamOutSize()) {
    if (!context_) throw std::bad_alloc();
    check(ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kWindowLogMax),
          ErrorCode::internal, "zstd");
  }

  void begin(bool, ByteSink sink) override {
    sink_ = std::move(sink);
    ZSTD_DCtx_reset(context_.get(), ZSTD_reset_session_only);
    frame_open_ = false;
  }

  void add(ByteView compressed) override {
    ZSTD_inBuffer in{compressed.data(), compressed.size(), 0};
    bool more_out = false;
    while (in.pos < in.size || more_out) {
      ZSTD_outBuffer out{out_.data(), out_.size(), 0};
      size_t left = ZSTD_decompressStream(context_.get(), &out, &in);
      check(left, ErrorCode::corrupt, "compressed data is not valid zstd");
      if (out.pos > 0) sink_({out_.data(), out.pos});
      frame_open_ = left != 0;
      more_out = frame_open_ && out.pos == out.size;
    }
  }

  void end() override {
    if (frame_open_) throw Error(ErrorCode::corrupt, "compressed data ends too early");
  }
  uint32_t adler() const override { return 0; }

 private:
  std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context_;
  std::vector<uint8_t> out_;
  ByteSink sink_;
  bool frame_open_ = false;
};

}  // namespace

std::unique_ptr<PieceCompressor> make_zstd_compressor(int level) {
  return std::make_unique<ZstdCompressor>(level);
}

std::unique_ptr<Decompressor> make_zstd_decompressor() {
  return std::make_unique<ZstdDecompressor>();
}

}  // namespace holdfast
