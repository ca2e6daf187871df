// [drill] of holdfast.toml: rehearsed recoveries. The queries, [drill.query.NAME], are no options:
// they have names of the operator's own (config.h).
#include "cli/option_groups.h"

namespace holdfast {

std::vector<Option> drill_options() {
  using enum OptionKind;
  const char* const kGroup = "Drills";
  constexpr int64_t kDaySeconds = 86400;
  constexpr int64_t kSeedMax = 1'000'000'000'000'000;
  return {
      {"drill_kind",
       "--kind",
       "HOLDFAST_DRILL_KIND",
       "drill.kind",
       choice,
       "KIND",
       "dump",
       kDrill,
       kGroup,
       "what is drilled where no backup is named: a dump, restored into a scratch server, or a "
       "branch, on a compute of its own",
       {"dump", "branch"}},
      {"drill_critical_tables", "--critical-table", "HOLDFAST_DRILL_CRITICAL_TABLES",
       "drill.critical_tables", list, "TABLE", "", kDrill, kGroup,
       "a table that a drill counts by name and that must be there; else, as far as the backup has "
       "them, organizations, users, clients, caregivers, visits and evv_records; may be repeated, "
       "in "
       "the variable with commas"},
      {"drill_query_timeout",
       "--query-timeout",
       "HOLDFAST_DRILL_QUERY_TIMEOUT",
       "drill.query_timeout",
       number,
       "SECONDS",
       "300",
       kDrill,
       kGroup,
       "for how long a query of [drill.query.NAME] may run; 0: as long as it takes",
       {},
       0,
       kDaySeconds},
      {"drill_seed",
       "--seed",
       "",
       "",
       number,
       "N",
       "",
       kDrill,
       kGroup,
       "choose the random backup by this number, so that the choice can be made again; else by "
       "chance",
       {},
       0,
       kSeedMax},
  };
}

}  // namespace holdfast
