// A dump: one PostgreSQL custom-format archive of one database, made over several connections from
// one exported snapshot, streamed to the store with its proof data on the way. DESIGN section 4;
// ARCHITECTURE.md walks through it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/run.h"
#include "dump/manifest.h"
#include "pg/client_tools.h"
#include "pg/conninfo.h"
#include "seal/gpg.h"
#include "store/object_store.h"

namespace holdfast {

struct DumpOptions {
  Conninfo source;
  std::string source_name = "default";
  int jobs = 0;                // connections that copy; 0: one per core, 2 to 8
  std::optional<Codec> codec;  // empty: by the archive's version (gzip before 16, else zstd)
  int level = 0;               // 0: the codec's default
  std::vector<std::string> schemas, exclude_schemas, exclude_table_data;  // pg_dump's patterns
  int lock_timeout_ms = 10'000;  // a dump never queues longer in front of a migration
  std::string client_folder;     // extra folder of PostgreSQL programs
  std::string machine;           // who makes it, for its claim (catalog.h, ReapScope)
  // By gpg, on the way to the store. Recipients are fingerprints; check_seal has looked at them.
  std::optional<SealSpec> seal;
  // See PutOptions: for the archive's parts, and for all its objects.
  uint64_t bytes_expected = 0;
  std::optional<UtcTime> keep_until;
};

// Makes the dump and stores archive, globals and manifest. Throws Error; then nothing is listed.
Manifest run_dump(const DumpOptions& options, ObjectStore& store, const Run& run);

}  // namespace holdfast
