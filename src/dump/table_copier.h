// The parallel part of a dump: workers read pieces of tables from the source, sum their rows and
// compress them; the pieces come out in the archive's order.
#pragma once

#include <functional>
#include <vector>

#include "base/run.h"
#include "dump/archive_sink.h"
#include "dump/manifest.h"
#include "dump/plan.h"
#include "pg/connection.h"

namespace holdfast {

struct CopySettings {
  Codec codec = Codec::gzip;
  int level = 0;
  int jobs = 2;
};

// Opens a connection in the dump's snapshot; called once by each worker's own thread.
using OpenWorker = std::function<Connection()>;

// Copies all tables of `plan` into `sink`; one record per table, in order. The first failure of any
// worker stops the others and is thrown.
std::vector<TableRecord> copy_tables(const Plan& plan, const CopySettings& settings,
                                     const OpenWorker& open_worker, ArchiveSink& sink,
                                     const Run& run);

}  // namespace holdfast
