#include "dump/restore_job.h"

#include <fmt/format.h>

#include "base/file.h"
#include "base/text.h"
#include "dump/database_properties.h"

namespace holdfast {
namespace {

// What becomes of the database that has the wanted name.
enum class Way {
  fresh,          // there is none
  replace,        // it is live: kept under another name
  replace_empty,  // it is empty: dropped after the swap
  in_place,       // it is empty, and the login cannot make another
};

class RestoreJob {
 public:
  RestoreJob(const RestoreSource& source, const RestoreOptions& options, const RestoreFill& fill,
             const std::function<void()>& safety_backup, const Run& run)
      : source_(source),
        options_(options),
        fill_(fill),
        safety_backup_(safety_backup),
        run_(run),
        server_(options.server.direct()),
        phases_(run, report_.phases) {}

  RestoreReport restore() {
    double begin = run_.clock.monotonic_seconds();
    check_options();
    selection_ = options_.tables.empty() ? select_everything(source_.toc)
                                         : select_tables(source_.toc, options_.tables);
    tools_ = choose_client_tools(find_client_tools(options_.client_folder),
                                 major_of(source_.toc.header.dump_version));
    Connection admin = open_admin(server_, options_.database);
    Way way = choose_way(admin);
    check_server(admin);
    note_all(selection_.notes);
    if (way == Way::replace) phases_.time("making a safety backup", safety_backup_);

    if (way == Way::in_place)
      fill_in_place(admin);
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
    if (!extensions.empty() && options_.leave_out_missing_extensions)
      leave_out_extensions(source_.toc, extensions, selection_);
    else if (!extensions.empty())
      throw Error(ErrorCode::unsupported, "the server has no extension " + join(extensions),
                  "install the package that has it on the server (postgresql-contrib has "
                  "PostgreSQL's own); nothing has been changed");
    check_roles(admin);
    std::vector<std::string> tablespaces =
        missing_tablespaces(admin, needed_tablespaces(source_.toc, selection_));
    fill_options_.no_owner = options_.no_owner;
    fill_options_.no_privileges = options_.no_privileges;
    fill_options_.analyze = options_.analyze;
    fill_options_.jobs = options_.jobs;
    fill_options_.keys = options_.keys;
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

  void check_roles(Connection& admin) const {
    auto missing = [&](bool owners, bool privileges) {
      return missing_roles(admin, needed_roles(source_.toc, selection_, owners, privileges));
    };
    std::vector<std::string> roles = missing(!options_.no_owner, !options_.no_privileges);
    if (roles.empty()) return;
    std::vector<std::string> always = missing(false, false);
    std::string hint =
        fmt::format("create {}{}", roles.size() == 1 ? "it" : "them", source_.globals);
    if (always.empty())
      hint += ", or restore with --no-owner --no-privileges";
    else
      hint += fmt::format(": row security policies or user mappings name {}", join(always));
    throw Error(ErrorCode::not_found, fmt::format("the server has no role {}", join(roles)),
                hint + "; nothing has been changed");
  }

  void fill_in_place(Connection& admin) {
    std::string failed;
    note_other_locale(admin);
    try {
      Conninfo target = server_.with("dbname", options_.database);
      fill_(target, selection_, tools_, fill_options_, phases_, report_);
      if (options_.database_properties) bring_properties(admin, options_.database);
      failed = check(target);
    } catch (const Error& error) {
      throw Error(error.code(), error.what(),
                  fmt::format("{}{}database {} was empty and now holds part of the data: drop and "
                              "create it again before the next try",
                              error.hint(), error.hint().empty() ? "" : "; ", options_.database));
    }
    if (!failed.empty())
      throw Error(ErrorCode::violated, failed,
                  fmt::format("database {} was empty and now holds what was restored: look at it, "
                              "then drop it",
                              options_.database));
  }

  void note_other_locale(Connection& admin) {
    DatabaseSpec there = read_database_spec(admin, options_.database);
    if (!same_locale(source_.spec, there))
      report_.notes.push_back(fmt::format("the database sorts by {}, the dumped one by {}",
                                          locale_text(there), locale_text(source_.spec)));
  }

  void fill_beside(Connection& admin, Way way) {
    std::string working = derived_name(options_.database, "_holdfast_" + random_hex(4));
    DatabaseSpec spec = source_.spec;
    // It stays on the disk that the operator chose for the database of that name.
    if (way != Way::fresh)
      spec.tablespace = read_database_spec(admin, options_.database).tablespace;
    std::vector<std::string> made_otherwise;
    phases_.time("creating the database",
                 [&] { made_otherwise = create_database(admin, working, spec); });
    note_all(made_otherwise);
    std::string failed;
    try {
      // What is in schema public can be given only to who may create there: the database's owner.
      if (options_.database_properties && !options_.no_owner)
        apply_database_owner(admin, source_.toc, working);  // told about when done for good
      Conninfo target = server_.with("dbname", working);
      fill_(target, selection_, tools_, fill_options_, phases_, report_);
      failed = check(target);
      if (failed.empty())
        phases_.time("giving the database its name", [&] { give_name(admin, working, way); });
    } catch (const Error& error) {
      drop_after(with_hint(error, made_otherwise), working);
    } catch (const std::exception& error) {
      drop_after(Error(ErrorCode::internal, error.what()), working);
    }
    if (!failed.empty()) set_aside(admin, working, failed);
  }

  // The operator's checks: what failed, or "".
  std::string check(const Conninfo& target) {
    if (options_.checks.empty()) return {};
    phases_.time("checking", [&] { report_.checks = run_checks(target, options_.checks, run_); });
    return failed_checks(report_.checks);
  }

  // Restored and compared, but not what the operator wants: kept to be looked at.
  [[noreturn]] void set_aside(Connection& admin, const std::string& working,
                              const std::string& failed) {
    std::string aside = name_of_now(admin, "_unchecked_");
    rename_database(admin, working, aside);
    throw Error(ErrorCode::violated, failed,
                fmt::format("nothing that was there has been touched; the restored database is "
                            "kept as {}: look at it, then drop it",
                            aside));
  }

  // A free one, made of the database's, `word` and the time: two restores may end in one second.
  std::string name_of_now(Connection& admin, const std::string& word) const {
    constexpr int kInOneSecondMax = 100;  // no end in sight otherwise
    std::string suffix = word + compact_time(), name = derived_name(options_.database, suffix);
    for (int number = 2; number < kInOneSecondMax && database_exists(admin, name); ++number)
      name = derived_name(options_.database, fmt::format("{}_{}", suffix, number));
    return name;
  }

  std::string compact_time() const {
    std::string time = format_name_time(run_.clock.now());  // 2026-11-23T02-00-00-000Z
    return fmt::format("{}{}{}_{}{}{}", time.substr(0, 4), time.substr(5, 2), time.substr(8, 2),
                       time.substr(11, 2), time.substr(14, 2), time.substr(17, 2));
  }

  // Another order of text, or another disk, may be why.
  static Error with_hint(const Error& error, const std::vector<std::string>& made_otherwise) {
    if (made_otherwise.empty() || error.code() == ErrorCode::cancelled) return error;
    std::string hint = error.hint();
    for (const std::string& note : made_otherwise) hint += (hint.empty() ? "" : "; ") + note;
    return {error.code(), error.what(), hint};
  }

  // On a connection of its own: the other one may be what failed.
  [[noreturn]] void drop_after(const Error& error, const std::string& working) {
    try {
      Connection admin = open_admin(server_, working);
      forget_restored_subscriptions(working);
      drop_database(admin, working);
    } catch (const Error& drop_error) {
      throw Error(
          error.code(), error.what(),
          fmt::format("{}{}the half-made database {} could not be dropped ({}): drop it",
                      error.hint(), error.hint().empty() ? "" : "; ", working, drop_error.what()));
    }
    throw error;
  }

  // Of a database that this restore made. Whether they were in the way is for the drop to say.
  void forget_restored_subscriptions(const std::string& working) const {
    try {
      Connection in_it = Connection::open(server_.with("dbname", working), "holdfast restore");
      forget_subscriptions(in_it);
    } catch (const Error&) {
    }
  }

  void note_all(std::vector<std::string> notes) {
    for (std::string& note : notes) report_.notes.push_back(std::move(note));
  }

  void bring_properties(Connection& admin, const std::string& database) {
    if (!options_.no_owner) note_all(apply_database_owner(admin, source_.toc, database));
    note_all(apply_database_properties(admin, source_.toc, database, !options_.no_privileges));
  }

  void give_name(Connection& admin, const std::string& working, Way way) {
    const std::string& name = options_.database;
    if (way != Way::fresh) note_all(copy_database_properties(admin, name, working));
    if (options_.database_properties && way != Way::replace) bring_properties(admin, working);
    if (way == Way::fresh) return rename_database(admin, working, name);
    std::string kept = name_of_now(admin, "_before_");
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

  const RestoreSource& source_;
  const RestoreOptions& options_;
  const RestoreFill& fill_;
  const std::function<void()>& safety_backup_;
  const Run& run_;
  const Conninfo server_;
  RestoreReport report_;
  PhaseTimer phases_;
  RestoreSelection selection_;
  ClientTools tools_;
  FillOptions fill_options_;
};

}  // namespace

RestoreReport run_restore(const RestoreSource& source, const RestoreOptions& options,
                          const RestoreFill& fill, const std::function<void()>& safety_backup,
                          const Run& run) {
  return RestoreJob(source, options, fill, safety_backup, run).restore();
}

}  // namespace holdfast
