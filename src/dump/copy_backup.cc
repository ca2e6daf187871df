#include "dump/copy_backup.h"

#include <fmt/format.h>

#include <vector>

#include "base/text.h"
#include "dump/claim.h"
#include "dump/names.h"
#include "dump/sealed_archive.h"
#include "seal/sha256.h"

namespace holdfast {
namespace {

constexpr size_t kCopyBytes = 1 << 20;

// Copies one object, which has to be what the manifest says.
void copy_object(ObjectStore& from, const StoredPart& part, ObjectStore& to,
                 const CopyOptions& options, const Run& run) {
  std::unique_ptr<ObjectReader> reader = from.open(part.name);
  std::unique_ptr<ObjectWriter> writer = to.put(part.name, {reader->size(), options.keep_until});
  std::vector<uint8_t> buffer(kCopyBytes);
  Sha256 hash;
  uint64_t offset = 0;
  while (size_t got = reader->read(offset, buffer.data(), buffer.size())) {
    run.check_stop();
    ByteView bytes(buffer.data(), got);
    hash.update(bytes);
    writer->write(bytes);
    offset += got;
    run.progress.counters().bytes += got;
  }
  if (offset != part.stored.bytes || hash.finish_hex() != part.stored.sha256)
    throw Error(ErrorCode::corrupt,
                fmt::format("{} in {} is not what its manifest says", part.name, from.location()),
                "nothing was copied; see what is damaged: holdfast verify");
  writer->commit();
}

}  // namespace

uint64_t copy_backup(ObjectStore& from, const Backup& backup, ObjectStore& to,
                     const CopyOptions& options, const Run& run) {
  if (!backup.manifest)
    throw Error(
        ErrorCode::corrupt,
        fmt::format("backup {} is damaged in {}: {}", backup.id, from.location(), backup.damage),
        "copy another one: holdfast list");
  const Manifest& manifest = *backup.manifest;
  std::vector<StoredPart> parts = stored_parts(manifest);
  std::vector<std::string> names = {manifest_name(backup.id)};
  for (const StoredPart& part : parts) names.push_back(part.name);
  if (backup.hold) names.push_back(hold_name(backup.id));
  run.progress.phase("copying");
  run.progress.counters().bytes_total = manifest.stored_bytes();
  Claim claim(to, backup.id, options.machine, names);
  for (const StoredPart& part : parts) copy_object(from, part, to, options, run);
  // Its own checksum is inside, and was checked when the backup was found.
  std::string text = read_object(from, manifest_name(backup.id), kManifestBytesMax);
  read_manifest(text);
  run.check_stop();
  // A copy of what is held is held, from the moment it counts; as it stands, even if it does not
  // read.
  if (backup.hold)
    write_object(to, hold_name(backup.id),
                 as_bytes(read_object(from, hold_name(backup.id), kHoldBytesMax)));
  write_object(to, manifest_name(backup.id), as_bytes(text), {0, options.keep_until});
  claim.keep();
  return manifest.stored_bytes();
}

}  // namespace holdfast
