#include "dump/table_copier.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/workers.h"
#include "dump/ordered_window.h"
#include "pg/copy_stream.h"

namespace holdfast {
namespace {

// Text gathered before it is compressed, and compressed bytes before they become an archive chunk:
// both stay in the second-level cache, and chunks are large enough to skip over quickly.
constexpr size_t kTextBytes = 128 << 10;
constexpr size_t kTableChunkBytes = 128 << 10;
// Compressed pieces that wait for their turn. With all buffers of 8 workers the process stays far
// below 256 MiB.
constexpr size_t kWindowBytes = 32 << 20;

struct PieceResult {
  RowChecksum sum;
  uint64_t text_bytes = 0;
  uint64_t end_mark_bytes = 0;  // of kCopyEndMark, in the last piece of a table
  uint32_t adler = 1;           // of text and end mark
  StoredSpan span;
};

// In order, one thread at a time: puts block borders, stream header and trailer around the pieces.
class BlockWriter final : public OrderedConsumer {
 public:
  BlockWriter(const Plan& plan, std::vector<PieceResult>& results, Codec codec, ArchiveSink& sink,
              ProgressCounters& counters)
      : plan_(plan), results_(results), codec_(codec), sink_(sink), counters_(counters) {}

  void begin(size_t piece) override {
    sink_.begin_span();
    const PlannedPiece& planned = plan_.pieces[piece];
    if (!planned.first) return;
    sink_.write(as_bytes(encode_block_header(kBlockData, plan_.tables[planned.table].dump_id)));
    sink_.write_chunk(as_bytes(stream_header(codec_)));
    adler_ = 1;
  }
  void bytes(size_t, ByteView bytes) override { sink_.write(bytes); }
  void end(size_t piece) override {
    PieceResult& result = results_[piece];
    adler_ = combine_adler(adler_, result.adler, result.text_bytes + result.end_mark_bytes);
    if (plan_.pieces[piece].last) {
      sink_.write_chunk(as_bytes(stream_trailer(codec_, adler_)));
      sink_.write(as_bytes(encode_int(0)));
      ++counters_.tables;
    }
    result.span = sink_.end_span();
  }

 private:
  const Plan& plan_;
  std::vector<PieceResult>& results_;
  const Codec codec_;
  ArchiveSink& sink_;
  ProgressCounters& counters_;
  uint32_t adler_ = 1;
};

// One worker's way from rows to chunks. Reused from piece to piece.
class PieceMaker final : public CopyOutHandler {
 public:
  PieceMaker(const CopySettings& settings, OrderedWindow& window, ProgressCounters& counters)
      : compressor_(make_piece_compressor(settings.codec, settings.level)),
        window_(window),
        counters_(counters) {
    text_.reserve(kTextBytes);
  }

  PieceResult make(size_t piece, const PlannedPiece& planned, Connection& connection) {
    piece_ = piece;
    result_ = {};
    rows_.reset();
    rows_shown_ = 0;
    chunk_.assign(kIntBytes, '\0');
    compressor_->begin([this](ByteView bytes) { add_compressed(bytes); });
    uint64_t rows = copy_out(connection, planned.copy_sql, *this);
    flush_text();
    if (planned.last) add_end_mark();
    compressor_->end();
    flush_chunk();
    result_.sum = rows_.sum();
    result_.adler = compressor_->adler();
    if (rows != result_.sum.rows || !rows_.at_line_start())
      throw Error(ErrorCode::internal,
                  fmt::format("the server counted {} rows and sent {}", rows, result_.sum.rows));
    return result_;
  }

  void row_part(ByteView part, bool row_starts, bool row_ends) override {
    if (row_starts && row_ends)
      rows_.add_line(part.first(part.size() - 1));
    else
      rows_.add_text(part);
    if (text_.size() + part.size() > kTextBytes) flush_text();
    if (part.size() > kTextBytes)
      add_text(part);
    else
      text_.insert(text_.end(), part.begin(), part.end());
  }

 private:
  void flush_text() {
    add_text(text_);
    text_.clear();
    counters_.rows += rows_.sum().rows - rows_shown_;
    rows_shown_ = rows_.sum().rows;
  }
  // Belongs to the stream, but is no row.
  void add_end_mark() {
    compressor_->add(as_bytes(kCopyEndMark));
    result_.end_mark_bytes = kCopyEndMark.size();
  }
  void add_text(ByteView text) {
    if (text.empty()) return;
    compressor_->add(text);
    result_.text_bytes += text.size();
    counters_.bytes += text.size();
  }
  void add_compressed(ByteView bytes) {
    while (!bytes.empty()) {
      size_t part = std::min(bytes.size(), kIntBytes + kTableChunkBytes - chunk_.size());
      chunk_.append(as_text(bytes.first(part)));
      bytes = bytes.subspan(part);
      if (chunk_.size() == kIntBytes + kTableChunkBytes) flush_chunk();
    }
  }
  // The first kIntBytes of chunk_ are kept for its length.
  void flush_chunk() {
    if (chunk_.size() == kIntBytes) return;
    chunk_.replace(0, kIntBytes, encode_int(static_cast<int64_t>(chunk_.size() - kIntBytes)));
    window_.append(piece_, as_bytes(chunk_));
    chunk_.resize(kIntBytes);
  }

  std::unique_ptr<PieceCompressor> compressor_;
  OrderedWindow& window_;
  ProgressCounters& counters_;
  RowSummer rows_;
  std::vector<uint8_t> text_;
  std::string chunk_;
  size_t piece_ = 0;
  uint64_t rows_shown_ = 0;  // of this piece, in the progress
  PieceResult result_;
};

std::vector<TableRecord> records_of(const Plan& plan, std::vector<PieceResult>& results) {
  std::vector<TableRecord> records;
  for (const PlannedTable& table : plan.tables) {
    TableRecord record;
    record.name = table.name;
    record.dump_id = table.dump_id;
    for (size_t i = table.piece_begin; i < table.piece_end; ++i) {
      PieceResult& result = results[i];
      record.sum.add(result.sum);
      record.text_bytes += result.text_bytes;
      record.pieces.push_back({result.span.offset, result.span.bytes, result.text_bytes, result.sum,
                               std::move(result.span.xxh3)});
    }
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace

std::vector<TableRecord> copy_tables(const Plan& plan, const CopySettings& settings,
                                     const OpenWorker& open_worker, ArchiveSink& sink,
                                     const Run& run) {
  ProgressCounters& counters = run.progress.counters();
  counters.tables_total = plan.tables.size();
  counters.bytes_total = plan.text_bytes_estimate;

  std::vector<PieceResult> results(plan.pieces.size());
  BlockWriter writer(plan, results, settings.codec, sink, counters);
  OrderedWindow window(writer, kWindowBytes);
  std::atomic<size_t> next{0};
  int jobs = static_cast<int>(std::min<size_t>(static_cast<size_t>(settings.jobs),
                                               std::max<size_t>(1, plan.pieces.size())));

  run_workers(
      jobs, run,
      [&](WorkerScope& scope) {
        Connection connection = open_worker();
        auto cancelling = scope.on_stop([&] { connection.cancel(); });
        for (const std::string& sql : lock_statements(plan, "ACCESS SHARE"))
          connection.execute(sql);
        PieceMaker maker(settings, window, counters);
        for (size_t piece; (piece = next++) < plan.pieces.size();) {
          const PlannedPiece& planned = plan.pieces[piece];
          with_context("table " + plan.tables[planned.table].name,
                       [&] { results[piece] = maker.make(piece, planned, connection); });
          window.finish(piece);
        }
      },
      [&] { window.fail(); });
  return records_of(plan, results);
}

}  // namespace holdfast
