#include "audit/retention.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "audit/chain_checker.h"
#include "audit/log_folder.h"
#include "base/error.h"
#include "base/text.h"

namespace holdfast {
namespace {

using std::chrono::days;
using std::chrono::year_month_day;

// Reads a whole segment: it must be sound, and what follows it must hang on it.
AuditRemoval read_whole_segment(const std::string& folder, uint64_t segment) {
  std::string name = audit_segment_name(segment);
  AuditRemoval removal;
  removal.segment = segment;
  AuditChainChecker checker([&](const AuditRecord& record) {
    if (removal.first_seq == 0) removal.first_seq = record.seq;
    removal.last_seq = record.seq;
    removal.last_hash = record.hash;
    removal.last_time = std::max(removal.last_time, record.time);
  });
  AuditRecord opening = read_audit_opening(folder, segment).record;
  checker.begin_at(opening.seq, opening.prev);
  checker.begin_file(name, segment);
  AuditLineReader reader(folder + "/" + name, std::numeric_limits<uint64_t>::max());
  while (reader.next() && checker.problems().empty()) {
    if (reader.finished())
      checker.line(reader.number(), reader.line());
    else
      checker.torn_line(reader.number(), reader.line().size());
  }
  AuditRecord next = read_audit_opening(folder, segment + 1).record;
  std::string what;
  if (!checker.problems().empty())
    what = checker.problems().front().text();
  else if (next.seq != removal.last_seq + 1 || next.prev != removal.last_hash)
    what = fmt::format("{} is not chained to {}", audit_segment_name(segment + 1), name);
  if (!what.empty())
    throw Error(ErrorCode::corrupt, "the audit log is damaged, so nothing is removed: " + what,
                "see what else is wrong with: holdfast audit verify");
  return removal;
}

void remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) throw system_error("remove " + path, errno);
}

void remove_segment(const std::string& folder, const AuditRemoval& removal) {
  remove_file(folder + "/" + audit_segment_name(removal.segment));
  for (uint64_t seq : scan_audit_folder(folder).torn)
    if (seq >= removal.first_seq && seq <= removal.last_seq)
      remove_file(folder + "/" + audit_torn_name(seq));
  fsync_folder(folder);
}

}  // namespace

// The same day and time so many years later; 28 February for a 29 February that is none.
UtcTime audit_kept_until(UtcTime time, const AuditRetentionPolicy& policy) {
  auto day = std::chrono::floor<days>(time);
  year_month_day date = year_month_day(day) + std::chrono::years(policy.years);
  if (!date.ok()) date = date.year() / date.month() / std::chrono::last;
  return std::chrono::sys_days(date) + (time - day);
}

std::vector<AuditSegmentDecision> decide_audit_retention(
    const std::vector<AuditSegmentFacts>& segments, const AuditRetentionPolicy& policy,
    UtcTime now) {
  if (policy.years < kAuditYearsMin)
    throw Error(
        ErrorCode::invalid,
        fmt::format("an audit log cannot be kept for {} only",
                    plural(static_cast<uint64_t>(std::max(policy.years, 0)), "year")),
        fmt::format("the law asks for {} at least (45 CFR 164.316(b)(2)(i))", kAuditYearsMin));
  UtcTime newest{};
  for (const AuditSegmentFacts& one : segments) newest = std::max(newest, one.newest);

  std::vector<AuditSegmentDecision> decisions;
  bool before_went = true;  // all older ones
  for (const AuditSegmentFacts& one : segments) {
    AuditSegmentDecision decision{one.segment, false, ""};
    bool old = audit_kept_until(one.newest, policy) < now;
    std::string age = fmt::format("its newest line is of {}", format_date(one.newest));
    if (one.segment == segments.back().segment)
      decision.reason = "it is the one that is being written";
    else if (!old)
      decision.reason = fmt::format("{}: kept for {} years", age, policy.years);
    else if (!before_went)
      decision.reason = "an older one is kept, and the chain has no holes";
    else if (now - newest > policy.silence_max)
      decision.reason =
          fmt::format("nothing was recorded since {}: check the clock", format_date(newest));
    else
      decision = {one.segment, true, fmt::format("{}, more than {} years ago", age, policy.years)};
    before_went = before_went && decision.remove;
    decisions.push_back(std::move(decision));
  }
  return decisions;
}

std::vector<AuditSegmentFacts> audit_segment_facts(const std::string& folder) {
  std::vector<AuditSegmentFacts> facts;
  for (uint64_t segment : scan_audit_folder(folder).segments)
    facts.push_back({segment, std::max(read_audit_opening(folder, segment).record.time,
                                       read_audit_tail(folder, segment).last.time)});
  if (facts.empty())
    throw Error(ErrorCode::not_found, fmt::format("there is no audit log in {}", folder),
                "name its folder; the first operation that is recorded makes it");
  return facts;
}

std::vector<uint64_t> apply_audit_retention(AuditWriter& writer, const AuditRetentionPolicy& policy,
                                            const AuditWho& who, UtcTime now,
                                            const AuditAnchorer& anchor) {
  std::vector<uint64_t> removed;
  const std::string& folder = writer.folder();
  for (const AuditSegmentDecision& decision :
       decide_audit_retention(audit_segment_facts(folder), policy, now)) {
    if (!decision.remove) break;
    AuditRemoval removal = read_whole_segment(folder, decision.segment);
    // A line in its midst may be newer than its ends: the clock was set.
    if (audit_kept_until(removal.last_time, policy) >= now) break;
    AuditHead head = writer.append_removal(removal, who);
    if (anchor) anchor(head);
    remove_segment(folder, removal);
    removed.push_back(decision.segment);
  }
  return removed;
}

}  // namespace holdfast
