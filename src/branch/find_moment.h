// The last second at which something was still so: a bisection of a branch's history by throwaway
// branches, each looked into with one question.
//
// The question is whether some row of a table satisfies a condition, which is the operator's own
// SQL. A table that is not there has no such row. Every look is at the state of one whole second:
// all that was committed at it or before. Between two changes, as with any bisection, one of them
// is found. A week is twenty looks.
//
// Nothing of a look stays: its branch is removed while the next look goes on, also after an error
// and when the user asks to stop. So there are two at most. What is looked at is never production
// itself.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "base/run.h"
#include "branch/compute_access.h"
#include "neon/client.h"

namespace holdfast {

struct Bisection {
  enum class Outcome { found, still_holds, not_at_start };
  Outcome outcome = Outcome::found;
  // The last second known to hold, and if it was found, the next one, which does not.
  std::chrono::sys_seconds last_held{};
  int probes = 0;
};

// Asks `holds` about the last second first, then the first one, then between. With one change in
// `from` to `to` finds exactly it, by at most ceil(log2(to - from)) + 2 probes. Pure but for them.
Bisection bisect_seconds(std::chrono::sys_seconds from, std::chrono::sys_seconds to,
                         const std::function<bool(std::chrono::sys_seconds)>& holds);

struct FindRequest {
  neon::Branch branch;    // whose history is searched
  std::string table;      // as users write it, found by the login's search_path
  std::string condition;  // SQL, put behind WHERE
  std::chrono::sys_seconds from{}, to{};
  LoginChoice login;
};

struct FoundMoment {
  bool still_holds = false;  // at `to`; then last_held is `to`
  std::chrono::sys_seconds last_held{};
  int probes = 0;
  double seconds = 0;
};

// Throws Error(not_found) if it did not hold at `from` (or there was no such table at all),
// Error(invalid) for a condition that is no valid SQL, at the first look that can tell, and what
// the API says of a second that cannot be gone back to, with its hint.
FoundMoment find_moment(neon::Client& client, const FindRequest& request, const Run& run);

// "2026-11-10T14:30:00Z".
std::string second_text(std::chrono::sys_seconds second);

}  // namespace holdfast
