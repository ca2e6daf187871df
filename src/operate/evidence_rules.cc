// What each rule of the Security Rule (45 CFR 164.308 to 164.316) that concerns backups makes of
// the evidence. A row is PASS only by something that was measured in the period, GAP by something
// that was measured to be missing, and NOT MEASURED otherwise: what an organization has written
// down is for people to show.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "operate/evidence.h"

namespace holdfast {
namespace {

constexpr size_t kNamesShown = 5;

struct Finding164 {
  EvidenceVerdict verdict;
  std::string evidence;
};

Finding164 pass(std::string evidence) {
  return {EvidenceVerdict::pass, std::move(evidence)};
}
Finding164 gap(std::string evidence) {
  return {EvidenceVerdict::gap, std::move(evidence)};
}
Finding164 not_measured(std::string evidence) {
  return {EvidenceVerdict::not_measured, std::move(evidence)};
}

// What rests on a setting is known of today only: of a period that is over it is said when it was
// looked at, and if nothing of that period was seen it is no evidence for it.
Finding164 by_settings(const EvidenceReport& report, Finding164 found) {
  const EvidenceFacts& facts = report.facts;
  if (found.verdict == EvidenceVerdict::not_measured || facts.period.to > facts.made_at)
    return found;
  if (facts.backups.empty() && facts.drills.empty() && facts.events.empty())
    return not_measured("nothing of the period was seen, and how it is set now says nothing of it");
  found.evidence += fmt::format("; as set now ({})", format_date(facts.made_at));
  return found;
}

// Where the trail begins after the period does: "" if it covers all of it.
std::string trail_begins_late(const EvidenceFacts& facts) {
  if (facts.chain->lines == 0 || facts.chain->first_time <= facts.period.from) return {};
  return fmt::format(
      "the trail begins on {}{}", format_date(facts.chain->first_time),
      facts.chain->begins_after_retention ? ", after what was older was removed" : "");
}

std::string named(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kNamesShown); ++i)
    text += (i == 0 ? "" : ", ") + printable(names[i]);
  return names.size() > kNamesShown
             ? fmt::format("{} and {} more", text, names.size() - kNamesShown)
             : text;
}

// "3 dumps were"
std::string counted(size_t count, const char* noun, const char* one, const char* many) {
  return plural(count, noun) + (count == 1 ? one : many);
}

std::vector<const DrillRecord*> drills_with(const EvidenceReport& report, DrillVerdict verdict) {
  std::vector<const DrillRecord*> found;
  for (const DrillRecord& drill : report.facts.drills)
    if (drill.verdict == verdict) found.push_back(&drill);
  return found;
}

Finding164 exact_copies(const EvidenceReport& report) {
  if (report.days == 0) return not_measured("no day of the period is over");
  auto whole = static_cast<size_t>(report.days) - report.days_without_proof.size();
  std::string said = fmt::format("a backup was made and proven, every row compared, on {} of {}",
                                 whole, plural(static_cast<uint64_t>(report.days), "day"));
  if (report.days_without_proof.empty()) return pass(said);
  return gap(said + "; none on " + named(report.days_without_proof));
}

Finding164 restore_procedures(const EvidenceReport& report) {
  size_t passed = drills_with(report, DrillVerdict::passed).size();
  if (passed > 0)
    return pass(fmt::format(
        "{} a backup by Holdfast's documented procedure and compared it",
        passed == 1 ? "a drill restored" : fmt::format("{} drills each restored", passed)));
  if (!report.facts.drills.empty()) return gap("no drill of the period brought a backup back");
  return not_measured("no drill in the period; the procedures are in docs/recovery.md");
}

Finding164 testing(const EvidenceReport& report) {
  if (report.facts.drills.empty()) return gap("no recovery was rehearsed in the period");
  size_t passed = drills_with(report, DrillVerdict::passed).size();
  std::string said =
      fmt::format("{}, {} passed", plural(report.facts.drills.size(), "drill"), passed);
  auto newest = std::max_element(
      report.facts.drills.begin(), report.facts.drills.end(),
      [](const DrillRecord& a, const DrillRecord& b) { return a.began_at < b.began_at; });
  if (newest->verdict != DrillVerdict::passed)
    return gap(fmt::format("{}; the last one, {}, {}", said, newest->id,
                           drill_verdict_name(newest->verdict)));
  if (!newest->within_rto())
    return gap(fmt::format("{}; the last one took {} where {} are the objective", said,
                           human_seconds(newest->rto_seconds),
                           human_seconds(static_cast<double>(*newest->rto_target_seconds))));
  return pass(fmt::format("{}; the last one, {}, had the data back in {}", said, newest->id,
                          human_seconds(newest->rto_seconds)));
}

Finding164 criticality(const EvidenceReport& report) {
  if (report.facts.critical_tables.empty())
    return not_measured("no critical tables are named ([drill] critical_tables)");
  return by_settings(
      report, pass(fmt::format("{} named critical, and counted by each drill: {}",
                               counted(report.facts.critical_tables.size(), "table", " is", " are"),
                               named(report.facts.critical_tables))));
}

Finding164 review(const EvidenceReport& report) {
  std::vector<std::string> reviews;
  for (const AuditRecord& record : report.facts.events)
    if ((record.event.action == "audit.export" || record.event.action == "audit.verify" ||
         record.event.action == "report") &&
        record.event.outcome == AuditOutcome::ok)
      reviews.push_back(fmt::format("{} by {} on {}", record.event.action, record.event.who.actor,
                                    format_date(record.time)));
  if (reviews.empty())
    return not_measured(
        "the trail shows no export and no report in the period; who reads it otherwise signs "
        "below");
  return pass(named(reviews));
}

Finding164 copies_before_moves(const EvidenceReport& report) {
  size_t held =
      static_cast<size_t>(std::count_if(report.facts.backups.begin(), report.facts.backups.end(),
                                        [](const EvidenceBackup& backup) { return backup.held; }));
  if (held == 0) return not_measured("no backup of the period is held");
  return pass(fmt::format("{} held from removal", counted(held, "backup", " is", " are")));
}

Finding164 encryption(const EvidenceReport& report) {
  size_t dumps = 0, open = 0;
  for (const EvidenceBackup& backup : report.facts.backups)
    if (backup.kind == "dump") {
      ++dumps;
      open += backup.sealed ? 0 : 1;
    }
  if (dumps == 0) return not_measured("the stores hold no dump of the period");
  if (open == 0)
    return pass(fmt::format("{} encrypted before leaving this machine (OpenPGP)",
                            counted(dumps, "dump", " was", " were")));
  return gap(fmt::format(
      "{} of {} not encrypted by Holdfast; what disks and buckets do by themselves was not "
      "measured",
      open, counted(dumps, "dump", " is", " are")));
}

Finding164 audit_controls(const EvidenceReport& report) {
  const EvidenceFacts& facts = report.facts;
  if (facts.audit_off)
    return by_settings(report, gap("the audit trail is switched off (audit.mode)"));
  if (!facts.chain)
    return gap("there is no audit trail" +
               (facts.chain_error.empty() ? "" : ": " + facts.chain_error));
  if (!facts.chain->ok())
    return gap(fmt::format("the trail is damaged: {}", facts.chain->problems.front().text()));
  std::string late = trail_begins_late(facts);
  if (!late.empty() && facts.chain->first_time >= facts.period.to)
    return not_measured(late + ": nothing was recorded that is of the period");
  std::string said = fmt::format("{} chained and verified, {} of them in the period",
                                 plural(facts.chain->lines, "event"), facts.events.size());
  if (!late.empty()) said += fmt::format("; {}: the days before were not measured", late);
  if (facts.chain->anchors_compared == 0)
    return gap(said +
               "; no anchor: that lines were cut off its end would not be noticed (holdfast audit "
               "anchor)");
  return pass(fmt::format("{}; {} agree, up to line {}", said,
                          plural(facts.chain->anchors_compared, "anchor"),
                          facts.chain->anchored_seq));
}

Finding164 integrity(const EvidenceReport& report) {
  std::vector<std::string> bad, unproven;
  for (const EvidenceBackup& backup : report.facts.backups) {
    if (backup.damaged || (!backup.verdict.empty() && !backup.proof_ok))
      bad.push_back(backup.id);
    else if (backup.verdict.empty())
      unproven.push_back(backup.id);
  }
  if (report.facts.backups.empty()) return not_measured("the stores hold no backup of the period");
  if (!bad.empty()) return gap("the proof failed of " + named(bad));
  if (!unproven.empty()) return gap("not proven: " + named(unproven));
  return pass(
      fmt::format("{} compared with the manifest by SHA-256 and the checksum of every table",
                  counted(report.facts.backups.size(), "backup", " was", " were")));
}

Finding164 identity(const EvidenceReport& report) {
  std::map<std::string, size_t> kinds;
  size_t nobody = 0;
  for (const AuditRecord& record : report.facts.events) {
    ++kinds[std::string(audit_actor_kind_name(record.event.who.kind))];
    nobody += record.event.who.actor.empty() ? 1 : 0;
  }
  if (report.facts.events.empty()) return not_measured("the trail has no event of the period");
  if (nobody > 0) return gap(plural(nobody, "event") + " without an actor");
  std::vector<std::string> by_kind;
  for (const auto& [kind, count] : kinds) by_kind.push_back(fmt::format("{} by {}", count, kind));
  return pass("each event names who did it: " + named(by_kind));
}

Finding164 transmission(const EvidenceReport& report) {
  std::vector<std::string> open;
  for (const EvidenceStore& store : report.facts.stores)
    if (!store.encrypted_way)
      open.push_back(fmt::format("store {} is reached without TLS", store.name));
  const std::string& mode = report.facts.sslmode;
  bool checked = mode == "verify-full" || mode == "verify-ca";
  if (!mode.empty() && !checked && !report.facts.source_is_local)
    open.push_back(fmt::format(
        "the source is reached with sslmode={}, which does not check whom it talks to", mode));
  if (!open.empty()) return by_settings(report, gap(named(open)));
  if (mode.empty()) return not_measured("no source is configured here");
  return by_settings(
      report, pass(report.facts.source_is_local
                       ? "the source is this machine; stores are reached by TLS or are this machine"
                       : fmt::format("the source by TLS (sslmode={}), stores by TLS", mode)));
}

Finding164 documentation(const EvidenceReport& report) {
  const EvidenceFacts& facts = report.facts;
  if (facts.audit_off || !facts.chain) return gap("there is no audit trail to keep");
  if (std::string late = trail_begins_late(facts);
      !late.empty() && facts.chain->first_time >= facts.period.to)
    return not_measured(late + ": none of the period is kept");
  if (facts.audit_years < 6)
    return by_settings(report,
                       gap(fmt::format("the trail is kept for {} years only", facts.audit_years)));
  return by_settings(
      report, pass(fmt::format("the trail is kept for {} years and begins {}", facts.audit_years,
                               facts.chain->begins_after_retention
                                   ? "after what was older was removed, which it records"
                                   : "on " + format_date(facts.chain->first_time))));
}

}  // namespace

std::vector<EvidenceRow> evidence_rows(const EvidenceReport& report) {
  std::vector<EvidenceRow> rows;
  auto add = [&](const char* citation, bool required, const char* requirement, Finding164 found) {
    rows.push_back({citation, required, requirement, found.verdict, std::move(found.evidence)});
  };
  add("164.308(a)(1)(ii)(D)", true, "review records of system activity", review(report));
  add("164.308(a)(7)(i)", true, "a contingency plan",
      not_measured("a document of the organization; this report is evidence for it"));
  add("164.308(a)(7)(ii)(A)", true, "retrievable exact copies", exact_copies(report));
  add("164.308(a)(7)(ii)(B)", true, "procedures to restore any loss of data",
      restore_procedures(report));
  add("164.308(a)(7)(ii)(C)", true, "emergency mode operation",
      not_measured("a document of the organization; accesses and recoveries are listed below"));
  add("164.308(a)(7)(ii)(D)", false, "periodic testing of the plan", testing(report));
  add("164.308(a)(7)(ii)(E)", false, "criticality of applications and data", criticality(report));
  add("164.310(d)(2)(iv)", false, "an exact copy before equipment is moved",
      copies_before_moves(report));
  add("164.312(a)(2)(iv)", false, "encryption at rest", encryption(report));
  add("164.312(b)", true, "audit controls", audit_controls(report));
  add("164.312(c)(1), (2)", true, "integrity, and its authentication", integrity(report));
  add("164.312(d)", true, "authentication of persons and entities", identity(report));
  add("164.312(e)(1), (2)", true, "security of transmission", transmission(report));
  add("164.316(b)(2)(i)", true, "documentation kept for six years", documentation(report));
  return rows;
}

}  // namespace holdfast
