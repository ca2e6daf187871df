#include "dump/copy_backup.h"

#include <fmt/format.h>

#include <vector>

#include "base/text.h"
#include "dump/claim.h"
#include "dump/names.h"
#include "seal/sha256.h"

namespace holdfast {
namespace {

constexpr size_t kCopyBytes = 1 << 20;

// Copies one object, which has to be what the manifest says.
void copy_object(ObjectStore& from, const std::string& name, ObjectStore& to,
                 const CopyOptions& options, const Run& run, uint64_t bytes_said,
                 const std::string& sha256_said) {
  std::unique_ptr<ObjectReader> reader = from.open(name);
  std::unique_ptr<ObjectWriter> writer = to.put(name, {reader->size(), options.keep_until});
  std::vector<uint8_t> buffer(kCopyBytes);
  Sha256 hash;
  uint64_t offset = 0;
  while (size_t got = reader->read(offset, buffer.data(), buffer.size())) {
    run.check_stop();
    ByteView part(buffer.data(), got);
    hash.update(part);
    writer->write(part);
    offset += got;
    run.progress.counters().bytes += got;
  }
  if (offset != bytes_said || hash.finish_hex() != sha256_said)
    throw Error(ErrorCode::corrupt,
                fmt::format("{} in {} is not what its manifest says", name, from.location()),
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
  std::vector<std::string> names = {manifest_name(backup.id), manifest.archive_object};
  if (manifest.globals_object) names.push_back(*manifest.globals_object);
  run.progress.phase("copying");
  run.progress.counters().bytes_total = manifest.archive_bytes;
  Claim claim(to, backup.id, options.machine, names);
  copy_object(from, manifest.archive_object, to, options, run, manifest.archive_bytes,
              manifest.archive_sha256);
  if (manifest.globals_object)
    copy_object(from, *manifest.globals_object, to, options, run, manifest.globals_bytes,
                manifest.globals_sha256);
  // Its own checksum is inside, and was checked when the backup was found.
  std::string text = read_object(from, manifest_name(backup.id), kManifestBytesMax);
  read_manifest(text);
  run.check_stop();
  write_object(to, manifest_name(backup.id), as_bytes(text), {0, options.keep_until});
  claim.keep();
  return manifest.archive_bytes;
}

}  // namespace holdfast
