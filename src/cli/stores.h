// The configured stores, opened: which there are, who holds them, and where a backup is found.
//
// A store that cannot be reached keeps nobody from using the others: what is asked of all of them
// goes on with a warning, and fails only when none answers.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/run.h"
#include "cli/config.h"
#include "cli/documents.h"
#include "dump/catalog.h"
#include "store/aws_credentials.h"
#include "store/http.h"
#include "store/object_store.h"

namespace holdfast {

struct OpenStore {
  std::string name;             // "local", "s3", or of [store.NAME]
  std::string folder;           // empty: a bucket
  bool locks_objects = false;   // S3 Object Lock
  std::string host{};           // of a bucket's server: "s3.other.example:9000"
  bool safe_on_the_way = true;  // reached by TLS, or on this machine
  // What a bucket's store works with, and outlives it.
  std::unique_ptr<HttpTransport> transport{};
  std::unique_ptr<CredentialSource> credentials{};
  std::unique_ptr<ObjectStore> store{};
};

// Throws Error(invalid) for settings that cannot be right. Nothing is asked of a server yet.
std::vector<OpenStore> open_stores(const Config& config, const Run& run);

// One of them by its name, chosen with --store or not. Throws Error(invalid) if there is none.
OpenStore open_store(const Config& config, const std::string& name, const Run& run);

// Runs `ask` for every store. One that fails is a warning, unless all do.
void ask_all(const std::vector<OpenStore>& stores, const Run& run,
             const std::function<void(size_t)>& ask);

// "/var/backups/care or s3://care-backups/backups", for messages.
std::string locations_of(const std::vector<OpenStore>& stores);

std::vector<ObjectStore*> pointers(const std::vector<OpenStore>& stores);

// Keeps other runs of this machine away from the stores, and clears what crashed ones left there.
class StoreLock {
 public:
  // Throws Error(busy) if another run holds one of them.
  StoreLock(const std::vector<OpenStore>& stores, const Config& config, const Run& run);

  // What clears leftovers in the store.
  static ReapScope reap_scope(const OpenStore& store, const Config& config, const Clock& clock);

 private:
  std::vector<std::unique_ptr<FileLock>> locks_;
};

// Where this user's runs keep what they must know of each other and no store can hold.
std::string state_folder(const Config& config);

// This machine and user, as claims say it: 16 hexadecimal digits that give nothing away.
std::string machine_name(const Config& config);

// Until when a store that locks objects has to keep a backup of `created_at`: as long as retention
// will, which depends on whether it is the first of its month there. Nothing if it does not lock.
std::optional<UtcTime> lock_date(const OpenStore& store, const Config& config,
                                 const std::string& database, UtcTime created_at);

struct Copy {
  size_t store = 0;  // in the vector of stores
  Backup backup;
};

// A backup and the stores that hold it, in their order. `backup()` is the first sound one.
struct Located {
  std::string id;
  std::vector<Copy> copies;
  const Copy& best() const;
  const Backup& backup() const { return best().backup; }
};

// The first copy whose proof holds; nullptr if none's does.
const Copy* proven_copy(const Located& located);

// The copies as documents take them, the best first.
std::vector<BackupCopy> copies_of(const Located& located, const std::vector<OpenStore>& stores);

// All backups of all stores, newest first. `database` empty: all databases.
std::vector<Located> list_everywhere(const std::vector<OpenStore>& stores,
                                     const std::string& database, const Run& run);

// The backup that `said` means: an id, a part of one, or "latest" (of the configured database).
// Throws Error(not_found), Error(invalid) as find_backup does.
Located find_everywhere(const std::vector<OpenStore>& stores, const Config& config,
                        const std::string& said, const Run& run);

}  // namespace holdfast
