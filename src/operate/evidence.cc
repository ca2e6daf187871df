#include "operate/evidence.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text.h"

namespace holdfast {
namespace {

using std::chrono::days;
using std::chrono::sys_days;
using std::chrono::year_month_day;

std::string day_text(sys_days day) {
  year_month_day date(day);
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

sys_days day_of(UtcTime time) {
  return std::chrono::floor<days>(time);
}

// So many decimal digits.
std::optional<int> digits_of(std::string_view text, size_t count) {
  if (text.size() != count) return std::nullopt;
  int value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = 10 * value + (c - '0');
  }
  return value;
}

std::optional<sys_days> day_in(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  std::optional<int> year = digits_of(text.substr(0, 4), 4),
                     month = digits_of(text.substr(5, 2), 2), day = digits_of(text.substr(8), 2);
  if (!year || !month || !day) return std::nullopt;
  year_month_day date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                      std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  return sys_days(date);
}

sys_days first_of(int year, unsigned month) {
  return sys_days(std::chrono::year(year) / std::chrono::month(month) / 1);
}

// First day, and the one after the last.
std::optional<std::pair<sys_days, sys_days>> days_in(std::string_view text) {
  if (size_t dots = text.find(".."); dots != std::string_view::npos) {
    std::optional<sys_days> from = day_in(text.substr(0, dots)),
                            last = day_in(text.substr(dots + 2));
    if (!from || !last || *last < *from) return std::nullopt;
    return std::pair(*from, *last + days(1));
  }
  std::optional<int> year = digits_of(text.substr(0, 4), 4);
  if (!year || *year < 1970) return std::nullopt;
  if (text.size() == 4) return std::pair(first_of(*year, 1), first_of(*year + 1, 1));
  if (text.size() != 7 || text[4] != '-') return std::nullopt;
  if (text[5] == 'Q') {
    std::optional<int> quarter = digits_of(text.substr(6), 1);
    if (!quarter || *quarter < 1 || *quarter > 4) return std::nullopt;
    auto month = static_cast<unsigned>(3 * *quarter - 2);
    return std::pair(first_of(*year, month),
                     *quarter == 4 ? first_of(*year + 1, 1) : first_of(*year, month + 3));
  }
  std::optional<int> month = digits_of(text.substr(5), 2);
  if (!month || *month < 1 || *month > 12) return std::nullopt;
  auto number = static_cast<unsigned>(*month);
  return std::pair(first_of(*year, number),
                   number == 12 ? first_of(*year + 1, 1) : first_of(*year, number + 1));
}

bool failed(AuditOutcome outcome) {
  return outcome == AuditOutcome::failed || outcome == AuditOutcome::partial ||
         outcome == AuditOutcome::cancelled;
}

std::string detail_of(const AuditEvent& event, const std::string& key) {
  auto found = event.detail.find(key);
  return found == event.detail.end() ? std::string() : found->second;
}

bool is_work(std::string_view action) {
  return action.starts_with("backup.") || action == "verify" || action == "drill" ||
         action == "prune" || action == "copy" || action == "restore" || action == "recover";
}

bool is_access(std::string_view action) {
  constexpr std::string_view kOthers[] = {"psql",
                                          "restore",
                                          "recover",
                                          "branch.restore",
                                          "branch.promote",
                                          "branch.url",
                                          "branch.compare",
                                          "branch.find",
                                          "api.refused",
                                          "key.create",
                                          "key.revoke",
                                          "api.role.reveal_password",
                                          "api.project.connection_uri"};
  return std::find(std::begin(kOthers), std::end(kOthers), action) != std::end(kOthers);
}

// Backups that were found damaged later on, whatever their first proof had said.
std::set<std::string> found_damaged(const EvidenceFacts& facts) {
  std::set<std::string> damaged;
  for (const EvidenceBackup& backup : facts.backups)
    if (backup.damaged || (!backup.verdict.empty() && !backup.proof_ok)) damaged.insert(backup.id);
  for (const AuditRecord& record : facts.events)
    if (record.event.action == "verify" && record.event.outcome == AuditOutcome::failed)
      damaged.insert(record.event.target);
  return damaged;
}

// Days on which a proven backup was made: what retention removed since counts as well, by the
// trail.
std::set<sys_days> proven_days(const EvidenceFacts& facts) {
  std::set<sys_days> proven;
  std::set<std::string> damaged = found_damaged(facts);
  for (const EvidenceBackup& backup : facts.backups)
    if (backup.proof_ok && damaged.count(backup.id) == 0) proven.insert(day_of(backup.created_at));
  for (const AuditRecord& record : facts.events)
    if (record.event.action.starts_with("backup.") && record.event.outcome == AuditOutcome::ok &&
        detail_of(record.event, "proof").find("PASS") != std::string::npos &&
        damaged.count(detail_of(record.event, "id")) == 0)
      proven.insert(day_of(record.time));
  return proven;
}

void find_failures(EvidenceReport& report) {
  const std::vector<AuditRecord>& events = report.facts.events;
  std::set<std::string> ended;
  for (const AuditRecord& record : events)
    if (record.event.outcome != AuditOutcome::begun)
      ended.insert(record.event.run + record.event.action);
  for (auto record = events.begin(); record != events.end(); ++record) {
    const AuditEvent& event = record->event;
    if (!is_work(event.action)) continue;
    bool killed =
        event.outcome == AuditOutcome::begun && ended.count(event.run + event.action) == 0;
    if (!killed && !failed(event.outcome)) continue;
    EvidenceFailure failure{
        record->time,
        event.action,
        event.target,
        killed ? "ended without a word" : std::string(audit_outcome_name(event.outcome)),
        detail_of(event, "error"),
        event.run,
        std::nullopt};
    auto good = std::find_if(record + 1, events.end(), [&](const AuditRecord& later) {
      return later.event.action == event.action && later.event.outcome == AuditOutcome::ok;
    });
    if (good != events.end()) failure.resolved_at = good->time;
    report.failures.push_back(std::move(failure));
  }
}

void find_removals_and_accesses(EvidenceReport& report) {
  for (const AuditRecord& record : report.facts.events) {
    const AuditEvent& event = record.event;
    if (event.action == "prune.removed")
      report.removals.push_back({record.time, event.target, detail_of(event, "store"),
                                 detail_of(event, "rule"), event.who.actor});
    else if (is_access(event.action) && event.outcome != AuditOutcome::begun)
      report.accesses.push_back({record.time, event.who.actor, event.who.address, event.action,
                                 event.target, std::string(audit_outcome_name(event.outcome))});
  }
}

}  // namespace

EvidencePeriod parse_period(const std::string& text, UtcTime now) {
  std::optional<std::pair<sys_days, sys_days>> found = days_in(text);
  if (!found)
    throw Error(
        ErrorCode::invalid, fmt::format("'{}' is no period", printable(text, 60)),
        "a month (2026-10), a quarter (2026-Q4), a year (2026), or days (2026-10-05..2026-10-11)");
  if (found->first > now)
    throw Error(ErrorCode::invalid, fmt::format("the period {} has not begun", text),
                "there is no evidence of the future");
  return {text, found->first, found->second};
}

EvidencePeriod last_month(UtcTime now) {
  year_month_day today(day_of(now));
  year_month_day before = today.year() / today.month() / 1 - std::chrono::months(1);
  return parse_period(fmt::format("{:04}-{:02}", static_cast<int>(before.year()),
                                  static_cast<unsigned>(before.month())),
                      now);
}

std::string_view evidence_verdict_name(EvidenceVerdict verdict) {
  switch (verdict) {
    case EvidenceVerdict::pass:
      return "PASS";
    case EvidenceVerdict::gap:
      return "GAP";
    case EvidenceVerdict::not_measured:
      break;
  }
  return "NOT MEASURED";
}

bool EvidenceReport::ok() const {
  return std::none_of(rows.begin(), rows.end(),
                      [](const EvidenceRow& row) { return row.verdict == EvidenceVerdict::gap; });
}

EvidenceReport make_evidence(EvidenceFacts facts) {
  EvidenceReport report;
  report.facts = std::move(facts);
  const EvidencePeriod& period = report.facts.period;
  std::set<sys_days> proven = proven_days(report.facts);
  // A day that is not over may still get its backup.
  sys_days end = std::min(day_of(period.to), day_of(report.facts.made_at));
  for (sys_days day = day_of(period.from); day < end; day += days(1)) {
    ++report.days;
    if (proven.count(day) == 0) report.days_without_proof.push_back(day_text(day));
  }
  find_failures(report);
  find_removals_and_accesses(report);
  report.rows = evidence_rows(report);
  return report;
}

}  // namespace holdfast
