// The keys of the API: who may call it. A key is shown once, when it is made; kept is its SHA-256
// (a key is 256 random bits, so that nothing slower is needed), in the SQLite file keys.db of the
// work folder (docs/format/keys.md). `holdfast key` and a running server share the file: a key that
// was added or revoked by the one counts at once for the other.
//
// Verifying compares with every key in constant time and never waits: not for the disk, not for
// another process that writes. Thread-safe. Errors: not_found (revoke), denied (the file or its
// folder belongs to somebody else), unavailable (the disk is full), corrupt (it is no such file).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"

namespace holdfast {

struct ApiKey {
  int64_t id = 0;  // never used again
  std::string name;
  UtcTime created_at;
  std::optional<UtcTime> last_used_at;  // to the minute
};

struct NewApiKey {
  ApiKey key;
  Secret clear;  // hf_ and 43 characters
};

// Where the keys of a work folder are.
std::string keys_path(const std::string& work_folder);

class ApiKeys {
 public:
  // Makes the file (mode 0600) if it is not there; its folder has to be.
  ApiKeys(const std::string& path, const Clock& clock);
  ~ApiKeys();

  NewApiKey add(const std::string& name);  // 1 to 64 characters; names may repeat
  std::vector<ApiKey> list() const;        // oldest first
  ApiKey revoke(int64_t id);

  // The id of the key, or none.
  std::optional<int64_t> verify(const Secret& clear);
  // The name of a key that was verified; "" once it is revoked. Never waits, as verify().
  std::string name_of(int64_t id);
  // Writes down when keys were last used, at most once a minute for each. May wait for the disk;
  // what cannot be written now is written later.
  void write_uses();

 private:
  struct Connection;
  struct Known {
    int64_t id = 0;
    std::array<uint8_t, 32> hash{};
    std::string name{};
  };
  struct Use {
    UtcTime at, written;
  };

  void refresh();

  const Clock& clock_;
  mutable std::mutex write_mutex_;  // before read_mutex_
  std::unique_ptr<Connection> writer_;
  std::mutex read_mutex_;
  std::unique_ptr<Connection> reader_;  // guarded by read_mutex_, as is what follows
  int64_t version_ = -1;
  std::vector<Known> known_;
  std::map<int64_t, Use> uses_;
};

}  // namespace holdfast
