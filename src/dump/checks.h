// The operator's own questions to a restored database, asked before anybody is given it: each must
// return at least one row, whose first value must not be false or NULL.
//
// The results are shown, since that is what they are asked for. The session is read-only, so that a
// check cannot change what was just compared.
#pragma once

#include <string>
#include <vector>

#include "base/run.h"
#include "pg/conninfo.h"

namespace holdfast {

struct CheckOutcome {
  std::string query;
  bool ok = false;
  std::string result;  // the first row's values, or why there is none
  double seconds = 0;
};

// The queries of a file: statements with ";" between them. Throws Error(invalid) if there is none.
std::vector<std::string> read_checks(const std::string& sql, const std::string& file);

// Asks all of them and logs each with its result. What the server refuses is a check that failed; a
// lost connection throws.
std::vector<CheckOutcome> run_checks(const Conninfo& database,
                                     const std::vector<std::string>& queries, const Run& run);

// "2 of 3 checks failed: …", or "" if none did.
std::string failed_checks(const std::vector<CheckOutcome>& outcomes);

}  // namespace holdfast
