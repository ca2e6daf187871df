// Runs pg_restore and judges what it says.
//
// pg_restore goes on after errors and ends with status 1 and "errors ignored on restore: N" even
// when all is well but for a comment that the login may not set. So every error is classified by
// its message and command: known harmless ones become notes, and so do those that merely follow
// from one (a comment on an event trigger that the login may not make); anything else is a failure.
// Errors that were not seen (its stderr is kept to a bounded tail) count as failures.
#pragma once

#include <string>
#include <vector>

#include "base/run.h"
#include "pg/client_tools.h"
#include "pg/conninfo.h"
#include "store/object_store.h"

namespace holdfast {

struct PgRestoreFindings {
  std::vector<std::string> notes;   // harmless errors, in words
  std::vector<std::string> errors;  // the others: "ERROR: … (CREATE INDEX …)"
};

// What pg_restore wrote to stderr, and how it came to be.
struct PgRestoreOutput {
  std::string text;
  bool cut = false;       // its beginning is lost
  bool parallel = false;  // several processes wrote it (--jobs)
};

// Takes it apart. Pure.
PgRestoreFindings classify_pg_restore_errors(const PgRestoreOutput& output, int exit_code);

struct PgRestoreCall {
  std::vector<std::string> arguments;  // the archive's path last, unless it comes by `archive`
  std::vector<int> handles{};          // that it inherits: files named as /dev/fd/N
  std::string session_options{};       // "-c work_mem=64MB …", added to those of the target
  ObjectReader* archive = nullptr;     // read in order, for its standard input
};

// Runs pg_restore against `target`. Returns notes; throws Error with the first real error,
// Error(cancelled) when the run is to stop (then pg_restore has been ended).
std::vector<std::string> run_pg_restore(const ClientTools& tools, const Conninfo& target,
                                        const PgRestoreCall& call, const Run& run);

}  // namespace holdfast
