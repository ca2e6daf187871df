#include "schedule/zone.h"

#include <algorithm>

#include "base/error.h"

namespace holdfast {
namespace {

using std::chrono::local_seconds;
using std::chrono::seconds;
using std::chrono::sys_days;
using std::chrono::sys_seconds;

constexpr sys_seconds kFirstInstant = sys_days{std::chrono::year(0) / 1 / 1};
constexpr sys_seconds kEndOfInstants = sys_days{std::chrono::year(10000) / 1 / 1};
// Two instants that are further apart than this have their local times in the same order.
constexpr seconds kOffsetRange = kZoneOffsetMax - kZoneOffsetMin;

sys_seconds clamped(sys_seconds instant) {
  return std::clamp(instant, kFirstInstant, kEndOfInstants - seconds(1));
}

}  // namespace

Zone Zone::utc() {
  Zone zone;
  zone.name_ = "UTC";
  zone.data_.types = {{seconds(0), false, "UTC"}};
  return zone;
}

Zone Zone::parse(std::string name, ByteView tzif) {
  Zone zone;
  zone.name_ = std::move(name);
  zone.data_ = parse_tzif(tzif);
  if (zone.data_.rule.empty()) return zone;
  zone.rule_ = PosixZoneRule::parse(zone.data_.rule);
  if (!zone.data_.transitions.empty()) {
    const ZoneTransition& last = zone.data_.transitions.back();
    if (clamped(last.at) == last.at && *zone.rule_->at(last.at).type != zone.data_.types[last.type])
      throw Error(ErrorCode::corrupt, "time zone data: its rule contradicts its last transition",
                  "install tzdata again");
  }
  return zone;
}

ZoneSpan Zone::span_at(sys_seconds asked) const {
  sys_seconds instant = clamped(asked);
  const std::vector<ZoneTransition>& transitions = data_.transitions;
  auto next = std::upper_bound(
      transitions.begin(), transitions.end(), instant,
      [](sys_seconds wanted, const ZoneTransition& transition) { return wanted < transition.at; });
  ZoneSpan span{kFirstInstant, kEndOfInstants, data_.types.front()};
  if (next != transitions.begin()) {
    span.begin = std::max(span.begin, std::prev(next)->at);
    span.type = data_.types[std::prev(next)->type];
  }
  if (next != transitions.end()) {
    span.end = std::min(span.end, next->at);
  } else if (rule_) {
    PosixZoneRule::Around around = rule_->at(instant);
    span.type = *around.type;
    if (around.began) span.begin = std::max(span.begin, *around.began);
    if (around.ends) span.end = std::min(span.end, *around.ends);
  }
  return span;
}

LocalInstants Zone::find(local_seconds local) const {
  LocalInstants found;
  int count = 0;
  sys_seconds latest{local.time_since_epoch() - kZoneOffsetMin};
  for (sys_seconds at{local.time_since_epoch() - kZoneOffsetMax}; at <= latest;) {
    ZoneSpan span = span_at(at);
    sys_seconds instant = span.instant(local);
    if (instant >= span.begin && instant < span.end) {
      if (count++ == 0) found.first = instant;
      found.last = instant;
    }
    if (span.end >= kEndOfInstants) break;
    at = span.end;
  }
  if (count == 0) found.first = found.last = first_reaching(local);
  found.kind = count == 0   ? LocalInstants::Kind::gap
               : count == 1 ? LocalInstants::Kind::once
                            : LocalInstants::Kind::twice;
  return found;
}

local_seconds Zone::reached(sys_seconds asked) const {
  sys_seconds instant = clamped(asked);
  local_seconds latest = span_at(instant).local(instant);
  for (sys_seconds at = span_at(instant).begin;
       at > instant - kOffsetRange && at > kFirstInstant;) {
    ZoneSpan before = span_at(at - seconds(1));
    latest = std::max(latest, before.local(before.end - seconds(1)));
    at = before.begin;
  }
  return latest;
}

sys_seconds Zone::first_reaching(local_seconds local) const {
  sys_seconds at{local.time_since_epoch() - kZoneOffsetMax};
  while (true) {
    ZoneSpan span = span_at(at);
    sys_seconds instant = std::max(span.begin, span.instant(local));
    if (instant < span.end || span.end >= kEndOfInstants) return clamped(instant);
    at = span.end;
  }
}

}  // namespace holdfast
