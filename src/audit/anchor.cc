#include "audit/anchor.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "audit/canonical.h"
#include "base/error.h"
#include "base/text.h"

namespace holdfast {
namespace {

constexpr size_t kLogIdDigits = 32;
constexpr uint64_t kAnchorBytesMax = 1024;
constexpr std::string_view kAnchorSuffix = ".anchor.json";
// The folder of a store may be cleared of half-written files by a run that starts just then.
constexpr int kAnchorTries = 3;

std::string anchor_name(const AuditHead& head) {
  return fmt::format("{}{}/{:020}{}", kAuditPrefix, head.log, head.seq, kAnchorSuffix);
}

// Reads the anchor of that name, and holds it to the name.
AuditAnchor read_anchor_object(ObjectStore& store, const std::string& name) {
  AuditAnchor anchor = read_audit_anchor(read_object(store, name, kAnchorBytesMax));
  if (anchor_name(anchor.head) != name)
    throw Error(ErrorCode::corrupt, "it is of another line than its name says");
  anchor.where = name;
  return anchor;
}

}  // namespace

std::string write_audit_anchor(const AuditAnchor& anchor) {
  return close_document(fmt::format(
             R"({{"format":"holdfast-audit-anchor","version":1,"log":"{}","seq":{},"head":"{}",)"
             R"("time":"{}","anchored_at":"{}")",
             anchor.head.log, anchor.head.seq, anchor.head.hash, format_rfc3339(anchor.head.time),
             format_rfc3339(anchor.anchored_at))) +
         "\n";
}

AuditAnchor read_audit_anchor(std::string_view text) {
  if (!text.ends_with('\n')) throw Error(ErrorCode::corrupt, "it does not end in a line break");
  text.remove_suffix(1);
  CanonicalReader reader(open_document(text).body);
  AuditAnchor anchor;
  reader.expect("{\"format\":\"holdfast-audit-anchor\",\"version\":1,\"log\":");
  anchor.head.log = reader.hex(kLogIdDigits);
  reader.expect(",\"seq\":");
  anchor.head.seq = reader.number();
  reader.expect(",\"head\":");
  anchor.head.hash = reader.hex(kHashDigits);
  reader.expect(",\"time\":");
  anchor.head.time = reader.time();
  reader.expect(",\"anchored_at\":");
  anchor.anchored_at = reader.time();
  reader.end();
  return anchor;
}

std::string put_audit_anchor(ObjectStore& store, const AuditHead& head, UtcTime now,
                             std::optional<UtcTime> keep_until) {
  std::string name = anchor_name(head);
  std::string text = write_audit_anchor({head, now, name});
  for (int i = 1;; ++i) {
    try {
      write_object(store, name, as_bytes(text), {text.size(), keep_until});
      return name;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::exists) break;
      if (error.code() != ErrorCode::not_found || i == kAnchorTries)
        throw error.within("anchor the audit log in " + store.location());
    }
  }
  AuditAnchor known = with_context(name, [&] { return read_anchor_object(store, name); });
  if (known.head.hash != head.hash)
    throw Error(
        ErrorCode::corrupt,
        fmt::format("line {} of the audit log is not what it was when it was anchored in {}",
                    head.seq, store.location()),
        "the log was rewritten: holdfast audit verify shows from where on");
  return name;
}

AuditAnchors read_audit_anchors(ObjectStore& store) {
  AuditAnchors found;
  for (const ObjectInfo& object : store.list(std::string(kAuditPrefix))) {
    if (!object.name.ends_with(kAnchorSuffix)) continue;
    try {
      found.anchors.push_back(read_anchor_object(store, object.name));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::corrupt) throw;
      found.damaged.push_back(fmt::format("{}: {}", printable(object.name), error.what()));
    }
  }
  std::sort(found.anchors.begin(), found.anchors.end(),
            [](const AuditAnchor& a, const AuditAnchor& b) {
              return std::tie(a.head.log, a.head.seq) < std::tie(b.head.log, b.head.seq);
            });
  return found;
}

std::string audit_head_line(const AuditHead& head) {
  return fmt::format("holdfast audit log {} line {} of {} sha256 {}", head.log, head.seq,
                     format_rfc3339(head.time), head.hash);
}

AuditHead parse_audit_head_line(std::string_view line) {
  std::vector<std::string> words = split(trim(line), ' ');
  AuditHead head;
  try {
    if (words.size() == 10) {
      head.log = words[3];
      head.seq = CanonicalReader(words[5]).number();
      head.time = parse_rfc3339(words[7]);
      head.hash = words[9];
    }
  } catch (const Error&) {
    head = {};
  }
  // Whatever is not spelt as it would be written is none.
  bool hex = head.log.size() == kLogIdDigits && !from_hex(head.log).empty() &&
             head.hash.size() == kHashDigits && !from_hex(head.hash).empty();
  if (!hex || audit_head_line(head) != trim(line))
    throw Error(ErrorCode::invalid,
                fmt::format("'{}' is not the head of an audit log", printable(line, 80)),
                "give the whole line: holdfast audit log … line … of … sha256 …");
  return head;
}

}  // namespace holdfast
