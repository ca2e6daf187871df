// The audit trail on a command line, for tests: writers that can be killed, and a verifier.
//
//   audit_tool append FOLDER NAME COUNT   appends events whose targets are NAME.0, NAME.1, …, and
//   says
//                                         `seq hash target` of each that is acknowledged; COUNT 0:
//                                         until it is killed
//   audit_tool verify [STORE]             answers folders from standard input, one a line:
//   problems,
//                                         one a line, then `ok|bad lines last_seq head_hash`
//   audit_tool anchor FOLDER STORE        prints the object's name and the line for alerts
//   audit_tool export FOLDER              the lines; the proof on standard error
//   audit_tool retain FOLDER NOW          the numbers of the segments that went
//
// --segment-bytes N: of a writer. STORE is a folder. Exit codes are those of holdfast.
#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "audit/anchor.h"
#include "audit/log_folder.h"
#include "audit/query.h"
#include "audit/retention.h"
#include "audit/verify.h"
#include "audit/writer.h"
#include "base/error.h"
#include "store/local_store.h"

namespace holdfast {
namespace {

AuditWho tool() {
  return {"Care Commons", AuditActorKind::service, "audit_tool", "here", "local"};
}

void append(AuditWriter& writer, const std::string& name, uint64_t count) {
  AuditEvent event;
  event.who = tool();
  event.action = "test.append";
  event.detail = {{"padding", std::string(100, 'x')}};
  for (uint64_t i = 0; count == 0 || i < count; ++i) {
    event.target = fmt::format("{}.{}", name, i);
    AuditHead head = writer.append(event);
    fmt::print("{} {} {}\n", head.seq, head.hash, event.target);
    std::fflush(stdout);
  }
}

void verify(const AuditAnchors& anchors) {
  for (std::string folder; std::getline(std::cin, folder);) {
    try {
      AuditVerdict verdict = verify_audit_log(folder, anchors);
      for (const AuditProblem& problem : verdict.problems) fmt::print("{}\n", problem.text());
      fmt::print("{} {} {} {}\n", verdict.ok() ? "ok" : "bad", verdict.lines, verdict.last_seq,
                 verdict.head_hash);
    } catch (const Error& error) {
      fmt::print("bad {}\n", error.in_one_line());
    }
    std::fflush(stdout);
  }
}

int run(std::vector<std::string> words) {
  SystemClock clock;
  AuditWriterOptions options;
  if (words.size() > 2 && words[0] == "--segment-bytes") {
    options.segment_bytes_max = std::stoull(words[1]);
    words.erase(words.begin(), words.begin() + 2);
  }
  if (words.size() == 4 && words[0] == "append") {
    AuditWriter writer(words[1], clock, options);
    append(writer, words[2], std::stoull(words[3]));
  } else if (!words.empty() && words.size() <= 2 && words[0] == "verify") {
    verify(words.size() == 1 ? AuditAnchors{} : read_audit_anchors(*make_local_store(words[1])));
  } else if (words.size() == 3 && words[0] == "anchor") {
    AuditHead head = read_audit_head(words[1]);
    fmt::print("{}\n{}\n", put_audit_anchor(*make_local_store(words[2]), head, clock.now()),
               audit_head_line(head));
  } else if (words.size() == 2 && words[0] == "export") {
    AuditProof proof = export_audit_lines(
        words[1], {}, {}, {}, clock.now(),
        [](std::string_view part) { std::fwrite(part.data(), 1, part.size(), stdout); });
    fmt::print(stderr, "{}", write_audit_proof(proof));
  } else if (words.size() == 3 && words[0] == "retain") {
    AuditWriter writer(words[1], clock, options);
    for (uint64_t segment : apply_audit_retention(writer, {}, tool(), parse_rfc3339(words[2])))
      fmt::print("{}\n", segment);
  } else {
    fmt::print(stderr, "audit_tool: wrong usage; see its source\n");
    return kExitUsage;
  }
  return kExitDone;
}

}  // namespace
}  // namespace holdfast

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // so that a limit on the size of files is an error of write
  try {
    return holdfast::run({argv + 1, argv + argc});
  } catch (const holdfast::Error& error) {
    fmt::print(stderr, "audit_tool: {}: {}\n", holdfast::error_code_name(error.code()),
               error.in_one_line());
    return holdfast::exit_code_of(error.code());
  }
}
