// One line of the audit trail: who did what to what, from where, with what outcome; and how it is
// spelt and chained (docs/format/audit.md). The fields are those that HL7's EHR-S FM TI.2.1.3 and
// 45 CFR 164.312(b) and (d) ask of an audit event.
//
// What a caller gives is made to fit: texts that are too long are cut and end in "…", so that no
// operation fails for a long file name. What is only ever wrong in our own code (the name of an
// action, the keys of the details) is Error(invalid). No secret and nothing of a table's rows may
// be handed in: a Secret cannot be, without saying reveal(). Pure; no state.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace holdfast {

constexpr size_t kAuditLineBytesMax = 16
                                      << 10;  // with its line break; no record makes a longer one
constexpr size_t kAuditDetailsMax = 16;
constexpr size_t kAuditValueBytesMax = 256;

enum class AuditOutcome { begun, ok, partial, failed, denied, cancelled };
enum class AuditActorKind { os_user, ci, api_key, service };

std::string_view audit_outcome_name(AuditOutcome outcome);
std::string_view audit_actor_kind_name(AuditActorKind kind);
// Throws Error(invalid) that names those there are.
AuditOutcome parse_audit_outcome(std::string_view name);

struct AuditWho {
  std::string organization;
  AuditActorKind kind = AuditActorKind::os_user;
  std::string actor;    // "anna", "github:anna", "key 3 (terraform)", "holdfast serve"
  std::string host;     // where it was done
  std::string address;  // which network address asked for it; "local": none did
};

struct AuditEvent {
  AuditWho who{};
  std::string action{};  // "backup.dump", "api.branch.create"; of a-z, 0-9 and . _ -
  std::string target{};  // of what: a database, a backup's id, a path of the API
  AuditOutcome outcome = AuditOutcome::ok;
  std::string run{};                            // what the events of one run have in common
  std::map<std::string, std::string> detail{};  // keys of a-z, 0-9 and _
};

struct AuditRecord {
  uint64_t seq = 0;
  UtcTime time{};
  AuditEvent event;
  std::string prev, hash;  // 64 hexadecimal digits
};

// Where a log stands: its last line. Written down elsewhere, it makes a cut tail noticeable.
struct AuditHead {
  std::string log;  // the log's id, 32 hexadecimal digits
  uint64_t seq = 0;
  std::string hash;
  UtcTime time{};
  bool operator==(const AuditHead&) const = default;
};

// Of an action that only the trail itself writes.
constexpr std::string_view kAuditBegin = "audit.begin";
constexpr std::string_view kAuditSegment = "audit.segment";
constexpr std::string_view kAuditRecover = "audit.recover";
constexpr std::string_view kAuditRetention = "audit.retention";
bool is_audit_own(std::string_view action);

// `prev` of a log's first line.
std::string audit_no_hash();

// The event with every text made to fit. Throws Error(invalid) for an action or a key that is none.
AuditEvent bounded_event(AuditEvent event);

// The line, without its line break; `hash` is set to what it ends in. The event is a bounded one.
std::string write_audit_line(AuditRecord& record);

// Throws Error(corrupt) for anything that write_audit_line does not make; `line` has no line break.
AuditRecord read_audit_line(std::string_view line);

}  // namespace holdfast
