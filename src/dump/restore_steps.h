// The steps that fill one database from a backup, shared by restores and by the rehearsal of
// `verify --level restore`.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/run.h"
#include "dump/manifest.h"
#include "dump/restore.h"
#include "dump/restore_selection.h"
#include "pg/client_tools.h"
#include "pg/connection.h"
#include "store/object_store.h"

namespace holdfast {

// Announces phases and takes their time.
class PhaseTimer {
 public:
  PhaseTimer(const Run& run, std::vector<RestorePhase>& phases) : run_(run), phases_(phases) {}
  template <typename Work>
  void time(const std::string& name, Work&& work) {
    run_.check_stop();
    run_.progress.phase(name);
    double begin = run_.clock.monotonic_seconds();
    work();
    phases_.push_back({name, run_.clock.monotonic_seconds() - begin});
  }

 private:
  const Run& run_;
  std::vector<RestorePhase>& phases_;
};

struct FillOptions {
  bool no_owner = false, no_privileges = false, no_tablespaces = false;
  bool analyze = false;  // even if autovacuum will do it
  int jobs = 0;
  OpenKeys keys;
};

// The header and table of contents of a backup's archive, its SHA-256 checked.
// Throws Error(corrupt) naming the place.
ArchiveToc read_backup_toc(ObjectReader& archive, const Manifest& manifest);

// What pg_restore wants as files and nobody else should find on a disk: an archive's header and
// table of contents, and lists of its entries. In memory; pg_restore inherits the handles.
class MemoryFiles {
 public:
  // The path under which a child that inherits handles() finds `content`.
  std::string add(const char* name, std::string_view content);
  std::string add_list(const char* name, const std::vector<int>& dump_ids);
  std::vector<int> handles() const;

 private:
  std::vector<Fd> files_;
};

// ANALYZE of a filled database: when asked for, or when no autovacuum will do it. (For its samples
// of wide columns it takes as long as a gigabyte takes to load.) What fails of it becomes a note.
void analyze_if_needed(const Conninfo& target, const FillOptions& options, PhaseTimer& phases,
                       std::vector<std::string>& notes, const Run& run);

// Pre-data, data, post-data. Adds notes. Throws Error; the database is then half-made.
void fill_database(ObjectStore& store, const Manifest& manifest, const ArchiveToc& toc,
                   const RestoreSelection& selection, const ClientTools& tools,
                   const Conninfo& target, const FillOptions& options, PhaseTimer& phases,
                   std::vector<std::string>& notes, const Run& run);

struct SchemaComparison {
  std::vector<std::string> differences;  // in the words of compare_schemas
  // Names of what reads otherwise than in the archive and is the same all the same.
  std::vector<std::string> reworded;
};
// Makes a database from the definitions of the archive alone, by a stock pg_restore of which no
// statement may fail, and says where it is, if it can. See reworded_entries (fingerprint.h).
using DefinitionsAlone = std::function<std::optional<Conninfo>()>;

// `target`'s schema beside that of `toc`. `excluded`: what the backup's manifest says of
// exclusions, which the comparison must leave out as well. `definitions_alone` is asked only if
// some definition reads otherwise; without it, every one that does is a difference.
SchemaComparison compare_restored_schema(const ClientTools& tools, const Conninfo& target,
                                         const ArchiveToc& toc,
                                         const std::vector<std::string>& excluded,
                                         bool owners_and_privileges,
                                         const DefinitionsAlone& definitions_alone = {});

// Brings the definitions of `toc`, which was checked to be the archive's, into the empty database
// `target`: pg_restore --schema-only. Throws Error if any statement of it fails.
void restore_definitions_alone(const ClientTools& tools, const Conninfo& target,
                               const ArchiveToc& toc, const Run& run);

// pg_restore's switches for the options, and the session options for its second half: with
// `parallel_builds` an index may be built by several processes.
std::vector<std::string> pg_restore_switches(const FillOptions& options);
std::string index_session_options(Connection& target, int jobs, bool parallel_builds = true);

// The major version in "15.18 (Debian 15.18-0+deb12u1)"; 0 if there is none.
int major_of(const std::string& version);

// Extensions of `needed` that the server does not have ready to install.
std::vector<std::string> missing_extensions(Connection& server,
                                            const std::set<std::string>& needed);
std::vector<std::string> missing_roles(Connection& server, const std::set<std::string>& needed);
std::vector<std::string> missing_tablespaces(Connection& server,
                                             const std::set<std::string>& needed);
std::string join(const std::vector<std::string>& words);  // "a, b, c"

}  // namespace holdfast
