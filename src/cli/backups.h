// What several commands do with backups: options as configured, an archive by its path, prove and
// record the proof. The stores themselves are in cli/stores.h.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "dump/catalog.h"
#include "dump/dump.h"
#include "dump/restore.h"
#include "dump/verify.h"
#include "policy/retention.h"
#include "store/local_store.h"

namespace holdfast {

// Options of a dump of `source` as configured. Throws what keeps it from being sealed, if it is to
// be; without that, only for a preflight.
DumpOptions dump_options(const Config& config, const Conninfo& source);
DumpOptions unsealed_dump_options(const Config& config, const Conninfo& source);
VerifyOptions verify_options(const Config& config, VerifyLevel level);

// The queries of --check and --check-query. Throws Error for a file that cannot be read.
std::vector<std::string> configured_checks(const Config& config);

// The database whose backups "latest" means: that of the source, or "" (all) if none is configured.
std::string configured_database(const Config& config);

RetentionPolicy retention_policy(const Config& config);

// An archive that was named by its path.
struct ArchiveFile {
  std::string path, folder, name;
  std::string id;  // of the backup whose manifest is beside it; "" if there is none
};
// Nothing if `said` is meant as an id: it has no slash and no file is called so.
std::optional<ArchiveFile> as_archive_file(const std::string& said);

Proof proof_of(const VerifyReport& report, const Clock& clock);
// verify_backup, then record_proof. A store that cannot be written (a read-only copy) is a warning:
// what was found is true all the same.
VerifyReport prove(ObjectStore& store, const Backup& backup, const VerifyOptions& options,
                   const Run& run);

// The level `stored`: no proof, for nothing is said of what is inside, but every byte is where it
// should be. Throws Error(corrupt) if not.
void check_stored(CommandContext& context, ObjectStore& store, const Manifest& manifest);

// "db1.example.org:5432": which server, for the audit trail.
std::string server_name(const Conninfo& server);
// What a restore came to, likewise.
void tell_restored(OperationPart& part, const RestoreReport& report);

// kExitDone, kExitDamage, or kExitFailed for a verdict that could not be reached.
int exit_code_of(const VerifyReport& report);

}  // namespace holdfast
