// Reading a restored database back: every table's rows and checksum, sequences, large objects.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>

#include "base/text.h"
#include "base/workers.h"
#include "dump/large_objects.h"
#include "dump/piece_sums.h"
#include "dump/plan.h"
#include "dump/restore_data.h"

namespace holdfast {
namespace {

// Objects per statement, and bytes of each that come with it; longer ones are read on by
// themselves. In hexadecimal the answer stays below 4 MiB.
constexpr int kObjectsPerBatch = 64;
constexpr int kObjectHeadBytes = 16 << 10;
constexpr int kComparedPartBytes = 512 << 10;

bool is_wanted(const CompareOptions& options, int dump_id) {
  return !options.wanted || options.wanted->count(dump_id) > 0;
}

// The part of the table of contents that is compared.
ArchiveToc wanted_part(const ArchiveToc& toc, const CompareOptions& options) {
  ArchiveToc part;
  part.header = toc.header;
  for (const TocEntry& entry : toc.entries)
    if (is_wanted(options, entry.dump_id)) part.entries.push_back(entry);
  return part;
}

std::vector<RowChecksum> count_rows(const std::function<Connection()>& open, const Plan& plan,
                                    int jobs, const Run& run) {
  std::vector<RowChecksum> sums(plan.tables.size());
  std::atomic<size_t> next{0};
  int workers = static_cast<int>(std::min<size_t>(static_cast<size_t>(worker_count(jobs)),
                                                  std::max<size_t>(1, plan.tables.size())));
  run_workers(
      workers, run,
      [&](WorkerScope& scope) {
        Connection connection = open();
        auto cancelling = scope.on_stop([&] { connection.cancel(); });
        for (size_t table; (table = next++) < plan.tables.size();)
          sums[table].rows = static_cast<uint64_t>(std::stoull(connection.query_text(
              "SELECT count(*) FROM ONLY " + plan.tables[table].target.table)));
      },
      [] {});
  return sums;
}

std::vector<RowChecksum> read_tables(const Conninfo& target, const Manifest& manifest,
                                     const Plan& plan, const CompareOptions& options,
                                     const Run& run) {
  auto open = [&] {
    Connection connection = Connection::open(target, "holdfast compare");
    connection.execute(data_session_settings(connection.server_major(), manifest.encoding));
    return connection;
  };
  return options.rows_only ? count_rows(open, plan, options.jobs, run)
                           : sum_planned_tables(plan, open, options.jobs, run);
}

std::string difference(const RowChecksum& found, const RowChecksum& expected, bool rows_only,
                       const char* noun) {
  if (found.rows != expected.rows)
    return fmt::format("{} instead of {}", plural(found.rows, noun), expected.rows);
  if (rows_only || found == expected) return {};
  return fmt::format("the {}s are not those that were dumped (checksum {} instead of {})", noun,
                     found.sum_hex(), expected.sum_hex());
}

// --- sequences ---

// The parts of `SELECT pg_catalog.setval('public.s', 42, true);`
struct SequencePosition {
  std::string sequence, value;
  bool called = false;
};

std::optional<SequencePosition> parse_setval(const std::string& defn) {
  size_t begin = defn.find("setval('");
  size_t end = defn.rfind("', ");
  size_t close = defn.rfind(')');
  if (begin == std::string::npos || end == std::string::npos || close == std::string::npos ||
      end < begin || close < end)
    return std::nullopt;
  begin += 8;
  SequencePosition position;
  for (size_t i = begin; i < end; ++i) {
    if (defn[i] == '\'') ++i;  // a doubled quote inside the literal
    if (i < end) position.sequence += defn[i];
  }
  std::vector<std::string> rest =
      split(std::string_view(defn).substr(end + 3, close - end - 3), ',');
  if (rest.size() != 2) return std::nullopt;
  position.value = trim(rest[0]);
  position.called = trim(rest[1]) == "true";
  return position;
}

void compare_sequences(Connection& connection, const ArchiveToc& toc,
                       std::vector<Problem>& problems) {
  for (const TocEntry& entry : toc.entries) {
    if (entry.desc != "SEQUENCE SET") continue;
    std::optional<SequencePosition> expected = parse_setval(entry.defn);
    if (!expected) continue;
    QueryResult found = connection.query("SELECT last_value, is_called FROM " + expected->sequence);
    if (found.rows() == 1 && found.text(0, 0) == expected->value &&
        found.boolean(0, 1) == expected->called)
      continue;
    problems.push_back(
        {"sequence " + expected->sequence,
         fmt::format("stands at {} instead of {}", found.rows() == 1 ? found.text(0, 0) : "nothing",
                     expected->value)});
  }
}

// --- large objects ---

// Bytes of PostgreSQL's `\x6869`.
std::string decode_bytea(const std::string& text) {
  return text.size() > 2 ? from_hex(std::string_view(text).substr(2)) : std::string();
}

void read_rest(Connection& connection, const std::string& oid, LargeObjectSummer& summer,
               const Run& run) {
  for (uint64_t offset = kObjectHeadBytes;; offset += kComparedPartBytes) {
    run.check_stop();
    std::string part =
        decode_bytea(connection
                         .query("SELECT pg_catalog.lo_get($1::oid, $2::bigint, $3::int)",
                                {oid, std::to_string(offset), std::to_string(kComparedPartBytes)})
                         .text(0, 0));
    summer.content(as_bytes(part));
    if (part.size() < kComparedPartBytes) return;
  }
}

RowChecksum sum_large_objects(const Conninfo& target, const Run& run) {
  Connection connection = Connection::open(target, "holdfast compare");
  connection.execute("SET bytea_output = hex");
  LargeObjectSummer summer;
  std::string after = "0";
  while (true) {
    run.check_stop();
    QueryResult batch = connection.query(
        "SELECT o.oid, pg_catalog.lo_get(o.oid, 0, $2::int)"
        " FROM (SELECT oid FROM pg_largeobject_metadata WHERE oid > $1::oid ORDER BY oid LIMIT $3) "
        "o"
        " ORDER BY o.oid",
        {after, std::to_string(kObjectHeadBytes), std::to_string(kObjectsPerBatch)});
    for (int row = 0; row < batch.rows(); ++row) {
      after = batch.text(row, 0);
      std::string head = decode_bytea(batch.text(row, 1));
      summer.begin_object(static_cast<uint32_t>(std::stoul(after)));
      summer.content(as_bytes(head));
      if (head.size() == kObjectHeadBytes) read_rest(connection, after, summer, run);
      summer.end_object();
    }
    if (batch.rows() < kObjectsPerBatch) return summer.sum();
  }
}

void compare_large_objects(const Conninfo& target, const Manifest& manifest,
                           const CompareOptions& options, const Run& run,
                           std::vector<Problem>& problems) {
  RowChecksum expected;
  bool any = false;
  for (const LargeObjectRecord& record : manifest.large_objects) {
    if (!is_wanted(options, record.dump_id)) continue;
    expected.add(record.sum);
    any = true;
  }
  if (!any) return;
  std::string problem = difference(sum_large_objects(target, run), expected, false, "large object");
  if (!problem.empty()) problems.push_back({"large objects", problem});
}

}  // namespace

ComparedTables compare_data(const Conninfo& target, const Manifest& manifest, const ArchiveToc& toc,
                            const CompareOptions& options, const Run& run) {
  Connection control = Connection::open(target, "holdfast compare");
  control.execute(data_session_settings(control.server_major(), manifest.encoding));
  Plan plan = plan_tables(wanted_part(toc, options), control);
  ProgressCounters& counters = run.progress.counters();
  counters.tables_total = plan.tables.size();
  counters.bytes_total = manifest.total_text_bytes();

  std::map<int, RowChecksum> found;
  std::vector<RowChecksum> sums = read_tables(target, manifest, plan, options, run);
  for (size_t i = 0; i < plan.tables.size(); ++i) found[plan.tables[i].dump_id] = sums[i];

  ComparedTables compared;
  for (const TableRecord& table : manifest.tables) {
    if (!is_wanted(options, table.dump_id)) continue;
    auto at = found.find(table.dump_id);
    std::string problem = at == found.end()
                              ? std::string("is not in the table of contents")
                              : difference(at->second, table.sum, options.rows_only, "row");
    compared.tables.push_back(
        {table.name, at == found.end() ? 0 : at->second.rows, problem.empty()});
    if (!problem.empty()) compared.problems.push_back({"table " + table.name, problem});
  }
  if (!options.wanted) compare_sequences(control, toc, compared.problems);
  compare_large_objects(target, manifest, options, run, compared.problems);
  return compared;
}

ComparedTables compare_database(const Conninfo& target, const Manifest& manifest,
                                const ArchiveToc& toc, int jobs, const Run& run) {
  CompareOptions options;
  options.jobs = jobs;
  return compare_data(target, manifest, toc, options, run);
}

}  // namespace holdfast
