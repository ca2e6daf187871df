#include "policy/retention.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"

namespace holdfast {
namespace {

using std::chrono::days;
using std::chrono::sys_days;
using std::chrono::year_month;
using std::chrono::year_month_day;

sys_days date_of(UtcTime time) {
  return std::chrono::floor<days>(time);
}

year_month month_of(UtcTime time) {
  year_month_day date{date_of(time)};
  return date.year() / date.month();
}

int months_between(year_month from, year_month to) {
  return static_cast<int>((to - from).count());
}

std::string text_of(sys_days day) {
  return format_date(UtcTime(day));
}

std::string text_of(year_month month) {
  return text_of(sys_days(month / 1)).substr(0, 7);
}

// What the rules need to know of the whole set, by id.
class Roles {
 public:
  // `backups` are sorted, newest first, and none is of the future.
  Roles(const std::vector<const RetentionFacts*>& backups, const RetentionPolicy& policy) {
    for (const RetentionFacts* backup : backups) {
      if (backup->proven && !last_proven_) last_proven_ = backup;
      choose_for_month(*backup);
    }
    fill_days(backups, policy.dailies_min, true);
    fill_days(backups, policy.dailies_min, false);
  }

  bool stands_for_its_month(const RetentionFacts& backup) const {
    auto found = months_.find(month_of(backup.created_at));
    return found != months_.end() && found->second == &backup;
  }
  bool is_last_proven(const RetentionFacts& backup) const { return last_proven_ == &backup; }
  bool is_of_the_minimum(const RetentionFacts& backup) const { return minimum_.count(&backup) > 0; }
  bool newer_is_proven(const RetentionFacts& backup) const {
    return last_proven_ != nullptr && last_proven_->created_at > backup.created_at;
  }

 private:
  // Called from the newest to the oldest, so that the first of the month is what stays.
  void choose_for_month(const RetentionFacts& backup) {
    if (backup.broken) return;
    const RetentionFacts*& chosen = months_[month_of(backup.created_at)];
    if (chosen == nullptr || backup.proven || !chosen->proven) chosen = &backup;
  }
  void fill_days(const std::vector<const RetentionFacts*>& backups, int count, bool proven) {
    for (const RetentionFacts* backup : backups) {
      if (days_.size() >= static_cast<size_t>(std::max(count, 0))) return;
      if (backup->broken || (proven && !backup->proven)) continue;
      if (days_.insert(date_of(backup->created_at)).second) minimum_.insert(backup);
    }
  }

  const RetentionFacts* last_proven_ = nullptr;
  std::map<year_month, const RetentionFacts*> months_;
  std::set<sys_days> days_;
  std::set<const RetentionFacts*> minimum_;
};

// Why it is kept; nothing if no rule keeps it.
std::optional<std::string> reason_to_keep(const RetentionFacts& backup, const Roles& roles,
                                          const RetentionPolicy& policy, UtcTime now) {
  if (backup.held) return "held: " + *backup.held;
  if (backup.created_at > now) return "its time is in the future: check the clocks";
  int age_days = static_cast<int>((date_of(now) - date_of(backup.created_at)).count());
  if (age_days <= policy.days)
    return age_days == 0
               ? "daily: of today"
               : fmt::format("daily: {} old, of {}", plural(static_cast<uint64_t>(age_days), "day"),
                             plural(static_cast<uint64_t>(policy.days), "day"));
  int age_months = months_between(month_of(backup.created_at), month_of(now));
  if (age_months <= policy.months && roles.stands_for_its_month(backup))
    return fmt::format("monthly: stands for {}", text_of(month_of(backup.created_at)));
  if (roles.is_last_proven(backup)) return "the last one that was proven";
  if (roles.is_of_the_minimum(backup))
    return fmt::format("minimum: one of the newest {}",
                       plural(static_cast<uint64_t>(policy.dailies_min), "day"));
  if (!backup.proven && !roles.newer_is_proven(backup)) return "nothing newer is proven";
  return std::nullopt;
}

std::string reason_to_remove(const RetentionFacts& backup, const RetentionPolicy& policy,
                             UtcTime now) {
  std::string reason =
      fmt::format("older than {}", plural(static_cast<uint64_t>(policy.days), "day"));
  if (backup.broken) return reason + ", damaged, and a newer one is proven";
  if (months_between(month_of(backup.created_at), month_of(now)) > policy.months)
    return reason + fmt::format(" and {}", plural(static_cast<uint64_t>(policy.months), "month"));
  return reason + fmt::format(", and another stands for {}", text_of(month_of(backup.created_at)));
}

// Takes from what is kept until the plan has room for the rest, the oldest first; never what one of
// the other rules keeps as well.
void make_room(const std::vector<RetentionFacts>& backups, const Roles& roles,
               const RetentionPolicy& policy, UtcTime now,
               std::vector<RetentionDecision>& decisions) {
  auto count = std::count_if(decisions.begin(), decisions.end(), [](const RetentionDecision& one) {
    return one.action != RetentionAction::remove;
  });
  for (size_t i = backups.size(); i-- > 0 && count > policy.count_max;) {
    const RetentionFacts& backup = backups[i];
    bool locked = backup.locked_until && *backup.locked_until > now;
    if (decisions[i].action != RetentionAction::keep || backup.held || locked ||
        backup.created_at > now || roles.is_last_proven(backup) || roles.is_of_the_minimum(backup))
      continue;
    decisions[i] = {backup.id, RetentionAction::remove,
                    fmt::format("there is room for {} only", policy.count_max)};
    --count;
  }
}

}  // namespace

std::vector<RetentionDecision> decide_retention(std::vector<RetentionFacts> backups,
                                                const RetentionPolicy& policy, UtcTime now) {
  std::sort(backups.begin(), backups.end(), [](const RetentionFacts& a, const RetentionFacts& b) {
    return std::pair(a.created_at, a.id) > std::pair(b.created_at, b.id);
  });
  std::vector<const RetentionFacts*> past;
  for (const RetentionFacts& backup : backups)
    if (backup.created_at <= now) past.push_back(&backup);
  Roles roles(past, policy);
  bool newest_is_proven = !past.empty() && past.front()->proven;

  std::vector<RetentionDecision> decisions;
  for (const RetentionFacts& backup : backups) {
    if (auto reason = reason_to_keep(backup, roles, policy, now))
      decisions.push_back({backup.id, RetentionAction::keep, *reason});
    else if (!newest_is_proven)
      decisions.push_back(
          {backup.id, RetentionAction::keep,
           fmt::format("nothing goes while the newest one ({}) is not proven", past.front()->id)});
    else if (backup.locked_until && *backup.locked_until > now)
      decisions.push_back({backup.id, RetentionAction::not_yet,
                           "locked until " + format_rfc3339(*backup.locked_until)});
    else
      decisions.push_back(
          {backup.id, RetentionAction::remove, reason_to_remove(backup, policy, now)});
  }
  if (policy.count_max > 0 && newest_is_proven) make_room(backups, roles, policy, now, decisions);
  return decisions;
}

UtcTime retention_date(const std::vector<UtcTime>& others, UtcTime created_at,
                       const RetentionPolicy& policy) {
  bool first_of_month = std::none_of(others.begin(), others.end(), [&](UtcTime other) {
    return month_of(other) == month_of(created_at) && other < created_at;
  });
  UtcTime daily = UtcTime(date_of(created_at) + days(policy.days + 1));
  if (!first_of_month) return daily;
  // The monthly rule lets go of it when the month after the last one that counts begins.
  year_month end = month_of(created_at) + std::chrono::months(policy.months + 1);
  return std::max(daily, UtcTime(sys_days(end / 1)));
}

}  // namespace holdfast
