#include "cli/option_groups.h"

namespace holdfast {
namespace {

const char* const kRecoverGroup = "Recover";

}  // namespace

std::vector<Option> recover_options() {
  using enum OptionKind;
  return {
      {"check", "--check", "HOLDFAST_CHECK", "check", text, "FILE", "", kRestore | kRecover,
       kRecoverGroup,
       "queries to ask of the restored database before it gets its name (before the live one is "
       "replaced): each must return a row whose first value is not false; results are shown"},
      {"check_queries", "--check-query", "", "check_queries", list, "SQL", "", kRestore | kRecover,
       kRecoverGroup, "such a query itself; may be repeated"},
      {"ignore_missing", "--ignore-missing", "", "", flag, "", "", kRecover, kRecoverGroup,
       "go on without the extensions, roles and tablespaces that the server does not have"},
      {"no_cutover", "--no-cutover", "", "", flag, "", "", kRecover, kRecoverGroup,
       "leave out the hook cutover: for practising"},
      {"post_restore", "", "HOLDFAST_POST_RESTORE", "post_restore", text, "COMMAND", "", 0,
       kRecoverGroup,
       "a shell command to run once the data is recovered and compared (migrations), with the new "
       "DATABASE_URL in its environment"},
      {"cutover", "", "HOLDFAST_CUTOVER", "cutover", text, "COMMAND", "", 0, kRecoverGroup,
       "a shell command to run last (DNS, load balancer), if post_restore did not fail"},
      {"hook_timeout",
       "",
       "HOLDFAST_HOOK_TIMEOUT",
       "hook_timeout",
       number,
       "SECONDS",
       "3600",
       0,
       kRecoverGroup,
       "after how long a hook is ended",
       {},
       1,
       86400},
  };
}

}  // namespace holdfast
