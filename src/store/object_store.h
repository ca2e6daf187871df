// Where backups live: a folder or a bucket of named objects.
//
// The interface is the least that both can promise. An object appears whole or not at all, under a
// name that check_object_name allows, and is never changed in place. Every implementation and
// decorator passes the one contract suite in store/store_contract.h. Every method throws
// Error(invalid) for a name that is not allowed. Words of the layout: docs/format/store.md.
// All methods may be called by several threads at once; one ObjectWriter or ObjectReader serves one
// thread at a time, except ObjectReader::read, which any number may call.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"

namespace holdfast {

struct ObjectInfo {
  std::string name;
  uint64_t bytes = 0;
  UtcTime modified{};
  // Filled by head() where the store locks objects: not removable before. See PutOptions.
  std::optional<UtcTime> locked_until{};
};

// What a store may want to know of an object before its first byte.
struct PutOptions {
  uint64_t bytes_expected = 0;  // an estimate, for the size of an upload's parts; 0: unknown
  // Nobody can remove the object before, where the store is set up for that (S3 Object Lock);
  // others ignore it.
  std::optional<UtcTime> keep_until{};
};

// Whether what an interrupted writer left of the object `name`, begun at `begun`, may be cleared.
using LeftoverTest = std::function<bool(const std::string& name, UtcTime begun)>;

// An object that is being written. It becomes visible by commit() and not before; destroyed without
// commit, it leaves nothing visible behind.
class ObjectWriter {
 public:
  virtual ~ObjectWriter() = default;
  virtual void write(ByteView bytes) = 0;
  // Durable and visible once this returns. Throws Error(exists) if the name was taken meanwhile:
  // an existing object is never replaced.
  virtual void commit() = 0;
};

class ObjectReader {
 public:
  virtual ~ObjectReader() = default;
  virtual uint64_t size() const = 0;
  // Reads up to `size` bytes at `offset`; fewer only at the end of the object. Returns how many.
  virtual size_t read(uint64_t offset, uint8_t* out, size_t size) = 0;
};

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  // For people: "/var/backups/care-commons", "s3://bucket/backups".
  virtual std::string location() const = 0;

  // Starts a new object, readable by its owner only where the store has rights. Throws
  // Error(exists) here or in commit() if the name is taken. The store outlives the writer.
  virtual std::unique_ptr<ObjectWriter> put(const std::string& name,
                                            const PutOptions& options = {}) = 0;
  // Throws Error(not_found). The store outlives the reader.
  virtual std::unique_ptr<ObjectReader> open(const std::string& name) = 0;
  // Throws Error(not_found).
  virtual ObjectInfo head(const std::string& name) = 0;
  // Objects whose names start with `prefix`, sorted by name; no folders, nothing half-written.
  virtual std::vector<ObjectInfo> list(const std::string& prefix) = 0;
  // Removing what is not there is no error. Throws Error(denied) for one that is locked.
  virtual void remove(const std::string& name) = 0;

  // Fails unless an object could be written now (rights, space for `bytes_expected`); leaves
  // nothing behind. For the preflight.
  virtual void check_writable(uint64_t bytes_expected) = 0;
  // Removes what interrupted writers left behind, of the objects that `may_clear` allows (a folder,
  // which one run alone holds, does not ask). Returns how many pieces were removed.
  virtual size_t reap_unfinished(const LeftoverTest& may_clear) = 0;
};

// What the names begin with that check_writable tries in a bucket, and aborts.
constexpr std::string_view kTrialPrefix = "holdfast-check-";

// Throws Error(invalid) unless `name` is UTF-8 of [A-Za-z0-9._/ +%=@~-] and characters beyond
// ASCII, of at most 1024 bytes, whose parts between slashes have 1 to 255 bytes and do not start
// with a dot.
void check_object_name(const std::string& name);

// Whole small objects. read_object throws Error(corrupt) if it is larger than `bytes_max`.
void write_object(ObjectStore& store, const std::string& name, ByteView content,
                  const PutOptions& options = {});
std::string read_object(ObjectStore& store, const std::string& name, uint64_t bytes_max);

}  // namespace holdfast
