#include "dump/archive_sink.h"

#include <new>

#include "pg/archive.h"

namespace holdfast {

ArchiveSink::ArchiveSink(std::unique_ptr<ObjectWriter> object)
    : object_(std::move(object)), span_hash_(XXH3_createState()) {
  if (span_hash_ == nullptr) throw std::bad_alloc();
  XXH3_128bits_reset(span_hash_);
}

ArchiveSink::~ArchiveSink() {
  XXH3_freeState(span_hash_);
}

void ArchiveSink::write(ByteView bytes) {
  object_->write(bytes);
  sha256_.update(bytes);
  XXH3_128bits_update(span_hash_, bytes.data(), bytes.size());
  position_ += bytes.size();
}

void ArchiveSink::write_chunk(ByteView payload) {
  if (payload.empty()) return;
  write(as_bytes(encode_int(static_cast<int64_t>(payload.size()))));
  write(payload);
}

void ArchiveSink::begin_span() {
  XXH3_128bits_reset(span_hash_);
  span_begin_ = position_;
}

StoredSpan ArchiveSink::end_span() {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(span_hash_));
  return {span_begin_, position_ - span_begin_, to_hex(canonical.digest)};
}

}  // namespace holdfast
