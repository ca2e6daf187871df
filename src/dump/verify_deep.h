// The parts of a verification that read an archive: everything that can be found without a server.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "dump/verify.h"
#include "pg/archive.h"
#include "store/object_store.h"

namespace holdfast {

constexpr size_t kProblemsMax = 50;  // a destroyed archive needs no line per piece

// Problems from several threads, bounded.
class ProblemList {
 public:
  void add(std::string where, std::string what);
  bool empty() const;
  // In the order of `where`'s place in the archive as far as it has one; the last line counts those
  // that were left out.
  std::vector<Problem> take();

  // With its place, so that take() can sort; the same place is listed once.
  void add_at(uint64_t offset, std::string where, std::string what);

 private:
  struct Placed {
    uint64_t offset;
    Problem problem;
  };
  mutable std::mutex mutex_;
  std::vector<Placed> problems_;
  uint64_t left_out_ = 0;
};

// `care.dump bytes 100-200 (table public.visits, piece 3 of 40)`; the end is the first byte that no
// longer belongs to it.
std::string archive_place(const std::string& object, uint64_t begin, uint64_t end,
                          const std::string& inside);

struct ScanResult {
  uint64_t bytes = 0;  // the object's true size
  std::string sha256;
  uint64_t rows = 0;
  std::vector<TableVerdict> tables;
};

// Reads header and table of contents from the start of the object.
ArchiveToc read_toc_of(ObjectReader& archive);

// Every byte, block, row and checksum of an archive that Holdfast wrote, against its manifest.
ScanResult scan_with_manifest(ObjectReader& archive, const Manifest& manifest, int jobs,
                              ProblemList& problems, const Run& run);

// The same as far as it goes for an archive without a manifest; the records it returns hold rows
// and checksums as found (no pieces).
struct ForeignScan {
  ScanResult result;
  std::vector<TableRecord> tables;
  std::vector<LargeObjectRecord> large_objects;
  uint64_t uncounted_tables = 0;  // written as INSERT statements
};
ForeignScan scan_without_manifest(ObjectReader& archive, const std::string& name,
                                  const ArchiveToc& toc, int jobs, ProblemList& problems,
                                  const Run& run);

}  // namespace holdfast
