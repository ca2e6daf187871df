// Dependencies that pg_dump leaves out and that pg_restore -j needs when an archive is a stream.
//
// A parallel pg_restore starts an entry once what it depends on is done. Triggers and foreign keys
// of a table depend on its data; those of a partitioned table depend on nothing that has data, so
// they can be made before the partitions are loaded, and then fire or check on loading. With the
// data's places in the table of contents pg_restore loads first by size, which hides this; an
// archive that is a stream has no places there. So such entries get the partitions' data as
// dependencies.
#pragma once

#include "pg/archive.h"

namespace holdfast {

// Entry → dump ids of the TABLE DATA entries it must also wait for.
Dependencies load_order_dependencies(const ArchiveToc& toc);

}  // namespace holdfast
