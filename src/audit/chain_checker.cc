#include "audit/chain_checker.h"

#include <fmt/format.h>

#include <algorithm>

#include "audit/log_folder.h"
#include "base/error.h"
#include "base/text.h"

namespace holdfast {
namespace {

std::string lines_text(uint64_t from, uint64_t to) {
  return from == to ? fmt::format("line {} of the log is", from)
                    : fmt::format("lines {} to {} of the log are", from, to);
}

bool opens_a_segment(const AuditRecord& record) {
  return record.event.action == kAuditBegin || record.event.action == kAuditSegment;
}

}  // namespace

std::string_view audit_fault_name(AuditFault fault) {
  switch (fault) {
    case AuditFault::edit:
      return "edit";
    case AuditFault::gap:
      return "gap";
    case AuditFault::insertion:
      return "insertion";
    case AuditFault::swap:
      return "swap";
    case AuditFault::cut:
      return "cut";
    case AuditFault::torn:
      return "torn";
    case AuditFault::anchor:
      return "anchor";
    case AuditFault::file:
      return "file";
  }
  return "edit";
}

std::string AuditProblem::text() const {
  std::string where = file.empty() ? "the log" : file;
  if (line != 0) where += fmt::format(" line {}", line);
  return fmt::format("{}: {}: {}", where, audit_fault_name(fault), what);
}

void AuditChainChecker::report(AuditProblem problem) {
  ++problem_count_;
  if (problems_.size() < kAuditProblemsMax) problems_.push_back(std::move(problem));
}

void AuditChainChecker::problem(AuditFault fault, uint64_t number, std::string what) {
  report({file_, number, fault, std::move(what)});
}

void AuditChainChecker::begin_at(uint64_t seq, std::string prev) {
  due_ = seq;
  due_prev_ = std::move(prev);
  begin_known_ = true;
}

void AuditChainChecker::begin_file(const std::string& file, uint64_t segment) {
  file_ = file;
  segment_ = segment;
  lines_in_file_ = 0;
  if (segment == 1 && !due_) {
    due_ = 1;
    due_prev_ = audit_no_hash();
    begin_known_ = true;
  }
  if (last_segment_ != 0 && segment > last_segment_ + 1)
    problem(AuditFault::gap, 0,
            fmt::format("{} before it {} missing", plural(segment - last_segment_ - 1, "segment"),
                        segment - last_segment_ == 2 ? "is" : "are"));
  last_segment_ = segment;
}

void AuditChainChecker::line(uint64_t number, std::string_view text) {
  ++lines_in_file_;
  AuditRecord record;
  try {
    record = read_audit_line(text);
  } catch (const Error& error) {
    ++bad_run_;
    problem(AuditFault::edit, number, error.what());
    return;
  }
  sound_line(number, std::move(record));
}

void AuditChainChecker::torn_line(uint64_t number, size_t bytes) {
  ++lines_in_file_;
  problem(AuditFault::torn, number,
          fmt::format("it is not finished ({}): a crash while it was written, or a cut; after a "
                      "crash, the next event sets it aside",
                      plural(bytes, "byte")));
}

void AuditChainChecker::end_file() {
  if (lines_in_file_ == 0) problem(AuditFault::cut, 0, "it is empty");
}

void AuditChainChecker::sound_line(uint64_t number, AuditRecord record) {
  ++lines_;
  if (segment_ != 0) check_opening(number, record);
  if (!due_) check_first(record);
  place(number, std::move(record));
}

// A segment's first line opens it, and nothing else does.
void AuditChainChecker::check_opening(uint64_t number, const AuditRecord& record) {
  if (lines_in_file_ != 1) {
    if (opens_a_segment(record))
      problem(AuditFault::insertion, number, "only the first line of a segment can say this");
    return;
  }
  try {
    std::string log = opened_log(record, segment_);
    if (log_.empty()) log_ = log;
    if (log != log_)
      problem(AuditFault::insertion, number,
              fmt::format("this segment is of log {}, not of {}", log, log_));
  } catch (const Error& error) {
    problem(AuditFault::edit, number, error.what());
  }
}

// The log does not begin with its first line: a record further on has to say why.
void AuditChainChecker::check_first(const AuditRecord& record) {
  due_ = record.seq - std::min(record.seq, bad_run_);
  begin_file_ = file_;
  due_prev_ = bad_run_ == 0 ? record.prev : "";
}

void AuditChainChecker::place(uint64_t number, AuditRecord record) {
  uint64_t due = *due_, bad = std::exchange(bad_run_, 0);
  if (record.seq < due) {
    out_of_place(number, record);
    return;
  }
  if (record.seq == due && bad > 0) {
    // As many lines as there should be, without the bad ones: those were put in.
    if (problem_count_ == problems_.size() && problems_.back().fault == AuditFault::edit)
      problems_.back().fault = AuditFault::insertion;
  } else if (record.seq > due + bad) {
    missing_.push_back({due + bad, record.seq - 1, problems_.size()});
    if (missing_.size() > kAuditProblemsMax) missing_.erase(missing_.begin());
    problem(AuditFault::gap, number, lines_text(due + bad, record.seq - 1) + " missing before it");
  }
  if (record.seq == due && !due_prev_.empty() && record.prev != due_prev_)
    problem(AuditFault::edit, number,
            "it is not chained to the line before it: one of the two was changed or replaced");
  due_ = record.seq + 1;
  due_prev_ = record.hash;
  look_for_removal(record);
  if (visit_) visit_(record);
  if (!first_) first_ = record;
  last_ = std::move(record);
}

void AuditChainChecker::out_of_place(uint64_t number, const AuditRecord& record) {
  auto range = std::find_if(missing_.begin(), missing_.end(), [&](const Range& one) {
    return record.seq >= one.from && record.seq <= one.to;
  });
  std::string where =
      fmt::format("line {} of the log stands here, where {} is due", record.seq, *due_);
  if (range == missing_.end()) {
    problem(AuditFault::insertion, number, where + ": it was put in a second time");
    return;
  }
  if (range->problem < problems_.size()) {
    AuditProblem& gap = problems_[range->problem];
    gap.fault = AuditFault::swap;
    gap.what = fmt::format("{} not before it", lines_text(range->from, range->to));
  }
  problem(AuditFault::swap, number, where);
}

void AuditChainChecker::look_for_removal(const AuditRecord& record) {
  if (!first_ || record.event.action != kAuditRetention) return;
  const std::map<std::string, std::string>& detail = record.event.detail;
  auto seq = detail.find("last_seq"), hash = detail.find("last_hash");
  if (seq != detail.end() && hash != detail.end() &&
      seq->second == std::to_string(first_->seq - 1) && hash->second == first_->prev)
    begin_proven_ = true;
}

void AuditChainChecker::finish() {
  if (begin_known_ || begin_proven_ || !first_) return;
  report({begin_file_, 1, AuditFault::cut,
          fmt::format("the log begins with its line {}, and no record in it says that what was "
                      "before it was removed",
                      first_->seq)});
}

}  // namespace holdfast
