#include "dump/restore.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/file.h"
#include "base/text.h"
#include "base/workers.h"
#include "dump/database_admin.h"
#include "dump/pg_restore.h"
#include "dump/restore_data.h"
#include "dump/restore_selection.h"
#include "dump/restore_steps.h"
#include "dump/verify_deep.h"

namespace holdfast {
namespace {

constexpr size_t kSchemaNotesMax = 20;

// What becomes of the database that has the wanted name.
enum class Way {
  fresh,          // there is none
  replace,        // it is live: kept under another name
  replace_empty,  // it is empty: dropped after the swap
  in_place,       // it is empty, and the login cannot make another
};

// What a restore needs to know of its source, whoever wrote the archive.
struct Source {
  std::vector<std::string> excluded;  // as in the manifest
  ArchiveToc toc;
  DatabaseSpec spec;
  int server_major = 0;  // of the dumped server
  std::string globals;   // what to create missing roles from
  uint64_t tables = 0, rows = 0;
};

// Fills the database that `target` names, and compares it.
using Fill = std::function<void(const Conninfo& target, const RestoreSelection& selection,
                                const ClientTools& tools, const FillOptions& options,
                                PhaseTimer& phases, RestoreReport& report)>;

class RestoreJob {
 public:
  RestoreJob(const Source& source, const RestoreOptions& options, Fill fill,
             const std::function<void()>& safety_backup, const Run& run)
      : source_(source),
        options_(options),
        fill_(std::move(fill)),
        safety_backup_(safety_backup),
        run_(run),
        server_(options.server.direct()),
        phases_(run, report_.phases) {}

  RestoreReport restore() {
    double begin = run_.clock.monotonic_seconds();
    check_options();
    selection_ = options_.tables.empty() ? select_everything(source_.toc)
                                         : select_tables(source_.toc, options_.tables);
    report_.notes = selection_.notes;
    tools_ = choose_client_tools(find_client_tools(options_.client_folder),
                                 major_of(source_.toc.header.dump_version));
    Connection admin = open_admin(server_, options_.database);
    Way way = choose_way(admin);
    check_server(admin);
    if (way == Way::replace) phases_.time("making a safety backup", safety_backup_);

    if (way == Way::in_place)
      fill_in_place();
    else
      fill_beside(admin, way);
    report_.database = options_.database;
    report_.tables = source_.tables;
    report_.rows = source_.rows;
    report_.verdict = report_.notes.empty() ? Verdict::pass : Verdict::pass_with_notes;
    report_.seconds = run_.clock.monotonic_seconds() - begin;
    return std::move(report_);
  }

 private:
  void check_options() const {
    if (options_.database.empty())
      throw Error(ErrorCode::invalid, "no database to restore into is named",
                  "use --database NAME");
    if (!options_.confirm.empty() && options_.confirm != options_.database)
      throw Error(ErrorCode::invalid,
                  fmt::format("'{}' was typed to confirm, but the database to replace is '{}'",
                              printable(options_.confirm), printable(options_.database)),
                  "type the name of the database that is to be replaced");
  }

  Way choose_way(Connection& admin) {
    for (const std::string& name : leftover_databases(admin, options_.database))
      report_.notes.push_back(fmt::format(
          "an interrupted restore (or one still running) left database {}; if none runs: DROP "
          "DATABASE {}",
          name, admin.quote_identifier(name)));
    if (!database_exists(admin, options_.database)) return Way::fresh;
    bool empty = false, extensions = false;
    {
      Connection in_it =
          Connection::open(server_.with("dbname", options_.database), "holdfast restore");
      empty = database_empty(in_it);
      extensions = in_it.query("SELECT 1 FROM pg_extension WHERE extname <> 'plpgsql'").rows() > 0;
    }
    if (empty) {
      bool can_swap =
          admin
              .query(
                  "SELECT 1 FROM pg_roles r, pg_database d WHERE r.rolname = current_user"
                  " AND d.datname = $1 AND (r.rolsuper OR (r.rolcreatedb"
                  " AND pg_has_role(d.datdba, 'USAGE')))",
                  {options_.database})
              .rows() > 0;
      return can_swap && !extensions ? Way::replace_empty : Way::in_place;
    }
    if (options_.confirm.empty())
      throw Error(ErrorCode::exists,
                  fmt::format("database {} exists and is not empty", options_.database),
                  fmt::format("restore under another name (--database NEW), or replace it, after a "
                              "safety backup, with --confirm {}",
                              options_.database));
    if (!options_.tables.empty())
      throw Error(ErrorCode::invalid,
                  "single tables cannot replace a whole database: the other tables would be gone",
                  "restore them into a new database (--database NEW) and copy what you need");
    return Way::replace;
  }

  // Everything that would make the restore fail half-way.
  void check_server(Connection& admin) {
    std::vector<std::string> extensions =
        missing_extensions(admin, needed_extensions(source_.toc, selection_));
    if (!extensions.empty())
      throw Error(ErrorCode::unsupported, "the server has no extension " + join(extensions),
                  "install the package that has it on the server (postgresql-contrib has "
                  "PostgreSQL's own); nothing has been changed");
    std::vector<std::string> roles = missing_roles(
        admin, needed_roles(source_.toc, selection_, !options_.no_owner, !options_.no_privileges));
    if (!roles.empty())
      throw Error(
          ErrorCode::not_found, fmt::format("the server has no role {}", join(roles)),
          fmt::format("create {}{}, or restore with --no-owner --no-privileges; nothing has "
                      "been changed",
                      roles.size() == 1 ? "it" : "them", source_.globals));
    std::vector<std::string> tablespaces =
        missing_tablespaces(admin, needed_tablespaces(source_.toc, selection_));
    fill_options_.no_owner = options_.no_owner;
    fill_options_.no_privileges = options_.no_privileges;
    fill_options_.analyze = options_.analyze;
    fill_options_.jobs = options_.jobs;
    if (!tablespaces.empty()) {
      fill_options_.no_tablespaces = true;
      report_.notes.push_back(
          fmt::format("the server has no tablespace {}: everything goes to the default one",
                      join(tablespaces)));
    }
    if (admin.server_major() < source_.server_major)
      report_.notes.push_back(
          fmt::format("the server is PostgreSQL {}, older than the dumped one ({})",
                      admin.server_major(), source_.server_major));
  }

  void fill_in_place() {
    try {
      fill_(server_.with("dbname", options_.database), selection_, tools_, fill_options_, phases_,
            report_);
    } catch (const Error& error) {
      throw Error(error.code(), error.what(),
                  fmt::format("{}{}database {} was empty and now holds part of the data: drop and "
                              "create it again before the next try",
                              error.hint(), error.hint().empty() ? "" : "; ", options_.database));
    }
  }

  void fill_beside(Connection& admin, Way way) {
    std::string working = derived_name(options_.database, "_holdfast_" + random_hex(4));
    phases_.time("creating the database", [&] {
      for (std::string& note : create_database(admin, working, source_.spec))
        report_.notes.push_back(std::move(note));
    });
    try {
      fill_(server_.with("dbname", working), selection_, tools_, fill_options_, phases_, report_);
      phases_.time("giving the database its name", [&] { give_name(admin, working, way); });
    } catch (const Error& error) {
      drop_after(error, working);
    } catch (const std::exception& error) {
      drop_after(Error(ErrorCode::internal, error.what()), working);
    }
  }

  // On a connection of its own: the other one may be what failed.
  [[noreturn]] void drop_after(const Error& error, const std::string& working) {
    try {
      Connection admin = open_admin(server_, working);
      drop_database(admin, working);
    } catch (const Error& drop_error) {
      throw Error(
          error.code(), error.what(),
          fmt::format("{}{}the half-made database {} could not be dropped ({}): drop it",
                      error.hint(), error.hint().empty() ? "" : "; ", working, drop_error.what()));
    }
    throw error;
  }

  void give_name(Connection& admin, const std::string& working, Way way) {
    const std::string& name = options_.database;
    if (way == Way::fresh) return rename_database(admin, working, name);
    for (std::string& note : copy_database_properties(admin, name, working))
      report_.notes.push_back(std::move(note));
    std::string time = format_name_time(run_.clock.now());  // 2026-11-23T02-00-00-000Z
    std::string kept =
        derived_name(name, fmt::format("_before_{}{}{}_{}{}{}", time.substr(0, 4),
                                       time.substr(5, 2), time.substr(8, 2), time.substr(11, 2),
                                       time.substr(14, 2), time.substr(17, 2)));
    note_bound_things(admin);
    swap_databases(admin, server_, name, working, kept, run_);
    if (way == Way::replace_empty)
      drop_empty(admin, kept);
    else
      report_.kept_old_as = kept;
  }

  // It was empty when the restore began. What came into it meanwhile is not thrown away.
  void drop_empty(Connection& admin, const std::string& kept) {
    bool still_empty = false;
    {
      Connection in_it = Connection::open(server_.with("dbname", kept), "holdfast restore");
      still_empty = database_empty(in_it);
    }
    if (still_empty) return drop_database(admin, kept);
    report_.kept_old_as = kept;
    report_.notes.push_back("the database was empty at first but is no longer: it was kept");
  }

  void note_bound_things(Connection& admin) {
    QueryResult slots = admin.query(
        "SELECT slot_name FROM pg_replication_slots WHERE database = $1", {options_.database});
    for (int row = 0; row < slots.rows(); ++row)
      report_.notes.push_back(
          fmt::format("replication slot {} stays with the replaced database", slots.text(row, 0)));
  }

  const Source& source_;
  const RestoreOptions& options_;
  const Fill fill_;
  const std::function<void()>& safety_backup_;
  const Run& run_;
  const Conninfo server_;
  RestoreReport report_;
  PhaseTimer phases_;
  RestoreSelection selection_;
  ClientTools tools_;
  FillOptions fill_options_;
};

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

void note_schema_differences(const Source& source, const Conninfo& target, const ClientTools& tools,
                             const FillOptions& options, RestoreReport& report) {
  if (tools.major != major_of(source.toc.header.dump_version)) return;
  std::vector<std::string> differences = compare_restored_schema(
      tools, target, source.toc, source.excluded, !options.no_owner && !options.no_privileges);
  for (size_t i = 0; i < std::min(differences.size(), kSchemaNotesMax); ++i)
    report.notes.push_back("schema: " + differences[i]);
  if (differences.size() > kSchemaNotesMax)
    report.notes.push_back(fmt::format("schema: {} more", differences.size() - kSchemaNotesMax));
}

// What is restored of the tables in `records`.
void count_selected(const std::vector<TableRecord>& records, const std::set<int>& wanted,
                    Source& source) {
  source.tables = source.rows = 0;
  for (const TableRecord& table : records)
    if (wanted.count(table.dump_id) > 0) {
      ++source.tables;
      source.rows += table.sum.rows;
    }
}

// The text between quotes after `key` in a CREATE DATABASE statement: "LOCALE = 'C.UTF-8'".
std::string quoted_after(const std::string& sql, const std::string& key) {
  size_t at = sql.find(" " + key + " = '");
  if (at == std::string::npos) return {};
  size_t begin = at + key.size() + 5;
  return sql.substr(begin, sql.find('\'', begin) - begin);
}

DatabaseSpec spec_of(const ArchiveToc& toc) {
  DatabaseSpec spec;
  for (const TocEntry& entry : toc.entries) {
    if (entry.desc != "DATABASE") continue;
    std::string locale = quoted_after(entry.defn, "LOCALE");
    spec.collate = locale.empty() ? quoted_after(entry.defn, "LC_COLLATE") : locale;
    spec.ctype = locale.empty() ? quoted_after(entry.defn, "LC_CTYPE") : locale;
    std::string encoding = quoted_after(entry.defn, "ENCODING");
    if (!encoding.empty()) spec.encoding = encoding;
  }
  return spec;
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
  Source source;
  {
    std::unique_ptr<ObjectReader> archive = store.open(manifest.archive_object);
    if (archive->size() != manifest.archive_bytes)
      throw Error(ErrorCode::corrupt,
                  fmt::format("{} has {} bytes instead of {}", manifest.archive_object,
                              archive->size(), manifest.archive_bytes),
                  "use another backup: holdfast list");
    source.toc = read_backup_toc(*archive, manifest);
  }
  source.spec = {manifest.encoding, manifest.collate, manifest.ctype};
  source.server_major = manifest.server_major;
  source.excluded = manifest.excluded;
  if (manifest.globals_object) source.globals = " from " + *manifest.globals_object;

  auto fill = [&](const Conninfo& target, const RestoreSelection& selection,
                  const ClientTools& tools, const FillOptions& fill_options, PhaseTimer& phases,
                  RestoreReport& report) {
    count_selected(manifest.tables, selection.data, source);
    fill_database(store, manifest, source.toc, selection, tools, target, fill_options, phases,
                  report.notes, run);
    analyze_if_needed(target, fill_options, phases, run);
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
  return RestoreJob(source, options, fill, safety_backup, run).restore();
}

namespace {

// A local file as an object.
class FileReader final : public ObjectReader {
 public:
  explicit FileReader(const std::string& path) : path_(path), fd_(open_file(path, O_RDONLY)) {
    struct stat status {};
    if (::fstat(fd_.get(), &status) != 0) throw system_error(path, errno);
    if (!S_ISREG(status.st_mode))
      throw Error(ErrorCode::invalid, path + " is not a file",
                  "holdfast reads archives in PostgreSQL's custom format (pg_dump -Fc)");
    size_ = static_cast<uint64_t>(status.st_size);
  }
  uint64_t size() const override { return size_; }
  size_t read(uint64_t offset, uint8_t* out, size_t size) override {
    return pread_all(fd_.get(), out, size, offset, path_);
  }

 private:
  std::string path_;
  Fd fd_;
  uint64_t size_ = 0;
};

// Reads the whole archive; damage is found before anything is made. Codecs that cannot be read here
// are left to pg_restore, which is said.
std::optional<ForeignScan> check_archive(const std::string& path, const ArchiveToc& toc, int jobs,
                                         std::vector<std::string>& notes, const Run& run) {
  if (toc.header.codec == Codec::lz4) {
    notes.push_back("lz4 archive: its contents were not checked before, nor counted after");
    return std::nullopt;
  }
  run.progress.phase("checking the archive");
  FileReader archive(path);
  ProblemList problems;
  ForeignScan scan = scan_without_manifest(archive, path, toc, jobs, problems, run);
  if (problems.empty()) return scan;
  Problem first = problems.take().front();
  throw Error(ErrorCode::corrupt, fmt::format("{}: {}", first.where, first.what),
              "use another copy of the archive");
}

}  // namespace

RestoreReport restore_foreign_archive(const std::string& path, const RestoreOptions& options,
                                      const std::function<void()>& safety_backup, const Run& run) {
  Source source;
  {
    FileReader archive(path);
    source.toc = with_context(path, [&] { return read_toc_of(archive); });
  }
  source.spec = spec_of(source.toc);
  source.server_major = major_of(source.toc.header.server_version);
  std::vector<std::string> notes;
  std::optional<ForeignScan> scan = check_archive(path, source.toc, options.jobs, notes, run);

  auto fill = [&](const Conninfo& target, const RestoreSelection& selection,
                  const ClientTools& tools, const FillOptions& fill_options, PhaseTimer& phases,
                  RestoreReport& report) {
    report.notes.insert(report.notes.end(), notes.begin(), notes.end());
    int jobs = worker_count(options.jobs);
    phases.time("restoring", [&] {
      Connection connection = Connection::open(target, "holdfast restore");
      std::vector<std::string> arguments = pg_restore_switches(fill_options);
      arguments.push_back(fmt::format("--jobs={}", jobs));
      TocFile lists(source.toc);
      if (!options.tables.empty()) {
        std::vector<int> ids = selection.before_data;
        ids.insert(ids.end(), selection.data.begin(), selection.data.end());
        ids.insert(ids.end(), selection.after_data.begin(), selection.after_data.end());
        arguments.push_back("--use-list=" + lists.write_list("wanted", ids));
      }
      arguments.push_back(path);
      for (std::string& note :
           run_pg_restore(tools, target, arguments, index_session_options(connection, jobs), run))
        report.notes.push_back("pg_restore: " + note);
    });
    analyze_if_needed(target, fill_options, phases, run);
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
  return RestoreJob(source, options, fill, safety_backup, run).restore();
}

}  // namespace holdfast
