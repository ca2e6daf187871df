#include "cli/schedule_jobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "alert/alerts.h"
#include "base/text.h"
#include "base/this_machine.h"
#include "cli/source_host.h"

namespace holdfast {
namespace {

constexpr size_t kRunsKept = 1000;
// The first wait of a sink that failed.
constexpr std::chrono::minutes kDeliverEvery{1};

// Whether it did what it is for, to whatever end: then the run was not missed. Wrong usage is what
// a job ends with that could not read its configuration, and so knew nobody to tell either (a
// backup that could, and was refused later, is then told of by both, as one incident).
bool took_place(const JobEnd& end) {
  constexpr std::array kEnds = {kExitDone,   kExitFailed,    kExitPartial,
                                kExitDamage, kExitViolation, kExitLocked};
  return !end.lost && !end.over_limit &&
         std::find(kEnds.begin(), kEnds.end(), end.exit_code) != kEnds.end();
}

// `status --alert` has told of what it found to be violated; a report only says it.
bool is_good(const std::string& job, const JobEnd& end) {
  return took_place(end) &&
         (end.exit_code == kExitDone || (job == "status" && end.exit_code == kExitViolation));
}

std::optional<ErrorCode> code_of_exit(int exit_code) {
  switch (exit_code) {
    case kExitUsage:
      return ErrorCode::invalid;
    case kExitPartial:
      return ErrorCode::partial;
    case kExitDamage:
      return ErrorCode::corrupt;
    case kExitViolation:
      return ErrorCode::violated;
    case kExitLocked:
      return ErrorCode::busy;
    default:
      return std::nullopt;
  }
}

// Each source as a command with --source would see it.
std::vector<Config> configs_of_sources(const Config& config) {
  if (!config.source_name().empty()) return {config};
  std::vector<Config> all;
  for (const std::string& name : config.source_names()) {
    Arguments arguments;
    // What was said on our command line goes on being said.
    for (const Setting& setting : config.settings())
      if (!setting.option->flag.empty() && setting.origin == setting.option->flag)
        arguments.values[setting.option->name] = setting.values;
    if (!config.file().empty()) arguments.values["config"] = {config.file()};
    arguments.values["source"] = {name};
    all.push_back(Config::load(arguments, config.environment()));
  }
  return all;
}

// What tells this machine from others: its name and its id.
std::string host_identity() {
  return fmt::format("{} {}", host_name(), machine_id());
}

bool is_of_this_machine(const std::string& hosts) {
  for (const std::string& host : split(hosts, ','))
    if (is_this_machine(host)) return true;
  return false;
}

// What tells the source's database from others that are called the same elsewhere.
std::string database_identity(const Config& config) {
  std::string identity =
      fmt::format("{}\n{}\n", config.text("neon_api_host"), config.text("neon_project_id"));
  bool local = false;
  if (config.has_database()) {
    std::map<std::string, std::string> all = config.source_conninfo().resolved();
    std::string host = all.count("hostaddr") > 0 ? all["hostaddr"] : all["host"];
    local = is_of_this_machine(host);
    identity += fmt::format("{}\n{}\n{}\n", host, all["port"], all["dbname"]);
  }
  return local ? identity + host_identity() : identity;
}

// The store through which hosts agree; nullptr if they do not.
const StoreConfig* lock_store(const Config& config) {
  std::string named = config.text("schedule_lock_store");
  if (named == "none") return nullptr;
  if (!named.empty()) return &config.store(named, config.setting("schedule_lock_store").origin);
  for (const StoreConfig& store : config.stores())
    if (store.is_bucket) return &store;
  return nullptr;
}

std::vector<std::string> command_line(const Config& config, const std::string& command) {
  // Not /proc/self: the program is started by one that sees to it that it ends with us.
  std::vector<std::string> argv = {fmt::format("/proc/{}/exe", ::getpid())};
  if (command == "anchor") argv.push_back("audit");
  argv.push_back(command);
  for (const Setting& setting : config.settings()) {
    const Option& option = *setting.option;
    if (option.commands != kEveryCommand || option.kind != OptionKind::text) continue;
    if (option.name == "config" || option.name == "source") continue;
    if (setting.origin != option.flag || setting.values.empty()) continue;
    argv.insert(argv.end(), {option.flag, setting.values.front()});
  }
  if (!config.file().empty()) argv.insert(argv.end(), {"--config", config.file()});
  argv.insert(argv.end(), {"--source", config.source_name()});
  return argv;
}

// A zone that is not there is a configuration to correct.
Zone configured_zone(const Config& config) {
  std::string name = config.text("schedule_zone");
  if (name == "UTC") return Zone::utc();
  try {
    return Zone::load(name, std::string(kZoneinfoFolder));
  } catch (const Error& error) {
    throw Error(ErrorCode::invalid, error.what(), error.hint())
        .within(config.setting("schedule_zone").origin);
  }
}

FiringClaims* add_claims(const Config& config, const Run& run, ScheduleSetup& setup) {
  const StoreConfig* store = lock_store(config);
  if (store == nullptr) return nullptr;
  std::string database;
  try {
    database = database_identity(config);
  } catch (const Error& error) {
    // The job will say so itself, and louder.
    run.log.warning(fmt::format("source {}: other hosts are not asked before its jobs run: {}",
                                config.source_name(), error.in_one_line()));
    return nullptr;
  }
  setup.lock_stores.push_back(open_store(config, store->name, run));
  setup.claims.push_back(std::make_unique<FiringClaims>(
      *setup.lock_stores.back().store, config.source_name(), database, machine_name(config)));
  return setup.claims.back().get();
}

void add_source(const Config& config, const Run& run, ScheduleSetup& setup) {
  FiringClaims* claims = nullptr;
  bool any = false;
  for (const char* job : kScheduledCommands) {
    if (!config.given(std::string("schedule_") + job)) continue;
    if (!any) claims = add_claims(config, run, setup);
    any = true;
    std::vector<std::string> argv = command_line(config, job);
    if (std::string_view(job) == "status") argv.push_back("--alert");
    setup.tasks.push_back(
        {job_plan(config, job), config.source_name(), job, std::move(argv), claims});
  }
  if (!any) return;
  setup.sources.push_back(std::make_unique<Config>(config));
  setup.status_argvs.push_back(command_line(config, "status"));
  setup.status_argvs.back().push_back("--prometheus");
  if (claims != nullptr && setup.seed.empty()) setup.seed = claims->store().location();
}

}  // namespace

JobPlan job_plan(const Config& config, const std::string& job) {
  const Setting& when = config.setting("schedule_" + job);
  CronSchedule schedule =
      with_context(when.origin, [&] { return CronSchedule::parse(when.values.front()); });
  Zone zone = configured_zone(config);
  JobPlan plan{config.source_name() + "/" + job, schedule, zone};
  plan.jitter_max = std::chrono::seconds(config.number("schedule_jitter"));
  plan.catch_up = config.text("schedule_catch_up") == "skip" ? CatchUp::skip : CatchUp::latest;
  plan.catch_up_age_max = std::chrono::seconds(config.number("schedule_catch_up_max"));
  return plan;
}

ScheduleSetup schedule_setup(const Config& config, const Run& run) {
  ScheduleSetup setup;
  for (const Config& each : configs_of_sources(config)) add_source(each, run, setup);
  if (setup.seed.empty()) setup.seed = host_identity();
  setup.state_folder = state_folder(config);
  setup.job_limit = std::chrono::seconds(config.number("schedule_job_limit"));
  std::string listen = config.text("schedule_listen");
  if (listen != "off") setup.listen = listen;
  return setup;
}

ToldScheduleEvents::ToldScheduleEvents(const std::vector<std::unique_ptr<Config>>& sources,
                                       const Run& run, std::function<void()> on_end)
    : log_(run.log), on_end_(std::move(on_end)) {
  for (const std::unique_ptr<Config>& source : sources)
    for (auto* alerts : {&alerts_, &couriers_})
      (*alerts)[source->source_name()] =
          std::make_unique<CommandAlerts>(*source, run, new_run_id());
}

void ToldScheduleEvents::missed(const ScheduledTask& task, const MissedRuns& missed) {
  log_.warning(missed_text(task.plan.name, missed));
  FailureFacts facts;
  facts.problems = missed.count;
  facts.first_missed_at = missed.first;
  facts.last_missed_at = missed.last;
  alerts_of(task).failed(IncidentKind::missed_run, task.job,
                         task.job == "backup" ? Severity::critical : Severity::warning, facts);
  told_.call();
}

// The scheduler has said how it went.
void ToldScheduleEvents::ended(const ScheduledTask& task, const JobEnd& end) {
  if (runs_.size() == kRunsKept) runs_.erase(runs_.begin());
  runs_.push_back({task.source, task.job, end});
  // What was interrupted is nobody's incident: somebody wanted it.
  bool interrupted = end.stopped || (end.exit_code == kExitInterrupted && !end.over_limit);
  if (!interrupted) {
    bool told = took_place(end) && incident_of_command(task.job);
    if (is_good(task.job, end))
      tell_good(task);
    else if (!told)
      tell_failure(task, end);
    if (took_place(end)) alerts_of(task).good(IncidentKind::missed_run, task.job);
    told_.call();
  }
  if (on_end_) on_end_();
}

void ToldScheduleEvents::tell_failure(const ScheduledTask& task, const JobEnd& end) {
  FailureFacts facts;
  facts.exit_code = end.exit_code;
  facts.code = code_of_exit(end.exit_code);
  if (auto kind = incident_of_command(task.job)) {
    alerts_of(task).failed(*kind, "", Severity::critical, facts);
    return;
  }
  // Without status nobody is told of objectives that are missed.
  bool critical = task.job == "status" || end.exit_code == kExitDamage;
  alerts_of(task).failed(IncidentKind::job, task.job,
                         critical ? Severity::critical : Severity::warning, facts);
}

void ToldScheduleEvents::tell_good(const ScheduledTask& task) {
  if (auto kind = incident_of_command(task.job))
    alerts_of(task).good(*kind, "");
  else
    alerts_of(task).good(IncidentKind::job, task.job);
  alerts_of(task).good(IncidentKind::clock, "");
  clock_told_.erase(task.source);
}

// Once for all jobs of a source: it is one clock.
void ToldScheduleEvents::clock_went_back(const ScheduledTask& task) {
  log_.warning(
      fmt::format("{}: the clock was set back by more than an hour; the schedule goes on from now",
                  task.plan.name));
  if (!clock_told_.insert(task.source).second) return;
  alerts_of(task).failed(IncidentKind::clock, "", Severity::warning, {});
  told_.call();
}

void ToldScheduleEvents::deliver() {
  if (courier_.joinable()) {
    courier_.request_stop();
    courier_.join();
  }
  for (auto& [source, alerts] : alerts_) alerts->deliver();
}

void ToldScheduleEvents::deliver_in_background() {
  courier_ = std::jthread([this](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      told_.wait(kDeliverEvery, stop);
      for (auto& [source, courier] : couriers_)
        if (!stop.stop_requested()) courier->deliver_waiting();
    }
  });
}

}  // namespace holdfast
