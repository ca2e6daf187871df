// For tests: a small audit trail in a temporary folder, and what damages or forges its lines.
// Helpers throw Error as what they test does. One thread.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "audit/anchor.h"
#include "audit/log_folder.h"
#include "audit/verify.h"
#include "audit/writer.h"
#include "base/clock.h"
#include "base/expect_error.h"
#include "base/file.h"
#include "base/text.h"

namespace holdfast {

inline AuditEvent audit_event(const std::string& target = "care",
                              const std::string& action = "backup.dump") {
  AuditEvent event;
  event.who = {"Care Commons", AuditActorKind::os_user, "anna", "db1", "192.0.2.7"};
  event.action = action;
  event.target = target;
  event.run = "5f0c2a9e";
  event.detail = {{"bytes", "1048576"}, {"note", "a \"quoted\" \\ text"}};
  return event;
}

class AuditTrail : public testing::Test {
 protected:
  // The lines of a segment, without line breaks.
  std::vector<std::string> lines(uint64_t segment = 1) const {
    std::vector<std::string> found = split(bytes(segment), '\n');
    found.pop_back();
    return found;
  }
  void set_lines(const std::vector<std::string>& lines, uint64_t segment = 1) const {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    set_bytes(text, segment);
  }
  std::string bytes(uint64_t segment = 1) const { return read_file(path(segment), 64 << 20); }
  void set_bytes(const std::string& text, uint64_t segment = 1) const {
    std::ofstream(path(segment), std::ios::binary | std::ios::trunc) << text;
  }
  std::string path(uint64_t segment = 1) const {
    return folder_ + "/" + audit_segment_name(segment);
  }
  AuditHead append(int count = 1) {
    AuditHead head;
    for (int i = 0; i < count; ++i) {
      clock_.advance(std::chrono::seconds(1));
      head = writer_.append(audit_event("care" + std::to_string(i)));
    }
    return head;
  }
  AuditAnchors anchored(const AuditHead& head) const {
    return {{{head, clock_.now(), "test"}}, {}};
  }
  AuditVerdict verify(const AuditAnchors& anchors = {}) const {
    return verify_audit_log(folder_, anchors);
  }
  // What was found, one problem a line; "" if all is well.
  std::string problems(const AuditAnchors& anchors = {}) const {
    std::string text;
    for (const AuditProblem& problem : verify(anchors).problems) text += problem.text() + "\n";
    return text;
  }

  TempFolder temp_{"holdfast-audit-"};
  std::string folder_ = temp_.path() + "/not/yet/there";
  ManualClock clock_{parse_rfc3339("2026-11-23T02:00:00.000Z")};
  AuditWriter writer_{folder_, clock_};
};

}  // namespace holdfast
