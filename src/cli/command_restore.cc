// holdfast restore: brings a backup back and says where the data now is.
//
// Which database is filled:
//   --database NAME                 that one
//   --to URL with a database in it  that one
//   --confirm NAME alone            the source's own (on another server: the one of the same name
//                                   as the dumped one), which must be called NAME
//   otherwise                       <database>_restored_<YYYYMMDD_HHMMSS>, a new one
// One that exists and is not empty is replaced only if --confirm repeats its name; the dump layer
// holds to that (restore.h), and makes the safety backup first.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cli/backups.h"
#include "cli/branch_backups.h"
#include "cli/command.h"
#include "cli/documents.h"
#include "cli/keys.h"
#include "cli/stores.h"
#include "dump/names.h"
#include "dump/restore.h"
#include "dump/sealed_archive.h"
#include "dump/verify_deep.h"
#include "pg/connection.h"

namespace holdfast {
namespace {

struct Target {
  Conninfo server;       // its dbname is where to connect first
  std::string database;  // to fill
};

std::string quoted_for_shell(const std::string& text) {
  std::string result = "'";
  for (char c : text) result += c == '\'' ? "'\\''" : std::string(1, c);
  return result + "'";
}

Conninfo server_of(const Config& config) {
  if (config.given("to"))
    return with_context(config.setting("to").origin,
                        [&] { return Conninfo::parse(config.secret("to").reveal()); });
  if (!config.has_database())
    throw Error(ErrorCode::invalid,
                "no server to restore to: neither --to nor DATABASE_URL is given",
                "name one: --to postgresql://user@host/");
  return config.source_conninfo();
}

// `database` is what was dumped.
Target choose_target(const Config& config, const std::string& database, const Clock& clock) {
  Target target{server_of(config), config.text("database")};
  std::string confirm = config.text("confirm");
  std::string named_in_url = config.given("to") ? target.server.get("dbname") : std::string();
  if (target.database.empty()) target.database = named_in_url;
  if (target.database.empty() && !confirm.empty())
    target.database = config.given("to") ? database : target.server.dbname();
  if (target.database.empty()) target.database = restored_name(database, clock.now());
  if (!confirm.empty() && confirm != target.database)
    throw Error(ErrorCode::invalid,
                fmt::format("--confirm says '{}', but the database to restore into is '{}'",
                            printable(confirm), printable(target.database)),
                fmt::format("to replace it, after a safety backup: --confirm {}",
                            printable(target.database)));
  return target;
}

RestoreOptions restore_options(const Config& config, const Target& target) {
  RestoreOptions options;
  options.server = target.server;
  options.database = target.database;
  options.confirm = config.text("confirm");
  options.tables = config.list("tables");
  options.no_owner = config.flag("no_owner");
  options.no_privileges = config.flag("no_privileges");
  options.read_back = config.text("read_back") == "counts" ? ReadBack::counts : ReadBack::full;
  options.checks = configured_checks(config);
  options.jobs = static_cast<int>(config.number("jobs"));
  options.client_folder = config.text("pg_bindir");
  options.keys = configured_keys(config);
  return options;
}

// A whole dump of what is about to be replaced, with nothing left out, proven as far as is quick.
std::string make_safety_backup_in(CommandContext& context, const OpenStore& store,
                                  DumpOptions options) {
  options.keep_until =
      lock_date(store, context.config, options.source.dbname(), context.run.clock.now());
  Manifest manifest = run_dump(options, *store.store, context.run);
  Backup backup{manifest.id, manifest, "", std::nullopt};
  VerifyReport report =
      prove(*store.store, backup, verify_options(context.config, VerifyLevel::quick), context.run);
  if (!report.ok())
    throw Error(ErrorCode::corrupt,
                fmt::format("the safety backup {} could not be proven", manifest.id),
                "nothing was replaced; check the store's disk");
  context.run.log.info(
      fmt::format("safety backup: {} in {}", manifest.id, store.store->location()));
  return manifest.id;
}

// In the first store that takes it: what is needed is a way back, at once.
std::string make_safety_backup(CommandContext& context, const Target& target) {
  std::vector<OpenStore> stores = open_stores(context.config, context.run);
  StoreLock lock(stores, context.config, context.run);
  OperationPart& part = context.operation.begin("backup.dump", target.database, AuditNeed::wanted,
                                                {{"reason", "before a restore over it"}});
  DumpOptions options = dump_options(context.config, target.server.with("dbname", target.database));
  options.schemas.clear();
  options.exclude_schemas.clear();
  options.exclude_table_data.clear();
  for (size_t i = 0;; ++i) {
    try {
      std::string id = make_safety_backup_in(context, stores[i], options);
      part.detail("id", id);
      part.detail("stores", stores[i].name + " ok");
      part.end(AuditOutcome::ok);
      return id;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled || i + 1 == stores.size()) throw;
      context.run.log.warning(fmt::format("no safety backup in store {}, going on to the next: {}",
                                          stores[i].name, error.what()));
    }
  }
}

std::string database_in_archive(const std::string& path, const OpenKeys& keys) {
  std::unique_ptr<ObjectReader> archive = open_foreign(open_local_file(path), keys);
  return with_context(path, [&] { return read_toc_of(*archive).header.database; });
}

std::string how_compared(const RestoreReport& report, bool has_manifest, bool counts_only) {
  if (report.verdict == Verdict::fail) return "the comparison FAILED";
  if (report.verdict == Verdict::inconclusive) return "not compared";
  if (!has_manifest) return "restored without a manifest to compare with";
  return counts_only ? "counts compared with the manifest" : "every row compared with the manifest";
}

void show_report(Output& output, const RestoreReport& report, const Conninfo& server,
                 const std::string& compared) {
  Conninfo there = server.with("dbname", report.database);
  bool good = report.verdict == Verdict::pass || report.verdict == Verdict::pass_with_notes;
  output.verdict(good,
                 fmt::format("RESTORED {} · {} · {} · {}", plural(report.tables, "table"),
                             plural(report.rows, "row"), compared, human_seconds(report.seconds)));
  output.line(fmt::format("  database    {} ({})", printable(report.database), there.display()));
  std::string phases;
  for (const RestorePhase& phase : report.phases)
    phases += fmt::format("{}{} {}", phases.empty() ? "" : ", ", phase.name,
                          human_seconds(phase.seconds));
  if (!phases.empty()) output.line("  time        " + phases);
  for (const CheckOutcome& check : report.checks)
    output.line(fmt::format("  checked     {} → {}", printable(check.query), check.result));
  for (const Problem& problem : report.problems)
    output.line(fmt::format("  problem     {}: {}", problem.where, problem.what));
  for (const std::string& note : report.notes) output.line("  note        " + note);
  output.line("  look at it  psql " + quoted_for_shell(there.display()));
  if (!report.kept_old_as) return;
  output.line(fmt::format("  the old one is kept as {}; when it is no longer needed:",
                          printable(*report.kept_old_as)));
  output.line(fmt::format("              dropdb --maintenance-db={} {}",
                          quoted_for_shell(there.display()),
                          quoted_for_shell(*report.kept_old_as)));
}

struct RestoreChoice {
  std::vector<OpenStore> stores;        // owns the one below
  std::unique_ptr<ObjectStore> folder;  // or this does
  ObjectStore* store = nullptr;         // null: a foreign archive
  Backup backup;
  std::string path;      // of a foreign archive
  std::string database;  // that was dumped
};

RestoreChoice choose_backup(CommandContext& context) {
  std::string said = context.argument_or("latest");
  RestoreChoice chosen;
  std::optional<ArchiveFile> file = as_archive_file(said);
  if (file && file->id.empty()) {
    chosen.path = file->path;
    chosen.backup.id = file->name;
    chosen.database = database_in_archive(file->path, configured_keys(context.config));
    return chosen;
  }
  if (file) {
    chosen.folder = make_local_store(file->folder);
    chosen.store = chosen.folder.get();
    chosen.backup = find_backup(*chosen.store, "", file->id);
  } else {
    chosen.stores = open_stores(context.config, context.run);
    refuse_branch_backup(chosen.stores, said, "restore",
                         "bring it back in place: holdfast branch restore " + said, context.run);
    Located located = find_everywhere(chosen.stores, context.config, said, context.run);
    chosen.store = chosen.stores[located.best().store].store.get();
    chosen.backup = located.backup();
  }
  if (!chosen.backup.manifest)
    throw Error(ErrorCode::corrupt,
                fmt::format("backup {} is damaged: {}", chosen.backup.id, chosen.backup.damage),
                "use another backup: holdfast list");
  chosen.database = chosen.backup.manifest->database;
  return chosen;
}

}  // namespace

std::string restored_name(const std::string& database, UtcTime now) {
  std::string time = format_name_time(now);  // 2026-11-23T02-00-00-000Z
  std::string suffix = "_restored_" + time.substr(0, 4) + time.substr(5, 2) + time.substr(8, 2) +
                       "_" + time.substr(11, 2) + time.substr(14, 2) + time.substr(17, 2);
  size_t size = std::min(database.size(), kSqlNameBytesMax - suffix.size());
  while (size > 0 && size < database.size() &&
         (static_cast<unsigned char>(database[size]) & 0xC0) == 0x80)
    --size;  // never half a character
  return database.substr(0, size) + suffix;
}

int command_restore(CommandContext& context) {
  const Config& config = context.config;
  server_of(config);  // a missing server is said before a missing backup
  RestoreChoice chosen = choose_backup(context);
  Target target = choose_target(config, chosen.database, context.run.clock);
  RestoreOptions options = restore_options(config, target);
  OperationPart& part = context.operation.begin(
      "restore", chosen.backup.id, AuditNeed::required,
      {{"database", target.database},
       {"server", server_name(target.server)},
       {"confirmed", config.text("confirm")},
       {"tables", config.list("tables").empty()
                      ? ""
                      : fmt::format("{} chosen", config.list("tables").size())}});
  context.run.log.info(fmt::format("restoring {} into database {} on {}", chosen.backup.id,
                                   target.database,
                                   target.server.with("dbname", target.database).display()));
  std::string safety_id;
  auto safety_backup = [&] {
    safety_id = with_context("safety backup", [&] { return make_safety_backup(context, target); });
  };
  RestoreReport report =
      chosen.store
          ? restore_backup(*chosen.store, chosen.backup, options, safety_backup, context.run)
          : restore_foreign_archive(chosen.path, options, safety_backup, context.run);
  context.console.finish_phase();

  tell_restored(part, report);
  part.detail("safety_backup", safety_id);
  part.detail("old_kept_as", report.kept_old_as.value_or(""));
  Conninfo there = target.server.with("dbname", report.database);
  context.output.document(restore_document(chosen.backup.id, report, there.display(), safety_id));
  show_report(context.output, report, target.server,
              how_compared(report, chosen.store != nullptr, options.read_back == ReadBack::counts));
  if (!safety_id.empty())
    context.output.line(
        fmt::format("  the safety backup of the old one is {}: it is now the latest", safety_id));
  if (report.verdict == Verdict::fail) return kExitDamage;
  return report.verdict == Verdict::inconclusive ? kExitFailed : kExitDone;
}

}  // namespace holdfast
