// The head of the audit trail, kept where whoever can write to the log cannot change it: as an
// object in a store, under Object Lock where the store has it, and as a line of text for alerts.
// Compared with its anchors (audit/verify.h), a log that was cut or rewritten is found out.
//
// An anchor's name says which log and which line it is of, so that an existing one is never
// replaced and a second one of the same line is no other object. Names begin with kAuditPrefix,
// which no backup's do: retention and lists of backups pass them over (docs/format/audit.md).
// Thread-safe as far as the store is.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/record.h"
#include "base/clock.h"
#include "store/object_store.h"

namespace holdfast {

constexpr std::string_view kAuditPrefix = "audit/";

struct AuditAnchor {
  AuditHead head;
  UtcTime anchored_at{};
  std::string where;  // for people: the object's name, or what the line of text came from
  // Somebody says that it is of the very log that is verified: an alert of this host said so. The
  // stores' may be of other hosts' logs.
  bool of_this_log = false;
};

struct AuditAnchors {
  std::vector<AuditAnchor> anchors;  // by log, then by line
  std::vector<std::string> damaged;  // "audit/…: its bytes do not match its own hash"
};

// Keeps the head in the store. With `keep_until`, nobody can remove it before, where the store is
// set up for that. Returns the object's name. Throws Error(corrupt) if the store knows another hash
// of that line: the log was rewritten.
std::string put_audit_anchor(ObjectStore& store, const AuditHead& head, UtcTime now,
                             std::optional<UtcTime> keep_until = {});
// All that the store has, of this log and of others.
AuditAnchors read_audit_anchors(ObjectStore& store);

std::string write_audit_anchor(const AuditAnchor& anchor);  // one line, with its line break
AuditAnchor read_audit_anchor(std::string_view text);       // throws Error(corrupt)

// "holdfast audit log 5f… line 812 of 2026-… sha256 9c…", and back: Error(invalid) for anything
// else.
std::string audit_head_line(const AuditHead& head);
AuditHead parse_audit_head_line(std::string_view line);

}  // namespace holdfast
