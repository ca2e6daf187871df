// The control connection of a dump, or of another look at a live database: it holds the transaction
// whose snapshot every other connection imports, and knows the facts about the source that a
// manifest records.
//
// As long as it lives, all workers and pg_dump see the same moment. It must be a direct connection:
// through a pooler the snapshot would belong to somebody else's session.
#pragma once

#include <string>
#include <vector>

#include "dump/manifest.h"
#include "pg/connection.h"

namespace holdfast {

class SnapshotSession {
 public:
  // Connects, gathers the facts, begins the transaction and exports its snapshot.
  // `lock_timeout_ms` also goes to the workers' sessions. `name` is the application that the server
  // sees.
  SnapshotSession(const Conninfo& source, int lock_timeout_ms, const Clock& clock,
                  const std::string& name = "holdfast backup");

  // Another connection in the same snapshot.
  Connection open_worker() const;

  Connection& connection() { return connection_; }
  const std::string& snapshot() const { return snapshot_; }
  // Fills in what is known of the source: server, LSN, time, encoding, extensions.
  void describe(Manifest& manifest) const;

 private:
  std::string session_settings() const;

  Conninfo source_;
  std::string name_;
  int lock_timeout_ms_;
  Connection connection_;
  std::string snapshot_;
  Manifest facts_;
};

}  // namespace holdfast
