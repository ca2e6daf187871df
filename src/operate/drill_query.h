// The operator's own questions in a drill: a query, and what its answer has to be for the recovered
// data to count as right ("no visit without a client" is `= 0`).
//
// A query runs in a read-only transaction with a time limit, by itself (no second statement). What
// is said of one that failed holds no row: the condition, and the value found only where it is a
// single number or boolean.
#pragma once

#include <string>
#include <vector>

#include "base/run.h"
#include "operate/drill_record.h"
#include "pg/conninfo.h"

namespace holdfast {

struct DrillQuestion {
  std::string name;
  std::string sql;
  // "= 0", "!= 0", "> 0", ">= 500", "< 10", "<= 10", "true", "false"; empty: it just has to work.
  std::string expect;
};

// Throws Error(invalid) for a condition that is none of the above.
void check_drill_expectation(const std::string& expect);
// Whether `value`, as PostgreSQL writes a number or a boolean, meets the condition.
bool meets_drill_expectation(const std::string& expect, const std::string& value);

// Asks all of them, in order, each for at most `timeout_seconds` (0: as long as it takes). What the
// server refuses, or does not answer in time, is a query that failed, and the others are asked all
// the same. Throws Error if the database cannot be reached at all, Error(cancelled).
std::vector<DrillQuery> ask_drill_questions(const Conninfo& database,
                                            const std::vector<DrillQuestion>& questions,
                                            int64_t timeout_seconds, const Run& run);

}  // namespace holdfast
