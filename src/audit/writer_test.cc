#include "audit/writer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <set>
#include <thread>

#include "audit/audit_fixture.h"
#include "seal/sha256.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

class AuditWriterTest : public AuditTrail {
 protected:
  mode_t mode_of(const std::string& file) {
    struct stat info {};
    EXPECT_EQ(::stat(file.c_str(), &info), 0) << file;
    return info.st_mode & 07777;
  }
  std::vector<std::string> actions() {
    std::vector<std::string> found;
    for (uint64_t segment : scan_audit_folder(folder_).segments)
      for (const std::string& line : lines(segment))
        found.push_back(read_audit_line(line).event.action);
    return found;
  }
};

TEST_F(AuditWriterTest, TheFirstEventBeginsTheLog) {
  AuditHead head = append();
  EXPECT_EQ(head.seq, 2u);
  EXPECT_THAT(actions(), testing::ElementsAre("audit.begin", "backup.dump"));
  AuditRecord first = read_audit_line(lines()[0]), second = read_audit_line(lines()[1]);
  EXPECT_EQ(first.event.detail["log"], head.log);
  EXPECT_EQ(first.event.who.actor, "anna");
  EXPECT_EQ(second.prev, first.hash);
  EXPECT_EQ(second.hash, head.hash);
  EXPECT_EQ(second.time, clock_.now());
  EXPECT_EQ(problems(), "");
  EXPECT_EQ(mode_of(folder_), 0700u);
  EXPECT_EQ(mode_of(path()), 0600u);
}

TEST_F(AuditWriterTest, OtherLogsHaveOtherIds) {
  AuditWriter other(temp_.path() + "/other", clock_);
  EXPECT_NE(other.append(audit_event()).log, append().log);
}

TEST_F(AuditWriterTest, AMonthOrASizeBeginsASegment) {
  append(2);
  clock_.advance(std::chrono::days(8));  // December
  EXPECT_EQ(append().seq, 5u);           // after audit.segment
  EXPECT_EQ(lines(2).size(), 2u);
  clock_.advance(-std::chrono::days(20));  // a clock that is set back begins none
  append();
  EXPECT_EQ(scan_audit_folder(folder_).segments.size(), 2u);
  AuditWriterOptions small;
  small.segment_bytes_max = 3000;
  AuditWriter writer(folder_, clock_, small);
  AuditHead head;
  for (int i = 0; i < 20; ++i) head = writer.append(audit_event());
  std::vector<uint64_t> segments = scan_audit_folder(folder_).segments;
  EXPECT_GT(segments.size(), 3u);
  for (uint64_t segment : segments) {
    EXPECT_LE(bytes(segment).size(), 3000u) << segment;
    EXPECT_EQ(mode_of(path(segment)), 0600u);
  }
  EXPECT_EQ(problems(anchored(head)), "");
}

// What this process has read by system calls, in bytes.
uint64_t bytes_read_so_far() {
  std::ifstream io("/proc/self/io");
  std::string name;
  uint64_t value = 0;
  while (io >> name >> value)
    if (name == "rchar:") return value;
  return 0;
}

TEST_F(AuditWriterTest, AppendingDoesNotReadTheLog) {
  append(3);
  std::vector<std::string> all = lines();
  constexpr uint64_t kHole = 1 << 30;  // as if many lines stood there; takes no room
  set_bytes(all[0] + "\n");
  std::filesystem::resize_file(path(), kHole);
  std::ofstream(path(), std::ios::app) << "\n" << all.back() << "\n";
  AuditWriterOptions large;
  large.segment_bytes_max = 4 * kHole;
  AuditWriter writer(folder_, clock_, large);
  uint64_t before = bytes_read_so_far();
  if (before == 0) GTEST_SKIP() << "this kernel does not count what is read";
  EXPECT_EQ(writer.append(audit_event()).seq, 5u);
  EXPECT_LT(bytes_read_so_far() - before, 128u << 10);
}

TEST_F(AuditWriterTest, NobodyElseWritesTheTrailsOwnLines) {
  for (std::string_view action : {kAuditBegin, kAuditSegment, kAuditRecover, kAuditRetention})
    EXPECT_ERROR_SAYING(invalid, "only the trail itself",
                        writer_.append(audit_event("x", std::string(action))));
  writer_.append(audit_event("x", "audit.verify"));
}

// A crash can leave any part of a line.
TEST_F(AuditWriterTest, APartOfALineIsSetAsideAndRecorded) {
  append(2);
  std::string whole = bytes();
  append();
  std::string more = bytes().substr(whole.size());
  for (size_t length = 1; length < more.size() - 1; length += 7) {
    std::filesystem::remove(folder_ + "/" + audit_torn_name(4));
    set_bytes(whole + more.substr(0, length));
    EXPECT_THAT(problems(), HasSubstr("line 4: torn")) << length;
    AuditHead head = append();
    EXPECT_EQ(head.seq, 5u);
    EXPECT_EQ(problems(anchored(head)), "") << length;
    AuditRecord recovery = read_audit_line(lines()[3]);
    EXPECT_EQ(recovery.event.action, kAuditRecover);
    EXPECT_EQ(recovery.event.detail["bytes"], std::to_string(length));
    std::string aside = read_file(folder_ + "/" + recovery.event.detail["file"], 1 << 20);
    EXPECT_EQ(aside, more.substr(0, length));
    EXPECT_EQ(recovery.event.detail["sha256"], sha256_hex(as_bytes(aside)));
    EXPECT_EQ(mode_of(folder_ + "/" + audit_torn_name(4)), 0600u);
  }
}

TEST_F(AuditWriterTest, ALineThatLacksItsLineBreakGetsIt) {
  AuditHead before = append(3);
  std::string whole = bytes();
  set_bytes(whole.substr(0, whole.size() - 1));
  AuditHead head = append();
  EXPECT_EQ(head.seq, before.seq + 2);
  EXPECT_EQ(read_audit_line(lines()[4]).event.detail["completed"], std::to_string(before.seq));
  AuditAnchors anchors = anchored(before);
  anchors.anchors.push_back({head, clock_.now(), "test"});
  EXPECT_EQ(problems(anchors), "");
  EXPECT_TRUE(bytes().starts_with(whole));
}

// Every state that a crash within the recovery can leave is recovered from in turn.
TEST_F(AuditWriterTest, ARecoveryThatCrashedIsGoneOnWith) {
  append(2);
  const std::string whole = bytes(), torn = "{\"v\":1,\"seq\":4,\"ti";
  const std::string pending = folder_ + "/" + audit_pending_name(4);
  const std::string aside = folder_ + "/" + audit_torn_name(4);
  set_bytes(whole + torn);
  append();
  const std::string recovery = lines()[3] + "\n";
  struct State {
    std::string log, pending, aside_then;
  };
  for (const State& state : {State{whole + torn, torn, torn},  // copied, not yet cut off
                             State{whole, torn, torn},         // cut off, not yet recorded
                             State{whole + recovery.substr(0, 30), torn,
                                   torn + "\n" + recovery.substr(0, 30)},  // being recorded
                             State{whole + recovery, torn, torn}}) {       // not yet renamed
    std::filesystem::remove(aside);
    set_bytes(state.log);
    write_file_atomic(pending, state.pending);
    AuditHead head = append();
    EXPECT_EQ(head.seq, 5u);
    EXPECT_EQ(problems(anchored(head)), "");
    EXPECT_EQ(read_file(aside, 1 << 20), state.aside_then);
    EXPECT_FALSE(file_exists(pending));
  }
}

TEST_F(AuditWriterTest, ZerosOfAFileSystemAreSetAsideToo) {
  append(2);
  set_bytes(bytes() + std::string(100'000, '\0'));
  EXPECT_EQ(problems(anchored(append())), "");
  set_bytes(bytes() + std::string(3 << 20, '\0'));
  EXPECT_ERROR_SAYING(corrupt, "audit log: ", append());
}

TEST_F(AuditWriterTest, NothingIsAddedToADamagedLine) {
  append(3);
  std::string text = bytes();
  text[text.size() - 100] ^= 1;
  set_bytes(text);
  EXPECT_ERROR_SAYING(corrupt, "its last line is damaged", append());
  EXPECT_EQ(bytes(), text);
  set_bytes("");
  EXPECT_ERROR(corrupt, append());
}

TEST_F(AuditWriterTest, AFullDiskIsOneErrorAndLeavesTheLogWhole) {
  AuditHead before = append(3);
  std::string whole = bytes();
  auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  ::getrlimit(RLIMIT_FSIZE, &limit);
  rlimit small{whole.size() + 100, limit.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  EXPECT_ERROR_SAYING(unavailable, "audit log: write", append());
  ::setrlimit(RLIMIT_FSIZE, &limit);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(bytes(), whole);
  EXPECT_EQ(append().seq, before.seq + 1);
  EXPECT_EQ(problems(), "");
}

TEST_F(AuditWriterTest, AFolderThatIsNoneIsOneError) {
  AuditWriter writer("/proc/no/audit", clock_);
  EXPECT_THROW(writer.append(audit_event()), Error);
  write_file_atomic(temp_.path() + "/file", "x");
  AuditWriter in_a_file(temp_.path() + "/file", clock_);
  EXPECT_ERROR_SAYING(invalid, "audit log: ", in_a_file.append(audit_event()));
}

TEST_F(AuditWriterTest, ManyThreadsOneChain) {
  constexpr int kThreads = 8, kEvents = 20;
  std::vector<std::jthread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&, i] {
      AuditWriter own(folder_, clock_);
      AuditWriter& writer = i % 2 == 0 ? writer_ : own;
      for (int k = 0; k < kEvents; ++k) writer.append(audit_event(fmt::format("{}.{}", i, k)));
    });
  threads.clear();
  EXPECT_EQ(problems(), "");
  std::set<std::string> targets;
  for (const std::string& line : lines()) targets.insert(read_audit_line(line).event.target);
  EXPECT_EQ(targets.size(), kThreads * kEvents + 1u);
}

}  // namespace
}  // namespace holdfast
