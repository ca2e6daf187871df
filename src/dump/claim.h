// The claim on a backup's names while its objects are being written: what a crash leaves under them
// is then known to be ours and unfinished (docs/format/store.md). The next run clears it
// (catalog.h, reap_crashed_runs).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "store/object_store.h"

namespace holdfast {

class Claim {
 public:
  // Writes the claim. `names` are the objects that will be written under it, the manifest first:
  // undoing goes in this order, so that what is left of a backup never counts. Throws Error(exists)
  // if one of them is there already: what stands there is not ours to remove, should this run fail.
  Claim(ObjectStore& store, const std::string& id, const std::string& machine,
        std::vector<std::string> names);
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;
  // Not kept: nothing of this backup stays. What cannot be removed now, the next run will.
  ~Claim();
  // The manifest stands: the backup counts.
  void keep();
  const std::string& id() const { return id_; }

 private:
  void refuse_if_taken(const std::string& name) const;

  ObjectStore& store_;
  std::string id_;
  std::vector<std::string> names_;
  bool kept_ = false;
};

// Claims the id of a new dump of `database` whose snapshot is of `at`. No lock reaches across
// machines: where another one made a backup of a database of this name in the same millisecond, the
// later one's id moves on.
std::unique_ptr<Claim> claim_new_id(ObjectStore& store, const std::string& database, UtcTime at,
                                    const std::string& machine);

// Whether the store has an object of this name.
bool stands(ObjectStore& store, const std::string& name);

}  // namespace holdfast
