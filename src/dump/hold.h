// A hold: nobody's rule may remove this backup until the hold is lifted. It is an object beside the
// backup, `<id>.hold.json`, a document that ends in its own SHA-256 (docs/format/manifest.md). One
// that does not read holds all the same: in doubt, a backup stays.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "store/object_store.h"

namespace holdfast {

struct Hold {
  std::string reason;
  std::string by;  // "anna@db1"
  UtcTime at{};
  // "audit 2026 (anna@db1)"
  std::string text() const;
};

// Throws Error(exists) if the backup is held already, Error(busy) if it is being removed this very
// moment, Error(not_found) if it just was, Error(invalid) for a reason that is empty or too long.
void put_hold(ObjectStore& store, const std::string& id, const Hold& hold);
// Nothing if it is not held.
std::optional<Hold> read_hold(ObjectStore& store, const std::string& id);
// Whether there was one.
bool remove_hold(ObjectStore& store, const std::string& id);

constexpr size_t kHoldReasonBytesMax = 500;
constexpr uint64_t kHoldBytesMax = 16 << 10;

}  // namespace holdfast
