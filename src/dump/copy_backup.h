// A backup copied from one store to another: the same objects under the same names, byte for byte.
//
// The archive's SHA-256 is held against the manifest while it passes, so that damage is never
// copied as a sound backup. As a dump does, a copy writes a claim first and the manifest last: a
// crash leaves nothing that is listed and broken. Proofs are not copied: a copy has to be proven
// itself. A hold is.
#pragma once

#include <optional>
#include <string>

#include "base/run.h"
#include "dump/catalog.h"
#include "store/object_store.h"

namespace holdfast {

struct CopyOptions {
  std::string machine;                // for the claim (catalog.h, ReapScope)
  std::optional<UtcTime> keep_until;  // see PutOptions
};

// Throws Error(exists) if `to` has it already, Error(corrupt) if what `from` holds is not what the
// manifest says; then `to` is as before. Returns the bytes of the archive.
uint64_t copy_backup(ObjectStore& from, const Backup& backup, ObjectStore& to,
                     const CopyOptions& options, const Run& run);

}  // namespace holdfast
