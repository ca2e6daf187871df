#include "engine/housekeeping.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/core.h"

namespace holdfast {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr seconds kWatchEvery{5};      // computes: pid file and one query each
constexpr seconds kTrimEvery{600};     // reads folders
constexpr seconds kMeasureEvery{300};  // sums of sizes
constexpr seconds kRemoveAgainEvery{60};
constexpr seconds kForgetEvery{3600};
constexpr seconds kSnapshotRetry{60};     // after one that failed
constexpr size_t kOperationsKept = 2000;  // that have ended
constexpr days kGoneKept{7};

std::chrono::year_month_day clamped(std::chrono::year year, std::chrono::month month, int day) {
  std::chrono::year_month_day_last last(year, std::chrono::month_day_last(month));
  auto wanted = std::chrono::day(static_cast<unsigned>(day));
  return {year, month, std::min(wanted, last.day())};
}

}  // namespace

UtcTime last_due(const neon::ScheduleItem& item, UtcTime now) {
  using namespace std::chrono;
  if (item.frequency == "hourly") return floor<hours>(now);
  sys_days today = floor<days>(now);
  hours hour{item.hour.value_or(0)};
  year_month_day date(today);
  int day = item.day.value_or(1);
  if (item.frequency == "daily") {
    sys_time<hours> due = today + hour;
    return due <= now ? due : due - days(1);
  }
  if (item.frequency == "weekly") {
    auto wanted = weekday(static_cast<unsigned>(day % 7));  // 7: Sunday, which is 0 here
    sys_time<hours> due = today - (weekday(today) - wanted) + hour;
    return due <= now ? due : due - days(7);
  }
  if (item.frequency == "monthly") {
    sys_time<hours> due = sys_days(clamped(date.year(), date.month(), day)) + hour;
    if (due <= now) return due;
    year_month before = date.year() / date.month() - months(1);
    return sys_days(clamped(before.year(), before.month(), day)) + hour;
  }
  auto month_of_year = month(static_cast<unsigned>(item.month.value_or(1)));
  sys_time<hours> due = sys_days(clamped(date.year(), month_of_year, day)) + hour;
  return due <= now ? due : sys_days(clamped(date.year() - years(1), month_of_year, day)) + hour;
}

bool EngineCore::due(const std::string& chore, seconds every) {
  UtcTime now = clock_.now();
  auto [at, first] = done_at_.try_emplace(chore, now);
  if (!first && now - at->second < every) return false;
  at->second = now;
  return true;
}

void EngineCore::tick() {
  auto chore = [&](const char* name, seconds every, void (EngineCore::*work)()) {
    if (!due(name, every)) return;
    try {
      (this->*work)();
    } catch (const std::exception& error) {
      log_.warning(fmt::format("{}: {}", name, error.what()));
    }
  };
  chore("delete what has expired", seconds(1), &EngineCore::expire);
  chore("watch computes", kWatchEvery, &EngineCore::watch_computes);
  chore("take snapshots", seconds(1), &EngineCore::take_due_snapshots);
  chore("take scheduled snapshots", seconds(10), &EngineCore::run_schedules);
  chore("remove what deleted branches left", kRemoveAgainEvery, &EngineCore::remove_again);
  chore("measure", kMeasureEvery, &EngineCore::measure);
  chore("trim history", kTrimEvery, &EngineCore::trim_history);
  chore("forget what is old", kForgetEvery, &EngineCore::forget_old);
}

void EngineCore::expire() {
  UtcTime now = clock_.now();
  std::vector<std::string> branches, snapshots;
  {
    auto lock = state_->lock();
    for (const auto& [id, branch] : state_->tables().branches)
      if (!branch.deleted && branch.shown.expires_at && *branch.shown.expires_at <= now)
        branches.push_back(id);
    for (const auto& [id, snapshot] : state_->tables().snapshots)
      if (snapshot.shown.expires_at && *snapshot.shown.expires_at <= now) snapshots.push_back(id);
  }
  for (const std::string& id : branches) {
    try {
      delete_branch(id);
      log_.info(fmt::format("branch {} has expired", id));
    } catch (const Error& error) {
      if (due("expiry of " + id, kForgetEvery))
        log_.warning(fmt::format("branch {} has expired: {}", id, error.what()));
    }
  }
  for (const std::string& id : snapshots) {
    delete_snapshot(id);
    log_.info(fmt::format("snapshot {} has expired", id));
  }
}

void EngineCore::watch_computes() {
  std::vector<std::pair<EndpointRecord, std::string>> active;
  {
    auto lock = state_->lock();
    const Tables& tables = state_->tables();
    for (const auto& [id, endpoint] : tables.endpoints) {
      const BranchRecord* branch = tables.branch(endpoint.shown.branch_id);
      if (endpoint.deleted || endpoint.source || !branch ||
          endpoint.shown.current_state != "active" || endpoint.shown.pending_state)
        continue;
      active.emplace_back(endpoint, endpoint.shown.type == "read_only" ? id : branch->line);
    }
  }
  for (const auto& [endpoint, line] : active) watch_compute(endpoint, line);
  if (source_->managed()) watch_source();
}

// A managed source runs unless it was suspended.
void EngineCore::watch_source() {
  {
    auto lock = state_->lock();
    const BranchRecord& main = source_branch(state_->tables());
    if (!queue_->open(main.shown.id).empty()) return;
  }
  if (source_->running()) return;
  Draft draft = this->draft();
  const BranchRecord& main = source_branch(state_->tables());
  const EndpointRecord* endpoint = writer_of(state_->tables(), main.shown.id);
  if (!queue_->open(main.shown.id).empty() || endpoint->shown.current_state != "active" ||
      !due("start of the source", kSnapshotRetry))
    return;
  log_.warning("the source has ended; it is started again");
  start_operation(draft, *endpoint);
  commit(draft);
}

// One that ended by itself is started again; one that nobody has used for long is suspended.
void EngineCore::watch_compute(const EndpointRecord& endpoint, const std::string& line) {
  const std::string& id = endpoint.shown.id;
  auto compute = computes_->make(compute_settings(endpoint, line));
  ComputeState state = compute->state();
  bool running = state == ComputeState::running;
  UtcTime now = clock_.now();
  bool idle = false;
  if (running) {
    int64_t timeout = endpoint.shown.suspend_timeout_seconds;
    if (timeout == 0) timeout = settings_.suspend_timeout_seconds;
    if (timeout <= 0) return;
    ComputeActivity activity = compute->activity();
    Use& use =
        uses_.try_emplace(id, Use{endpoint.shown.started_at.value_or(now), activity.sessions})
            .first->second;
    if (endpoint.shown.started_at) use.busy_at = std::max(use.busy_at, *endpoint.shown.started_at);
    if (activity.last_activity) use.busy_at = std::max(use.busy_at, *activity.last_activity);
    // Somebody came and went since. A count that begins anew after a crash is no harm.
    if (activity.sessions != use.sessions) use.busy_at = now;
    use.sessions = activity.sessions;
    idle = now - use.busy_at > seconds(timeout);
  }
  if (running && !idle) return;
  Draft draft = this->draft();
  const EndpointRecord* current = state_->tables().endpoint(id);
  if (!current || current->shown.current_state != "active" || current->shown.pending_state ||
      !queue_->open(current->shown.branch_id).empty())
    return;
  if (running) {
    suspend_operation(draft, *current);
    uses_.erase(id);
  } else {
    // One that recovers from a crash of its own is waited for by the same operation.
    log_.warning(fmt::format("the compute of {} {}", id,
                             state == ComputeState::starting ? "recovers from a crash"
                                                             : "has ended; it is started again"));
    start_operation(draft, *current);
  }
  commit(draft);
}

// Physical ones of the source, by age; the first as soon as there is none.
void EngineCore::take_due_snapshots() {
  std::vector<SnapshotInfo> taken = storage_->snapshots();
  UtcTime now = clock_.now();
  bool wanted = taken.empty() ||
                (settings_.snapshot_interval_seconds > 0 &&
                 now - taken.back().ended_at >= seconds(settings_.snapshot_interval_seconds));
  if (!wanted) return;
  Draft draft = this->draft();
  if (!queue_->open("snapshots").empty()) return;
  const auto& operations = state_->tables().operations;
  for (auto at = operations.rbegin(); at != operations.rend(); ++at) {
    const neon::Operation& last = at->second.shown;
    if (last.action != kSnapshotAction) continue;
    if (now - last.updated_at < kSnapshotRetry && last.failed()) return;
    break;
  }
  snapshot_operation(draft, std::nullopt, "");
  commit(draft);
}

void EngineCore::run_schedules() {
  UtcTime now = clock_.now();
  std::vector<std::pair<BranchRecord, neon::ScheduleItem>> wanted;
  {
    auto lock = state_->lock();
    for (const auto& [id, branch] : state_->tables().branches)
      for (const neon::ScheduleItem& item : branch.schedule)
        if (!branch.deleted && last_due(item, now) > branch.schedule_ran_at.value_or(now))
          wanted.emplace_back(branch, item);
  }
  for (const auto& [branch, item] : wanted) {
    std::shared_lock history(history_);
    ResolvedPoint at = resolve(branch, std::nullopt, std::nullopt);
    Draft draft = this->draft();
    const BranchRecord* current = state_->tables().branch(branch.shown.id);
    if (!current || current->line != branch.line) continue;
    SnapshotRecord snapshot = pin_snapshot(*current, at);
    snapshot.shown.manual = false;
    if (item.retention_seconds) snapshot.shown.expires_at = now + seconds(*item.retention_seconds);
    if (branch.source) snapshot_operation(draft, branch.shown.id, snapshot.shown.id);
    BranchRecord ran = *current;
    ran.schedule_ran_at = now;
    draft.change.put(std::move(snapshot));
    draft.change.put(std::move(ran));
    commit(draft);
  }
}

// Sizes as they are shown; what cannot be asked now keeps its last size.
void EngineCore::measure() {
  look_at_source();
  std::vector<BranchRecord> branches;
  {
    auto lock = state_->lock();
    for (const auto& [id, branch] : state_->tables().branches)
      if (!branch.deleted) branches.push_back(branch);
  }
  for (const BranchRecord& branch : branches) {
    uint64_t bytes = 0;
    try {
      if (branch.source)
        bytes = source_->database_bytes();
      else if (auto compute = running_compute(branch))
        bytes = compute->activity().database_bytes;
    } catch (const Error& error) {
      log_.debug(fmt::format("size of {}: {}", branch.shown.name, error.what()));
    }
    if (bytes == 0) continue;
    Draft draft = this->draft();
    const BranchRecord* current = state_->tables().branch(branch.shown.id);
    if (!current || current->shown.logical_size == static_cast<int64_t>(bytes)) continue;
    BranchRecord measured = *current;
    measured.shown.logical_size = static_cast<int64_t>(bytes);
    draft.change.put(std::move(measured));
    commit(draft);
  }
}

// History that is older than the project keeps, but for what branches and snapshots need. While
// somebody is looking for a point it waits for its next turn.
void EngineCore::trim_history() {
  std::unique_lock history(history_, std::try_to_lock);
  if (!history.owns_lock()) {
    done_at_.erase("trim history");
    return;
  }
  seconds retention{0};
  {
    auto lock = state_->lock();
    retention = seconds(state_->tables().project.shown.history_retention_seconds);
  }
  storage_->trim(clock_.now() - retention, needed_points());
}

// A deleted branch whose removal failed still holds its files, and its parent with them.
void EngineCore::remove_again() {
  Draft draft = this->draft();
  for (const auto& [id, branch] : state_->tables().branches)
    if (branch.deleted && queue_->open(id).empty()) remove_operation(draft, branch);
  commit(draft);
}

void EngineCore::forget_old() {
  Draft draft = this->draft();
  const Tables& tables = state_->tables();
  size_t ended = tables.operations.size() - tables.open_operations.size();
  for (const auto& [sequence, operation] : tables.operations) {
    if (ended <= kOperationsKept) break;
    if (!operation.shown.ended()) continue;
    draft.change.erase(RecordKind::operation, operation.shown.id);
    --ended;
  }
  for (const auto& [id, gone] : tables.gone)
    if (clock_.now() - gone.at > kGoneKept && !tables.branches.contains(id) &&
        !tables.endpoints.contains(id))
      draft.change.erase(RecordKind::gone, id);
  std::erase_if(uses_, [&](const auto& entry) { return !tables.endpoint(entry.first); });
  commit(draft);
}

}  // namespace holdfast
