// The snapshots of a storage folder: one folder each under `snapshots/`, described by its
// snapshot.json (docs/format/engine-storage.md). A folder without one, or with a name that says
// that it is not finished (`.partial`) or on its way out (`.removing`), is none.
//
// A lease keeps a snapshot from being removed while somebody reads it. Thread-safe. Throws
// not_found, busy (leased), and what reading and removing throw; damaged descriptions are told to
// the log and passed over.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/log.h"
#include "engine/storage_documents.h"

namespace holdfast {

class SnapshotCatalog {
 public:
  // Makes the folder, removes what a crash left in it, reads the rest.
  SnapshotCatalog(const std::string& storage_folder, Log& log);

  std::vector<SnapshotInfo> list() const;  // oldest first
  StoredSnapshot get(const std::string& id) const;

  std::string data_folder(const std::string& id) const { return folder(id) + "/data"; }
  std::string tablespace_folder(const std::string& id, uint32_t oid) const;

  // A name for a new one, and the folder to make it in.
  std::string new_id() const;
  std::string partial_folder(const std::string& id) const { return folder(id) + ".partial"; }
  // Writes its description and gives it its name: from then on it is one.
  void add(const StoredSnapshot& record);
  void discard(const std::string& id);  // the unfinished one

  void remove(const std::string& id);

  class Lease {
   public:
    Lease(SnapshotCatalog& catalog, const std::string& id);
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

   private:
    SnapshotCatalog& catalog_;
    const std::string id_;
  };

 private:
  std::string folder(const std::string& id) const { return folder_ + "/" + id; }

  const std::string folder_;
  Log& log_;
  mutable std::mutex mutex_;
  std::map<std::string, StoredSnapshot> records_;
  std::map<std::string, int> leases_;
};

}  // namespace holdfast
