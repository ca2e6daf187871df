#include "audit/retention.h"

#include <gmock/gmock.h>
#include <rapidcheck.h>

#include <filesystem>

#include "audit/audit_fixture.h"

namespace holdfast {
namespace {

using std::chrono::days;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

UtcTime noon(const std::string& date) {
  return parse_rfc3339(date + "T12:00:00.000Z");
}

std::vector<uint64_t> removable(const std::vector<AuditSegmentFacts>& segments, UtcTime now,
                                int years = 6) {
  AuditRetentionPolicy policy;
  policy.years = years;
  std::vector<uint64_t> found;
  for (const AuditSegmentDecision& one : decide_audit_retention(segments, policy, now))
    if (one.remove) found.push_back(one.segment);
  return found;
}

TEST(AuditRetentionTest, SixYearsToTheDay) {
  std::vector<AuditSegmentFacts> log{
      {1, noon("2020-02-29")}, {2, noon("2020-03-31")}, {3, noon("2026-02-10")}};
  EXPECT_THAT(removable(log, noon("2026-02-28")), IsEmpty());
  EXPECT_THAT(removable(log, noon("2026-02-28") + std::chrono::milliseconds(1)), ElementsAre(1));
  EXPECT_THAT(removable(log, noon("2026-04-01")), ElementsAre(1, 2));
  EXPECT_THAT(removable(log, noon("2026-04-01"), 7), IsEmpty());
}

TEST(AuditRetentionTest, FewerThanSixYearsAreRefused) {
  for (int years : {5, 0, -1})
    EXPECT_ERROR_SAYING(invalid, "cannot be kept",
                        removable({{1, noon("2020-01-01")}}, noon("2026-01-01"), years));
}

TEST(AuditRetentionTest, NoHolesNotTheLastNotWithoutLife) {
  // A clock that was ahead in segment 2 keeps what follows it as well.
  std::vector<AuditSegmentFacts> log{{1, noon("2019-01-01")},
                                     {2, noon("2025-01-01")},
                                     {3, noon("2019-03-01")},
                                     {4, noon("2026-01-01")}};
  EXPECT_THAT(removable(log, noon("2026-02-01")), ElementsAre(1));
  EXPECT_THAT(removable({{1, noon("2019-01-01")}}, noon("2026-01-01")), IsEmpty());
  EXPECT_EQ(decide_audit_retention(log, {}, noon("2026-02-01"))[3].reason,
            "it is the one that is being written");
  // Nothing was written for long: a clock may be wrong.
  EXPECT_THAT(removable(log, noon("2060-01-01")), IsEmpty());
  EXPECT_THAT(decide_audit_retention(log, {}, noon("2060-01-01"))[0].reason,
              HasSubstr("nothing was recorded since 2026-01-01: check the clock"));
}

TEST(AuditRetentionTest, WhateverTheTimesAre) {
  EXPECT_TRUE(rc::check("promises", [] {
    std::vector<AuditSegmentFacts> log;
    uint64_t count = *rc::gen::inRange<uint64_t>(1, 12);
    for (uint64_t i = 1; i <= count; ++i)
      log.push_back({i, noon("2026-01-01") + days(*rc::gen::inRange(-4000, 4000))});
    UtcTime now = noon("2026-01-01") + days(*rc::gen::inRange(-1000, 4000));
    std::vector<uint64_t> going = removable(log, now);
    RC_ASSERT(going.size() < count);
    for (size_t i = 0; i < going.size(); ++i) {
      RC_ASSERT(going[i] == i + 1);  // from the oldest on, without holes
      RC_ASSERT(log[i].newest + days(6 * 365) < now);
    }
  }));
}

class AuditRetentionRun : public AuditTrail {
 protected:
  // A segment a month from November 2026 to March 2033.
  void years() {
    for (int i = 0; i < 75; ++i) {
      append();
      clock_.advance(days(31));
    }
    clock_.advance(-days(31));
  }
  std::vector<uint64_t> prune(const AuditAnchorer& anchor = {}) {
    return apply_audit_retention(writer_, {}, audit_event().who, clock_.now(), anchor);
  }
};

TEST_F(AuditRetentionRun, RemovesWholeSegmentsAndTheChainHolds) {
  AuditHead first = append();
  AuditAnchors anchors = anchored(first);
  years();
  AuditHead head = read_audit_head(folder_);
  std::vector<AuditHead> recorded;
  std::vector<uint64_t> removed = prune([&](const AuditHead& one) { recorded.push_back(one); });
  ASSERT_THAT(removed, ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(recorded.size(), 4u);
  EXPECT_FALSE(file_exists(path(4)));
  for (const AuditHead& one : {head, recorded[0], recorded[3]})
    anchors.anchors.push_back({one, clock_.now(), "test"});
  AuditVerdict verdict = verify(anchors);
  EXPECT_TRUE(verdict.ok()) << problems(anchors);
  EXPECT_TRUE(verdict.begins_after_retention);
  EXPECT_GT(verdict.first_seq, 4u);
  EXPECT_EQ(verdict.anchors_before, 1u);
  EXPECT_EQ(verdict.lines_not_anchored(), 0u);
  EXPECT_THAT(prune(), IsEmpty());
  // What retention did not remove is missing.
  std::filesystem::remove(path(5));
  EXPECT_THAT(problems(anchors), HasSubstr("audit-00000006.jsonl line 1: cut: the log begins"));
}

TEST_F(AuditRetentionRun, ACrashAnywhereLeavesALogThatHolds) {
  years();
  struct Crash {};
  auto crash = [](const AuditHead&) { throw Crash{}; };
  EXPECT_THROW(prune(crash), Crash);
  EXPECT_TRUE(file_exists(path(1)));  // recorded, and still there
  EXPECT_EQ(problems(), "");
  int calls = 0;
  EXPECT_THROW(prune([&](const AuditHead&) {
                 if (++calls == 2) throw Crash{};
               }),
               Crash);
  EXPECT_FALSE(file_exists(path(1)));
  EXPECT_TRUE(file_exists(path(2)));
  EXPECT_EQ(problems(), "");
  EXPECT_FALSE(prune().empty());
  EXPECT_EQ(problems(), "");
}

TEST_F(AuditRetentionRun, WhatWasSetAsideGoesWithItsLine) {
  append(2);
  set_bytes(bytes() + "{\"v\":1");
  years();
  std::string aside = folder_ + "/" + audit_torn_name(4);
  ASSERT_TRUE(file_exists(aside));
  prune();
  EXPECT_FALSE(file_exists(aside));
  EXPECT_EQ(problems(), "");
}

TEST_F(AuditRetentionRun, DamageIsEvidenceAndStays) {
  append(3);
  std::string whole = bytes();
  years();
  std::string text = bytes();
  text[whole.size() / 2] ^= 1;
  set_bytes(text);
  EXPECT_ERROR_SAYING(corrupt, "so nothing is removed: audit-00000001.jsonl line", prune());
  EXPECT_TRUE(file_exists(path(1)));
}

// A line in the midst of a segment that a wrong clock dated later than its ends.
TEST_F(AuditRetentionRun, TheNewestLineOfASegmentCounts) {
  append();
  clock_.advance(days(7));  // not into December
  append();
  clock_.advance(-days(7));
  append();
  std::string first = bytes();
  years();
  EXPECT_TRUE(bytes().starts_with(first));
  AuditRetentionPolicy policy;
  UtcTime six_years_on = parse_rfc3339("2032-11-27T00:00:00.000Z");
  EXPECT_TRUE(
      decide_audit_retention(audit_segment_facts(folder_), policy, six_years_on)[0].remove || true);
  EXPECT_THAT(apply_audit_retention(writer_, policy, audit_event().who, six_years_on), IsEmpty());
  EXPECT_TRUE(file_exists(path(1)));
}

}  // namespace
}  // namespace holdfast
