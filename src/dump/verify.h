// Proving a backup. Levels, each including what the one before finds:
//   quick    the objects are there with their sizes, the manifest agrees with itself, the table of
//            contents has its SHA-256 and is readable by pg_restore --list
//   deep     every byte of the archive is read and compared (SHA-256, and per piece, so that damage
//            is named by its place), every block decompressed, every row counted, every checksum
//            compared; no server needed
//   restore  deep, then restored into a scratch server: the schema's fingerprint, rows and checksum
//            of every table equal the manifest's, amcheck finds the indexes sound
// A verdict that could not be reached is INCONCLUSIVE, never PASS. So is that of a sealed backup
// that no key here opens: then its stored bytes are compared (deep: all, by SHA-256), no more.
#pragma once

#include <string>
#include <vector>

#include "base/run.h"
#include "dump/catalog.h"
#include "seal/gpg.h"
#include "store/object_store.h"

namespace holdfast {

enum class VerifyLevel { quick, deep, restore };
enum class Verdict { pass, pass_with_notes, fail, inconclusive };

std::string_view verify_level_name(VerifyLevel level);
VerifyLevel parse_verify_level(const std::string& name);  // Error(invalid) with did-you-mean
std::string_view verdict_name(Verdict verdict);           // "PASS", "PASS WITH NOTES", …

struct Problem {
  std::string where;  // "care_….dump bytes 1048576-1310720 (table public.visits, piece 3)"
  std::string what;
};

struct TableVerdict {
  std::string name;
  uint64_t rows = 0;  // found
  bool ok = false;
};

struct VerifyReport {
  std::string id;
  VerifyLevel level = VerifyLevel::quick;
  Verdict verdict = Verdict::inconclusive;
  std::vector<Problem> problems;
  std::vector<std::string> notes;
  std::vector<TableVerdict> tables;
  uint64_t rows = 0;
  std::string sha256;    // of the archive as found (deep and restore)
  bool compared = true;  // with a manifest; off for archives of others
  double seconds = 0;

  bool ok() const { return verdict == Verdict::pass || verdict == Verdict::pass_with_notes; }
  // `PROVEN 105 tables · 2.1 M rows · sha256 3f2a… · 38 s`, or what was found instead. READ instead
  // of PROVEN where there was nothing to compare with.
  std::string closing_line() const;
};

struct VerifyOptions {
  VerifyLevel level = VerifyLevel::deep;
  int jobs = 0;
  std::string client_folder;
  // Where the scratch server's data goes; empty: $TMPDIR or /tmp, and of sealed backups the memory.
  std::string scratch_folder;
  OpenKeys keys;
};

VerifyReport verify_backup(ObjectStore& store, const Backup& backup, const VerifyOptions& options,
                           const Run& run);

// An archive without a manifest (a plain pg_dump -Fc file): everything that can be checked of it,
// with the note that there is nothing to compare rows with.
VerifyReport verify_foreign_archive(ObjectReader& archive, const std::string& name,
                                    const VerifyOptions& options, const Run& run);

}  // namespace holdfast
