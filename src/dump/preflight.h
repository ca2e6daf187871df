// What must be right before a backup starts, each finding with its next step. `doctor` prints all
// of it; `backup` refuses to start on a failure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/run.h"
#include "dump/dump.h"
#include "store/object_store.h"

namespace holdfast {

enum class FindingLevel { ok, note, failure };

struct Finding {
  FindingLevel level = FindingLevel::ok;
  std::string check;                     // "client version", "row security", "store", …
  std::string message;                   // what was found
  std::string hint;                      // the next step; empty when ok
  ErrorCode code = ErrorCode::internal;  // of a failure: what `backup` throws it as
  std::optional<size_t> store{};         // the number of the store it is about
};

struct PreflightReport {
  std::vector<Finding> findings;
  uint64_t archive_bytes_expected = 0;  // a generous estimate; 0: unknown
  double clock_skew_seconds = 0;        // how far this machine's clock and the server's differ
};

// All checks, each on its own: one that fails does not keep the others from being made.
// Connection: reachable, login, direct (a `-pooler` host is replaced, and said; a pooler that
// shares sessions is found by its behaviour), encrypted, to a standby; client major ≥ server major;
// row security (a login that would see only part of a table); tables, sequences and large objects
// that the login may not read; extensions that a restore will need; clock of server and machine;
// every store writable and space enough for the estimated size. Rows and rights are looked at for
// what `options` would dump, as far as pg_dump's patterns can be foreseen.
PreflightReport preflight(const DumpOptions& options, std::span<ObjectStore* const> stores,
                          const Run& run);

// Throws the first failure as an Error; logs the notes. With several stores, those that cannot be
// written are no failure as long as one can.
void require_preflight(const std::vector<Finding>& findings, size_t stores, const Run& run);

}  // namespace holdfast
