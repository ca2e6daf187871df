// Reading tables for their rows and checksums alone: the pieces of a plan, over several
// connections. What proves a restored database against its manifest, and what compares two live
// ones.
#pragma once

#include <functional>
#include <vector>

#include "base/run.h"
#include "dump/plan.h"
#include "pg/connection.h"
#include "seal/row_checksum.h"

namespace holdfast {

// Rows and checksum of every table of `plan`, in its order. `open` is called once by each of up to
// `jobs` threads (0: one per core, from 2 to 8); its session's settings decide what rows look like
// as text. Counts tables, rows and bytes of the running phase. Errors name their table.
std::vector<RowChecksum> sum_planned_tables(const Plan& plan,
                                            const std::function<Connection()>& open, int jobs,
                                            const Run& run);

}  // namespace holdfast
