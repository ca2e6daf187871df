#include "dump/large_objects.h"

#include <new>

namespace holdfast {
namespace {

constexpr size_t kReadBytes = 256 << 10;
constexpr size_t kChunkBytes = 128 << 10;

int64_t read_int(SchemaDump& dump) {
  uint8_t bytes[kIntBytes];
  dump.read(bytes, sizeof bytes);
  return decode_int(bytes);
}

void read_chunks(SchemaDump& dump, LargeObjectHandler* handler) {
  std::vector<uint8_t> buffer(kReadBytes);
  for (int64_t left; (left = read_int(dump)) != 0;) {
    if (left < 0 || left > kChunkBytesMax)
      throw Error(ErrorCode::corrupt, "pg_dump sent a chunk with a bad length");
    while (left > 0) {
      size_t part = std::min<size_t>(buffer.size(), static_cast<size_t>(left));
      dump.read(buffer.data(), part);
      if (handler != nullptr) handler->content(ByteView(buffer.data(), part));
      left -= static_cast<int64_t>(part);
    }
  }
}

// Writes objects into the archive, each a compressed stream of its own as pg_restore expects.
class ObjectWriterToArchive final : public LargeObjectHandler {
 public:
  ObjectWriterToArchive(const std::vector<const TocEntry*>& entries, Codec codec, int level,
                        ArchiveSink& sink, ProgressCounters& counters)
      : entries_(entries),
        codec_(codec),
        compressor_(make_piece_compressor(codec, level)),
        sink_(sink),
        counters_(counters) {}

  void begin_block(int) override {
    if (records.size() == entries_.size())
      throw Error(ErrorCode::internal, "pg_dump sent more large-object blocks than it listed");
    // Blocks come in the order of the table of contents; the dump ids are those of our own archive.
    LargeObjectRecord record;
    record.dump_id = entries_[records.size()]->dump_id;
    records.push_back(record);
    summer_.reset();
    sink_.begin_span();
    sink_.write(as_bytes(encode_block_header(kBlockLargeObjects, record.dump_id)));
  }
  void begin_object(uint32_t oid) override {
    summer_.begin_object(oid);
    sink_.write(as_bytes(encode_int(static_cast<int32_t>(oid))));
    sink_.write_chunk(as_bytes(stream_header(codec_)));
    chunk_.clear();
    compressor_->begin([this](ByteView bytes) {
      chunk_.append(as_text(bytes));
      if (chunk_.size() >= kChunkBytes) flush();
    });
  }
  void content(ByteView bytes) override {
    summer_.content(bytes);
    compressor_->add(bytes);
    counters_.bytes += bytes.size();
  }
  void end_object() override {
    compressor_->end();
    flush();
    sink_.write_chunk(as_bytes(stream_trailer(codec_, compressor_->adler())));
    sink_.write(as_bytes(encode_int(0)));
    summer_.end_object();
  }
  void end_block() override {
    sink_.write(as_bytes(encode_int(0)));
    LargeObjectRecord& record = records.back();
    StoredSpan span = sink_.end_span();
    record.offset = span.offset;
    record.bytes = span.bytes;
    record.stored_xxh3 = span.xxh3;
    record.sum = summer_.sum();
    record.content_bytes = summer_.content_bytes();
  }

  std::vector<LargeObjectRecord> records;

 private:
  void flush() {
    sink_.write_chunk(as_bytes(chunk_));
    chunk_.clear();
  }

  const std::vector<const TocEntry*>& entries_;
  const Codec codec_;
  std::unique_ptr<PieceCompressor> compressor_;
  ArchiveSink& sink_;
  ProgressCounters& counters_;
  LargeObjectSummer summer_;
  std::string chunk_;
};

}  // namespace

void read_large_objects(SchemaDump& dump, LargeObjectHandler& handler, const Run& run) {
  while (!dump.at_end()) {
    run.check_stop();
    uint8_t header[kBlockHeaderBytes];
    dump.read(header, sizeof header);
    BlockHeader block = decode_block_header(header);
    if (block.type != kBlockLargeObjects) {
      read_chunks(dump, nullptr);
      continue;
    }
    handler.begin_block(block.dump_id);
    for (int64_t oid; (oid = read_int(dump)) != 0;) {
      run.check_stop();
      handler.begin_object(static_cast<uint32_t>(oid));
      read_chunks(dump, &handler);
      handler.end_object();
    }
    handler.end_block();
  }
}

LargeObjectSummer::LargeObjectSummer() : state_(XXH3_createState()) {
  if (state_ == nullptr) throw std::bad_alloc();
}
LargeObjectSummer::~LargeObjectSummer() {
  XXH3_freeState(state_);
}

void LargeObjectSummer::reset() {
  sum_ = {};
  content_bytes_ = 0;
}

void LargeObjectSummer::begin_object(uint32_t oid) {
  uint8_t id[8] = {};
  store_le32(id, oid);
  XXH3_128bits_reset(state_);
  XXH3_128bits_update(state_, id, sizeof id);
}

void LargeObjectSummer::content(ByteView bytes) {
  XXH3_128bits_update(state_, bytes.data(), bytes.size());
  content_bytes_ += bytes.size();
}

void LargeObjectSummer::end_object() {
  XXH128_hash_t hash = XXH3_128bits_digest(state_);
  sum_.add_hash(hash.low64, hash.high64);
}

std::vector<const TocEntry*> large_object_entries(const ArchiveToc& toc) {
  std::vector<const TocEntry*> entries;
  for (const TocEntry& entry : toc.entries)
    if (entry.desc == "BLOBS" && entry.had_dumper) entries.push_back(&entry);
  return entries;
}

std::vector<LargeObjectRecord> copy_large_objects(SchemaDump& from, const ArchiveToc& toc,
                                                  Codec codec, int level, ArchiveSink& sink,
                                                  const Run& run) {
  std::vector<const TocEntry*> entries = large_object_entries(toc);
  std::vector<const TocEntry*> streamed = large_object_entries(from.toc());
  bool same = entries.size() == streamed.size();
  for (size_t i = 0; same && i < entries.size(); ++i) same = entries[i]->tag == streamed[i]->tag;
  if (!same)
    throw Error(ErrorCode::internal, "two pg_dump runs in one snapshot list other large objects");
  ObjectWriterToArchive writer(entries, codec, level, sink, run.progress.counters());
  read_large_objects(from, writer, run);
  if (writer.records.size() != entries.size())
    throw Error(ErrorCode::internal, "pg_dump sent fewer large-object blocks than it listed");
  return std::move(writer.records);
}

std::vector<std::string> large_objects_only() {
  return {"-b", "--exclude-table-data=*.*"};
}

}  // namespace holdfast
