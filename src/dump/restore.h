// Bringing a backup back: into a new database by default, compared with the manifest before it is
// called done.
//
// Pre-data by pg_restore, data by several connections (a single table in parallel too, by the
// manifest's pieces), post-data by pg_restore -j. Over a live database: only when its name was
// typed back, after a safety backup, restored beside it first, compared, then swapped in by
// renaming; the old one stays under `<name>_before_<time>` until the operator drops it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/run.h"
#include "dump/checks.h"
#include "dump/verify.h"
#include "pg/client_tools.h"
#include "pg/conninfo.h"

namespace holdfast {

enum class ReadBack {
  full,    // every table is read back and its rows and checksum compared with the manifest
  counts,  // the server's count of every COPY, and the checksum of what was sent to it
};

struct RestoreOptions {
  Conninfo server;                  // its dbname is the database to connect to first
  std::string database;             // the database to make (or, with `confirm`, to replace)
  std::string confirm;              // typed back name; empty: never replace
  std::vector<std::string> tables;  // only these ("public.visits" or "visits"); empty: all
  bool no_owner = false, no_privileges = false;
  ReadBack read_back = ReadBack::full;
  // ANALYZE before returning, even where the server's autovacuum will do it within minutes.
  bool analyze = false;
  // A new (or empty) database also gets what the archive says of the database itself: owner,
  // privileges, settings, comment.
  bool database_properties = false;
  // Extensions that the server does not have are left out, instead of being refused for. What needs
  // them then fails the restore.
  bool leave_out_missing_extensions = false;
  // Asked of the restored database before it gets its name. If one fails, nothing live is touched:
  // the restored database is set aside as `<name>_unchecked_<time>` and Error(violated) names it.
  std::vector<std::string> checks;
  int jobs = 0;
  std::string client_folder;
  OpenKeys keys;
};

struct RestorePhase {
  std::string name;
  double seconds = 0;
};

struct RestoreReport {
  std::string database;                    // where the data now is
  std::optional<std::string> kept_old_as;  // the name the replaced database was kept under
  uint64_t tables = 0, rows = 0;
  Verdict verdict = Verdict::inconclusive;  // of the comparison
  std::vector<Problem> problems;
  std::vector<std::string> notes;
  std::vector<RestorePhase> phases;
  std::vector<CheckOutcome> checks;
  double seconds = 0;
};

// From a store, with its manifest. `safety_backup` is called once, before anything live is touched;
// if it throws, nothing has been changed.
RestoreReport restore_backup(ObjectStore& store, const Backup& backup,
                             const RestoreOptions& options,
                             const std::function<void()>& safety_backup, const Run& run);

// A local file that Holdfast did not write (pg_dump -Fc): by pg_restore -j; a sealed one through a
// pipe, by one session.
RestoreReport restore_foreign_archive(const std::string& path, const RestoreOptions& options,
                                      const std::function<void()>& safety_backup, const Run& run);

// The data part by itself, for the scratch server too: loads every table and large object of the
// backup into `target`, whose pre-data stands, and sets sequences.
// Then compare_database: reads everything back and compares with the manifest.
struct ComparedTables {
  std::vector<TableVerdict> tables;
  std::vector<Problem> problems;
};
ComparedTables compare_database(const Conninfo& target, const Manifest& manifest,
                                const ArchiveToc& toc, int jobs, const Run& run);

}  // namespace holdfast
