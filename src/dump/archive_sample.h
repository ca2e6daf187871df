// For tests: archives made in memory, with the manifest that belongs to them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/run.h"
#include "dump/archive_blocks.h"
#include "dump/manifest.h"
#include "seal/sha256.h"
#include "store/object_store.h"

namespace holdfast {

class MemoryReader final : public ObjectReader {
 public:
  explicit MemoryReader(std::string bytes) : bytes_(std::move(bytes)) {}
  uint64_t size() const override { return bytes_.size(); }
  size_t read(uint64_t offset, uint8_t* out, size_t size) override {
    if (offset >= bytes_.size()) return 0;
    size_t got = std::min<size_t>(size, bytes_.size() - offset);
    std::memcpy(out, bytes_.data() + offset, got);
    return got;
  }

 private:
  std::string bytes_;
};

struct QuietRun {
  SystemClock clock;
  NullLog log;
  NullProgress progress;
  std::stop_source stop;
  Run run{clock, log, progress, stop.get_token()};
};

// Builds an archive as the dump leg does.
class ArchiveBuilder {
 public:
  explicit ArchiveBuilder(Codec codec, std::string toc = "the table of contents") {
    manifest_.codec = codec;
    manifest_.archive_object = "care.dump";
    manifest_.toc_bytes = toc.size();
    manifest_.toc_sha256 = sha256_hex(as_bytes(toc));
    bytes_ = std::move(toc);
  }

  // One table; each string is the text of one piece.
  void table(const std::string& name, int dump_id, const std::vector<std::string>& pieces) {
    TableRecord record;
    record.name = name;
    record.dump_id = dump_id;
    auto compressor = make_piece_compressor(manifest_.codec, 0);
    uint32_t adler = 1;
    for (size_t i = 0; i < pieces.size(); ++i) {
      Piece piece;
      piece.offset = bytes_.size();
      if (i == 0) {
        bytes_ += encode_block_header(kBlockData, dump_id);
        chunk(stream_header(manifest_.codec));
      }
      std::string compressed;
      compressor->begin([&](ByteView part) { compressed += as_text(part); });
      compressor->add(as_bytes(pieces[i]));
      compressor->end();
      for (size_t at = 0; at < compressed.size(); at += 1000) chunk(compressed.substr(at, 1000));
      adler = combine_adler(adler, compressor->adler(), pieces[i].size());
      if (i + 1 == pieces.size()) {
        chunk(stream_trailer(manifest_.codec, adler));
        bytes_ += encode_int(0);
      }
      RowSummer rows;
      rows.add_text(as_bytes(pieces[i]));
      piece.sum = rows.sum();
      piece.text_bytes = pieces[i].size();
      piece.bytes = bytes_.size() - piece.offset;
      piece.stored_xxh3 = hash_of(piece.offset);
      record.sum.add(piece.sum);
      record.text_bytes += piece.text_bytes;
      record.pieces.push_back(piece);
    }
    manifest_.tables.push_back(record);
  }

  void large_objects(int dump_id, const std::map<uint32_t, std::string>& objects) {
    LargeObjectRecord record;
    record.dump_id = dump_id;
    record.offset = bytes_.size();
    bytes_ += encode_block_header(kBlockLargeObjects, dump_id);
    auto compressor = make_piece_compressor(manifest_.codec, 0);
    LargeObjectSummer summer;
    for (const auto& [oid, content] : objects) {
      bytes_ += encode_int(static_cast<int32_t>(oid));
      chunk(stream_header(manifest_.codec));
      std::string compressed;
      compressor->begin([&](ByteView part) { compressed += as_text(part); });
      compressor->add(as_bytes(content));
      compressor->end();
      chunk(compressed);
      chunk(stream_trailer(manifest_.codec, compressor->adler()));
      bytes_ += encode_int(0);
      summer.begin_object(oid);
      summer.content(as_bytes(content));
      summer.end_object();
    }
    bytes_ += encode_int(0);
    record.bytes = bytes_.size() - record.offset;
    record.content_bytes = summer.content_bytes();
    record.sum = summer.sum();
    record.stored_xxh3 = hash_of(record.offset);
    manifest_.large_objects.push_back(record);
  }

  const std::string& bytes() const { return bytes_; }
  Manifest manifest() const {
    Manifest manifest = manifest_;
    manifest.archive_bytes = bytes_.size();
    manifest.archive_sha256 = sha256_hex(as_bytes(bytes_));
    return manifest;
  }

 private:
  void chunk(const std::string& payload) {
    if (!payload.empty()) bytes_ += encode_int(static_cast<int64_t>(payload.size())) + payload;
  }
  std::string hash_of(uint64_t begin) const {
    StoredHash hash;
    hash.add(as_bytes(bytes_).subspan(begin));
    return hash.hex();
  }

  Manifest manifest_;
  std::string bytes_;
};

// Rows that compress about as real ones do.
inline std::string sample_rows(int count, int seed = 1) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    uint64_t mixed =
        (static_cast<uint64_t>(i) + 1) * 0x9E3779B97F4A7C15ull * static_cast<uint64_t>(seed);
    text +=
        std::to_string(i) + "\tvisit " + std::to_string(mixed) + "\t2026-11-10 14:30:00+00\t\\N\n";
  }
  return text;
}

}  // namespace holdfast
