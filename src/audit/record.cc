#include "audit/record.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "audit/canonical.h"
#include "base/error.h"
#include "base/text.h"

namespace holdfast {
namespace {

constexpr size_t kOrganizationBytesMax = 128;
constexpr size_t kActorBytesMax = 128;
constexpr size_t kHostBytesMax = 255;
constexpr size_t kAddressBytesMax = 64;
constexpr size_t kActionBytesMax = 64;
constexpr size_t kTargetBytesMax = 512;
constexpr size_t kRunBytesMax = 64;
constexpr size_t kKeyBytesMax = 32;

// Every byte of a text may be escaped; 512 are for the members' names, numbers, time and hashes.
static_assert(2 * (kOrganizationBytesMax + kActorBytesMax + kHostBytesMax + kAddressBytesMax +
                   kActionBytesMax + kTargetBytesMax + kRunBytesMax) +
                  kAuditDetailsMax * (2 * kAuditValueBytesMax + kKeyBytesMax + 6) + 512 <
              kAuditLineBytesMax);

constexpr std::array<std::string_view, 6> kOutcomes{"begun",  "ok",     "partial",
                                                    "failed", "denied", "cancelled"};
constexpr std::array<std::string_view, 4> kActorKinds{"os_user", "ci", "api_key", "service"};

bool is_name(std::string_view text, std::string_view also, size_t bytes_max) {
  auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  return !text.empty() && text.size() <= bytes_max && letter(text[0]) &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return letter(c) || (c >= '0' && c <= '9') || also.find(c) != std::string_view::npos;
         });
}

bool is_action(std::string_view text) {
  return is_name(text, "._-", kActionBytesMax);
}

bool is_detail_key(std::string_view text) {
  return is_name(text, "_", kKeyBytesMax);
}

template <typename Enum, size_t kCount>
Enum one_of(CanonicalReader& reader, const std::array<std::string_view, kCount>& names) {
  std::string name = reader.text(kKeyBytesMax);
  auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) throw Error(ErrorCode::corrupt, fmt::format("'{}' is unknown", name));
  return static_cast<Enum>(found - names.begin());
}

void read_detail(CanonicalReader& reader, std::map<std::string, std::string>& detail) {
  reader.expect("{");
  while (!reader.take("}")) {
    if (!detail.empty()) reader.expect(",");
    std::string key = reader.text(kKeyBytesMax);
    reader.expect(":");
    std::string value = reader.text(kAuditValueBytesMax);
    bool ascends = detail.empty() || detail.rbegin()->first < key;
    if (!is_detail_key(key) || !ascends || detail.size() == kAuditDetailsMax)
      throw Error(ErrorCode::corrupt, fmt::format("'{}' is in the wrong place in detail", key));
    detail.emplace(std::move(key), std::move(value));
  }
}

}  // namespace

std::string_view audit_outcome_name(AuditOutcome outcome) {
  return kOutcomes[static_cast<size_t>(outcome)];
}

std::string_view audit_actor_kind_name(AuditActorKind kind) {
  return kActorKinds[static_cast<size_t>(kind)];
}

AuditOutcome parse_audit_outcome(std::string_view name) {
  auto found = std::find(kOutcomes.begin(), kOutcomes.end(), name);
  if (found == kOutcomes.end())
    throw Error(ErrorCode::invalid, fmt::format("there is no outcome '{}'", printable(name)),
                fmt::format("it is one of {}", fmt::join(kOutcomes, ", ")));
  return static_cast<AuditOutcome>(found - kOutcomes.begin());
}

bool is_audit_own(std::string_view action) {
  return action == kAuditBegin || action == kAuditSegment || action == kAuditRecover ||
         action == kAuditRetention;
}

std::string audit_no_hash() {
  return std::string(kHashDigits, '0');
}

AuditEvent bounded_event(AuditEvent event) {
  if (!is_action(event.action))
    throw Error(ErrorCode::invalid,
                fmt::format("'{}' is not the name of an action", printable(event.action)));
  if (event.detail.size() > kAuditDetailsMax)
    throw Error(ErrorCode::invalid,
                fmt::format("{} has more than {} details", event.action, kAuditDetailsMax));
  AuditWho& who = event.who;
  who.organization = bounded_text(who.organization, kOrganizationBytesMax);
  who.actor = bounded_text(who.actor, kActorBytesMax);
  who.host = bounded_text(who.host, kHostBytesMax);
  who.address = bounded_text(who.address, kAddressBytesMax);
  event.target = bounded_text(event.target, kTargetBytesMax);
  event.run = bounded_text(event.run, kRunBytesMax);
  for (auto& [key, value] : event.detail) {
    if (!is_detail_key(key))
      throw Error(ErrorCode::invalid, fmt::format("'{}' is not the name of a detail of {}",
                                                  printable(key), event.action));
    value = bounded_text(value, kAuditValueBytesMax);
  }
  return event;
}

std::string write_audit_line(AuditRecord& record) {
  const AuditEvent& event = record.event;
  std::string detail;
  for (const auto& [key, value] : event.detail)
    detail += fmt::format("{}\"{}\":{}", detail.empty() ? "" : ",", key, json_quoted(value));
  std::string line = close_document(fmt::format(
      R"({{"v":1,"seq":{},"time":"{}","organization":{},"actor_kind":"{}","actor":{},"host":{},)"
      R"("address":{},"action":"{}","target":{},"outcome":"{}","run":{},"detail":{{{}}},"prev":"{}")",
      record.seq, format_rfc3339(record.time), json_quoted(event.who.organization),
      audit_actor_kind_name(event.who.kind), json_quoted(event.who.actor),
      json_quoted(event.who.host), json_quoted(event.who.address), event.action,
      json_quoted(event.target), audit_outcome_name(event.outcome), json_quoted(event.run), detail,
      record.prev));
  record.hash = line.substr(line.size() - kHashDigits - 2, kHashDigits);
  return line;
}

AuditRecord read_audit_line(std::string_view line) {
  if (line.size() >= kAuditLineBytesMax)
    throw Error(ErrorCode::corrupt, "it is longer than any line can be");
  ClosedDocument document = open_document(line);
  CanonicalReader reader(document.body);
  AuditRecord record;
  AuditEvent& event = record.event;
  reader.expect("{\"v\":1,\"seq\":");
  record.seq = reader.number();
  reader.expect(",\"time\":");
  record.time = reader.time();
  reader.expect(",\"organization\":");
  event.who.organization = reader.text(kOrganizationBytesMax);
  reader.expect(",\"actor_kind\":");
  event.who.kind = one_of<AuditActorKind>(reader, kActorKinds);
  reader.expect(",\"actor\":");
  event.who.actor = reader.text(kActorBytesMax);
  reader.expect(",\"host\":");
  event.who.host = reader.text(kHostBytesMax);
  reader.expect(",\"address\":");
  event.who.address = reader.text(kAddressBytesMax);
  reader.expect(",\"action\":");
  event.action = reader.text(kActionBytesMax);
  if (!is_action(event.action))
    throw Error(ErrorCode::corrupt, fmt::format("'{}' is no action", event.action));
  reader.expect(",\"target\":");
  event.target = reader.text(kTargetBytesMax);
  reader.expect(",\"outcome\":");
  event.outcome = one_of<AuditOutcome>(reader, kOutcomes);
  reader.expect(",\"run\":");
  event.run = reader.text(kRunBytesMax);
  reader.expect(",\"detail\":");
  read_detail(reader, event.detail);
  reader.expect(",\"prev\":");
  record.prev = reader.hex(kHashDigits);
  reader.end();
  record.hash = document.hash;
  return record;
}

}  // namespace holdfast
