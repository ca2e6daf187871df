#include "audit/verify.h"

#include <gmock/gmock.h>
#include <rapidcheck.h>

#include <filesystem>

#include "audit/audit_fixture.h"
#include "audit/canonical.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

class AuditVerify : public AuditTrail {
 protected:
  // Lines with another text in one of them, each hashed and chained anew from there on.
  std::vector<std::string> forged(std::vector<std::string> all, size_t from, size_t count) {
    std::string prev;
    for (size_t i = from; i < std::min(all.size(), from + count); ++i) {
      AuditRecord record = read_audit_line(all[i]);
      if (i == from) record.event.target = "something else";
      if (i > from) record.prev = prev;
      all[i] = write_audit_line(record);
      prev = record.hash;
    }
    return all;
  }
  AuditVerdict verdict_of(const std::vector<std::string>& all, const AuditAnchors& anchors = {}) {
    set_lines(all);
    return verify(anchors);
  }
};

TEST_F(AuditVerify, SaysWhatIsThere) {
  AuditHead head = append(4);
  AuditAnchors anchors = anchored(head);
  append(2);
  AuditVerdict verdict = verify(anchors);
  EXPECT_TRUE(verdict.ok());
  EXPECT_EQ(verdict.log, head.log);
  EXPECT_EQ(verdict.lines, 7u);
  EXPECT_EQ(verdict.segments, 1u);
  EXPECT_EQ(verdict.bytes, bytes().size());
  EXPECT_EQ(verdict.first_seq, 1u);
  EXPECT_EQ(verdict.last_seq, 7u);
  EXPECT_EQ(verdict.last_time, clock_.now());
  EXPECT_EQ(verdict.head_hash, read_audit_head(folder_).hash);
  EXPECT_EQ(verdict.anchored_seq, 5u);
  EXPECT_EQ(verdict.anchors_compared, 1u);
  EXPECT_EQ(verdict.lines_not_anchored(), 2u);
}

// DESIGN, promise 3. Without anchors: none is needed for a byte.
TEST_F(AuditVerify, EveryByteCounts) {
  append(3);
  std::string whole = bytes();
  auto expect_found = [&](const std::string& damaged, const std::string& how, size_t at) {
    set_bytes(damaged);
    AuditVerdict verdict = verify();
    ASSERT_FALSE(verdict.ok()) << how << " at " << at;
    const AuditProblem& first = verdict.problems[0];
    EXPECT_EQ(first.file, audit_segment_name(1));
    auto line = static_cast<uint64_t>(
                    std::count(whole.begin(), whole.begin() + static_cast<long>(at), '\n')) +
                1;
    // A byte between two lines is of either; a broken first line is named by what follows, too.
    EXPECT_TRUE(first.line == line || first.line + 1 == line || first.line == line + 1)
        << how << " at " << at << ": " << first.text();
  };
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << (at % 8)));
    expect_found(flipped, "flipped", at);
    expect_found(std::string(whole).erase(at, 1), "removed", at);
    expect_found(std::string(whole).insert(at, 1, whole[at]), "doubled", at);
    expect_found(std::string(whole).insert(at, 1, '\n'), "line break added", at);
  }
  expect_found(whole + "x", "added", whole.size());
  expect_found(whole + "\n", "added", whole.size());
  set_bytes(whole);
  EXPECT_TRUE(verify().ok());
}

TEST_F(AuditVerify, AByteOfWhatWasSetAsideCountsToo) {
  append(2);
  set_bytes(bytes() + "{\"v\":1");
  append();
  EXPECT_EQ(problems(), "");
  std::string aside = folder_ + "/" + audit_torn_name(4);
  write_file_atomic(aside, "{\"v\":2");
  EXPECT_THAT(problems(), HasSubstr(audit_torn_name(4) + ": file: it is not what line 4"));
  std::filesystem::remove(aside);
  EXPECT_THAT(problems(), HasSubstr("it is missing; line 4"));
}

TEST_F(AuditVerify, LinesThatWereChanged) {
  AuditHead head = append(8);
  std::vector<std::string> all = lines();
  // One line, its hash right for it: the next one does not hang on it.
  AuditVerdict verdict = verdict_of(forged(all, 3, 1));
  EXPECT_THAT(verdict.problems[0].text(), HasSubstr("line 5: edit: it is not chained to the line"));
  EXPECT_EQ(verdict.problem_count, 1u);
  // The last one, or all from one on: only the anchor knows.
  for (size_t from : {3, 8}) {
    EXPECT_TRUE(verdict_of(forged(all, from, 99)).ok());
    verdict = verdict_of(forged(all, from, 99), anchored(head));
    ASSERT_EQ(verdict.problem_count, 1u);
    EXPECT_EQ(verdict.problems[0].fault, AuditFault::anchor);
    EXPECT_THAT(verdict.problems[0].text(), HasSubstr("line 9 is not what it was"));
  }
}

TEST_F(AuditVerify, LinesThatAreMissingOrMovedOrPutIn) {
  AuditHead head = append(8);
  std::vector<std::string> all = lines();
  std::vector<std::string> one = all;
  one.erase(one.begin() + 4, one.begin() + 6);
  AuditVerdict verdict = verdict_of(one, anchored(head));
  EXPECT_EQ(verdict.problem_count, 1u);
  EXPECT_THAT(verdict.problems[0].text(),
              HasSubstr("line 5: gap: lines 5 to 6 of the log are missing before it"));
  one = all;
  std::swap(one[4], one[5]);
  verdict = verdict_of(one, anchored(head));
  EXPECT_EQ(verdict.problem_count, 2u);
  EXPECT_THAT(verdict.problems[0].text(), HasSubstr("line 5: swap"));
  EXPECT_THAT(verdict.problems[1].text(), HasSubstr("line 6: swap"));
  one = all;
  one.insert(one.begin() + 4, all[2]);
  verdict = verdict_of(one, anchored(head));
  EXPECT_EQ(verdict.problem_count, 1u);
  EXPECT_THAT(verdict.problems[0].text(), HasSubstr("line 5: insertion"));
  one = all;
  one.insert(one.begin() + 4, "{}");
  verdict = verdict_of(one, anchored(head));
  EXPECT_EQ(verdict.problem_count, 1u);
  EXPECT_THAT(verdict.problems[0].text(), HasSubstr("line 5: insertion"));
}

TEST_F(AuditVerify, ACutTailIsNoticedByTheAnchor) {
  AuditHead head = append(8);
  std::vector<std::string> all = lines();
  for (size_t left = 1; left < all.size(); ++left) {
    std::vector<std::string> cut(all.begin(), all.begin() + static_cast<long>(left));
    EXPECT_TRUE(verdict_of(cut).ok());
    AuditVerdict verdict = verdict_of(cut, anchored(head));
    ASSERT_EQ(verdict.problem_count, 1u);
    EXPECT_EQ(verdict.problems[0].fault, AuditFault::cut);
    EXPECT_THAT(verdict.problems[0].what, HasSubstr("knows line 9"));
  }
  std::filesystem::remove(path());
  EXPECT_THAT(problems(anchored(head)), HasSubstr("the log: cut: there is no log"));
  EXPECT_ERROR(not_found, verify());
}

TEST_F(AuditVerify, ALogInThePlaceOfAnother) {
  AuditHead head = append(3);
  std::filesystem::remove_all(folder_);
  AuditHead other = append(5);
  EXPECT_THAT(problems(anchored(head)), HasSubstr("in the place of another"));
  AuditAnchors both = anchored(head);  // two machines that share a store
  both.anchors.push_back({other, clock_.now(), "test"});
  AuditVerdict verdict = verify(both);
  EXPECT_TRUE(verdict.ok());
  EXPECT_THAT(verdict.other_logs, testing::ElementsAre(head.log));
}

TEST_F(AuditVerify, AHeadThatIsSaidToBeOfThisLogIs) {
  AuditHead head = append(3);
  AuditAnchors anchors = anchored(head);
  anchors.anchors[0].of_this_log = true;
  EXPECT_EQ(problems(anchors), "");
  std::filesystem::remove_all(folder_);
  AuditHead other = append(5);
  anchors.anchors.push_back({other, clock_.now(), "test"});  // whoever put it there anchored it
  EXPECT_THAT(problems(anchors),
              HasSubstr("test is of log " + head.log + ", and here is log " + other.log));
  EXPECT_EQ(verify(anchors).problem_count, 1u);
}

TEST_F(AuditVerify, TheHeadIsReadWhileNobodyAppends) {
  AuditHead head = append(3);
  EXPECT_EQ(read_audit_head(folder_), head);
  std::unique_ptr<FileLock> held = lock_audit_folder(folder_);
  EXPECT_ERROR(busy, read_audit_head(folder_, std::chrono::milliseconds(20)));
}

TEST_F(AuditVerify, SegmentsThatAreMissingEmptyOrMixedUp) {
  AuditWriterOptions small;
  small.segment_bytes_max = 2500;
  AuditWriter writer(folder_, clock_, small);
  AuditHead head;
  for (int i = 0; i < 16; ++i) head = writer.append(audit_event());
  ASSERT_GE(scan_audit_folder(folder_).segments.size(), 4u);
  ASSERT_EQ(problems(anchored(head)), "");
  std::string second = bytes(2), third = bytes(3);
  set_bytes(third, 2);
  set_bytes(second, 3);
  EXPECT_THAT(problems(), HasSubstr("audit-00000002.jsonl line 1: edit: it is not what begins"));
  set_bytes(second, 2);
  set_bytes("", 3);
  EXPECT_THAT(problems(), HasSubstr("audit-00000003.jsonl: cut: it is empty"));
  std::filesystem::remove(path(3));
  EXPECT_THAT(problems(), HasSubstr("audit-00000004.jsonl: gap: 1 segment before it is missing"));
  set_bytes(third, 3);
  std::filesystem::remove(path(1));
  EXPECT_THAT(problems(),
              HasSubstr("audit-00000002.jsonl line 1: cut: the log begins with its line"));
}

// Random logs over several segments, each with one random fault.
TEST_F(AuditVerify, AnyOneFaultOfALineIsFound) {
  EXPECT_TRUE(rc::check("faults", [&] {
    std::filesystem::remove_all(folder_);
    AuditWriterOptions options;
    options.segment_bytes_max = static_cast<uint64_t>(*rc::gen::inRange(1500, 20'000));
    AuditWriter writer(folder_, clock_, options);
    AuditHead head;
    int count = *rc::gen::inRange(3, 15);
    for (int i = 0; i < count; ++i)
      head = writer.append(audit_event(*rc::gen::arbitrary<std::string>()));
    AuditAnchors anchors = anchored(head);
    RC_ASSERT(verify(anchors).ok());
    std::vector<uint64_t> segments = scan_audit_folder(folder_).segments;
    uint64_t segment = *rc::gen::elementOf(segments);
    std::vector<std::string> all = lines(segment);
    size_t at = *rc::gen::inRange<size_t>(0, all.size());
    switch (*rc::gen::inRange(0, 6)) {
      case 0:
        all = forged(all, at, 1);
        break;
      case 1:
        all.erase(all.begin() + static_cast<long>(at));
        break;
      case 2: {
        size_t other = *rc::gen::inRange<size_t>(0, all.size());
        RC_PRE(other != at);
        std::swap(all[at], all[other]);
        break;
      }
      case 3:
        all.insert(all.begin() + static_cast<long>(at),
                   all[*rc::gen::inRange<size_t>(0, all.size())]);
        break;
      case 4:
        all.resize(at);
        break;
      default:
        all[at][*rc::gen::inRange<size_t>(0, all[at].size())] ^= 4;
    }
    set_lines(all, segment);
    RC_ASSERT(!verify(anchors).ok());
  }));
}

}  // namespace
}  // namespace holdfast
