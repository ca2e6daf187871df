// What a store holds: backups by their manifests, and what was proven of them.
//
// A backup counts when its manifest is there. A manifest that does not read is listed as damaged,
// never hidden. Objects of other makers are never touched.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/run.h"
#include "dump/manifest.h"
#include "store/object_store.h"

namespace holdfast {

struct Proof {
  std::string level;  // quick, deep, restore
  bool ok = false;
  std::string verdict;  // PASS, PASS WITH NOTES, FAIL, INCONCLUSIVE
  UtcTime at{};
  double seconds = 0;
};

struct Backup {
  std::string id;
  std::optional<Manifest> manifest;   // empty: damaged
  std::string damage;                 // why it is empty
  std::optional<Proof> proof;         // the newest failure if newer than any success, else the
                                      // strongest success
};

// Newest first (by the manifest's time; damaged ones by their name's). `database` empty: all.
std::vector<Backup> list_backups(ObjectStore& store, const std::string& database);

// By id, by a unique beginning or end of one, or "latest". Throws Error(not_found) with the nearest
// id as hint. Reads only the manifests it must.
Backup find_backup(ObjectStore& store, const std::string& database, const std::string& id);

// Records a proof beside the backup; older ones of the same level are removed.
void record_proof(ObjectStore& store, const std::string& id, const Proof& proof);

// Clears what crashed runs left: half-written objects, and what a claim names that never got its
// manifest. Only with the run lock held. Returns lines that say what was removed.
std::vector<std::string> reap_crashed_runs(ObjectStore& store);

}  // namespace holdfast
