// What several commands do with backups: open the configured store, find a backup or an archive by
// what the user typed, take the run lock, prove and record the proof.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "dump/catalog.h"
#include "dump/dump.h"
#include "dump/verify.h"
#include "store/local_store.h"

namespace holdfast {

// Throws Error(invalid) for a folder that is none, such as a URL.
std::unique_ptr<ObjectStore> open_store(const Config& config);

// Options of a dump of `source` as configured. Throws what keeps it from being sealed, if it is to
// be; without that, only for a preflight.
DumpOptions dump_options(const Config& config, const Conninfo& source);
DumpOptions unsealed_dump_options(const Config& config, const Conninfo& source);
VerifyOptions verify_options(const Config& config, VerifyLevel level);

// The database whose backups "latest" means: that of the source, or "" (all) if none is configured.
std::string configured_database(const Config& config);

// A backup of the configured store: an id, a part of one, or "latest".
Backup find_configured_backup(const Config& config, ObjectStore& store, const std::string& said);

// An archive that was named by its path.
struct ArchiveFile {
  std::string path, folder, name;
  std::string id;  // of the backup whose manifest is beside it; "" if there is none
};
// Nothing if `said` is meant as an id: it has no slash and no file is called so.
std::optional<ArchiveFile> as_archive_file(const std::string& said);

// Keeps other runs away from the store, and clears what crashed ones left there.
class StoreLock {
 public:
  // Throws Error(busy) if another run holds it.
  StoreLock(const Config& config, ObjectStore& store, const Run& run);

 private:
  std::unique_ptr<FileLock> lock_;
};

Proof proof_of(const VerifyReport& report, const Clock& clock);
// verify_backup, then record_proof. A store that cannot be written (a read-only copy) is a warning:
// what was found is true all the same.
VerifyReport prove(ObjectStore& store, const Backup& backup, const VerifyOptions& options,
                   const Run& run);

// kExitDone, kExitDamage, or kExitFailed for a verdict that could not be reached.
int exit_code_of(const VerifyReport& report);

}  // namespace holdfast
