// The plan of a recovery: what is on the server, what is missing, and how long each step may take.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "dump/database_admin.h"
#include "dump/database_properties.h"
#include "dump/recover.h"
#include "dump/restore_selection.h"
#include "dump/restore_steps.h"
#include "dump/sealed_archive.h"
#include "seal/sha256.h"

namespace holdfast {
namespace {

using Weight = RecoverFinding::Weight;

// Times of a restore as multiples of the time its dump took, both by this program on one machine
// (bench/README.md: 3.2 for loading and indexes, 1.1 for reading everything back).
constexpr double kLoadingFactor = 1.6, kIndexFactor = 1.6, kCompareFactor = 1.1;
constexpr double kAnalyzeFactor = 0.3;      // samples, not whole tables
constexpr double kSecondsPerEntry = 0.002;  // of the table of contents: one statement each
constexpr double kSmallStepSeconds = 1;

class Planner {
 public:
  Planner(ObjectStore& store, const Backup& backup, const RecoverOptions& options)
      : store_(store),
        backup_(backup),
        manifest_(*backup.manifest),
        options_(options),
        server_(options.server.direct()) {
    plan_.id = backup.id;
    plan_.database = options.database.empty() ? manifest_.database : options.database;
  }

  RecoverPlan make() {
    toc_ = with_context("read " + manifest_.archive_object, [&] {
      return read_backup_toc(*open_archive(store_, manifest_, options_.keys), manifest_);
    });
    selection_ = select_everything(toc_);
    find_proof();
    find_globals();
    Connection admin = open_admin(server_, plan_.database);
    find_database(admin);
    find_versions(admin);
    find_extensions(admin);
    plan_.globals_plan = plan_globals(plan_.globals, admin);
    find_roles(admin);
    find_tablespaces(admin);
    find_locale(admin);
    find_space();
    list_steps();
    return std::move(plan_);
  }

 private:
  void add(Weight weight, const std::string& check, std::string message, std::string hint = {}) {
    plan_.findings.push_back({weight, check, std::move(message), std::move(hint)});
  }

  void find_proof() {
    if (backup_.proof && backup_.proof->ok) return;
    add(Weight::note, "proof",
        backup_.proof ? fmt::format("the backup's proof says {}", backup_.proof->verdict)
                      : "the backup is not proven",
        "it was named by its id, so it is taken; every row is compared with the manifest");
  }

  void find_globals() {
    if (!manifest_.globals_object) {
      add(Weight::note, "globals", "the backup holds no roles and tablespaces");
      return;
    }
    std::string text = read_globals(store_, manifest_, options_.keys);
    if (sha256_hex(as_bytes(text)) != manifest_.globals_sha256)
      throw Error(ErrorCode::corrupt,
                  fmt::format("{}: the bytes are not those that were written (SHA-256)",
                              *manifest_.globals_object),
                  "use another copy or another backup: holdfast list");
    plan_.globals = parse_globals(text);
  }

  void find_database(Connection& admin) {
    const std::string& name = plan_.database;
    for (const std::string& left : leftover_databases(admin, name))
      add(Weight::note, "database",
          fmt::format("an interrupted run (or one still running) left database {}", left),
          fmt::format("if none runs: DROP DATABASE {}", admin.quote_identifier(left)));
    if (!database_exists(admin, name)) return;
    Connection in_it = Connection::open(server_.with("dbname", name), "holdfast recover");
    if (database_empty(in_it)) {
      add(Weight::note, "database", fmt::format("database {} exists and is empty", name));
      return;
    }
    add(Weight::refusal, "database",
        fmt::format("database {} exists and is not empty: a recovery replaces nothing", name),
        fmt::format("recover under another name (--database NEW), or replace it with: holdfast "
                    "restore {} --to URL --confirm {}",
                    plan_.id, name));
  }

  void find_versions(Connection& admin) {
    if (admin.server_major() >= manifest_.server_major) return;
    add(Weight::choice, "version",
        fmt::format("the server is PostgreSQL {}, older than the dumped one ({})",
                    admin.server_major(), manifest_.server_major),
        "recover to a server that is not older: what it does not know fails the restore");
  }

  void find_extensions(Connection& admin) {
    std::set<std::string> needed = needed_extensions(toc_, selection_);
    std::vector<std::string> missing = missing_extensions(admin, needed);
    for (const ExtensionRecord& extension : manifest_.extensions) {
      if (needed.count(extension.name) == 0) continue;
      if (std::find(missing.begin(), missing.end(), extension.name) == missing.end())
        find_extension_version(admin, extension);
    }
    for (const std::string& name : missing)
      add(Weight::choice, "extension",
          fmt::format("the server has no extension {}", with_version(name)),
          "install the package that has it on the server; without it, what needs it fails the "
          "restore");
  }

  std::string with_version(const std::string& name) const {
    for (const ExtensionRecord& extension : manifest_.extensions)
      if (extension.name == name) return name + "@" + extension.version;
    return name;
  }

  void find_extension_version(Connection& admin, const ExtensionRecord& extension) {
    QueryResult found = admin.query(
        "SELECT default_version FROM pg_available_extensions WHERE name = $1", {extension.name});
    if (found.rows() != 1 || found.text(0, 0) == extension.version) return;
    add(Weight::note, "extension",
        fmt::format("extension {} becomes {}@{}", with_version(extension.name), extension.name,
                    found.text(0, 0)));
  }

  void find_roles(Connection& admin) {
    std::set<std::string> needed = needed_roles(toc_, selection_, true, true);
    if (std::string owner = database_owner(toc_); !owner.empty()) needed.insert(owner);
    const std::vector<std::string>& planned = plan_.globals_plan.new_roles;
    for (std::string& name : missing_roles(admin, needed))
      if (std::find(planned.begin(), planned.end(), name) == planned.end()) {
        add(Weight::choice, "role",
            fmt::format("role {} is neither on the server nor in the backup", name),
            "create it; without, it is made as a role that may not log in");
        plan_.unknown_roles.push_back(std::move(name));
      }
    if (planned.empty() && plan_.unknown_roles.empty()) return;
    if (admin.query_text("SELECT rolsuper OR rolcreaterole FROM pg_roles"
                         " WHERE rolname = current_user") != "t")
      add(Weight::refusal, "role",
          fmt::format("the login may not create roles, and {} is missing",
                      join(planned.empty() ? plan_.unknown_roles : planned)),
          "log in as a role with CREATEROLE, or create the roles first");
  }

  void find_tablespaces(Connection& admin) {
    std::set<std::string> needed = needed_tablespaces(toc_, selection_);
    std::string own = backup_database_spec(manifest_, toc_).tablespace;
    if (!own.empty() && !database_exists(admin, plan_.database)) needed.insert(own);
    for (const AbsentTablespace& absent : plan_.globals_plan.absent_tablespaces) {
      bool used = needed.erase(absent.name) > 0;
      add(used ? Weight::choice : Weight::note, "tablespace",
          fmt::format("tablespace {} cannot be made: {}", absent.name, absent.why),
          used ? "without it everything goes to the default tablespace" : "");
    }
    const std::vector<std::string>& planned = plan_.globals_plan.new_tablespaces;
    for (const std::string& name : missing_tablespaces(admin, needed))
      if (std::find(planned.begin(), planned.end(), name) == planned.end())
        add(Weight::choice, "tablespace",
            fmt::format("tablespace {} is neither on the server nor in the backup", name),
            "create it; without, everything goes to the default tablespace");
  }

  void find_locale(Connection& admin) {
    DatabaseSpec spec = backup_database_spec(manifest_, toc_);
    if (has_locale_provider(admin, spec.provider)) return;
    add(Weight::choice, "locale",
        fmt::format("the database sorts by {}, which the server does not have", locale_text(spec)),
        "recover to a server that has it; without, the database sorts otherwise: partitions by "
        "ranges of text may not take their rows");
  }

  void find_space() {
    add(Weight::note, "disk space",
        fmt::format("the tables hold {} as text, and indexes come on top; whether the server has "
                    "room for it cannot be seen from here",
                    human_bytes(manifest_.total_text_bytes())));
  }

  void step(const std::string& name, std::string what, std::optional<double> seconds) {
    plan_.steps.push_back({name, std::move(what), seconds});
    plan_.estimate_seconds += seconds.value_or(0);
  }

  void list_steps() {
    const GlobalsPlan& globals = plan_.globals_plan;
    double dump =
        std::chrono::duration<double>(manifest_.finished_at - manifest_.created_at).count();
    dump = std::max(dump, 0.0);
    plan_.estimate_basis = fmt::format(
        "the dump of {} took {}; a restore takes about {:.0f} times that on the same machine",
        human_bytes(manifest_.total_text_bytes()), human_seconds(dump),
        kLoadingFactor + kIndexFactor + kCompareFactor);
    if (backup_.proof && backup_.proof->ok && backup_.proof->level == "restore")
      plan_.estimate_basis += fmt::format("; its rehearsal in a scratch server took {}",
                                          human_seconds(backup_.proof->seconds));
    size_t kept = globals.kept_roles.size() + globals.kept_tablespaces.size();
    step("roles and tablespaces",
         fmt::format("create {} and {}; keep {} that the server has",
                     plural(globals.new_roles.size() + plan_.unknown_roles.size(), "role"),
                     plural(globals.new_tablespaces.size(), "tablespace"), kept),
         kSmallStepSeconds);
    step("creating the database", plan_.database + ", under a working name until it is whole",
         kSmallStepSeconds);
    step("restoring definitions", plural(selection_.before_data.size(), "object"),
         kSecondsPerEntry * static_cast<double>(selection_.before_data.size()));
    step("loading data",
         fmt::format("{}, {}, {}", plural(manifest_.tables.size(), "table"),
                     plural(manifest_.total_rows(), "row"),
                     human_bytes(manifest_.total_text_bytes())),
         kLoadingFactor * dump);
    step(
        "building indexes", plural(selection_.after_data.size(), "object"),
        kIndexFactor * dump + kSecondsPerEntry * static_cast<double>(selection_.after_data.size()));
    step("analyzing", "statistics for the planner", kAnalyzeFactor * dump);
    if (options_.read_back == ReadBack::full)
      step("comparing", "every row and checksum with the manifest", kCompareFactor * dump);
    if (!options_.checks.empty())
      step("checking", plural(options_.checks.size(), "check"), std::nullopt);
    step("giving the database its name", plan_.database, kSmallStepSeconds);
    for (const Hook& hook : options_.hooks)
      step(hook.name,
           fmt::format("{} (at most {})", printable(hook.command),
                       human_seconds(options_.hook_limit_seconds)),
           std::nullopt);
  }

  ObjectStore& store_;
  const Backup& backup_;
  const Manifest& manifest_;
  const RecoverOptions& options_;
  const Conninfo server_;
  ArchiveToc toc_;
  RestoreSelection selection_;
  RecoverPlan plan_;
};

}  // namespace

bool RecoverPlan::ready(bool ignore_missing) const {
  return std::none_of(findings.begin(), findings.end(), [&](const RecoverFinding& finding) {
    return finding.weight == Weight::refusal ||
           (finding.weight == Weight::choice && !ignore_missing);
  });
}

RecoverPlan plan_recovery(ObjectStore& store, const Backup& backup, const RecoverOptions& options,
                          const Run& run) {
  if (!backup.manifest)
    throw Error(ErrorCode::corrupt,
                fmt::format("backup {} is damaged: {}", backup.id, backup.damage),
                "use another backup: holdfast list");
  run.progress.phase("looking at the server");
  return Planner(store, backup, options).make();
}

}  // namespace holdfast
