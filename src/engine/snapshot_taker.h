// Takes a snapshot of the source: pg_basebackup into a folder of its own, tablespaces included;
// then the WAL up to its end has to arrive and pg_verifybackup has to agree, before it is given its
// name. Until then it is `<id>.partial`, which the next start removes.
//
// The backup's WAL is not in it (-X none): it is received anyway. The manifest stays with it, so
// that its files can be verified again at any time.
//
// One at a time. Throws Error: unavailable (source, receiver), corrupt (pg_verifybackup), invalid,
// cancelled; nothing is left behind then.
#pragma once

#include <functional>
#include <string>

#include "base/run.h"
#include "engine/snapshot_catalog.h"
#include "engine/source_link.h"
#include "pg/client_tools.h"
#include "pg/conninfo.h"

namespace holdfast {

struct SnapshotSource {
  Conninfo conninfo;
  ClientTools tools;
  std::string application_name;
};

// `wait_for_wal(timeline, start, end)` returns when all of that was received and verified.
StoredSnapshot take_base_backup(const SnapshotSource& source, SourceLink& link,
                                SnapshotCatalog& catalog, uint64_t system_identifier,
                                const std::function<void(const BackupRange&)>& wait_for_wal,
                                const Run& run);

}  // namespace holdfast
