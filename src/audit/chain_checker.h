// Holds the lines of an audit trail to their chain, one after another, and names what is wrong.
//
// It is handed lines in the order in which they stand, and says of each departure where it is and
// what it looks like: a line that was changed, taken out, put in, or moved. A line that is sound in
// itself but in the wrong place does not disturb what follows, so that one fault is one or two
// problems, not thousands. Memory is bounded: problems beyond kAuditProblemsMax are only counted.
// Bad lines are problems; an Error is not thrown. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/record.h"

namespace holdfast {

enum class AuditFault {
  edit,       // a line's bytes were changed
  gap,        // lines are missing
  insertion,  // a line was put in
  swap,       // lines stand in the wrong order
  cut,        // the log ends, or begins, where it should not
  torn,       // the last line is not finished: a crash, or a cut within it
  anchor,     // the log is not what it was when it was anchored
  file,       // a file beside the segments is missing or changed
};
std::string_view audit_fault_name(AuditFault fault);

struct AuditProblem {
  std::string file;   // empty: of the log as a whole
  uint64_t line = 0;  // in the file, from 1; 0: of the file as a whole
  AuditFault fault = AuditFault::edit;
  std::string what;

  std::string text() const;  // "audit-00000001.jsonl line 7: edit: its bytes do not match …"
};

constexpr size_t kAuditProblemsMax = 100;

class AuditChainChecker {
 public:
  // Called with each line that is in its place.
  using Visitor = std::function<void(const AuditRecord&)>;

  explicit AuditChainChecker(Visitor visit = {}) : visit_(std::move(visit)) {}

  // For a piece of a log, as an export is: its first line is `seq`, after one with the hash `prev`.
  void begin_at(uint64_t seq, std::string prev);

  // The lines that follow stand in this file; `segment` 0: in none, but one after another.
  void begin_file(const std::string& file, uint64_t segment);
  void line(uint64_t number, std::string_view text);
  // The last line of the log, without its line break.
  void torn_line(uint64_t number, size_t bytes);
  void end_file();
  // After the last line.
  void finish();

  void report(AuditProblem problem);

  // What was found so far.
  const std::vector<AuditProblem>& problems() const { return problems_; }
  uint64_t problem_count() const { return problem_count_; }
  const std::string& log() const { return log_; }
  uint64_t lines() const { return lines_; }  // sound ones
  const std::optional<AuditRecord>& first() const { return first_; }
  const std::optional<AuditRecord>& last() const { return last_; }
  // Whether the log begins where a record in it says that retention ended.
  bool begins_after_retention() const { return begin_proven_; }

 private:
  struct Range {
    uint64_t from, to;
    size_t problem;
  };

  void problem(AuditFault fault, uint64_t number, std::string what);
  void sound_line(uint64_t number, AuditRecord record);
  void check_opening(uint64_t number, const AuditRecord& record);
  void check_first(const AuditRecord& record);
  void place(uint64_t number, AuditRecord record);
  void out_of_place(uint64_t number, const AuditRecord& record);
  void look_for_removal(const AuditRecord& record);

  Visitor visit_;
  std::vector<AuditProblem> problems_;
  uint64_t problem_count_ = 0;

  std::string file_;
  uint64_t segment_ = 0, last_segment_ = 0;
  uint64_t lines_in_file_ = 0;

  std::string log_;
  uint64_t lines_ = 0;
  std::optional<AuditRecord> first_, last_;
  std::optional<uint64_t> due_;  // the number of the next line
  std::string due_prev_;         // what it is chained to; empty: not known
  uint64_t bad_run_ = 0;         // lines that were no lines, since the last sound one
  std::vector<Range> missing_;   // bounded like the problems
  bool begin_known_ = false;     // the log begins with its first line, or where it was told to
  bool begin_proven_ = false;
  std::string begin_file_;
};

}  // namespace holdfast
