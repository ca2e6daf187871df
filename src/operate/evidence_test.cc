#include "operate/evidence.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"

namespace holdfast {
namespace {

UtcTime at(const std::string& text) {
  return parse_rfc3339(text);
}

class EvidenceTest : public testing::Test {
 protected:
  EvidenceTest() {
    facts_.made_at = at("2026-11-02T08:00:00.000Z");
    facts_.period = parse_period("2026-10", facts_.made_at);
    facts_.audit_years = 6;
    facts_.sslmode = "verify-full";
    AuditVerdict chain;
    chain.log = "0f";
    chain.lines = 100;
    chain.anchors_compared = 3;
    chain.anchored_seq = 90;
    facts_.chain = chain;
    for (int day = 1; day <= 31; ++day) add_backup(day);
  }

  void add_backup(int day) {
    EvidenceBackup backup;
    backup.created_at = at(fmt::format("2026-10-{:02}T02:00:00.000Z", day));
    backup.id = fmt::format("care_2026-10-{:02}T02-00-00-000Z", day);
    backup.kind = "dump";
    backup.database = "care";
    backup.sealed = backup.proof_ok = true;
    backup.proof_level = "deep";
    backup.verdict = "PASS";
    facts_.backups.push_back(backup);
  }
  void add_drill(DrillVerdict verdict, double rto = 60) {
    DrillRecord drill;
    drill.id = fmt::format("drill-{}", facts_.drills.size());
    drill.verdict = verdict;
    drill.began_at = at("2026-10-15T00:00:00.000Z") + std::chrono::hours(facts_.drills.size());
    drill.rto_seconds = rto;
    drill.rto_target_seconds = 3600;
    facts_.drills.push_back(drill);
  }
  void add_event(const std::string& time, const std::string& action, AuditOutcome outcome,
                 const std::string& run = "r", std::map<std::string, std::string> detail = {}) {
    AuditRecord record;
    record.time = at(time);
    record.event.action = action;
    record.event.outcome = outcome;
    record.event.run = run;
    record.event.who.actor = "anna";
    record.event.target = "care";
    record.event.detail = std::move(detail);
    facts_.events.push_back(record);
  }
  EvidenceRow row(const std::string& citation) const {
    EvidenceReport report = make_evidence(facts_);
    auto found = std::find_if(report.rows.begin(), report.rows.end(),
                              [&](const EvidenceRow& each) { return each.citation == citation; });
    return found == report.rows.end() ? EvidenceRow{} : *found;
  }
  std::string verdict(const std::string& citation) const {
    return std::string(evidence_verdict_name(row(citation).verdict));
  }

  EvidenceFacts facts_;
};

constexpr const char* kCopies = "164.308(a)(7)(ii)(A)";
constexpr const char* kRestore = "164.308(a)(7)(ii)(B)";
constexpr const char* kTesting = "164.308(a)(7)(ii)(D)";
constexpr const char* kEncryption = "164.312(a)(2)(iv)";
constexpr const char* kAuditControls = "164.312(b)";
constexpr const char* kIntegrity = "164.312(c)(1), (2)";
constexpr const char* kTransmission = "164.312(e)(1), (2)";

TEST(EvidencePeriods, AreMonthsQuartersYearsAndDays) {
  UtcTime now = at("2026-11-02T08:00:00.000Z");
  auto range = [&](const char* text) {
    EvidencePeriod period = parse_period(text, now);
    return format_rfc3339(period.from).substr(0, 10) + " " +
           format_rfc3339(period.to).substr(0, 10);
  };
  EXPECT_EQ(range("2026-10"), "2026-10-01 2026-11-01");
  EXPECT_EQ(range("2025-12"), "2025-12-01 2026-01-01");
  EXPECT_EQ(range("2024-02"), "2024-02-01 2024-03-01");
  EXPECT_EQ(range("2026-Q4"), "2026-10-01 2027-01-01");
  EXPECT_EQ(range("2026-Q1"), "2026-01-01 2026-04-01");
  EXPECT_EQ(range("2026"), "2026-01-01 2027-01-01");
  EXPECT_EQ(range("2026-10-05..2026-10-05"), "2026-10-05 2026-10-06");
  EXPECT_EQ(last_month(now).name, "2026-10");
  EXPECT_EQ(last_month(at("2026-01-31T00:00:00.000Z")).name, "2025-12");
  for (const char* text :
       {"", "2026-13", "2026-00", "2026-Q5", "2026-Q0", "20266", "2026-1", "2026-10-05", "x026",
        "2026-10-05..2026-10-04", "2026-02-30..2026-03-01", "2026-12", "2027", "../../etc"})
    EXPECT_THROW(parse_period(text, now), Error) << text;
}

TEST_F(EvidenceTest, WithoutADrillNothingIsSaidOfRestoring) {
  EXPECT_EQ(verdict(kRestore), "NOT MEASURED");
  EXPECT_EQ(verdict(kTesting), "GAP");
  add_drill(DrillVerdict::failed);
  EXPECT_EQ(verdict(kRestore), "GAP");
  EXPECT_EQ(verdict(kTesting), "GAP");
  add_drill(DrillVerdict::passed);
  EXPECT_EQ(verdict(kRestore), "PASS");
  EXPECT_EQ(verdict(kTesting), "PASS");
  add_drill(DrillVerdict::inconclusive);
  EXPECT_EQ(verdict(kTesting), "GAP") << "the last one counts";
  add_drill(DrillVerdict::passed, 3601);
  EXPECT_EQ(verdict(kTesting), "GAP") << "slower than the objective";
}

TEST_F(EvidenceTest, EachDayNeedsAProvenBackup) {
  EXPECT_EQ(verdict(kCopies), "PASS");
  facts_.backups[4].proof_ok = false;
  facts_.backups.erase(facts_.backups.begin() + 10);
  EvidenceReport report = make_evidence(facts_);
  EXPECT_EQ(report.days, 31);
  EXPECT_EQ(report.days_without_proof, (std::vector<std::string>{"2026-10-05", "2026-10-11"}));
  EXPECT_EQ(verdict(kCopies), "GAP");
  EXPECT_FALSE(report.ok());
  // What retention removed since is known by the trail.
  add_event("2026-10-05T02:01:00.000Z", "backup.dump", AuditOutcome::ok, "r",
            {{"proof", "deep PASS"}});
  add_event("2026-10-11T02:01:00.000Z", "backup.dump", AuditOutcome::ok, "r",
            {{"proof", "deep FAIL"}});
  EXPECT_EQ(make_evidence(facts_).days_without_proof, std::vector<std::string>{"2026-10-11"});
}

// Its first proof said PASS, and then somebody looked again; it may be gone since.
TEST_F(EvidenceTest, WhatWasFoundDamagedLaterIsNoProvenBackup) {
  EvidenceBackup gone = facts_.backups[17];
  facts_.backups.erase(facts_.backups.begin() + 17);
  add_event("2026-10-18T02:01:00.000Z", "backup.dump", AuditOutcome::ok, "a",
            {{"proof", "deep PASS"}, {"id", gone.id}});
  EXPECT_EQ(make_evidence(facts_).days_without_proof, std::vector<std::string>{});
  add_event("2026-10-18T04:00:00.000Z", "verify", AuditOutcome::failed, "b");
  facts_.events.back().event.target = gone.id;
  EXPECT_EQ(make_evidence(facts_).days_without_proof, std::vector<std::string>{"2026-10-18"});
}

TEST_F(EvidenceTest, ADayThatIsNotOverIsNotCounted) {
  facts_.made_at = at("2026-10-10T01:00:00.000Z");
  facts_.backups.resize(9);
  EXPECT_EQ(make_evidence(facts_).days, 9);
  EXPECT_EQ(verdict(kCopies), "PASS");
  facts_.made_at = facts_.period.from;
  EXPECT_EQ(verdict(kCopies), "NOT MEASURED");
}

TEST_F(EvidenceTest, EncryptionAndIntegrityAreOfEveryBackup) {
  EXPECT_EQ(verdict(kEncryption), "PASS");
  EXPECT_EQ(verdict(kIntegrity), "PASS");
  facts_.backups[3].sealed = false;
  EXPECT_EQ(verdict(kEncryption), "GAP");
  facts_.backups[3].verdict = "";
  facts_.backups[3].proof_ok = false;
  EXPECT_EQ(verdict(kIntegrity), "GAP");
  EXPECT_NE(row(kIntegrity).evidence.find("not proven"), std::string::npos);
  facts_.backups[3].damaged = true;
  EXPECT_NE(row(kIntegrity).evidence.find("proof failed of care_2026-10-04"), std::string::npos);
  facts_.backups.clear();
  EXPECT_EQ(verdict(kIntegrity), "NOT MEASURED");
  EXPECT_EQ(verdict(kEncryption), "NOT MEASURED");
  EXPECT_EQ(verdict(kCopies), "GAP");
}

TEST_F(EvidenceTest, TheTrailHasToBeThereWholeAndAnchored) {
  EXPECT_EQ(verdict(kAuditControls), "PASS");
  facts_.chain->anchors_compared = 0;
  EXPECT_EQ(verdict(kAuditControls), "GAP");
  facts_.chain->anchors_compared = 1;
  facts_.chain->problem_count = 1;
  facts_.chain->problems.push_back(
      {"audit-00000001.jsonl", 7, AuditFault::edit, "its bytes do not match"});
  EXPECT_EQ(verdict(kAuditControls), "GAP");
  EXPECT_NE(row(kAuditControls).evidence.find("line 7"), std::string::npos);
  facts_.chain.reset();
  EXPECT_EQ(verdict(kAuditControls), "GAP");
  facts_.audit_off = true;
  EXPECT_EQ(verdict(kAuditControls), "GAP");
  EXPECT_EQ(verdict("164.316(b)(2)(i)"), "GAP");
}

TEST_F(EvidenceTest, TransmissionIsAsItsWeakestWay) {
  EXPECT_EQ(verdict(kTransmission), "PASS");
  facts_.sslmode = "prefer";
  EXPECT_EQ(verdict(kTransmission), "GAP");
  facts_.source_is_local = true;
  EXPECT_EQ(verdict(kTransmission), "PASS");
  facts_.stores.push_back({"s3", "s3://b", true, false, false, ""});
  EXPECT_EQ(verdict(kTransmission), "GAP");
  facts_.stores.clear();
  facts_.sslmode = "";
  EXPECT_EQ(verdict(kTransmission), "NOT MEASURED");
}

TEST_F(EvidenceTest, FailuresAreResolvedByTheNextSuccessOfTheSame) {
  add_event("2026-10-03T02:00:00.000Z", "backup.dump", AuditOutcome::begun, "a");
  add_event("2026-10-03T02:01:00.000Z", "backup.dump", AuditOutcome::failed, "a",
            {{"error", "unavailable"}});
  add_event("2026-10-03T03:00:00.000Z", "backup.branch", AuditOutcome::ok, "b");
  add_event("2026-10-04T02:00:00.000Z", "backup.dump", AuditOutcome::begun, "c");
  add_event("2026-10-04T02:01:00.000Z", "backup.dump", AuditOutcome::ok, "c");
  add_event("2026-10-30T02:00:00.000Z", "drill", AuditOutcome::begun, "d");  // killed
  EvidenceReport report = make_evidence(facts_);
  ASSERT_EQ(report.failures.size(), 2u);
  EXPECT_EQ(report.failures[0].error, "unavailable");
  EXPECT_EQ(report.failures[0].resolved_at, at("2026-10-04T02:01:00.000Z"));
  EXPECT_EQ(report.failures[1].action, "drill");
  EXPECT_EQ(report.failures[1].outcome, "ended without a word");
  EXPECT_FALSE(report.failures[1].resolved_at);
}

TEST_F(EvidenceTest, RemovalsAndAccessesAreListed) {
  add_event("2026-10-03T02:00:00.000Z", "prune.removed", AuditOutcome::ok, "a",
            {{"store", "s3"}, {"rule", "older"}});
  add_event("2026-10-03T03:00:00.000Z", "restore", AuditOutcome::begun, "b");
  add_event("2026-10-03T03:10:00.000Z", "restore", AuditOutcome::denied, "b");
  add_event("2026-10-03T04:00:00.000Z", "list", AuditOutcome::ok, "c");
  EvidenceReport report = make_evidence(facts_);
  ASSERT_EQ(report.removals.size(), 1u);
  EXPECT_EQ(report.removals[0].rule, "older");
  ASSERT_EQ(report.accesses.size(), 1u);
  EXPECT_EQ(report.accesses[0].outcome, "denied");
}

// What names hold may end no cell and begin no element.
TEST_F(EvidenceTest, PagesSayWhatIsThereAndNothingElse) {
  facts_.organization = "<script>alert(1)</script> | `x`";
  facts_.backups[0].database = "a|b<i>";
  add_drill(DrillVerdict::passed);
  EvidenceReport report = make_evidence(facts_);
  std::string html = evidence_html(report), markdown = evidence_markdown(report),
              json = evidence_json(report);
  EXPECT_EQ(html.find("<script>"), std::string::npos);
  EXPECT_NE(html.find("&lt;script&gt;"), std::string::npos);
  EXPECT_NE(markdown.find("a\\|b\\<i\\>"), std::string::npos);
  EXPECT_NE(markdown.find("care\\_2026-10-31T02-00-00-000Z"), std::string::npos);
  for (const std::string& page : {html, json})
    EXPECT_NE(page.find("care_2026-10-31T02-00-00-000Z"), std::string::npos);
  for (const std::string& page : {html, markdown, json}) {
    EXPECT_NE(page.find("NOT MEASURED"), std::string::npos);
    EXPECT_NE(page.find("drill-0"), std::string::npos);
  }
  // Each row of a table has as many cells as its head.
  size_t bars = 0;
  for (size_t from = 0, to; (to = markdown.find('\n', from)) != std::string::npos; from = to + 1) {
    std::string line = markdown.substr(from, to - from);
    if (line.empty() || line[0] != '|') {
      bars = 0;
      continue;
    }
    size_t count = 0;
    for (size_t i = 0; i < line.size(); ++i)
      count += line[i] == '|' && (i == 0 || line[i - 1] != '\\') ? 1 : 0;
    if (bars != 0) {
      EXPECT_EQ(count, bars) << line;
    }
    bars = count;
  }
}

TEST_F(EvidenceTest, ATrailThatBeganLaterMeasuredNothingOfThePeriod) {
  facts_.chain->first_time = at("2026-11-01T10:00:00.000Z");
  EXPECT_EQ(verdict(kAuditControls), "NOT MEASURED");
  EXPECT_NE(row(kAuditControls).evidence.find("begins on 2026-11-01"), std::string::npos);
  EXPECT_EQ(verdict("164.316(b)(2)(i)"), "NOT MEASURED");
  facts_.chain->first_time = at("2026-10-20T10:00:00.000Z");
  EXPECT_EQ(verdict(kAuditControls), "PASS");
  EXPECT_NE(row(kAuditControls).evidence.find("begins on 2026-10-20"), std::string::npos);
  facts_.chain->first_time = at("2026-09-20T10:00:00.000Z");
  EXPECT_EQ(row(kAuditControls).evidence.find("begins on"), std::string::npos);
}

TEST_F(EvidenceTest, WhatIsSetNowIsSaidToBeOfNow) {
  EXPECT_EQ(verdict(kTransmission), "PASS");
  EXPECT_NE(row(kTransmission).evidence.find("as set now (2026-11-02)"), std::string::npos);
  facts_.made_at = at("2026-10-31T08:00:00.000Z");  // the period is not over: now is of it
  EXPECT_EQ(row(kTransmission).evidence.find("as set now"), std::string::npos);
  facts_.made_at = at("2026-11-02T08:00:00.000Z");
  facts_.backups.clear();
  EXPECT_EQ(verdict(kTransmission), "NOT MEASURED");
  facts_.sslmode = "prefer";
  EXPECT_EQ(verdict(kTransmission), "NOT MEASURED");
}

}  // namespace
}  // namespace holdfast
