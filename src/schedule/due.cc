#include "schedule/due.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace holdfast {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Just before `now`: a firing at this very instant is still to come.
constexpr milliseconds kInstant{1};

// FNV-1a, and the finaliser of splitmix64, since FNV alone hardly spreads the last bytes. Not
// against adversaries: hosts have to agree, and jobs to differ.
uint64_t mix(uint64_t hash, std::string_view text) {
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
  return hash ^ (hash >> 31);
}

class JobDecider {
 public:
  JobDecider(const ScheduledJob& job, UtcTime now, std::string_view seed)
      : plan_(job.plan), running_(job.running), now_(now), seed_(seed) {
    decision_.name = plan_.name;
    decision_.record = job.record;
  }

  JobDecision decide() {
    take_up();
    note_interrupted();
    note_clock();
    std::vector<UtcTime> open = open_firings();
    bool waits = !open.empty() && now_ < start_of(open.front());
    if (!open.empty()) settle(open, waits);
    decision_.wait_until = waits ? start_of(open.front()) : next_start();
    return std::move(decision_);
  }

 private:
  JobRecord& record() { return decision_.record; }
  UtcTime start_of(UtcTime firing) const { return start_of_firing(plan_, firing, seed_); }

  void take_up() {
    std::string schedule = plan_.schedule.to_string() + " " + plan_.zone.name();
    if (record().settled && record().schedule == schedule) return;
    record().schedule = schedule;
    record().settled = now_ - kInstant;
  }

  void note_interrupted() {
    if (running_ || !record().began || record().ended) return;
    UtcTime firing = record().started.empty() ? *record().began : record().started.back();
    decision_.missed.push_back({MissReason::interrupted, 1, firing, firing});
    record().ended = record().began;  // nobody knows when it did
  }

  void note_clock() {
    if (*record().settled - now_ <= kClockBackMax) return;
    decision_.clock_went_back = true;
    record().settled = now_ - kInstant;
  }

  bool was_started(UtcTime firing) const {
    const std::vector<UtcTime>& started = decision_.record.started;
    return std::find(started.begin(), started.end(), firing) != started.end();
  }

  // Those up to now that have not come to their end, the newest first.
  std::vector<UtcTime> open_firings() const {
    std::vector<UtcTime> open;
    UtcTime before = now_ + kInstant;
    while (open.size() <= static_cast<size_t>(kMissedCountMax)) {
      auto firing = previous_run(plan_.schedule, plan_.zone, before);
      if (!firing || *firing <= *decision_.record.settled) break;
      if (!was_started(*firing)) open.push_back(*firing);
      before = *firing;
    }
    return open;
  }

  // Whether a run was going on when one for this firing would have started.
  bool overlapped(UtcTime firing) const {
    const JobRecord& record = decision_.record;
    UtcTime start = start_of(firing);
    if (!record.began || start < *record.began) return false;
    return running_ || (record.ended && start < *record.ended && *record.ended <= now_);
  }

  // The newest one is started, waits or is missed; those before it are missed.
  void settle(const std::vector<UtcTime>& open, bool newest_waits) {
    for (size_t i = open.size(); i-- > 1;) miss(open[i], overlapped(open[i]));
    UtcTime newest = open.front();
    if (newest_waits) {
      if (open.size() > 1) record().settled = newest - kInstant;
      return;
    }
    // Not only up to this one: later ones may have been started, by a clock that was wrong, and
    // will be forgotten one day.
    record().settled = now_;
    bool late = now_ - start_of(newest) > kPunctualFor;
    bool busy = running_ || overlapped(newest);
    bool may_be_late = plan_.catch_up == CatchUp::latest && now_ - newest <= plan_.catch_up_age_max;
    if (busy || (late && !may_be_late))
      miss(newest, busy);
    else
      start(newest, late);
  }

  void start(UtcTime firing, bool late) {
    decision_.start = firing;
    decision_.late = late;
    record().began = now_;
    record().ended.reset();
    std::vector<UtcTime>& started = record().started;
    started.push_back(firing);
    if (started.size() > kStartedMax)
      started.erase(started.begin(), started.end() - static_cast<ptrdiff_t>(kStartedMax));
  }

  void miss(UtcTime firing, bool busy) {
    MissReason reason = busy ? MissReason::overlapped : MissReason::away;
    for (MissedRuns& missed : decision_.missed) {
      if (missed.reason != reason) continue;
      missed.count = std::min(missed.count + 1, kMissedCountMax);
      missed.last = firing;
      return;
    }
    decision_.missed.push_back({reason, 1, firing, firing});
  }

  std::optional<UtcTime> next_start() const {
    auto firing = next_run(plan_.schedule, plan_.zone, std::max(now_, *decision_.record.settled));
    while (firing && was_started(*firing)) firing = next_run(plan_.schedule, plan_.zone, *firing);
    return firing ? std::optional(start_of(*firing)) : std::nullopt;
  }

  const JobPlan& plan_;
  bool running_;
  UtcTime now_;
  std::string_view seed_;
  JobDecision decision_;
};

}  // namespace

std::vector<JobDecision> decide_due(std::span<const ScheduledJob> jobs, UtcTime now,
                                    std::string_view seed) {
  std::vector<JobDecision> decisions;
  for (const ScheduledJob& job : jobs) decisions.push_back(JobDecider(job, now, seed).decide());
  return decisions;
}

JobRecord with_run_ended(JobRecord record, UtcTime now) {
  record.ended = now;
  return record;
}

UtcTime start_of_firing(const JobPlan& plan, UtcTime firing, std::string_view seed) {
  if (plan.jitter_max <= seconds(0)) return firing;
  auto next = next_run(plan.schedule, plan.zone, firing);
  seconds bound = plan.jitter_max;
  if (next) bound = std::min(bound, std::chrono::floor<seconds>(*next - firing) / 2);
  uint64_t hash = mix(mix(mix(0xcbf29ce484222325, plan.name), seed),
                      fmt::format("{}", firing.time_since_epoch().count()));
  return firing + seconds(hash % (static_cast<uint64_t>(bound.count()) + 1));
}

std::string missed_text(std::string_view job, const MissedRuns& missed) {
  std::string_view why = "holdfast was not running, or the clock was set forward";
  if (missed.reason == MissReason::overlapped) why = "the run before was still going on";
  if (missed.reason == MissReason::interrupted) why = "it began and did not end";
  std::string last = format_rfc3339(missed.last);
  if (missed.count == 1) return fmt::format("{}: the run of {} was missed: {}", job, last, why);
  return fmt::format("{}: {}{} were missed, from {} to {}: {}", job,
                     missed.count >= kMissedCountMax ? "at least " : "",
                     plural(static_cast<uint64_t>(missed.count), "run"),
                     format_rfc3339(missed.first), last, why);
}

}  // namespace holdfast
