#include "dump/archive_blocks.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "base/error.h"

namespace holdfast {
namespace {

[[noreturn]] void corrupt(const std::string& what) {
  throw Error(ErrorCode::corrupt, what);
}

XXH3_state_t* new_state() {
  XXH3_state_t* state = XXH3_createState();
  if (state == nullptr) throw std::bad_alloc();
  return state;
}

}  // namespace

// --- chunks and blocks ---

void ChunkParser::begin() {
  length_.clear();
  left_ = 0;
  ended_ = false;
}

void ChunkParser::add(ByteView& bytes, const ByteSink& payload) {
  while (!bytes.empty() && !ended_) {
    if (left_ == 0) {
      if (!length_.take(bytes, kIntBytes)) return;
      int64_t length = decode_int(length_.view());
      length_.clear();
      if (length < 0 || length > kChunkBytesMax)
        corrupt(fmt::format("a chunk of {} bytes cannot be", length));
      left_ = static_cast<uint64_t>(length);
      ended_ = length == 0;
      continue;
    }
    size_t part = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size()));
    left_ -= part;
    payload(bytes.first(part));
    bytes = bytes.subspan(part);
  }
}

void BlockWalker::end_block() {
  state_ = State::header;
  block_ended_ = true;
  events_.block_end();
}

size_t BlockWalker::add(ByteView bytes) {
  size_t size = bytes.size();
  block_ended_ = false;
  while (!bytes.empty() && !block_ended_) {
    if (state_ == State::header) {
      if (!small_.take(bytes, kBlockHeaderBytes)) break;
      BlockHeader header = decode_block_header(small_.view());
      small_.clear();
      large_objects_ = header.type == kBlockLargeObjects;
      state_ = large_objects_ ? State::object_id : State::chunks;
      chunks_.begin();
      events_.block_begin(header);
    } else if (state_ == State::object_id) {
      if (!small_.take(bytes, kIntBytes)) break;
      int64_t oid = decode_int(small_.view());
      small_.clear();
      if (oid == 0) {
        end_block();
        continue;
      }
      chunks_.begin();
      state_ = State::chunks;
      // Ids above 2^31 are written as negative numbers.
      events_.object_begin(static_cast<uint32_t>(oid));
    } else {
      chunks_.add(bytes, [this](ByteView part) { events_.payload(part); });
      if (!chunks_.ended()) continue;
      if (large_objects_) {
        state_ = State::object_id;
        events_.object_end();
      } else {
        end_block();
      }
    }
  }
  return size - bytes.size();
}

// --- tables ---

PieceDecoder::PieceDecoder(Codec codec) : codec_(codec), decompressor_(make_decompressor(codec)) {}

void PieceDecoder::begin(const PieceRole& role, ByteSink text) {
  role_ = role;
  if (role_.whole) role_.first = role_.last = true;
  text_ = std::move(text);
  header_read_ = !role_.first;
  any_payload_ = false;
  block_header_.clear();
  chunks_.begin();
  stream_header_.clear();
  trailer_.reset();
  end_mark_.reset();
  rows_.reset();
  text_bytes_ = decoded_bytes_ = 0;
  adler_ = 1;
  stream_adler_.reset();
  decompressor_->begin(role_.whole, [this](ByteView decoded) {
    decoded_bytes_ += decoded.size();
    if (role_.last)
      end_mark_.add(decoded, [this](ByteView part) { add_text(part); });
    else
      add_text(decoded);
  });
}

void PieceDecoder::add(ByteView stored) {
  if (!header_read_) {
    if (!block_header_.take(stored, kBlockHeaderBytes)) return;
    BlockHeader header = decode_block_header(block_header_.view());
    if (header.type != kBlockData || header.dump_id != role_.dump_id)
      corrupt(
          fmt::format("a block of type {} for entry {} stands where the data of entry {} should",
                      header.type, header.dump_id, role_.dump_id));
    header_read_ = true;
  }
  chunks_.add(stored, [this](ByteView payload) { add_payload(payload); });
  if (!stored.empty()) corrupt(fmt::format("{} bytes follow the end of the block", stored.size()));
}

void PieceDecoder::add_payload(ByteView payload) {
  any_payload_ = true;
  if (codec_ != Codec::gzip || role_.whole) return add_stream(payload);
  if (role_.first && stream_header_.view().size() < 2) {
    if (!stream_header_.take(payload, 2)) return;
    if (as_text(stream_header_.view()) != stream_header(codec_))
      corrupt("the compressed stream does not begin with its header");
  }
  if (role_.last)
    trailer_.add(payload, [this](ByteView part) { add_stream(part); });
  else
    add_stream(payload);
}

void PieceDecoder::add_stream(ByteView compressed) {
  if (!compressed.empty()) decompressor_->add(compressed);
}

void PieceDecoder::add_text(ByteView text) {
  text_bytes_ += text.size();
  if (role_.copy_text) rows_.add_text(text);
  if (text_) text_(text);
}

void PieceDecoder::end_stream() {
  // An empty table of pg_dump 16 and later has no stream at all.
  if (role_.whole && !any_payload_) return;
  if (codec_ == Codec::gzip && !role_.whole && role_.last) {
    const std::string& tail = trailer_.tail();
    std::string expected = stream_trailer(codec_, 0);
    if (tail.size() != expected.size() || tail.compare(0, 2, expected, 0, 2) != 0)
      corrupt("the compressed stream has no end");
    stream_adler_ = load_be32(as_bytes(tail).data() + 2);
  }
  decompressor_->end();
  adler_ = decompressor_->adler();
}

void PieceDecoder::end_text() {
  const std::string& tail = end_mark_.tail();
  if (role_.last && !(tail == kCopyEndMark && role_.copy_text && rows_.at_line_start()) &&
      !tail.empty())
    add_text(as_bytes(tail));
  if (role_.copy_text && !rows_.at_line_start()) corrupt("the last row does not end");
}

void PieceDecoder::end() {
  if (!header_read_) corrupt("the block's header is cut short");
  if (role_.last ? !chunks_.ended() : (chunks_.ended() || !chunks_.at_border()))
    corrupt(role_.last ? "the block does not end" : "the piece does not end at a chunk's border");
  end_stream();
  end_text();
}

// --- large objects ---

LargeObjectDecoder::LargeObjectDecoder(Codec codec) : decompressor_(make_decompressor(codec)) {}

void LargeObjectDecoder::begin(int dump_id, LargeObjectSink* sink) {
  dump_id_ = dump_id;
  sink_ = sink;
  ended_ = false;
  summer_.reset();
  walker_.emplace(static_cast<BlockEvents&>(*this));
}

void LargeObjectDecoder::add(ByteView stored) {
  if (ended_ && !stored.empty()) corrupt("bytes follow the end of the block");
  size_t used = walker_->add(stored);
  if (used < stored.size())
    corrupt(fmt::format("{} bytes follow the end of the block", stored.size() - used));
}

void LargeObjectDecoder::end() {
  if (!ended_) corrupt("the block does not end");
}

void LargeObjectDecoder::block_begin(const BlockHeader& header) {
  if (header.type != kBlockLargeObjects || header.dump_id != dump_id_)
    corrupt(
        fmt::format("a block of type {} for entry {} stands where the large objects of entry {} "
                    "should",
                    header.type, header.dump_id, dump_id_));
}

void LargeObjectDecoder::object_begin(uint32_t oid) {
  any_payload_ = false;
  summer_.begin_object(oid);
  if (sink_ != nullptr) sink_->object_begin(oid);
  decompressor_->begin(true, [this](ByteView bytes) { content(bytes); });
}

void LargeObjectDecoder::payload(ByteView bytes) {
  any_payload_ = true;
  decompressor_->add(bytes);
}

void LargeObjectDecoder::content(ByteView bytes) {
  summer_.content(bytes);
  if (sink_ != nullptr) sink_->content(bytes);
}

void LargeObjectDecoder::object_end() {
  if (any_payload_) decompressor_->end();
  summer_.end_object();
  if (sink_ != nullptr) sink_->object_end();
}

// --- hashes ---

StoredHash::StoredHash() : state_(new_state()) {
  reset();
}
StoredHash::~StoredHash() {
  XXH3_freeState(state_);
}
void StoredHash::reset() {
  XXH3_128bits_reset(state_);
}
void StoredHash::add(ByteView bytes) {
  XXH3_128bits_update(state_, bytes.data(), bytes.size());
}

std::string StoredHash::hex() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_));
  return to_hex(canonical.digest);
}

}  // namespace holdfast
