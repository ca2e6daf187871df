// Archives and globals as they are stored: plain, or sealed by gpg (DESIGN section 4). The one
// place where either is opened for reading, and where sealing is put between a dump and its store.
//
// A sealed object is a stream: it is read from its first byte on. Its plain bytes exist in memory
// and pipes only. Everything that reads an archive therefore goes through it in order; reading back
// starts a new gpg from the beginning. Memory: a few MiB, whatever the size.
//
// Failures: Error(denied) without the key, with a hint that names it; Error(corrupt) when gpg finds
// the bytes changed; the store's own errors.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/run.h"
#include "dump/manifest.h"
#include "seal/gpg.h"
#include "store/object_store.h"

namespace holdfast {

// An ObjectWriter whose bytes are sealed on the way to `object`. At commit(), what was stored is in
// `stored`, which outlives the writer.
std::unique_ptr<ObjectWriter> sealing_writer(std::unique_ptr<ObjectWriter> object,
                                             const SealSpec& spec, StoredObject& stored);
// A whole small one; throws like write_object.
StoredObject write_sealed_object(ObjectStore& store, const std::string& name, ByteView content,
                                 const SealSpec& spec, const PutOptions& options);

// What reading a sealed object to its end found out about it.
struct SealFindings {
  StoredObject stored;           // its sealed bytes, all of them
  std::optional<Error> failure;  // of gpg: the plain bytes ended early or are not trustworthy
};

// The archive's plain bytes. Read in order it costs one pass; one thread at a time, other than the
// readers of stores. With `findings`, the sealed object is read to its end in any case, and a
// failure of gpg is put there as an end of the file; without, it is thrown.
std::unique_ptr<ObjectReader> open_archive(ObjectStore& store, const Manifest& manifest,
                                           const OpenKeys& keys, SealFindings* findings = nullptr);

// Roles and tablespaces in plain text. Throws Error(corrupt) if they are larger than the bound.
std::string read_globals(ObjectStore& store, const Manifest& manifest, const OpenKeys& keys);

// An archive that holdfast did not make, sealed or not: by its first bytes.
bool looks_sealed(ObjectReader& object);
std::unique_ptr<ObjectReader> open_foreign(std::unique_ptr<ObjectReader> object,
                                           const OpenKeys& keys);

// What a store must hold of a backup, beside its manifest.
struct StoredPart {
  std::string name;
  StoredObject stored;
};
std::vector<StoredPart> stored_parts(const Manifest& manifest);

// Reads a stored object to its end: its size and SHA-256. No key is needed.
StoredObject read_stored(ObjectStore& store, const std::string& name, const Run& run);

}  // namespace holdfast
