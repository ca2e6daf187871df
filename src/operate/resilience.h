// The rule 3-2-1-1-0, answered for what is there: 3 copies, 2 providers, 1 off-site, 1 that cannot
// be changed, 0 errors when it was restored.
//
// Counted is the newest proven dump with its proven copies, and the newest proven branch. Answers
// never claim what was not seen: a branch lives where its source does and so is the same provider
// (and never off-site); a folder is this machine, whatever is mounted there; what cannot be told
// from a host's name is "not measured". With a store that cannot be looked at, there is no "no".
// Pure.
#pragma once

#include <string>
#include <vector>

#include "operate/objectives.h"

namespace holdfast {

// `drills`: as in the report, dump first.
std::vector<RuleStatus> rules_32110(const StatusFacts& facts,
                                    const std::vector<DrillStatus>& drills);

// Who runs the machine of this name, as far as the name tells: its registered domain
// ("amazonaws.com"), or the address itself; "this machine" for the empty name and loopback.
// A port is no part of it.
std::string provider_of(const std::string& named);

}  // namespace holdfast
