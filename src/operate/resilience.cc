#include "operate/resilience.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/duration.h"
#include "base/text.h"

namespace holdfast {
namespace {

constexpr const char* kThisMachine = "this machine";

bool is_address(const std::string& host) {
  in6_addr v6{};
  in_addr v4{};
  return ::inet_pton(AF_INET, host.c_str(), &v4) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), &v6) == 1;
}

// "s3.example.org" of "s3.example.org:9000", "::1" of "[::1]:9000" and of "::1".
std::string without_port(const std::string& host) {
  if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
  size_t colon = host.find(':');
  bool port = colon != std::string::npos && host.find(':', colon + 1) == std::string::npos;
  return port ? host.substr(0, colon) : host;
}

// Whether a name tells that its machine is elsewhere. An address or a name without a domain may be
// the next machine in the rack.
bool tells_its_site(const std::string& named) {
  std::string host = without_port(named);
  return !is_address(host) && host.find('.') != std::string::npos && !host.ends_with(".local") &&
         !host.ends_with(".internal") && !host.ends_with(".lan");
}

// The copies that count: of the newest proven dump, the proven ones; and the newest proven branch.
struct CountedCopies {
  std::string dump;
  std::vector<const PlaceFacts*> places;
  std::vector<const BackupFacts*> copies;  // beside `places`
  std::string branch;
  std::vector<std::string> unreachable;  // stores
};

bool counts_now(const BackupFacts& backup, UtcTime now) {
  return backup.proven() && backup.created_at <= now + kClockTolerance;
}

CountedCopies counted_copies(const StatusFacts& facts) {
  CountedCopies counted;
  UtcTime newest_dump{}, newest_branch{};
  for (const PlaceFacts& place : facts.places) {
    if (!place.unreachable.empty()) {
      if (place.kind != PlaceKind::api) counted.unreachable.push_back(place.name);
      continue;
    }
    bool is_api = place.kind == PlaceKind::api;
    UtcTime& newest = is_api ? newest_branch : newest_dump;
    std::string& id = is_api ? counted.branch : counted.dump;
    for (const BackupFacts& backup : place.backups) {
      if (!counts_now(backup, facts.now)) continue;
      if (!id.empty() && std::pair(backup.created_at, backup.id) <= std::pair(newest, id)) continue;
      newest = backup.created_at;
      id = backup.id;
    }
  }
  for (const PlaceFacts& place : facts.places)
    for (const BackupFacts& backup : place.backups)
      if (place.kind != PlaceKind::api && place.unreachable.empty() && backup.id == counted.dump &&
          counts_now(backup, facts.now)) {
        counted.places.push_back(&place);
        counted.copies.push_back(&backup);
      }
  return counted;
}

RuleStatus answer(std::string name, std::string rule, RuleVerdict verdict, std::string why) {
  return {std::move(name), std::move(rule), verdict, std::move(why)};
}

RuleStatus copies_rule(const CountedCopies& counted) {
  size_t copies = 1 + counted.copies.size() + (counted.branch.empty() ? 0 : 1);
  std::vector<std::string> named = {"the source"};
  for (const PlaceFacts* place : counted.places) named.push_back(place->name);
  if (!counted.branch.empty()) named.push_back("a branch");
  return answer("copies", "3 copies", copies >= 3 ? RuleVerdict::yes : RuleVerdict::no,
                fmt::format("{}: {}", copies, fmt::join(named, ", ")));
}

RuleStatus providers_rule(const StatusFacts& facts, const CountedCopies& counted) {
  std::set<std::string> providers;
  for (const PlaceFacts* place : counted.places) providers.insert(provider_of(place->host));
  if (facts.source_host) providers.insert(provider_of(*facts.source_host));
  std::string why = fmt::format("{}: {}", providers.size(), fmt::join(providers, ", "));
  if (!counted.branch.empty()) why += "; a branch is at its source's provider";
  if (providers.size() >= 2) return answer("providers", "2 providers", RuleVerdict::yes, why);
  if (!facts.source_host)
    return answer("providers", "2 providers", RuleVerdict::not_measured,
                  why + "; where the source is, is not configured");
  return answer("providers", "2 providers", RuleVerdict::no, why);
}

RuleStatus off_site_rule(const StatusFacts& facts, const CountedCopies& counted) {
  std::string unclear;
  for (const PlaceFacts* place : counted.places) {
    std::string provider = provider_of(place->host);
    if (provider == kThisMachine) continue;
    if (!tells_its_site(place->host))
      unclear = fmt::format("{}: whether {} is at another site, its name does not tell",
                            place->name, place->host);
    else if (facts.source_host && provider == provider_of(*facts.source_host))
      unclear = fmt::format("{}: at {} as the source is; whether in another region is not known",
                            place->name, provider);
    else
      return answer("off-site", "1 off-site", RuleVerdict::yes,
                    fmt::format("{} at {}", place->name, provider));
  }
  if (!unclear.empty()) return answer("off-site", "1 off-site", RuleVerdict::not_measured, unclear);
  return answer("off-site", "1 off-site", RuleVerdict::no,
                "no proven copy is in a bucket elsewhere");
}

RuleStatus immutable_rule(const StatusFacts& facts, const CountedCopies& counted) {
  std::string unlocked;
  for (size_t i = 0; i < counted.places.size(); ++i) {
    const PlaceFacts& place = *counted.places[i];
    std::optional<UtcTime> until = counted.copies[i]->locked_until;
    if (until && *until > facts.now)
      return answer("immutable", "1 immutable", RuleVerdict::yes,
                    fmt::format("{}: locked until {}{}", place.name, format_date(*until),
                                place.lock_mode == "governance"
                                    ? " (governance: who has that right may lift it)"
                                    : ""));
    if (!place.lock_mode.empty()) unlocked = place.name;
  }
  return answer("immutable", "1 immutable", RuleVerdict::no,
                unlocked.empty() ? "no store with a proven copy locks objects (s3_object_lock)"
                                 : fmt::format("{} is to lock objects, and {} is not locked",
                                               unlocked, counted.dump));
}

RuleStatus errors_rule(const StatusFacts& facts, const std::vector<DrillStatus>& drills) {
  auto say = [](RuleVerdict verdict, std::string why) {
    return answer("errors", "0 errors", verdict, std::move(why));
  };
  size_t broken = 0;
  for (const PlaceFacts& place : facts.places)
    broken += size_t(std::count_if(place.backups.begin(), place.backups.end(),
                                   [](const BackupFacts& backup) { return backup.broken(); }));
  if (broken > 0) return say(RuleVerdict::no, plural(broken, "damaged backup"));
  const DrillMoment* passed = nullptr;
  for (const DrillStatus& drill : drills) {
    if (drill.last && drill.last->verdict == DrillVerdict::failed)
      return say(RuleVerdict::no, fmt::format("{} failed", drill.last->id));
    if (drill.last_passed && (passed == nullptr || drill.last_passed->at > passed->at))
      passed = &*drill.last_passed;
  }
  if (passed == nullptr) return say(RuleVerdict::not_measured, "no drill has passed yet");
  if (passed->age_seconds > double(facts.targets.drill_every_seconds))
    return say(RuleVerdict::not_measured, fmt::format("the last drill that passed was {} ago",
                                                      human_age(passed->age_seconds)));
  return say(RuleVerdict::yes,
             fmt::format("{} passed {} ago", passed->id, human_age(passed->age_seconds)));
}

}  // namespace

std::string provider_of(const std::string& named) {
  std::string host = without_port(named);
  if (host.empty() || host.starts_with('/') || is_loopback(host)) return kThisMachine;
  if (is_address(host)) return host;
  std::vector<std::string> labels = split(lower(host), '.');
  if (labels.size() <= 2) return lower(host);
  // "co.uk", "com.au": a registry's own second level, below which the names are given out.
  constexpr size_t kRegistryLabelMax = 3;
  size_t last = labels.size() - 1;
  bool registry = labels[last].size() == 2 && labels[last - 1].size() <= kRegistryLabelMax;
  std::string domain = labels[last - 1] + "." + labels[last];
  return registry ? labels[last - 2] + "." + domain : domain;
}

std::string_view rule_verdict_name(RuleVerdict verdict) {
  return verdict == RuleVerdict::yes ? "yes" : verdict == RuleVerdict::no ? "no" : "not measured";
}

std::vector<RuleStatus> rules_32110(const StatusFacts& facts,
                                    const std::vector<DrillStatus>& drills) {
  CountedCopies counted = counted_copies(facts);
  std::vector<RuleStatus> rules = {copies_rule(counted), providers_rule(facts, counted),
                                   off_site_rule(facts, counted), immutable_rule(facts, counted)};
  // What cannot be looked at may hold the copy that is missed.
  for (RuleStatus& rule : rules)
    if (rule.verdict == RuleVerdict::no && !counted.unreachable.empty()) {
      rule.verdict = RuleVerdict::not_measured;
      rule.why += fmt::format("; {} could not be looked at", fmt::join(counted.unreachable, ", "));
    }
  rules.push_back(errors_rule(facts, drills));
  return rules;
}

}  // namespace holdfast
