#include "audit/query.h"

#include <gmock/gmock.h>
#include <rapidcheck.h>

#include <filesystem>

#include "audit/audit_fixture.h"
#include "seal/sha256.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class AuditQuery : public AuditTrail {
 protected:
  // Events that differ, over several segments.
  void fill(int count) {
    AuditWriterOptions small;
    small.segment_bytes_max = 4000;
    AuditWriter writer(folder_, clock_, small);
    for (int i = 0; i < count; ++i) {
      clock_.advance(std::chrono::minutes(1));
      AuditEvent event =
          audit_event("care" + std::to_string(i), i % 3 == 0 ? "restore" : "backup.dump");
      event.who.actor = i % 2 == 0 ? "Anna" : "ben";
      event.outcome = i % 5 == 0 ? AuditOutcome::failed : AuditOutcome::ok;
      head_ = writer.append(event);
    }
  }
  std::vector<uint64_t> seqs(const AuditFilter& filter, size_t page_size) {
    std::vector<uint64_t> found;
    std::optional<AuditCursor> from;
    do {
      AuditPage page = read_audit_page(folder_, filter, page_size, from);
      EXPECT_LE(page.entries.size(), page_size);
      for (const AuditEntry& entry : page.entries) found.push_back(entry.record->seq);
      from = page.older;
      if (from) from = parse_audit_cursor(format_audit_cursor(*from));
    } while (from);
    return found;
  }
  std::string exported(std::optional<UtcTime> from, std::optional<UtcTime> to) {
    std::string text;
    proof_ = export_audit_lines(folder_, from, to, anchored(head_), clock_.now(),
                                [&](std::string_view part) { text += part; });
    return text;
  }

  AuditHead head_;
  AuditProof proof_;
};

TEST_F(AuditQuery, PagesOfAnySizeHoldEveryLineOnce) {
  fill(40);
  std::vector<uint64_t> all;
  for (uint64_t seq = head_.seq; seq > 0; --seq) all.push_back(seq);
  for (size_t size : {1, 2, 3, 7, 40, 1000}) EXPECT_EQ(seqs({}, size), all) << size;
}

TEST_F(AuditQuery, AFilterIsTheSameOnPagesAndOverAll) {
  fill(40);
  EXPECT_TRUE(rc::check("pages", [&] {
    AuditFilter filter;
    auto time = [&] { return clock_.now() - std::chrono::minutes(*rc::gen::inRange(0, 45)); };
    if (*rc::gen::arbitrary<bool>()) filter.from = time();
    if (*rc::gen::arbitrary<bool>()) filter.to = time();
    filter.action = *rc::gen::element<std::string>("", "backup", "backup.dump", "back", "restore");
    filter.actor = *rc::gen::element<std::string>("", "anna", "B");
    filter.target = *rc::gen::element<std::string>("", "care1", "CARE");
    if (*rc::gen::arbitrary<bool>()) filter.outcome = AuditOutcome::failed;
    std::vector<uint64_t> expected;
    for (uint64_t segment : scan_audit_folder(folder_).segments)
      for (const std::string& line : lines(segment))
        if (AuditRecord record = read_audit_line(line); matches(record, filter))
          expected.insert(expected.begin(), record.seq);
    RC_ASSERT(seqs(filter, *rc::gen::inRange<size_t>(1, 9)) == expected);
  }));
}

TEST_F(AuditQuery, WhatMatches) {
  fill(1);
  AuditRecord record = read_audit_line(lines().back());  // restore of care0 by Anna, failed
  EXPECT_TRUE(matches(record, {}));
  EXPECT_TRUE(matches(record, {.action = "restore"}));
  EXPECT_FALSE(matches(record, {.action = "rest"}));
  EXPECT_TRUE(matches(record, {.actor = "aNN"}));
  EXPECT_FALSE(matches(record, {.target = "care1"}));
  EXPECT_FALSE(matches(record, {.outcome = AuditOutcome::ok}));
  EXPECT_TRUE(matches(record, {.from = record.time, .to = record.time}));
  EXPECT_FALSE(matches(record, {.from = record.time + std::chrono::milliseconds(1)}));
}

// The newest page of a log must not cost its length: a segment that cannot be opened is not asked.
TEST_F(AuditQuery, APageReadsOnlyWhatItNeeds) {
  fill(40);
  std::filesystem::remove(path(1));
  std::filesystem::create_symlink("/nonexistent", path(1));
  EXPECT_EQ(read_audit_page(folder_, {}, 5).entries.size(), 5u);
  // Nor is one before the time that is asked for.
  clock_.advance(std::chrono::days(3));
  AuditFilter recent{.from = clock_.now()};
  writer_.append(audit_event());
  EXPECT_EQ(read_audit_page(folder_, recent, 50).entries.size(), 1u);
  EXPECT_THROW(read_audit_page(folder_, {}, 5000), Error);
}

TEST_F(AuditQuery, ADamagedLineIsShownAsOne) {
  fill(3);
  std::vector<std::string> all = lines();
  all[2] = "\x1b[31mnot a line";
  set_lines(all);
  AuditPage page = read_audit_page(folder_, {.action = "nothing"}, 10);
  ASSERT_EQ(page.entries.size(), 1u);
  EXPECT_FALSE(page.entries[0].record);
  EXPECT_EQ(page.entries[0].line, "?[31mnot a line");
  EXPECT_ERROR_SAYING(corrupt, "audit-00000001.jsonl line 3", exported({}, {}));
}

TEST_F(AuditQuery, AnExportIsTheLogAndItsProofHolds) {
  fill(40);
  std::string all = exported({}, {}), whole;
  for (uint64_t segment : scan_audit_folder(folder_).segments) whole += bytes(segment);
  EXPECT_EQ(all, whole);
  EXPECT_EQ(proof_.sha256, sha256_hex(as_bytes(whole)));
  EXPECT_EQ(proof_.anchors.size(), 1u);
  UtcTime begin = parse_rfc3339("2026-11-23T02:00:00.000Z");
  std::string part = exported(begin + std::chrono::minutes(10), begin + std::chrono::minutes(20));
  EXPECT_NE(whole.find(part), std::string::npos);
  EXPECT_EQ(proof_.last_time, begin + std::chrono::minutes(20));
  EXPECT_GT(proof_.first_seq, 10u);
  AuditProof proof = read_audit_proof(write_audit_proof(proof_));
  EXPECT_EQ(write_audit_proof(proof), write_audit_proof(proof_));
  std::string file = temp_.path() + "/export.jsonl";
  write_file_atomic(file, part);
  EXPECT_TRUE(verify_audit_export(file, proof).empty());
  // A head that is known otherwise counts beside the proof's own anchors.
  AuditAnchor known{{proof.log, proof.last_seq, proof.last_hash}, {}, "--head"};
  EXPECT_TRUE(verify_audit_export(file, proof, {known}).empty());
  known.head.hash[0] = known.head.hash[0] == '0' ? '1' : '0';
  EXPECT_EQ(verify_audit_export(file, proof, {known}).at(0).fault, AuditFault::anchor);
  for (size_t at = 0; at < part.size(); at += 13) {
    std::string flipped = part;
    flipped[at] ^= 1;
    std::ofstream(file) << flipped;
    EXPECT_FALSE(verify_audit_export(file, proof).empty()) << at;
    std::ofstream(file) << part.substr(0, at);
    EXPECT_FALSE(verify_audit_export(file, proof).empty()) << at;
  }
  // A line more, though it is the right one, is not what the proof is of.
  size_t end = whole.find('\n', whole.find(part) + part.size()) + 1;
  std::ofstream(file) << whole.substr(whole.find(part), end - whole.find(part));
  EXPECT_EQ(verify_audit_export(file, proof).size(), 1u);
  EXPECT_ERROR(not_found, exported(clock_.now() + std::chrono::hours(1), {}));
}

TEST_F(AuditQuery, AnExportHasNoHolesWhateverTheClockDid) {
  fill(10);
  UtcTime until = clock_.now() - std::chrono::minutes(3);
  clock_.advance(-std::chrono::minutes(8));
  fill(3);
  std::string file = temp_.path() + "/export.jsonl";
  write_file_atomic(file, exported({}, until));
  EXPECT_EQ(proof_.last_time, until);
  EXPECT_TRUE(verify_audit_export(file, proof_).empty());
}

TEST_F(AuditQuery, AProofCountsToItsLastByte) {
  fill(3);
  exported({}, {});
  std::string text = write_audit_proof(proof_);
  for (size_t at = 0; at < text.size(); ++at) {
    std::string flipped = text;
    flipped[at] ^= 2;
    EXPECT_ERROR(corrupt, read_audit_proof(flipped));
  }
}

TEST_F(AuditQuery, CsvCannotBecomeAFormula) {
  AuditEvent event = audit_event("=HYPERLINK(\"x\")", "restore");
  event.who.actor = "a,b";
  writer_.append(event);
  std::string text;
  export_audit_csv(folder_, {.action = "restore"}, [&](std::string_view part) { text += part; });
  std::vector<std::string> rows = split(text, '\n');
  ASSERT_EQ(rows.size(), 3u);  // headings, the event, the end
  EXPECT_THAT(rows[1], HasSubstr("\"a,b\""));
  EXPECT_THAT(rows[1], HasSubstr("\"'=HYPERLINK(\"\"x\"\")\",ok,"));
  EXPECT_THAT(rows[1], HasSubstr("\"bytes=1048576; note=a \"\"quoted\"\" \\ text\""));
  EXPECT_TRUE(rows[1].ends_with("\r"));
}

TEST_F(AuditQuery, WhatIsNoPlaceInALog) {
  for (const char* text : {"", "1", "1-", "-1", "1-2-3", "01-2", "x"})
    EXPECT_ERROR(invalid, parse_audit_cursor(text));
  EXPECT_ERROR(not_found, read_audit_page(folder_, {}, 5));
}

}  // namespace
}  // namespace holdfast
