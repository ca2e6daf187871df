// [schedule] of holdfast.toml: what `holdfast serve` runs and when. Its keys are named `schedule.…`
// here and stand without that in the table [schedule], or in [source.NAME.schedule] for one source.
#include "cli/option_groups.h"

namespace holdfast {
namespace {

const char* const kScheduleGroup = "Schedule";

std::vector<Option> schedule_job_options() {
  using enum OptionKind;
  auto job = [](const std::string& name, const std::string& help) {
    return Option{"schedule_" + name, "",  "", "schedule." + name, text, "CRON", "", 0,
                  kScheduleGroup,     help};
  };
  std::vector<Option> all = {
      job("backup",
          "when `holdfast backup` runs, in the five fields of cron: \"0 2 * * *\" is "
          "every night at two; not at all without it"),
      job("verify", "when `holdfast verify` proves the newest backup again"),
      job("drill", "when `holdfast drill` rehearses a recovery"),
      job("prune", "when `holdfast prune` lets go what is past its time"),
      job("report", "when `holdfast report` writes the evidence"),
      job("status", "when `holdfast status --alert` looks at the objectives"),
      job("anchor",
          "when `holdfast audit anchor` puts the head of the audit trail into every store"),
  };
  const char* const variables[] = {"HOLDFAST_SCHEDULE_BACKUP", "HOLDFAST_SCHEDULE_VERIFY",
                                   "HOLDFAST_SCHEDULE_DRILL",  "HOLDFAST_SCHEDULE_PRUNE",
                                   "HOLDFAST_SCHEDULE_REPORT", "HOLDFAST_SCHEDULE_STATUS",
                                   "HOLDFAST_SCHEDULE_ANCHOR"};
  for (size_t i = 0; i < all.size(); ++i) all[i].variable = variables[i];
  return all;
}

std::vector<Option> schedule_rule_options() {
  using enum OptionKind;
  constexpr int64_t kDaySeconds = 86400;
  return {
      {"schedule_zone", "", "HOLDFAST_SCHEDULE_ZONE", "schedule.zone", text, "ZONE", "UTC", 0,
       kScheduleGroup, "the zone that the schedules are in, such as Europe/Berlin"},
      {"schedule_jitter",
       "",
       "HOLDFAST_SCHEDULE_JITTER",
       "schedule.jitter",
       number,
       "SECONDS",
       "0",
       0,
       kScheduleGroup,
       "up to how much later a run starts, so that not all hosts begin at once",
       {},
       0,
       kDaySeconds},
      {"schedule_catch_up",
       "",
       "HOLDFAST_SCHEDULE_CATCH_UP",
       "schedule.catch_up",
       choice,
       "HOW",
       "latest",
       0,
       kScheduleGroup,
       "after downtime, one run for all that were missed, or none until the next one's time",
       {"latest", "skip"}},
      {"schedule_catch_up_max",
       "",
       "HOLDFAST_SCHEDULE_CATCH_UP_MAX",
       "schedule.catch_up_max",
       number,
       "SECONDS",
       "86400",
       0,
       kScheduleGroup,
       "how late a missed run may still be started",
       {},
       0,
       366 * kDaySeconds},
      {"schedule_job_limit",
       "",
       "HOLDFAST_SCHEDULE_JOB_LIMIT",
       "schedule.job_limit",
       number,
       "SECONDS",
       "86400",
       0,
       kScheduleGroup,
       "after how long a job that does not end is stopped",
       {},
       1,
       30 * kDaySeconds},
      {"schedule_lock_store", "", "HOLDFAST_SCHEDULE_LOCK_STORE", "schedule.lock_store", text,
       "STORE", "", 0, kScheduleGroup,
       "the store through which several hosts agree on who runs a job; by default the first that "
       "is a bucket; none: each host runs all its jobs"},
      {"schedule_listen", "", "HOLDFAST_SCHEDULE_LISTEN", "schedule.listen", text, "ADDRESS:PORT",
       "127.0.0.1:8475", 0, kScheduleGroup,
       "where /healthz and /metrics of the schedule can be read; off: nowhere"},
      {"schedule_once", "--once", "", "", flag, "", "", kServe, kScheduleGroup,
       "run what is due now, wait for it, and end: for whoever calls it every minute"},
  };
}

}  // namespace

std::vector<Option> schedule_options() {
  std::vector<Option> all = schedule_job_options();
  for (Option& option : schedule_rule_options()) all.push_back(std::move(option));
  return all;
}

}  // namespace holdfast
