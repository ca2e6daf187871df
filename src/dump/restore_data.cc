#include "dump/restore_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "base/text.h"
#include "base/workers.h"
#include "dump/archive_scan.h"
#include "dump/load_queue.h"
#include "dump/load_waves.h"
#include "dump/sealed_archive.h"
#include "dump/unit_loader.h"

namespace holdfast {
namespace {

constexpr size_t kArchiveReadBytes = 256 << 10;
constexpr const char* kInvalidParameterValue = "22023";
constexpr char kReadInOrder[] =
    "the checks of this table call functions of the database; a sealed archive is read once and in "
    "order, so they find no table that comes later in it. If that is why: gpg --decrypt, "
    "pg_restore --section=pre-data, drop the check, --section=data, --section=post-data, add it "
    "again";

std::vector<LoadUnit> load_units(const Manifest& manifest, const std::set<int>& wanted) {
  std::vector<LoadUnit> units;
  for (const LargeObjectRecord& record : manifest.large_objects)
    if (wanted.count(record.dump_id) > 0) units.push_back({nullptr, 0, &record});
  for (const TableRecord& table : manifest.tables)
    if (wanted.count(table.dump_id) > 0)
      for (size_t i = 0; i < table.pieces.size(); ++i) units.push_back({&table, i, nullptr});
  return units;
}

// Reads units from wherever they stand.
class UnitReader {
 public:
  UnitReader(ObjectReader& archive, const Manifest& manifest, const WorkerScope& scope)
      : archive_(archive), manifest_(manifest), scope_(scope), buffer_(kArchiveReadBytes) {}

  void load(const LoadUnit& unit, UnitLoader& loader) {
    with_context(place_of(unit, manifest_), [&] {
      try {
        loader.begin(unit);
        read(unit, [&](ByteView part) { loader.add(part); });
        loader.end();
      } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled) throw;
        StoredHash hash;
        hash.reset();
        read(unit, [&](ByteView part) { hash.add(part); });
        explain_load(error, unit, hash.hex());
      }
    });
  }

 private:
  template <typename Sink>
  void read(const LoadUnit& unit, Sink&& sink) {
    auto [offset, bytes, hash] = stretch_of(unit);
    while (bytes > 0) {
      if (scope_.stop().stop_requested()) throw Error(ErrorCode::cancelled, "interrupted");
      size_t wanted = static_cast<size_t>(std::min<uint64_t>(bytes, buffer_.size()));
      size_t got = archive_.read(offset, buffer_.data(), wanted);
      if (got == 0)
        throw Error(ErrorCode::corrupt, fmt::format("the archive ends at byte {}", offset));
      sink(ByteView(buffer_.data(), got));
      offset += got;
      bytes -= got;
    }
  }

  ObjectReader& archive_;
  const Manifest& manifest_;
  const WorkerScope& scope_;
  std::vector<uint8_t> buffer_;
};

// Everything that a worker needs to load what is in `manifest`.
struct LoadJob {
  const Manifest& manifest;
  const Conninfo& target;
  const std::map<int, SendPlan>& plans;
  const DataDependencies& dependencies;
  bool create_objects = false;
  const Run& run;

  Connection connect() const {
    Connection connection = Connection::open(target, "holdfast restore worker");
    prepare_to_load(connection, manifest);
    return connection;
  }
};

// --- a sealed archive: one reading in order, its units dealt out to the workers ---

class WantedUnits final : public Splitter {
 public:
  explicit WantedUnits(const std::vector<LoadUnit>& units) : units_(units) {}

  Part next(uint64_t offset, ByteView bytes) override {
    Part part;
    part.bytes = bytes.size();
    if (next_ == units_.size()) return part;
    Stretch unit = stretch_of(units_[next_]);
    uint64_t until = unit.offset > offset ? unit.offset : unit.offset + unit.bytes;
    part.bytes = static_cast<size_t>(std::min<uint64_t>(until - offset, bytes.size()));
    part.in_unit = unit.offset <= offset;
    part.unit = next_;
    part.first = offset == unit.offset;
    part.last = part.in_unit && offset + part.bytes == until;
    if (part.last) ++next_;
    return part;
  }

 private:
  const std::vector<LoadUnit>& units_;  // in the archive's order
  size_t next_ = 0;
};

class SealedUnitLoader final : public UnitHandler {
 public:
  SealedUnitLoader(const LoadJob& job, const std::vector<LoadUnit>& units, LoadGate& gate,
                   std::atomic<size_t>& loaded, WorkerScope& scope)
      : job_(job),
        units_(units),
        gate_(gate),
        loaded_(loaded),
        stop_(scope.stop()),
        connection_(job.connect()),
        cancelling_(scope.on_stop([this] { connection_.cancel(); })),
        loader_(job.manifest, job.plans, job.create_objects, connection_, job.run) {}

  void begin(size_t unit) override {
    unit_ = unit;
    failure_.reset();
    gate_.wait(units_[unit], stop_);
    guarded([&] { loader_.begin(units_[unit]); });
  }
  // After a failure the rest is only hashed, to know whether the bytes are to blame.
  void add(ByteView bytes) override {
    if (failure_)
      loader_.hash().add(bytes);
    else
      guarded([&] { loader_.add(bytes); });
  }
  void end() override {
    if (!failure_) guarded([&] { loader_.end(); });
    if (failure_ && failure_->code() == ErrorCode::unsupported &&
        one_by_one({units_[unit_]}, job_.dependencies))
      failure_ = Error(failure_->code(), failure_->what(), kReadInOrder);
    if (failure_)
      with_context(place_of(units_[unit_], job_.manifest),
                   [&] { explain_load(*failure_, units_[unit_], loader_.hash().hex()); });
    gate_.done(units_[unit_]);
    ++loaded_;
  }

 private:
  template <typename Work>
  void guarded(Work&& work) {
    try {
      work();
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      failure_ = error;
    }
  }

  const LoadJob& job_;
  const std::vector<LoadUnit>& units_;
  LoadGate& gate_;
  std::atomic<size_t>& loaded_;
  const std::stop_token stop_;
  Connection connection_;
  std::unique_ptr<std::stop_callback<std::function<void()>>> cancelling_;
  UnitLoader loader_;
  size_t unit_ = 0;
  std::optional<Error> failure_;
};

void load_in_order(ObjectReader& archive, std::vector<LoadUnit> units, int workers,
                   const LoadJob& job) {
  std::erase_if(units, [](const LoadUnit& unit) { return stretch_of(unit).bytes == 0; });
  std::sort(units.begin(), units.end(), [](const LoadUnit& a, const LoadUnit& b) {
    return stretch_of(a).offset < stretch_of(b).offset;
  });
  keep_short_tables_whole(units, job.plans);
  WantedUnits splitter(units);
  LoadGate gate(units, job.dependencies);
  std::atomic<size_t> loaded{0};
  uint64_t bytes = scan_archive(
      archive, workers, splitter, [](ByteView) {},
      [&](WorkerScope& scope) {
        return std::make_unique<SealedUnitLoader>(job, units, gate, loaded, scope);
      },
      job.run);
  if (loaded != units.size() || bytes != job.manifest.archive_bytes)
    throw Error(ErrorCode::corrupt,
                fmt::format("{} ends at byte {} of {}", job.manifest.archive_label(), bytes,
                            job.manifest.archive_bytes),
                "restore another backup: holdfast list");
}

void load_wave(ObjectReader& archive, std::vector<LoadUnit> units, int workers,
               const LoadJob& job) {
  workers = one_by_one(units, job.dependencies)
                ? 1
                : static_cast<int>(std::min<size_t>(static_cast<size_t>(workers), units.size()));
  LoadQueue queue(std::move(units), job.plans, workers);
  run_workers(
      workers, job.run,
      [&](WorkerScope& scope) {
        Connection connection = job.connect();
        auto cancelling = scope.on_stop([&] { connection.cancel(); });
        UnitLoader loader(job.manifest, job.plans, job.create_objects, connection, job.run);
        UnitReader reader(archive, job.manifest, scope);
        LoadQueue::Place place;
        while (std::optional<LoadUnit> unit = queue.next(place)) reader.load(*unit, loader);
      },
      [] {});
}

void load_anywhere(ObjectReader& archive, std::vector<LoadUnit> units, int workers,
                   const LoadJob& job) {
  for (std::vector<LoadUnit>& wave : in_waves(std::move(units), job.dependencies))
    load_wave(archive, std::move(wave), workers, job);
}

}  // namespace

std::string data_session_settings(int server_major, const std::string& encoding) {
  return dump_session_settings(server_major) + ";SET client_encoding = '" + encoding + "'";
}

std::string settable_time_zone(Connection& connection, const Manifest& manifest) {
  if (manifest.time_zone.empty()) return {};
  try {
    connection.query("SELECT pg_catalog.set_config('TimeZone', $1, false)", {manifest.time_zone});
    return manifest.time_zone;
  } catch (const Error&) {
    if (connection.last_sqlstate() != kInvalidParameterValue) throw;
    return {};
  }
}

void prepare_to_load(Connection& connection, const Manifest& manifest) {
  connection.execute(load_session_settings(connection.server_major()));
  connection.execute("SET client_encoding = '" + manifest.encoding + "'");
  settable_time_zone(connection, manifest);
}

void load_data(ObjectStore& store, const Manifest& manifest, const OpenKeys& keys,
               const ArchiveToc& toc, const Conninfo& target, const std::set<int>& wanted, int jobs,
               const Run& run) {
  std::vector<LoadUnit> units = load_units(manifest, wanted);
  std::map<int, SendPlan> plans;
  DataDependencies dependencies;
  {
    Connection connection = Connection::open(target, "holdfast restore");
    prepare_to_load(connection, manifest);
    plans = send_plans(toc, wanted, connection);
    dependencies = data_dependencies(plans, connection);
    load_last(tables_that_call_functions(plans, connection), units, plans, dependencies);
  }
  ProgressCounters& counters = run.progress.counters();
  for (const LoadUnit& unit : units) {
    if (unit.table != nullptr && plans.count(unit.table->dump_id) == 0)
      throw Error(ErrorCode::corrupt,
                  fmt::format("the table of contents has no data entry for {}", unit.table->name));
    if (unit.table != nullptr && unit.piece == 0) ++counters.tables_total;
    counters.bytes_total += unit.table != nullptr ? unit.table->pieces[unit.piece].text_bytes
                                                  : unit.objects->content_bytes;
  }
  // Archives of pg_dump since 9.0 make their objects in pre-data, or by BLOB METADATA.
  bool create_objects = std::none_of(toc.entries.begin(), toc.entries.end(), [](const TocEntry& e) {
    return e.desc == "BLOB" || e.desc == "BLOB METADATA";
  });

  std::unique_ptr<ObjectReader> archive = open_archive(store, manifest, keys);
  int workers = static_cast<int>(
      std::min<size_t>(static_cast<size_t>(worker_count(jobs)), std::max<size_t>(1, units.size())));
  LoadJob job{manifest, target, plans, dependencies, create_objects, run};
  if (manifest.seal)
    load_in_order(*archive, std::move(units), workers, job);
  else
    load_anywhere(*archive, std::move(units), workers, job);
}

std::vector<std::string> analyze_database(const Conninfo& target, int jobs, const Run& run) {
  Connection control = Connection::open(target, "holdfast restore");
  QueryResult found = control.query(
      "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_class c"
      " JOIN pg_namespace n ON n.oid = c.relnamespace"
      " WHERE c.relkind IN ('r', 'm', 'p') AND n.nspname <> 'information_schema'"
      " AND n.nspname NOT LIKE 'pg\\_%'"
      " ORDER BY pg_relation_size(c.oid) DESC");
  std::mutex mutex;
  std::map<int, std::string> failures;  // by row, so that the first is always the same
  std::atomic<int> next{0};
  run_workers(
      std::min(worker_count(jobs), std::max(1, found.rows())), run,
      [&](WorkerScope& scope) {
        Connection connection = Connection::open(target, "holdfast restore worker");
        auto cancelling = scope.on_stop([&] { connection.cancel(); });
        for (int row; (row = next++) < found.rows();) {
          try {
            connection.execute("ANALYZE " + found.text(row, 0));
          } catch (const Error& error) {
            if (scope.stop().stop_requested() || PQstatus(connection.raw()) != CONNECTION_OK) throw;
            std::lock_guard lock(mutex);
            failures[row] = error.what();
          }
        }
      },
      [] {});
  if (failures.empty()) return {};
  const auto& [row, why] = *failures.begin();
  return {
      fmt::format("{} without all of {} statistics: {}: {}{}; once the cause is gone: ANALYZE",
                  plural(failures.size(), "table"), failures.size() == 1 ? "its" : "their",
                  printable(found.text(row, 0)), why,
                  failures.size() == 1 ? "" : fmt::format(" (and {} more)", failures.size() - 1))};
}

}  // namespace holdfast
