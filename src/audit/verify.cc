#include "audit/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "audit/log_folder.h"
#include "base/error.h"
#include "seal/sha256.h"

namespace holdfast {
namespace {

constexpr uint64_t kTornFileBytesMax = 8 << 20;

// The anchors of one log, met one after another as its lines go by.
class AnchorComparison {
 public:
  explicit AnchorComparison(std::vector<AuditAnchor> anchors) : anchors_(std::move(anchors)) {}

  void line(const AuditRecord& record, AuditChainChecker& checker, AuditVerdict& verdict) {
    // The first line that is left vouches for the one before it.
    if (std::exchange(is_first_, false)) before(record, checker, verdict);
    for (; next_ < anchors_.size() && anchors_[next_].head.seq <= record.seq; ++next_) {
      const AuditAnchor& anchor = anchors_[next_];
      if (anchor.head.seq < record.seq)
        continue;  // its line is missing, which is a problem already
      compare(anchor, record.hash, checker, verdict);
    }
  }

  void finish(uint64_t last_seq, AuditChainChecker& checker) const {
    if (next_ == anchors_.size()) return;
    const AuditAnchor& anchor = anchors_.back();
    checker.report(
        {"", 0, AuditFault::cut,
         fmt::format("it ends with line {}, and the anchor of {} ({}) knows line {}: {} "
                     "cut off",
                     last_seq, format_rfc3339(anchor.anchored_at), anchor.where, anchor.head.seq,
                     anchor.head.seq - last_seq == 1
                         ? "a line was"
                         : fmt::format("{} lines were", anchor.head.seq - last_seq))});
  }

 private:
  void before(const AuditRecord& record, AuditChainChecker& checker, AuditVerdict& verdict) {
    for (; next_ < anchors_.size() && anchors_[next_].head.seq < record.seq; ++next_) {
      ++verdict.anchors_before;
      if (anchors_[next_].head.seq + 1 == record.seq)
        compare(anchors_[next_], record.prev, checker, verdict);
    }
  }

  static void compare(const AuditAnchor& anchor, const std::string& hash,
                      AuditChainChecker& checker, AuditVerdict& verdict) {
    ++verdict.anchors_compared;
    if (anchor.head.hash == hash) {
      verdict.anchored_seq = anchor.head.seq;
      return;
    }
    checker.report(
        {"", 0, AuditFault::anchor,
         fmt::format("line {} is not what it was when it was anchored at {} ({}): the "
                     "log was rewritten there or before",
                     anchor.head.seq, format_rfc3339(anchor.anchored_at), anchor.where)});
  }

  std::vector<AuditAnchor> anchors_;  // by line
  size_t next_ = 0;
  bool is_first_ = true;
};

// What was set aside is part of the evidence, so it has to be what its record says.
void check_torn_file(const std::string& folder, const AuditRecord& record,
                     AuditChainChecker& checker) {
  if (record.event.action != kAuditRecover) return;
  auto file = record.event.detail.find("file"), sha256 = record.event.detail.find("sha256");
  if (file == record.event.detail.end() || sha256 == record.event.detail.end()) return;
  std::string torn = audit_torn_name(record.seq), what;
  for (const std::string& name : {torn, audit_pending_name(record.seq)}) {
    try {
      if (!file_exists(folder + "/" + name)) continue;
      if (sha256_hex(as_bytes(read_file(folder + "/" + name, kTornFileBytesMax))) == sha256->second)
        return;
      what = "it is not what line {} of the log says was set aside";
    } catch (const Error& error) {
      if (error.code() != ErrorCode::invalid && error.code() != ErrorCode::not_found) throw;
      what = "it is not what line {} of the log says was set aside";
    }
  }
  if (what.empty()) what = "it is missing; line {} of the log says that it was set aside";
  checker.report({torn, 0, AuditFault::file, fmt::format(fmt::runtime(what), record.seq)});
}

class Verification {
 public:
  Verification(const std::string& folder, const AuditAnchors& anchors, std::stop_token stop)
      : folder_(folder), anchors_(anchors), stop_(std::move(stop)), end_(find_audit_end(folder)) {}

  AuditVerdict run() {
    const std::vector<uint64_t>& segments = end_.files.segments;
    if (segments.empty() && anchors_.anchors.empty())
      throw Error(ErrorCode::not_found, fmt::format("there is no audit log in {}", folder_),
                  "name its folder; the first operation that is recorded makes it");
    // Which anchors count is known once a segment has said which log this is.
    for (uint64_t segment : segments) find_log(segment);
    for (uint64_t segment : segments)
      read(segment,
           segment == segments.back() ? end_.last_bytes : std::numeric_limits<uint64_t>::max());
    checker_.finish();
    if (checker_.last() || !segments.empty())
      comparison_.finish(verdict_.last_seq, checker_);
    else
      checker_.report({"", 0, AuditFault::cut,
                       fmt::format("there is no log in {}, but {} knows one", folder_,
                                   anchors_.anchors.back().where)});
    look_at_anchors();
    verdict_.segments = segments.size();
    verdict_.lines = checker_.lines();
    verdict_.begins_after_retention = checker_.begins_after_retention();
    verdict_.problems = checker_.problems();
    verdict_.problem_count = checker_.problem_count();
    return std::move(verdict_);
  }

 private:
  void find_log(uint64_t segment) {
    if (!verdict_.log.empty()) return;
    try {
      verdict_.log = read_audit_opening(folder_, segment).log;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::corrupt) throw changed_meanwhile(error);
      return;  // the reading of that segment says so
    }
    std::vector<AuditAnchor> own;
    for (const AuditAnchor& anchor : anchors_.anchors)
      if (anchor.head.log == verdict_.log) own.push_back(anchor);
    std::sort(own.begin(), own.end(),
              [](const AuditAnchor& a, const AuditAnchor& b) { return a.head.seq < b.head.seq; });
    has_anchors_ = !own.empty();
    comparison_ = AnchorComparison(std::move(own));
  }

  void read(uint64_t segment, uint64_t bytes) {
    std::string name = audit_segment_name(segment);
    checker_.begin_file(name, segment);
    try {
      AuditLineReader reader(folder_ + "/" + name, bytes);
      while (reader.next()) {
        if (stop_.stop_requested()) throw Error(ErrorCode::cancelled, "interrupted");
        verdict_.bytes += reader.line().size() + (reader.finished() ? 1 : 0);
        if (reader.finished())
          checker_.line(reader.number(), reader.line());
        else
          checker_.torn_line(reader.number(), reader.line().size());
      }
    } catch (const Error& error) {
      throw changed_meanwhile(error);
    }
    checker_.end_file();
  }

  // A file that was listed is gone.
  Error changed_meanwhile(const Error& error) const {
    if (error.code() != ErrorCode::not_found) return error;
    return Error(ErrorCode::busy, "the audit log was changed while it was read", "try again");
  }

  void visit(const AuditRecord& record) {
    if (verdict_.first_seq == 0) {
      verdict_.first_seq = record.seq;
      verdict_.first_time = record.time;
    }
    verdict_.last_seq = record.seq;
    verdict_.last_time = record.time;
    verdict_.head_hash = record.hash;
    comparison_.line(record, checker_, verdict_);
    check_torn_file(folder_, record, checker_);
  }

  void look_at_anchors() {
    for (const std::string& damaged : anchors_.damaged)
      checker_.report({"", 0, AuditFault::anchor, "the anchor " + damaged});
    std::vector<std::string>& others = verdict_.other_logs;
    for (const AuditAnchor& anchor : anchors_.anchors) {
      if (anchor.head.log == verdict_.log) continue;
      if (anchor.of_this_log && !verdict_.log.empty())
        checker_.report({"", 0, AuditFault::anchor,
                         fmt::format("{} is of log {}, and here is log {}: that one is another "
                                     "host's, or this one was put in its place",
                                     anchor.where, anchor.head.log, verdict_.log)});
      else
        others.push_back(anchor.head.log);
    }
    std::sort(others.begin(), others.end());
    others.erase(std::unique(others.begin(), others.end()), others.end());
    if (!verdict_.log.empty() && !has_anchors_ && !others.empty())
      checker_.report(
          {"", 0, AuditFault::anchor,
           fmt::format("no anchor knows log {}, but {} known: it may have been put in the place of "
                       "another",
                       verdict_.log, others.size() == 1 ? "another one is" : "others are")});
  }

  const std::string& folder_;
  const AuditAnchors& anchors_;
  std::stop_token stop_;
  AuditEnd end_;
  AuditVerdict verdict_;
  AnchorComparison comparison_{{}};
  bool has_anchors_ = false;
  AuditChainChecker checker_{[this](const AuditRecord& record) { visit(record); }};
};

}  // namespace

AuditVerdict verify_audit_log(const std::string& folder, const AuditAnchors& anchors,
                              std::stop_token stop) {
  return Verification(folder, anchors, std::move(stop)).run();
}

}  // namespace holdfast
