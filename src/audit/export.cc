#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "audit/canonical.h"
#include "audit/log_folder.h"
#include "audit/query.h"
#include "base/error.h"
#include "seal/sha256.h"

namespace holdfast {
namespace {

constexpr size_t kExportLogDigits = 32;

// A stretch of lines on its way out, held to the chain.
class LineExport {
 public:
  LineExport(std::optional<UtcTime> from, std::optional<UtcTime> to, const AuditSink& sink)
      : from_(from), to_(to), sink_(sink) {}

  // Whether there may be more to come.
  bool line(std::string_view text) {
    AuditRecord record = read_audit_line(text);
    if (last_seq_ != 0 && (record.seq != last_seq_ + 1 || record.prev != last_hash_))
      throw Error(ErrorCode::corrupt, "it is not chained to the line before it");
    last_seq_ = record.seq;
    last_hash_ = record.hash;
    if (proof_.first_seq == 0 && from_ && record.time < *from_) return true;
    if (to_ && record.time > *to_) return proof_.first_seq == 0;
    if (proof_.first_seq == 0) {
      proof_.first_seq = record.seq;
      proof_.first_prev = record.prev;
    }
    proof_.last_seq = record.seq;
    proof_.last_hash = record.hash;
    proof_.last_time = record.time;
    std::string whole = std::string(text) + "\n";
    proof_.bytes += whole.size();
    hash_.update(as_bytes(whole));
    sink_(whole);
    return true;
  }

  AuditProof finish() {
    if (proof_.first_seq == 0)
      throw Error(ErrorCode::not_found, "the audit log has no line of that time",
                  "holdfast audit show says from when to when there are some");
    proof_.sha256 = hash_.finish_hex();
    return std::move(proof_);
  }

 private:
  std::optional<UtcTime> from_, to_;
  const AuditSink& sink_;
  Sha256 hash_;
  uint64_t last_seq_ = 0;
  std::string last_hash_;
  AuditProof proof_;
};

void export_segments(const std::string& folder, const std::vector<uint64_t>& segments,
                     LineExport& lines) {
  for (uint64_t segment : segments) {
    std::string name = audit_segment_name(segment);
    AuditLineReader reader(folder + "/" + name, std::numeric_limits<uint64_t>::max());
    while (reader.next()) {
      if (!reader.finished()) return;  // being written just now
      if (!with_context(fmt::format("{} line {}", name, reader.number()),
                        [&] { return lines.line(reader.line()); }))
        return;
    }
  }
}

}  // namespace

AuditProof export_audit_lines(const std::string& folder, std::optional<UtcTime> from,
                              std::optional<UtcTime> to, const AuditAnchors& anchors, UtcTime now,
                              const AuditSink& sink) {
  std::vector<uint64_t> segments = scan_audit_folder(folder).segments;
  if (segments.empty())
    throw Error(ErrorCode::not_found, fmt::format("there is no audit log in {}", folder),
                "name its folder; the first operation that is recorded makes it");
  std::string log = read_audit_opening(folder, segments.front()).log;
  LineExport lines(from, to, sink);
  export_segments(folder, segments, lines);
  AuditProof proof = lines.finish();
  proof.log = log;
  proof.made_at = now;
  for (const AuditAnchor& anchor : anchors.anchors)
    if (anchor.head.log == log && anchor.head.seq >= proof.first_seq &&
        anchor.head.seq <= proof.last_seq)
      proof.anchors.push_back(anchor);
  if (proof.anchors.size() > kAuditProofAnchorsMax)
    proof.anchors.erase(proof.anchors.begin(), proof.anchors.end() - kAuditProofAnchorsMax);
  return proof;
}

std::string write_audit_proof(const AuditProof& proof) {
  std::string anchors;
  for (const AuditAnchor& anchor : proof.anchors)
    anchors +=
        fmt::format(R"({}{{"seq":{},"head":"{}","anchored_at":"{}"}})", anchors.empty() ? "" : ",",
                    anchor.head.seq, anchor.head.hash, format_rfc3339(anchor.anchored_at));
  return close_document(fmt::format(
             R"({{"format":"holdfast-audit-proof","version":1,"log":"{}","first_seq":{},)"
             R"("first_prev":"{}","last_seq":{},"last_hash":"{}","last_time":"{}","bytes":{},)"
             R"("sha256":"{}","made_at":"{}","anchors":[{}])",
             proof.log, proof.first_seq, proof.first_prev, proof.last_seq, proof.last_hash,
             format_rfc3339(proof.last_time), proof.bytes, proof.sha256,
             format_rfc3339(proof.made_at), anchors)) +
         "\n";
}

AuditProof read_audit_proof(std::string_view text) {
  if (!text.ends_with('\n')) throw Error(ErrorCode::corrupt, "it does not end in a line break");
  text.remove_suffix(1);
  CanonicalReader reader(open_document(text).body);
  AuditProof proof;
  reader.expect("{\"format\":\"holdfast-audit-proof\",\"version\":1,\"log\":");
  proof.log = reader.hex(kExportLogDigits);
  reader.expect(",\"first_seq\":");
  proof.first_seq = reader.number();
  reader.expect(",\"first_prev\":");
  proof.first_prev = reader.hex(kHashDigits);
  reader.expect(",\"last_seq\":");
  proof.last_seq = reader.number();
  reader.expect(",\"last_hash\":");
  proof.last_hash = reader.hex(kHashDigits);
  reader.expect(",\"last_time\":");
  proof.last_time = reader.time();
  reader.expect(",\"bytes\":");
  proof.bytes = reader.number();
  reader.expect(",\"sha256\":");
  proof.sha256 = reader.hex(kHashDigits);
  reader.expect(",\"made_at\":");
  proof.made_at = reader.time();
  reader.expect(",\"anchors\":[");
  while (!reader.take("]")) {
    if (proof.anchors.size() == kAuditProofAnchorsMax)
      throw Error(ErrorCode::corrupt, "it names too many anchors");
    if (!proof.anchors.empty()) reader.expect(",");
    AuditAnchor anchor;
    anchor.head.log = proof.log;
    reader.expect("{\"seq\":");
    anchor.head.seq = reader.number();
    reader.expect(",\"head\":");
    anchor.head.hash = reader.hex(kHashDigits);
    reader.expect(",\"anchored_at\":");
    anchor.anchored_at = reader.time();
    reader.expect("}");
    anchor.where = "the proof";
    proof.anchors.push_back(std::move(anchor));
  }
  reader.end();
  return proof;
}

std::vector<AuditProblem> verify_audit_export(const std::string& path, const AuditProof& proof,
                                              const std::vector<AuditAnchor>& more) {
  std::multimap<uint64_t, std::string> anchored;
  for (const std::vector<AuditAnchor>* anchors : {&proof.anchors, &more})
    for (const AuditAnchor& anchor : *anchors) anchored.emplace(anchor.head.seq, anchor.head.hash);
  std::vector<AuditProblem> other_hashes;
  AuditChainChecker checker([&](const AuditRecord& record) {
    auto [anchor, end] = anchored.equal_range(record.seq);
    if (std::any_of(anchor, end, [&](const auto& one) { return one.second != record.hash; }))
      other_hashes.push_back(
          {path, 0, AuditFault::anchor,
           fmt::format("line {} of the log is not what was anchored", record.seq)});
  });
  checker.begin_at(proof.first_seq, proof.first_prev);
  checker.begin_file(path, 0);
  Sha256 hash;
  AuditLineReader reader(path, std::numeric_limits<uint64_t>::max());
  while (reader.next()) {
    hash.update(as_bytes(reader.line()));
    if (reader.finished()) {
      hash.update(as_bytes("\n"));
      checker.line(reader.number(), reader.line());
    } else {
      checker.torn_line(reader.number(), reader.line().size());
    }
  }
  std::vector<AuditProblem> problems = checker.problems();
  problems.insert(problems.end(), other_hashes.begin(), other_hashes.end());
  uint64_t last = checker.last() ? checker.last()->seq : 0;
  if (last < proof.last_seq)
    problems.push_back(
        {path, 0, AuditFault::cut,
         fmt::format("it ends with line {}, and its proof with line {}", last, proof.last_seq)});
  else if (hash.finish_hex() != proof.sha256)
    problems.push_back({path, 0, AuditFault::edit, "it is not what its proof was made for"});
  return problems;
}

}  // namespace holdfast
