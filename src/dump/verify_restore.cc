#include "dump/verify_restore.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <atomic>
#include <mutex>

#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "base/workers.h"
#include "dump/database_admin.h"
#include "dump/pg_restore.h"
#include "dump/restore_data.h"
#include "dump/restore_selection.h"
#include "dump/restore_steps.h"
#include "dump/sealed_archive.h"
#include "dump/verify_deep.h"
#include "pg/scratch_server.h"
#include "seal/sha256.h"

namespace holdfast {
namespace {

// Tables with their indexes and WAL, over the text of their rows; and what any server needs.
constexpr uint64_t kScratchShare = 3;
constexpr uint64_t kScratchBytesMin = uint64_t{256} << 20;
constexpr size_t kNotesOfGlobalsMax = 5;
constexpr size_t kRewordedNamedMax = 5;
constexpr char kDatabase[] = "rehearsal";
constexpr char kDefinitions[] = "definitions";

class Rehearsal {
 public:
  Rehearsal(ObjectStore& store, const Manifest& manifest, const VerifyOptions& options,
            VerifyReport& report, const Run& run, RehearsalWatch& watch)
      : store_(store),
        manifest_(manifest),
        options_(options),
        report_(report),
        run_(run),
        watch_(watch),
        phases_(run, timed_) {}

  bool make() {
    bool made = false;
    try {
      made = rehearse();
    } catch (...) {
      destroy();
      throw;
    }
    destroy();
    return made;
  }

 private:
  bool rehearse() {
    std::optional<ClientTools> tools = find_tools();
    if (!tools) return false;
    stage("fetch", [&] {
      toc_ = read_backup_toc(*open_archive(store_, manifest_, options_.keys), manifest_);
      selection_ = select_everything(toc_);
    });
    stage("server", [&] { server_ = start(*tools); });
    if (!server_) return false;
    Connection admin = Connection::open(server_->conninfo(), "holdfast verify");
    watch_.server_version = admin.query_text("SHOW server_version");
    std::vector<std::string> missing =
        missing_extensions(admin, needed_extensions(toc_, selection_));
    if (!missing.empty())
      return inconclusive("this machine has no extension " + join(missing) +
                          ": install it beside the server programs in " + tools->folder);
    DatabaseSpec spec = backup_database_spec(manifest_, toc_);
    if (!has_locale_provider(admin, spec.provider))
      return inconclusive(
          fmt::format("this machine's PostgreSQL does not have the {}", locale_text(spec)));
    stage("globals", [&] {
      apply_globals(*tools, server_->conninfo());
      make_missing_roles(admin);
      spec.tablespace.clear();  // a place on the source's disks
      for (std::string& note : create_database(admin, kDatabase, spec))
        report_.notes.push_back(std::move(note));
    });
    Conninfo target = server_->conninfo().with("dbname", kDatabase);
    stage("restore", [&] { fill(*tools, target); });
    stage("compare", [&] {
      compare_rows(target);
      compare_definitions(*tools, target, spec);
    });
    if (watch_.ask) stage("queries", [&] { watch_.ask(target); });
    stage("amcheck", [&] { check_indexes(target); });
    return true;
  }

  // Takes the time of a part, however it ends.
  template <typename Work>
  void stage(const char* name, Work&& work) {
    double begin = run_.clock.monotonic_seconds();
    auto note = [&] { watch_.phases.push_back({name, run_.clock.monotonic_seconds() - begin}); };
    try {
      work();
    } catch (...) {
      note();
      throw;
    }
    note();
  }

  // Not broken off by the wish to stop: nobody's records stay behind.
  void destroy() {
    if (!server_) return;
    std::string folder = server_->folder();
    stage("destroy", [&] { server_.reset(); });
    if (file_exists(folder))
      watch_.left_behind = folder;
    else
      watch_.destroyed_at = run_.clock.now();
  }

  bool inconclusive(std::string reason) {
    report_.notes.push_back("not rehearsed: " + std::move(reason));
    return false;
  }

  std::optional<ClientTools> find_tools() {
    try {
      ClientTools tools =
          choose_client_tools(find_client_tools(options_.client_folder), manifest_.server_major);
      if (!tools.has("postgres") || !tools.has("initdb")) {
        inconclusive(
            fmt::format("no server programs of PostgreSQL {} in {} (install postgresql-{})",
                        tools.major, tools.folder, tools.major));
        return std::nullopt;
      }
      if (tools.major != manifest_.server_major)
        report_.notes.push_back(fmt::format("rehearsed on PostgreSQL {}, the source was {}",
                                            tools.major, manifest_.server_major));
      return tools;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unsupported && error.code() != ErrorCode::not_found) throw;
      inconclusive(error.what());
      return std::nullopt;
    }
  }

  std::unique_ptr<ScratchServer> start(const ClientTools& tools) {
    ScratchServer::Options options;
    options.parent_folder = options_.scratch_folder;
    // What is stored sealed is not put on a disk in the clear, unless the user names the place.
    if (options.parent_folder.empty() && manifest_.seal) {
      if (!room_in_memory()) return nullptr;
      options.parent_folder = kScratchMemoryFolder;
    }
    options.jobs = worker_count(options_.jobs);
    try {
      std::unique_ptr<ScratchServer> server;
      phases_.time("starting a scratch server",
                   [&] { server = std::make_unique<ScratchServer>(tools, options, run_); });
      return server;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      // It says nothing about the backup that no server could be started here.
      inconclusive(error.what());
      return nullptr;
    }
  }

  bool room_in_memory() {
    struct statvfs system {};
    uint64_t needed = kScratchBytesMin + kScratchShare * manifest_.total_text_bytes();
    uint64_t there = ::statvfs(kScratchMemoryFolder, &system) == 0
                         ? uint64_t{system.f_bavail} * system.f_frsize
                         : 0;
    if (there >= needed) return true;
    return inconclusive(fmt::format(
        "the backup is sealed, so its rows are not put on a disk, and {} has {} of the {} that a "
        "rehearsal may need (name an encrypted disk with --scratch-dir)",
        kScratchMemoryFolder, human_bytes(there), human_bytes(needed)));
  }

  // Roles as they were, without passwords. Tablespaces are places on the source's disks.
  void apply_globals(const ClientTools& tools, const Conninfo& server) {
    if (!manifest_.globals_object || !tools.has("psql")) return;
    std::string script;
    for (const std::string& line : split(read_globals(store_, manifest_, options_.keys), '\n'))
      if (!contains(line, "TABLESPACE")) script += line + "\n";
    ChildLogin login(server);
    ProcessOptions psql;
    psql.argv = {tools.path("psql"), "--no-psqlrc", "--quiet",
                 "--no-password",    "--file=-",    "--dbname=" + login.dbname_argument()};
    psql.env = clean_environment();
    psql.env["LC_ALL"] = "C";
    psql.env.merge(login.env());
    psql.inherit = login.inherit();
    ProcessResult result = run_process(psql, script);
    size_t noted = 0;
    for (const std::string& line : split(result.err, '\n')) {
      if (!contains(line, "ERROR:") || contains(line, "already exists")) continue;
      if (noted++ < kNotesOfGlobalsMax)
        report_.notes.push_back("roles: " + printable(line.substr(line.find("ERROR:"))));
    }
  }

  void make_missing_roles(Connection& admin) {
    std::vector<std::string> missing =
        missing_roles(admin, needed_roles(toc_, selection_, true, true));
    for (const std::string& role : missing)
      admin.execute("CREATE ROLE " + admin.quote_identifier(role));
    if (!missing.empty())
      report_.notes.push_back(fmt::format(
          "{} made for the rehearsal only, because the backup's globals do not have {}: {}",
          plural(missing.size(), "role"), missing.size() == 1 ? "it" : "them", join(missing)));
  }

  void fill(const ClientTools& tools, const Conninfo& target) {
    FillOptions fill;
    fill.no_tablespaces = true;
    fill.jobs = options_.jobs;
    fill.keys = options_.keys;
    try {
      fill_database(store_, manifest_, toc_, selection_, tools, target, fill, phases_,
                    report_.notes, run_);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      throw error.within("restore into the scratch server");
    }
  }

  void compare_rows(const Conninfo& target) {
    ComparedTables compared;
    phases_.time("comparing", [&] {
      compared = compare_database(target, manifest_, toc_, options_.jobs, run_);
    });
    report_.tables = std::move(compared.tables);
    for (Problem& problem : compared.problems)
      report_.problems.push_back({"restored " + problem.where, std::move(problem.what)});
  }

  void compare_definitions(const ClientTools& tools, const Conninfo& target,
                           const DatabaseSpec& spec) {
    bool same_major = tools.major == major_of(toc_.header.dump_version);
    SchemaComparison compared =
        compare_restored_schema(tools, target, toc_, manifest_.excluded, true,
                                [&] { return make_definitions_alone(tools, spec); });
    note_reworded(compared.reworded);
    size_t differences = 0;
    for (const std::string& line : compared.differences) {
      if (++differences > kProblemsMax) break;
      // Another major writes definitions its own way: that is no damage.
      if (same_major)
        report_.problems.push_back({"restored schema", line});
      else
        report_.notes.push_back("schema: " + line);
    }
  }

  // Where it cannot be made, all that reads otherwise is a difference.
  std::optional<Conninfo> make_definitions_alone(const ClientTools& tools,
                                                 const DatabaseSpec& spec) {
    try {
      Connection admin = Connection::open(server_->conninfo(), "holdfast verify");
      create_database(admin, kDefinitions, spec);
      Conninfo target = server_->conninfo().with("dbname", kDefinitions);
      restore_definitions_alone(tools, target, toc_, run_);
      return target;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      report_.notes.push_back(
          fmt::format("schema: the definitions alone could not be restored, to tell rewordings "
                      "from damage: {}",
                      error.what()));
      return std::nullopt;
    }
  }

  void note_reworded(const std::vector<std::string>& reworded) {
    if (reworded.empty()) return;
    std::vector<std::string> names;
    for (const std::string& name : reworded) {
      if (names.size() == kRewordedNamedMax) break;
      names.push_back(printable(name));
    }
    std::string more = reworded.size() > names.size()
                           ? fmt::format(" and {} more", reworded.size() - names.size())
                           : "";
    report_.notes.push_back(fmt::format(
        "schema: {} not as the source has {}, but just as pg_restore makes {} of the archive: {}{}",
        reworded.size() == 1 ? "1 definition reads"
                             : fmt::format("{} definitions read", reworded.size()),
        reworded.size() == 1 ? "it" : "them", reworded.size() == 1 ? "it" : "them", join(names),
        more));
  }

  // amcheck: the order of every B-tree, and that every row is in it.
  void check_indexes(const Conninfo& target) {
    Connection control = Connection::open(target, "holdfast verify");
    if (!missing_extensions(control, {"amcheck"}).empty()) {
      watch_.amcheck = "not available: no extension amcheck on this machine";
      report_.notes.push_back("indexes were not checked: no extension amcheck on this machine");
      return;
    }
    with_context("put amcheck into the rehearsal's database", [&] {
      disable_event_triggers(control);
      control.execute("CREATE SCHEMA holdfast_amcheck");
      control.execute("CREATE EXTENSION IF NOT EXISTS amcheck SCHEMA holdfast_amcheck");
    });
    std::string function = control.query_text(
        "SELECT quote_ident(n.nspname) || '.bt_index_check' FROM pg_extension e"
        " JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'amcheck'");
    QueryResult indexes = control.query(
        "SELECT i.indexrelid, i.indexrelid::regclass, NOT i.indisvalid FROM pg_index i"
        " JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE a.amname = 'btree' AND c.relkind = 'i' AND c.relpersistence <> 't' AND i.indisready"
        " AND n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema')"
        " ORDER BY c.relpages DESC");
    std::mutex mutex;  // guards the report and `broken`
    int broken = 0;
    std::atomic<int> next{0};
    phases_.time("checking indexes", [&] {
      run_workers(
          std::min(worker_count(options_.jobs), std::max(1, indexes.rows())), run_,
          [&](WorkerScope& scope) {
            Connection connection = Connection::open(target, "holdfast verify worker");
            auto cancelling = scope.on_stop([&] { connection.cancel(); });
            connection.execute("SET maintenance_work_mem = '128MB'");
            for (int row; (row = next++) < indexes.rows();) {
              std::string problem =
                  check_index(connection, function, indexes.text(row, 0), indexes.boolean(row, 2));
              if (problem.empty()) continue;
              std::lock_guard lock(mutex);
              report_.problems.push_back({"restored index " + indexes.text(row, 1), problem});
              ++broken;
            }
          },
          [] {});
    });
    std::string all = fmt::format("{} index{}", indexes.rows(), indexes.rows() == 1 ? "" : "es");
    watch_.amcheck = broken == 0 ? all + " sound" : fmt::format("{} of {} not sound", broken, all);
  }

  // They are the backup's, and one that forbids DDL would forbid ours. The schema has been compared
  // by now, and nobody uses this database after us, so they are not put back. (ALTER EVENT TRIGGER
  // fires none of them.)
  void disable_event_triggers(Connection& connection) {
    QueryResult found = connection.query(
        "SELECT pg_catalog.quote_ident(evtname) FROM pg_catalog.pg_event_trigger"
        " WHERE evtenabled <> 'D'");
    for (int row = 0; row < found.rows(); ++row)
      connection.execute("ALTER EVENT TRIGGER " + found.text(row, 0) + " DISABLE");
  }

  std::string check_index(Connection& connection, const std::string& function,
                          const std::string& oid, bool invalid) {
    run_.check_stop();
    if (invalid) return "is not valid";
    try {
      connection.query("SELECT " + function + "($1::oid::regclass, true)", {oid});
      return {};
    } catch (const Error& error) {
      run_.check_stop();
      if (error.code() == ErrorCode::unavailable) throw;  // says nothing of the backup
      return error.what();
    }
  }

  ObjectStore& store_;
  const Manifest& manifest_;
  const VerifyOptions& options_;
  VerifyReport& report_;
  const Run& run_;
  RehearsalWatch& watch_;
  std::vector<RestorePhase> timed_;
  PhaseTimer phases_;
  std::unique_ptr<ScratchServer> server_;
  ArchiveToc toc_;
  RestoreSelection selection_;
};

}  // namespace

bool rehearse_restore(ObjectStore& store, const Manifest& manifest, const VerifyOptions& options,
                      VerifyReport& report, const Run& run, RehearsalWatch* watch) {
  RehearsalWatch unwatched;
  return Rehearsal(store, manifest, options, report, run, watch != nullptr ? *watch : unwatched)
      .make();
}

}  // namespace holdfast
