#include "cli/status.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "base/duration.h"
#include "base/text.h"
#include "cli/api.h"
#include "cli/backups.h"
#include "cli/branch_backups.h"
#include "cli/schedule_jobs.h"
#include "cli/source_host.h"
#include "cli/stores.h"
#include "dump/names.h"
#include "schedule/next_run.h"
#include "store/http.h"

namespace holdfast {
namespace {

constexpr std::chrono::seconds kStorePatience{30};  // then a store counts as one that hangs
constexpr std::chrono::seconds kApiPatience{10};

// A wish to stop that comes by itself after a while, or when the run is to stop.
class Patience {
 public:
  Patience(std::chrono::seconds time, const std::stop_token& run)
      : forward_(run, [this] { source_.request_stop(); }),
        timer_([this, time](const std::stop_token& over) {
          std::mutex mutex;
          std::unique_lock lock(mutex);
          std::condition_variable_any wake;
          wake.wait_for(lock, over, time, [] { return false; });
          if (!over.stop_requested()) source_.request_stop();
        }) {}
  std::stop_token token() const { return source_.get_token(); }

 private:
  std::stop_source source_;
  std::stop_callback<std::function<void()>> forward_;
  std::jthread timer_;  // ends first
};

// What one store says.
struct StoreView {
  std::vector<Backup> backups;
  std::vector<BranchBackup> branches;
  DrillRecords drills;
  std::map<std::string, UtcTime> locks;  // of ids: until when
  std::string unreachable;
};

bool is_proven(const Backup& backup) {
  return backup.manifest && backup.proof && backup.proof->ok;
}

// Of the newest proven dump, which is the one that counts.
void ask_for_lock(const OpenStore& store, StoreView& view) {
  auto newest = std::find_if(view.backups.begin(), view.backups.end(), is_proven);
  if (!store.locks_objects || newest == view.backups.end()) return;
  if (auto until = store.store->head(newest->manifest->archive_object).locked_until)
    view.locks[newest->id] = *until;
}

StoreView look_at_store(const OpenStore& store, const std::string& database) {
  StoreView view;
  try {
    // Backups that vanished with their folder (a disk that is not mounted) are not "none".
    if (!store.folder.empty() && !file_exists(store.folder))
      throw Error(ErrorCode::not_found, fmt::format("{} is not there", store.folder),
                  "mount it, or make the first backup: holdfast backup");
    view.backups = list_backups(*store.store, database);
    view.branches = list_branch_backups(*store.store, database);
    view.drills = read_drill_records(*store.store, database);
    ask_for_lock(store, view);
  } catch (const Error& error) {
    view = StoreView();
    view.unreachable = error.code() == ErrorCode::cancelled
                           ? fmt::format("no answer within {} s", kStorePatience.count())
                           : error.in_one_line();
  }
  return view;
}

std::vector<StoreView> look_at_all(const std::vector<OpenStore>& stores,
                                   const std::string& database) {
  std::vector<StoreView> views(stores.size());
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < stores.size(); ++i)
    threads.emplace_back([&, i] { views[i] = look_at_store(stores[i], database); });
  threads.clear();  // waits
  return views;
}

ProofState proof_state_of(const std::optional<Proof>& proof) {
  if (!proof) return ProofState::none;
  if (proof->ok) return ProofState::passed;
  return proof->verdict == "FAIL" ? ProofState::failed : ProofState::inconclusive;
}

BackupFacts status_facts_of(const Backup& backup) {
  BackupFacts facts;
  facts.id = backup.id;
  facts.created_at = backup.manifest ? backup.manifest->created_at : parse_backup_id(backup.id)->at;
  facts.damaged = !backup.manifest;
  facts.proof = proof_state_of(backup.proof);
  if (backup.manifest) facts.bytes = backup.manifest->stored_bytes();
  facts.held = backup.hold.has_value();
  return facts;
}

BackupFacts status_facts_of(const BranchBackup& backup) {
  BackupFacts facts;
  facts.id = backup.id;
  facts.created_at = backup.created_at();
  facts.damaged = !backup.record;
  facts.proof = proof_state_of(backup.proof);
  facts.held = backup.hold.has_value();
  return facts;
}

PlaceFacts store_place(const OpenStore& store, const StoreView& view, const Config& config) {
  PlaceFacts place;
  place.name = store.name;
  place.location = store.store->location();
  place.kind = store.folder.empty() ? PlaceKind::bucket : PlaceKind::folder;
  place.host = store.host;
  if (store.locks_objects)
    place.lock_mode = config.store(store.name, "status").text("s3_object_lock");
  place.expected = config.text("type") != "branch";
  place.unreachable = view.unreachable;
  for (const Backup& backup : view.backups) {
    place.backups.push_back(status_facts_of(backup));
    if (auto lock = view.locks.find(backup.id); lock != view.locks.end())
      place.backups.back().locked_until = lock->second;
  }
  return place;
}

std::vector<BranchBackup> branches_of(const std::vector<StoreView>& views) {
  std::map<std::string, LocatedBranch> by_id;
  for (size_t i = 0; i < views.size(); ++i)
    for (const BranchBackup& backup : views[i].branches) {
      by_id[backup.id].id = backup.id;
      by_id[backup.id].copies.push_back({i, backup});
    }
  std::vector<BranchBackup> branches;
  for (const auto& [id, located] : by_id) branches.push_back(located.backup());
  return branches;
}

// Branches by the host of the API that made them. With a leg configured, its host is there even
// without any.
std::vector<PlaceFacts> branch_places(const Config& config,
                                      const std::vector<BranchBackup>& branches) {
  std::string configured = host_of_url(config.text("neon_api_host"));
  bool leg = branch_leg_configured(config).state == BranchLegState::configured &&
             config.text("type") != "dump";
  std::map<std::string, PlaceFacts> by_host;
  if (leg) by_host[configured];
  for (const BranchBackup& branch : branches)
    by_host[branch.record ? branch.record->host : configured].backups.push_back(
        status_facts_of(branch));
  std::vector<PlaceFacts> places;
  for (auto& [host, place] : by_host) {
    place.name = place.location = place.host = host;
    place.kind = PlaceKind::api;
    place.expected = leg && host == configured;
    places.push_back(std::move(place));
  }
  return places;
}

std::vector<PolicyProblem> problems_of(const Config& config, const std::vector<OpenStore>& stores,
                                       const std::vector<StoreView>& views,
                                       const std::vector<BranchBackup>& branches, UtcTime now) {
  std::vector<StoreInventory> inventories;
  for (size_t i = 0; i < stores.size(); ++i)
    if (views[i].unreachable.empty())
      inventories.push_back({stores[i].name, views[i].backups, "", stores[i].store.get()});
  std::vector<PolicyProblem> problems;
  try {
    problems = check_policy(inventories, retention_policy(config), now);
  } catch (const Error& error) {  // a store that went away since it was listed
    problems.push_back({"stores", "could not be held against retention: " + error.in_one_line()});
  }
  // How many branches the plan has room for is the backup run's business: here the API is not
  // asked.
  for (PolicyProblem& problem :
       check_branch_policy("branches", branches,
                           branch_retention_policy(config, BranchRoom{}, branches.size()), now))
    problems.push_back(std::move(problem));
  return problems;
}

// The one database that is measured.
std::string database_of_all(const Config& config, const std::vector<StoreView>& views) {
  if (config.has_database()) return configured_database(config);
  std::set<std::string> databases;
  for (const StoreView& view : views) {
    for (const Backup& backup : view.backups)
      databases.insert(backup.manifest ? backup.manifest->database
                                       : parse_backup_id(backup.id)->database);
    for (const BranchBackup& backup : view.branches)
      if (backup.record) databases.insert(backup.record->database);
  }
  if (databases.size() > 1)
    throw Error(ErrorCode::invalid,
                fmt::format("the stores hold backups of several databases: {}",
                            printable(fmt::format("{}", fmt::join(databases, ", ")))),
                "say which is meant: DATABASE_URL, or --source of one in holdfast.toml");
  return databases.empty() ? std::string() : *databases.begin();
}

// As the API says it now; nothing where it does not.
std::optional<int64_t> history_of(const Config& config, const Run& run) {
  if (branch_leg_configured(config).state != BranchLegState::configured) return std::nullopt;
  Patience patience(kApiPatience, run.stop);
  NullLog log;
  Run bounded{run.clock, log, run.progress, patience.token()};
  try {
    ApiAccess api(config, bounded);
    return api.client().project().history_retention_seconds;
  } catch (const Error&) {
    return std::nullopt;
  }
}

void add_drill_facts(StatusFacts& facts, const std::vector<OpenStore>& stores,
                     const std::vector<StoreView>& views) {
  std::set<std::string> seen;
  for (size_t i = 0; i < views.size(); ++i) {
    for (const DrillRecord& record : views[i].drills.records)
      if (seen.insert(record.id).second) facts.drills.push_back(record);
    for (const std::string& damaged : views[i].drills.damaged)
      facts.damaged_drills.push_back(stores[i].name + ": " + damaged);
  }
}

}  // namespace

int64_t duration_seconds(const Config& config, const std::string& option) {
  const Setting& setting = config.setting(option);
  std::string text = config.text(option);
  if (auto duration = parse_duration(text)) return duration->count();
  throw Error(ErrorCode::invalid,
              fmt::format("{}: '{}' is no duration", setting.origin, printable(text, 40)),
              "write it like 45s, 90m, 4h, 1h30m or 2d");
}

ObjectiveTargets objective_targets(const Config& config) {
  ObjectiveTargets targets;
  targets.rpo_seconds = duration_seconds(config, "objectives_rpo");
  targets.rto_seconds = duration_seconds(config, "objectives_rto");
  targets.drill_every_seconds = duration_seconds(config, "objectives_drill_every");
  targets.stale_after_seconds = duration_seconds(config, "objectives_stale_after");
  targets.stale_critical_seconds = duration_seconds(config, "objectives_stale_critical");
  if (targets.stale_critical_seconds < targets.stale_after_seconds) {
    const Setting& critical = config.setting("objectives_stale_critical");
    throw Error(
        ErrorCode::invalid,
        fmt::format(
            "{}: stale_critical ({}) is below stale_after ({})",
            critical.given ? critical.origin : config.setting("objectives_stale_after").origin,
            config.text("objectives_stale_critical"), config.text("objectives_stale_after")),
        "in [objectives], what is critical comes after what is a warning: raise "
        "stale_critical, or lower stale_after");
  }
  return targets;
}

std::vector<ScheduledRun> scheduled_runs(const Config& config, UtcTime now) {
  std::vector<ScheduledRun> runs;
  for (const char* job : kScheduledCommands) {
    if (!config.given(std::string("schedule_") + job)) continue;
    JobPlan plan = job_plan(config, job);
    runs.push_back({job, plan.schedule.to_string(), next_run(plan.schedule, plan.zone, now)});
  }
  return runs;
}

StatusFacts gather_status(const Config& config, const Run& run) {
  StatusFacts facts;
  facts.source = config.source_name();
  facts.targets = objective_targets(config);
  facts.retention = retention_policy(config);
  facts.schedule = scheduled_runs(config, run.clock.now());
  facts.source_host = source_hosts(config);

  std::vector<StoreView> views;
  Patience patience(kStorePatience, run.stop);
  Run bounded{run.clock, run.log, run.progress, patience.token()};
  std::vector<OpenStore> stores = open_stores(config, bounded);
  {
    std::jthread api([&] { facts.history_seconds = history_of(config, run); });
    views = look_at_all(stores, configured_database(config));
  }
  run.check_stop();
  facts.database = database_of_all(config, views);
  facts.now = run.clock.now();
  for (size_t i = 0; i < stores.size(); ++i)
    facts.places.push_back(store_place(stores[i], views[i], config));
  std::vector<BranchBackup> branches = branches_of(views);
  // Where no store answers, nothing is known of branches either.
  if (std::any_of(views.begin(), views.end(),
                  [](const StoreView& view) { return view.unreachable.empty(); }))
    for (PlaceFacts& place : branch_places(config, branches))
      facts.places.push_back(std::move(place));
  add_drill_facts(facts, stores, views);
  facts.policy = problems_of(config, stores, views, branches, facts.now);
  return facts;
}

StatusReport measure_status(const Config& config, const Run& run) {
  return measure_objectives(gather_status(config, run));
}

}  // namespace holdfast
