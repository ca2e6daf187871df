// Reading the data blocks of an archive: from stored bytes to the text of tables and the contents
// of large objects. The bytes are pushed in, cut anywhere, so that one reading of a file can serve
// hashing and several decoding threads; nothing here holds more than a few buffers, whatever the
// size of a piece or a row.
//
//   BlockWalker     finds where blocks begin and end (and can hand on what is in their chunks)
//   PieceDecoder    one piece of a table as Holdfast wrote it, or a whole block as pg_dump wrote
//   it:
//                   text, rows, checksum
//   LargeObjectDecoder   a block of large objects: every object's id and content
//
// All of them throw Error(corrupt) for bytes that are not what the format allows. Format:
// docs/format/archive.md, pg/archive.h. One thread at a time; objects are reused.
#pragma once

#include <xxhash.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "dump/large_objects.h"
#include "pg/archive.h"
#include "seal/compression.h"
#include "seal/row_checksum.h"

namespace holdfast {

// Collects a few bytes that may arrive in parts.
template <size_t kMax>
class SmallBuffer {
 public:
  // Takes what it needs from `bytes`; true once `wanted` bytes are there.
  bool take(ByteView& bytes, size_t wanted) {
    while (size_ < wanted && !bytes.empty()) {
      data_[size_++] = bytes.front();
      bytes = bytes.subspan(1);
    }
    return size_ == wanted;
  }
  ByteView view() const { return {data_.data(), size_}; }
  bool empty() const { return size_ == 0; }
  void clear() { size_ = 0; }

 private:
  std::array<uint8_t, kMax> data_{};
  size_t size_ = 0;
};

// Hands bytes on, but keeps the last kBytes of the stream back.
template <size_t kBytes>
class TailHolder {
 public:
  void reset() { tail_.clear(); }
  void add(ByteView bytes, const ByteSink& sink) {
    if (bytes.size() >= kBytes) {
      if (!tail_.empty()) sink(as_bytes(tail_));
      sink_if_any(bytes.first(bytes.size() - kBytes), sink);
      tail_.assign(as_text(bytes.last(kBytes)));
      return;
    }
    tail_.append(as_text(bytes));
    if (tail_.size() <= kBytes) return;
    size_t surplus = tail_.size() - kBytes;
    sink(as_bytes(tail_).first(surplus));
    tail_.erase(0, surplus);
  }
  const std::string& tail() const { return tail_; }

 private:
  static void sink_if_any(ByteView bytes, const ByteSink& sink) {
    if (!bytes.empty()) sink(bytes);
  }
  std::string tail_;
};

// Takes apart {length, bytes} … up to length 0.
class ChunkParser {
 public:
  void begin();
  // Hands payload to `payload` and takes what it used off `bytes`; stops after the length 0.
  void add(ByteView& bytes, const ByteSink& payload);
  bool ended() const { return ended_; }
  // Between two chunks.
  bool at_border() const { return left_ == 0 && length_.empty(); }

 private:
  SmallBuffer<kIntBytes> length_;
  uint64_t left_ = 0;
  bool ended_ = false;
};

class BlockEvents {
 public:
  virtual ~BlockEvents() = default;
  virtual void block_begin(const BlockHeader&) {}
  virtual void object_begin(uint32_t /*oid*/) {}
  virtual void payload(ByteView) {}
  virtual void object_end() {}
  virtual void block_end() {}
};

// Walks over any number of blocks.
class BlockWalker {
 public:
  explicit BlockWalker(BlockEvents& events) : events_(events) {}
  // Consumes bytes up to the end of the current block, or all of them; returns how many.
  size_t add(ByteView bytes);
  bool between_blocks() const { return state_ == State::header && small_.empty(); }

 private:
  enum class State { header, object_id, chunks };
  void end_block();

  BlockEvents& events_;
  State state_ = State::header;
  bool large_objects_ = false;
  bool block_ended_ = false;
  SmallBuffer<kBlockHeaderBytes> small_;
  ChunkParser chunks_;
};

// Which part of a table's block the bytes are.
struct PieceRole {
  int dump_id = 0;
  bool first = false, last = false;
  bool whole = false;     // a whole block with one stream, as pg_dump writes it
  bool copy_text = true;  // rows can be counted (pg_dump --inserts writes statements instead)
};

class PieceDecoder {
 public:
  explicit PieceDecoder(Codec codec);

  // Text of rows goes to `text` (may be empty). The end mark that pg_dump puts after a table's
  // rows ("\.", two empty lines) is not handed on and not counted.
  void begin(const PieceRole& role, ByteSink text);
  void add(ByteView stored);
  void end();

  const RowChecksum& sum() const { return rows_.sum(); }
  uint64_t text_bytes() const { return text_bytes_; }        // without the end mark
  uint64_t decoded_bytes() const { return decoded_bytes_; }  // with it
  uint32_t adler() const { return adler_; }                  // of what was decoded (gzip)
  // What the stream's trailer says the Adler-32 of all pieces is; only a last piece in gzip has it.
  std::optional<uint32_t> stream_adler() const { return stream_adler_; }

 private:
  void add_payload(ByteView payload);
  void add_stream(ByteView compressed);
  void add_text(ByteView text);
  void end_stream();
  void end_text();

  const Codec codec_;
  std::unique_ptr<Decompressor> decompressor_;
  PieceRole role_;
  ByteSink text_;
  bool header_read_ = false;
  bool any_payload_ = false;
  SmallBuffer<kBlockHeaderBytes> block_header_;
  ChunkParser chunks_;
  SmallBuffer<2> stream_header_;
  TailHolder<6> trailer_;   // of gzip
  TailHolder<5> end_mark_;  // of the text
  RowSummer rows_;
  uint64_t text_bytes_ = 0, decoded_bytes_ = 0;
  uint32_t adler_ = 1;
  std::optional<uint32_t> stream_adler_;
};

// What happens to an object's content: begin(oid), then parts, then end().
class LargeObjectSink {
 public:
  virtual ~LargeObjectSink() = default;
  virtual void object_begin(uint32_t oid) = 0;
  virtual void content(ByteView part) = 0;
  virtual void object_end() = 0;
};

class LargeObjectDecoder : private BlockEvents {
 public:
  explicit LargeObjectDecoder(Codec codec);
  // `sink` may be null. Expects exactly one block, of `dump_id`.
  void begin(int dump_id, LargeObjectSink* sink);
  void add(ByteView stored);
  void end();
  const RowChecksum& sum() const { return summer_.sum(); }
  uint64_t content_bytes() const { return summer_.content_bytes(); }

 private:
  void block_begin(const BlockHeader& header) override;
  void object_begin(uint32_t oid) override;
  void payload(ByteView bytes) override;
  void object_end() override;
  void block_end() override { ended_ = true; }
  void content(ByteView bytes);

  std::unique_ptr<Decompressor> decompressor_;
  std::optional<BlockWalker> walker_;
  LargeObjectSummer summer_;
  LargeObjectSink* sink_ = nullptr;
  int dump_id_ = 0;
  bool ended_ = false, any_payload_ = false;
};

// XXH3-128 of a stream, as 32 hex digits (the manifest's `stored_xxh3`).
class StoredHash {
 public:
  StoredHash();
  ~StoredHash();
  StoredHash(const StoredHash&) = delete;
  StoredHash& operator=(const StoredHash&) = delete;
  void reset();
  void add(ByteView bytes);
  std::string hex() const;

 private:
  XXH3_state_t* state_;
};

}  // namespace holdfast
