#include "dump/restore.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"
#include "base/text.h"
#include "base/workers.h"
#include "dump/pg_restore.h"
#include "dump/restore_data.h"
#include "dump/restore_job.h"
#include "dump/sealed_archive.h"
#include "dump/verify_deep.h"
#include "store/local_store.h"

namespace holdfast {
namespace {

constexpr size_t kSchemaNotesMax = 20;

void require_same(const ComparedTables& compared) {
  if (compared.problems.empty()) return;
  const Problem& first = compared.problems.front();
  std::string message =
      fmt::format("the restored database differs: {}: {}", first.where, first.what);
  if (compared.problems.size() > 1)
    message += fmt::format(" (and {} more)", compared.problems.size() - 1);
  throw Error(ErrorCode::corrupt, message,
              "something wrote to the database while it was restored, or the server changed the "
              "rows; the restore was undone");
}

void note_schema_differences(const RestoreSource& source, const Conninfo& target,
                             const ClientTools& tools, const FillOptions& options,
                             RestoreReport& report) {
  if (tools.major != major_of(source.toc.header.dump_version)) return;
  // pg_dump refuses a server newer than itself, and another major writes definitions its own way.
  int target_major = Connection::open(target, "holdfast restore").server_major();
  if (target_major > tools.major) {
    report.notes.push_back(
        fmt::format("definitions were not compared: the server is PostgreSQL {}, "
                    "pg_dump is {}",
                    target_major, tools.major));
    return;
  }
  // Notes, which fail nothing: no second database is made on somebody's server to thin them out.
  std::vector<std::string> differences =
      compare_restored_schema(tools, target, source.toc, source.excluded,
                              !options.no_owner && !options.no_privileges)
          .differences;
  for (size_t i = 0; i < std::min(differences.size(), kSchemaNotesMax); ++i)
    report.notes.push_back("schema: " + differences[i]);
  if (differences.size() > kSchemaNotesMax)
    report.notes.push_back(fmt::format("schema: {} more", differences.size() - kSchemaNotesMax));
}

// What is restored of the tables in `records`.
void count_selected(const std::vector<TableRecord>& records, const std::set<int>& wanted,
                    RestoreSource& source) {
  source.tables = source.rows = 0;
  for (const TableRecord& table : records)
    if (wanted.count(table.dump_id) > 0) {
      ++source.tables;
      source.rows += table.sum.rows;
    }
}

}  // namespace

RestoreReport restore_backup(ObjectStore& store, const Backup& backup,
                             const RestoreOptions& options,
                             const std::function<void()>& safety_backup, const Run& run) {
  if (!backup.manifest)
    throw Error(ErrorCode::corrupt,
                fmt::format("backup {} is damaged: {}", backup.id, backup.damage),
                "use another backup: holdfast list");
  const Manifest& manifest = *backup.manifest;
  RestoreSource source;
  {
    uint64_t stored = store.head(manifest.archive_object).bytes;
    if (stored != manifest.stored_bytes())
      throw Error(ErrorCode::corrupt,
                  fmt::format("{} has {} bytes instead of {}", manifest.archive_object, stored,
                              manifest.stored_bytes()),
                  "use another backup: holdfast list");
    std::unique_ptr<ObjectReader> archive = open_archive(store, manifest, options.keys);
    source.toc = read_backup_toc(*archive, manifest);
  }
  source.spec = backup_database_spec(manifest, source.toc);
  source.server_major = manifest.server_major;
  source.excluded = manifest.excluded;
  if (manifest.globals_object) source.globals = " from " + *manifest.globals_object;

  auto fill = [&](const Conninfo& target, const RestoreSelection& selection,
                  const ClientTools& tools, const FillOptions& fill_options, PhaseTimer& phases,
                  RestoreReport& report) {
    count_selected(manifest.tables, selection.data, source);
    fill_database(store, manifest, source.toc, selection, tools, target, fill_options, phases,
                  report.notes, run);
    analyze_if_needed(target, fill_options, phases, report.notes, run);
    if (options.read_back == ReadBack::counts) {
      report.notes.push_back(
          "the tables were not read back (counts and what was sent were checked)");
      return;
    }
    phases.time("comparing", [&] {
      CompareOptions compare;
      compare.jobs = options.jobs;
      if (!options.tables.empty()) compare.wanted = selection.data;
      require_same(compare_data(target, manifest, source.toc, compare, run));
      if (options.tables.empty())
        note_schema_differences(source, target, tools, fill_options, report);
    });
  };
  return run_restore(source, options, fill, safety_backup, run);
}

namespace {

// Reads the whole archive; damage is found before anything is made. Codecs that cannot be read here
// are left to pg_restore, which is said.
std::optional<ForeignScan> check_archive(const std::string& path, const ArchiveToc& toc,
                                         const OpenKeys& keys, int jobs,
                                         std::vector<std::string>& notes, const Run& run) {
  if (toc.header.codec == Codec::lz4) {
    notes.push_back("lz4 archive: its contents were not checked before, nor counted after");
    return std::nullopt;
  }
  run.progress.phase("checking the archive");
  std::unique_ptr<ObjectReader> archive = open_foreign(open_local_file(path), keys);
  ProblemList problems;
  ForeignScan scan = scan_without_manifest(*archive, path, toc, jobs, problems, run);
  if (problems.empty()) return scan;
  Problem first = problems.take().front();
  throw Error(ErrorCode::corrupt, fmt::format("{}: {}", first.where, first.what),
              "use another copy of the archive");
}

}  // namespace

RestoreReport restore_foreign_archive(const std::string& path, const RestoreOptions& options,
                                      const std::function<void()>& safety_backup, const Run& run) {
  RestoreSource source;
  bool sealed = false;
  {
    std::unique_ptr<ObjectReader> file = open_local_file(path);
    sealed = looks_sealed(*file);
    std::unique_ptr<ObjectReader> archive = open_foreign(std::move(file), options.keys);
    source.toc = with_context(path, [&] { return read_toc_of(*archive); });
  }
  source.spec = archive_database_spec(source.toc);
  source.server_major = major_of(source.toc.header.server_version);
  std::vector<std::string> notes;
  std::optional<ForeignScan> scan =
      check_archive(path, source.toc, options.keys, options.jobs, notes, run);

  auto fill = [&](const Conninfo& target, const RestoreSelection& selection,
                  const ClientTools& tools, const FillOptions& fill_options, PhaseTimer& phases,
                  RestoreReport& report) {
    report.notes.insert(report.notes.end(), notes.begin(), notes.end());
    int jobs = worker_count(options.jobs);
    phases.time("restoring", [&] {
      Connection connection = Connection::open(target, "holdfast restore");
      std::vector<std::string> arguments = pg_restore_switches(fill_options);
      MemoryFiles lists;
      if (!options.tables.empty()) {
        std::vector<int> ids = selection.before_data;
        ids.insert(ids.end(), selection.data.begin(), selection.data.end());
        ids.insert(ids.end(), selection.after_data.begin(), selection.after_data.end());
        arguments.push_back("--use-list=" + lists.add_list("holdfast-wanted", ids));
      }
      std::unique_ptr<ObjectReader> opened;
      if (sealed) {
        opened = open_foreign(open_local_file(path), options.keys);
      } else {
        arguments.push_back(fmt::format("--jobs={}", jobs));
        arguments.push_back(path);
      }
      PgRestoreCall call{arguments, lists.handles(), index_session_options(connection, jobs),
                         opened.get()};
      for (std::string& note : run_pg_restore(tools, target, call, run))
        report.notes.push_back("pg_restore: " + note);
    });
    analyze_if_needed(target, fill_options, phases, report.notes, run);
    report.notes.push_back(
        "the archive has no manifest: rows were counted, not compared by checksum");
    if (!scan || options.read_back == ReadBack::counts) return;
    count_selected(scan->tables, selection.data, source);
    phases.time("comparing", [&] {
      Manifest manifest;
      manifest.encoding = source.spec.encoding;
      manifest.large_objects = scan->large_objects;
      for (const TableRecord& table : scan->tables) manifest.tables.push_back(table);
      CompareOptions compare;
      compare.jobs = jobs;
      compare.rows_only = true;
      if (!options.tables.empty()) compare.wanted = selection.data;
      if (scan->uncounted_tables == 0)
        require_same(compare_data(target, manifest, source.toc, compare, run));
    });
  };
  return run_restore(source, options, fill, safety_backup, run);
}

}  // namespace holdfast
