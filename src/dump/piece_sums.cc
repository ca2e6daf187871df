#include "dump/piece_sums.h"

#include <algorithm>
#include <atomic>

#include "base/workers.h"
#include "pg/copy_stream.h"

namespace holdfast {
namespace {

class RowReader final : public CopyOutHandler {
 public:
  RowReader(const WorkerScope& scope, ProgressCounters& counters)
      : scope_(scope), counters_(counters) {}

  RowChecksum read(Connection& connection, const std::string& sql) {
    rows_.reset();
    counted_ = bytes_ = 0;
    copy_out(connection, sql, *this);
    publish();
    return rows_.sum();
  }
  void row_part(ByteView part, bool row_starts, bool row_ends) override {
    if (row_starts && row_ends)
      rows_.add_line(part.first(part.size() - 1));
    else
      rows_.add_text(part);
    bytes_ += part.size();
    if (bytes_ >= kPublishBytes) publish();
  }

 private:
  static constexpr uint64_t kPublishBytes = 1 << 20;
  void publish() {
    if (scope_.stop().stop_requested()) throw Error(ErrorCode::cancelled, "interrupted");
    counters_.bytes += bytes_;
    counters_.rows += rows_.sum().rows - counted_;
    counted_ = rows_.sum().rows;
    bytes_ = 0;
  }
  const WorkerScope& scope_;
  ProgressCounters& counters_;
  RowSummer rows_;
  uint64_t counted_ = 0, bytes_ = 0;
};

}  // namespace

std::vector<RowChecksum> sum_planned_tables(const Plan& plan,
                                            const std::function<Connection()>& open, int jobs,
                                            const Run& run) {
  ProgressCounters& counters = run.progress.counters();
  std::vector<RowChecksum> found(plan.pieces.size());
  std::atomic<size_t> next{0};
  int workers = static_cast<int>(std::min<size_t>(static_cast<size_t>(worker_count(jobs)),
                                                  std::max<size_t>(1, plan.pieces.size())));
  run_workers(
      workers, run,
      [&](WorkerScope& scope) {
        Connection connection = open();
        auto cancelling = scope.on_stop([&] { connection.cancel(); });
        RowReader reader(scope, counters);
        for (size_t unit; (unit = next++) < plan.pieces.size();) {
          const PlannedPiece& piece = plan.pieces[unit];
          with_context("table " + plan.tables[piece.table].name,
                       [&] { found[unit] = reader.read(connection, piece.copy_sql); });
          if (piece.last) ++counters.tables;
        }
      },
      [] {});
  std::vector<RowChecksum> sums(plan.tables.size());
  for (size_t i = 0; i < found.size(); ++i) sums[plan.pieces[i].table].add(found[i]);
  return sums;
}

}  // namespace holdfast
