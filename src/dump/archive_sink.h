// The one place where an archive's bytes go out, in order: to the store, into the SHA-256 of the
// whole, and into the hash of the stretch (a piece, a block) that is being written.
//
// One thread at a time; who that is, ordered_window.h decides.
#pragma once

#include <xxhash.h>

#include <memory>
#include <string>

#include "base/bytes.h"
#include "seal/sha256.h"
#include "store/object_store.h"

namespace holdfast {

struct StoredSpan {
  uint64_t offset = 0, bytes = 0;
  std::string xxh3;  // XXH3-128 of its bytes, 32 hex digits, most significant first
};

class ArchiveSink {
 public:
  explicit ArchiveSink(std::unique_ptr<ObjectWriter> object);
  ~ArchiveSink();
  ArchiveSink(const ArchiveSink&) = delete;
  ArchiveSink& operator=(const ArchiveSink&) = delete;

  void write(ByteView bytes);
  // A chunk of a data block: its length, then its bytes. Empty chunks are not written, because
  // length 0 ends a block.
  void write_chunk(ByteView payload);
  uint64_t position() const { return position_; }

  void begin_span();
  StoredSpan end_span();

  // The SHA-256 of everything written. Spends the hash.
  std::string finish_sha256() { return sha256_.finish_hex(); }
  // Makes the object durable and visible.
  void commit() { object_->commit(); }

 private:
  std::unique_ptr<ObjectWriter> object_;
  Sha256 sha256_;
  XXH3_state_t* span_hash_;
  uint64_t position_ = 0, span_begin_ = 0;
};

}  // namespace holdfast
