// Which backups are kept, and why: a pure function over what is known of them.
//
// The rules, in the order in which they speak; the first that keeps a backup gives the reason
// (docs/retention.md has them as a table):
//   held          somebody said so
//   future        its time is after now: a clock is wrong, so nothing is concluded from it
//   daily         its UTC date is at most `days` days before today's
//   monthly       it stands for its calendar month (UTC), which is at most `months` months ago: the
//                 month's first proven backup, or, if none was ever proven, its first usable one
//   last proven   the newest one whose proof succeeded
//   minimum       it is the newest proven one of one of the `dailies_min` newest days that have
//   one;
//                 days without a proven one are filled in by usable ones
//   only hope     it is not proven, and nothing newer is
//   locked        the store cannot remove it yet; then it is neither kept nor removed
// What is left goes, unless the newest backup of all is not proven: then nothing goes, because
// whatever broke it may be breaking all that follow.
//
// Times are UTC, so neither daylight saving nor the machine's zone has a say; months are the
// calendar's. Deciding twice gives the same answer. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"

namespace holdfast {

struct RetentionPolicy {
  int days = 30;
  int months = 12;
  int dailies_min = 7;
  int count_max = 0;  // 0: as many as the rules keep
};

// What counts of one backup of one database in one store.
struct RetentionFacts {
  std::string id;
  UtcTime created_at{};               // by the manifest, never by a file's date
  bool proven = false;                // the proof that counts succeeded
  bool broken = false;                // the proof that counts failed, or the manifest does not read
  std::optional<std::string> held{};  // by whom and why
  std::optional<UtcTime> locked_until{};
};

enum class RetentionAction { keep, remove, not_yet };

struct RetentionDecision {
  std::string id;
  RetentionAction action = RetentionAction::keep;
  std::string reason;  // for people: "monthly: stands for 2026-03"
};

// One decision per backup, newest first.
std::vector<RetentionDecision> decide_retention(std::vector<RetentionFacts> backups,
                                                const RetentionPolicy& policy, UtcTime now);

// Until when a backup made now will be kept by the daily or the monthly rule: the date of S3's
// Object Lock. `others` are the times of the backups there are.
UtcTime retention_date(const std::vector<UtcTime>& others, UtcTime created_at,
                       const RetentionPolicy& policy);

}  // namespace holdfast
