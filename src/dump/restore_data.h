// The data part of a restore: loads tables and large objects of a backup into a database whose
// pre-data stands, over several connections, and reads everything back to compare it.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/run.h"
#include "dump/manifest.h"
#include "dump/restore.h"
#include "pg/connection.h"
#include "store/object_store.h"

namespace holdfast {

// SET statements for a session that reads rows as those of an archive in `encoding` are written.
std::string data_session_settings(int server_major, const std::string& encoding);

// Makes `connection` one that loads rows of `manifest`, in the time zone that they come from.
void prepare_to_load(Connection& connection, const Manifest& manifest);

// Sets that time zone, and returns its name; empty where it is not known, here or to the server.
std::string settable_time_zone(Connection& connection, const Manifest& manifest);

// Loads the tables and large objects of `manifest` whose dump ids are in `wanted`. The unit of work
// is a piece, so that one table keeps every connection busy; each is a COPY of its own. Before a
// piece is committed, its stored bytes, rows and checksum must be those of the manifest, and the
// server must have counted as many rows; otherwise Error(corrupt) names the place.
// A sealed archive is a stream: it is opened by `keys`, read once and in order.
void load_data(ObjectStore& store, const Manifest& manifest, const OpenKeys& keys,
               const ArchiveToc& toc, const Conninfo& target, const std::set<int>& wanted, int jobs,
               const Run& run);

// compare_database (restore.h) for some of the tables, and by rows alone when the checksums were
// taken of text that this session would write otherwise.
struct CompareOptions {
  int jobs = 0;
  std::optional<std::set<int>> wanted;  // dump ids; none given: all
  bool rows_only = false;
};
ComparedTables compare_data(const Conninfo& target, const Manifest& manifest, const ArchiveToc& toc,
                            const CompareOptions& options, const Run& run);

// ANALYZE of every table and materialized view, the largest first, over `jobs` connections.
// Statistics are no data: what fails (a partition on a foreign server that is down, a function of
// an index that raises) costs only its table's statistics, and is returned as a note. Throws when
// it is to stop and when the connection is lost.
std::vector<std::string> analyze_database(const Conninfo& target, int jobs, const Run& run);

}  // namespace holdfast
