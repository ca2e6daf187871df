#include "dump/restore_steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <mutex>

#include "base/workers.h"
#include "dump/fingerprint.h"
#include "dump/index_builds.h"
#include "dump/pg_restore.h"
#include "dump/restore_data.h"
#include "dump/schema_dump.h"
#include "dump/verify_deep.h"
#include "seal/sha256.h"

namespace holdfast {
namespace {

// Sort memory for index builds, shared by the jobs: larger than PostgreSQL's default of 64 MB,
// which makes building many an index an external sort.
constexpr int kMaintenanceMemoryMb = 512;
constexpr int kMaintenanceMemoryMbMin = 64;
constexpr int kJitMajor = 11;

std::vector<std::string> missing(Connection& server, const std::set<std::string>& needed,
                                 const std::string& known_sql) {
  if (needed.empty()) return {};
  QueryResult found = server.query(known_sql);
  std::set<std::string> known;
  for (int row = 0; row < found.rows(); ++row) known.insert(found.text(row, 0));
  std::vector<std::string> result;
  std::set_difference(needed.begin(), needed.end(), known.begin(), known.end(),
                      std::back_inserter(result));
  return result;
}

}  // namespace

ArchiveToc read_backup_toc(ObjectReader& archive, const Manifest& manifest) {
  std::string bytes(static_cast<size_t>(std::min(manifest.toc_bytes, kTocBytesMax)), '\0');
  size_t got = archive.read(0, reinterpret_cast<uint8_t*>(bytes.data()), bytes.size());
  std::string place = archive_place(manifest.archive_label(), 0, manifest.toc_bytes,
                                    "header and table of contents");
  if (got < bytes.size())
    throw Error(ErrorCode::corrupt, fmt::format("{}: the archive ends at byte {}", place, got));
  if (sha256_hex(as_bytes(bytes)) != manifest.toc_sha256)
    throw Error(ErrorCode::corrupt,
                place + ": the bytes are not those that were written (SHA-256)");
  size_t at = 0;
  return with_context(place, [&] {
    ArchiveToc toc = read_archive_toc([&](uint8_t* out, size_t size) {
      if (size > bytes.size() - at)
        throw Error(ErrorCode::corrupt, "the table of contents goes on after its end");
      std::copy_n(bytes.data() + at, size, out);
      at += size;
    });
    if (at != bytes.size())
      throw Error(ErrorCode::corrupt, fmt::format("the table of contents ends at byte {}", at));
    return toc;
  });
}

std::string MemoryFiles::add(const char* name, std::string_view content) {
  files_.push_back(make_memory_file(name, content));
  return fmt::format("/dev/fd/{}", files_.back().get());
}

std::string MemoryFiles::add_list(const char* name, const std::vector<int>& dump_ids) {
  return add(name, list_file(dump_ids));
}

std::vector<int> MemoryFiles::handles() const {
  std::vector<int> handles;
  for (const Fd& file : files_) handles.push_back(file.get());
  return handles;
}

std::vector<std::string> pg_restore_switches(const FillOptions& options) {
  std::vector<std::string> switches;
  if (options.no_owner) switches.push_back("--no-owner");
  if (options.no_privileges) switches.push_back("--no-privileges");
  if (options.no_tablespaces) switches.push_back("--no-tablespaces");
  return switches;
}

std::string index_session_options(Connection& target, int jobs, bool parallel_builds) {
  int64_t memory_mb = std::max(kMaintenanceMemoryMbMin, kMaintenanceMemoryMb / std::max(1, jobs));
  QueryResult own = target.query(
      "SELECT setting::bigint / 1024 FROM pg_settings WHERE name = 'maintenance_work_mem'");
  if (own.rows() == 1) memory_mb = std::max(memory_mb, own.integer(0, 0));
  std::string options = fmt::format(
      "-c maintenance_work_mem={}MB -c work_mem=64MB -c synchronous_commit=off"
      " -c statement_timeout=0 -c lock_timeout=0",
      memory_mb);
  if (target.server_major() >= kJitMajor)
    options += fmt::format(" -c jit=off -c max_parallel_maintenance_workers={}",
                           parallel_builds ? std::max(2, jobs) : 0);
  return options;
}

namespace {

// Runs pg_restore on lists of a table of contents' entries. Used by several threads.
class EntryRestore {
 public:
  EntryRestore(const ArchiveToc& toc, const ClientTools& tools, const Conninfo& target,
               const FillOptions& options)
      : tools_(tools), target_(target), switches_(pg_restore_switches(options)) {
    toc_path_ = toc_.add("holdfast-toc", toc.bytes);
  }

  void restore(const std::vector<int>& dump_ids, const std::string& session_options, int jobs,
               const Run& run) {
    MemoryFiles lists;
    PgRestoreCall call{switches_, toc_.handles(), session_options};
    if (jobs > 1) call.arguments.push_back(fmt::format("--jobs={}", jobs));
    call.arguments.push_back("--use-list=" + lists.add_list("holdfast-list", dump_ids));
    call.arguments.push_back(toc_path_);
    call.handles.push_back(lists.handles().front());
    std::vector<std::string> said = run_pg_restore(tools_, target_, call, run);
    std::lock_guard lock(mutex_);
    for (std::string& note : said) notes_.push_back("pg_restore: " + note);
  }
  std::vector<std::string> take_notes() { return std::move(notes_); }

 private:
  const ClientTools& tools_;
  const Conninfo& target_;
  const std::vector<std::string> switches_;
  MemoryFiles toc_;
  std::string toc_path_;
  std::mutex mutex_;
  std::vector<std::string> notes_;  // guarded by mutex_
};

// Options of sessions that build indexes.
struct IndexSessions {
  std::string parallel, serial;
};

// As `options` of a connection string wants it (libpq, 34.1.2).
std::string escaped_option(const std::string& value) {
  std::string escaped;
  for (char c : value) {
    if (c == ' ' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

// Asked for before hours of building, in which a connection would be idle.
IndexSessions index_sessions(const Conninfo& target, const Manifest& manifest, int jobs) {
  Connection connection = Connection::open(target, "holdfast restore");
  std::string zone = settable_time_zone(connection, manifest);  // materialized views may ask for it
  if (!zone.empty()) zone = " -c TimeZone=" + escaped_option(zone);
  return {index_session_options(connection, jobs) + zone,
          index_session_options(connection, jobs, false) + zone};
}

// Returns what of `after_data` is left to do.
std::vector<int> build_large_indexes(const ArchiveToc& toc, const Manifest& manifest,
                                     const std::vector<int>& after_data, int jobs,
                                     const IndexSessions& sessions, EntryRestore& entries,
                                     const Run& run) {
  std::vector<IndexBuild> builds = plan_index_builds(toc, manifest, after_data, jobs);
  std::set<int> built;
  for (const IndexBuild& build : builds) built.insert(build.dump_id);
  size_t workers = std::min(builds.size(), static_cast<size_t>(jobs));
  IndexBuildQueue queue(std::move(builds));
  run_workers(
      static_cast<int>(workers), run,
      [&](WorkerScope& scope) {
        Run own{run.clock, run.log, run.progress, scope.stop()};
        while (std::optional<IndexBuild> build = queue.take()) {
          entries.restore({build->dump_id}, build->parallel ? sessions.parallel : sessions.serial,
                          1, own);
          queue.done(*build);
        }
      },
      [&] { queue.stop(); });
  std::vector<int> left;
  for (int id : after_data)
    if (!built.contains(id)) left.push_back(id);
  return left;
}

}  // namespace

void fill_database(ObjectStore& store, const Manifest& manifest, const ArchiveToc& toc,
                   const RestoreSelection& selection, const ClientTools& tools,
                   const Conninfo& target, const FillOptions& options, PhaseTimer& phases,
                   std::vector<std::string>& notes, const Run& run) {
  EntryRestore entries(toc, tools, target, options);
  int jobs = worker_count(options.jobs);
  phases.time("restoring definitions",
              [&] { entries.restore(selection.before_data, "-c synchronous_commit=off", 1, run); });
  phases.time("loading data", [&] {
    load_data(store, manifest, options.keys, toc, target, selection.data, jobs, run);
  });
  phases.time("building indexes", [&] {
    IndexSessions sessions = index_sessions(target, manifest, jobs);
    std::vector<int> left =
        build_large_indexes(toc, manifest, selection.after_data, jobs, sessions, entries, run);
    entries.restore(left, sessions.parallel, jobs, run);
  });
  for (std::string& note : entries.take_notes()) notes.push_back(std::move(note));
}

void analyze_if_needed(const Conninfo& target, const FillOptions& options, PhaseTimer& phases,
                       std::vector<std::string>& notes, const Run& run) {
  if (!options.analyze) {
    Connection connection = Connection::open(target, "holdfast restore");
    if (connection.query_text("SELECT current_setting('autovacuum')") == "on") return;
  }
  phases.time("analyzing", [&] {
    for (std::string& note : analyze_database(target, options.jobs, run))
      notes.push_back(std::move(note));
  });
}

SchemaComparison compare_restored_schema(const ClientTools& tools, const Conninfo& target,
                                         const ArchiveToc& toc,
                                         const std::vector<std::string>& excluded,
                                         bool owners_and_privileges,
                                         const DefinitionsAlone& definitions_alone) {
  std::vector<std::string> arguments;
  for (std::string said : excluded) {  // "--exclude-table-data audit.*"
    if (size_t blank = said.find(' '); blank != std::string::npos) said[blank] = '=';
    arguments.push_back(std::move(said));
  }
  SchemaDump found(tools, target, "", arguments);
  SchemaScope scope;
  scope.owners_and_privileges = owners_and_privileges;
  std::vector<std::string> differences = compare_schemas(toc, found.toc(), scope);
  bool some_differ =
      std::any_of(differences.begin(), differences.end(),
                  [](const std::string& line) { return line.starts_with("different: "); });
  if (!some_differ || !definitions_alone) return {std::move(differences), {}};
  std::optional<Conninfo> definitions = definitions_alone();
  if (!definitions) return {std::move(differences), {}};
  SchemaDump alone(tools, *definitions, "", arguments);
  std::set<std::string> reworded = reworded_entries(toc, found.toc(), alone.toc(), scope);
  return {compare_schemas(toc, found.toc(), scope, reworded), {reworded.begin(), reworded.end()}};
}

void restore_definitions_alone(const ClientTools& tools, const Conninfo& target,
                               const ArchiveToc& toc, const Run& run) {
  MemoryFiles files;
  std::string path = files.add("holdfast-toc", toc.bytes);
  PgRestoreCall call{{"--schema-only", "--no-tablespaces", path}, files.handles()};
  std::vector<std::string> failed = run_pg_restore(tools, target, call, run);
  if (!failed.empty()) throw Error(ErrorCode::unavailable, "pg_restore: " + failed.front());
}

int major_of(const std::string& version) {
  int major = 0;
  std::from_chars(version.data(), version.data() + version.size(), major);
  return major;
}

std::vector<std::string> missing_extensions(Connection& server,
                                            const std::set<std::string>& needed) {
  return missing(server, needed, "SELECT name FROM pg_available_extensions");
}
std::vector<std::string> missing_roles(Connection& server, const std::set<std::string>& needed) {
  return missing(server, needed, "SELECT rolname FROM pg_roles");
}
std::vector<std::string> missing_tablespaces(Connection& server,
                                             const std::set<std::string>& needed) {
  return missing(server, needed, "SELECT spcname FROM pg_tablespace");
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace holdfast
