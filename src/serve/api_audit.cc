#include "serve/api_audit.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "serve/api.h"
#include "serve/api_errors.h"

namespace holdfast {
namespace {

constexpr std::chrono::seconds kRefusalInterval{5};
constexpr size_t kAddressesMax = 100;  // told apart within one interval
constexpr size_t kVerbBytesMax = 32;

// The parts of paths that name things; between them stand their ids.
struct Noun {
  std::string_view collection, one;
};
constexpr Noun kNouns[] = {{"projects", "project"},   {"branches", "branch"},
                           {"endpoints", "endpoint"}, {"roles", "role"},
                           {"databases", "database"}, {"snapshots", "snapshot"},
                           {"api_keys", "key"},       {"operations", "operation"}};

std::string_view noun_of(std::string_view collection) {
  for (const Noun& noun : kNouns)
    if (noun.collection == collection) return noun.one;
  return {};
}

std::string verb_of(std::string_view part) {
  std::string verb;
  for (char c : part.substr(0, kVerbBytesMax))
    verb += (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ? c : '_';
  return verb;
}

AuditOutcome outcome_of_status(int status) {
  if (status < 400) return AuditOutcome::ok;
  return status == 401 || status == 403 ? AuditOutcome::denied : AuditOutcome::failed;
}

std::string_view without_prefix(std::string_view path) {
  return path.starts_with(kApiPrefix) ? path.substr(std::string_view(kApiPrefix).size()) : path;
}

}  // namespace

std::string api_action(std::string_view method, std::string_view path) {
  std::vector<std::string> parts = split(path, '/');
  if (!parts.empty() && parts.front().empty()) parts.erase(parts.begin());
  if (parts.empty() || noun_of(parts.front()).empty()) return "api.call";
  // Collections stand at even places, ids at odd ones.
  size_t last = parts.size() - 1, even = last - last % 2;
  bool is_verb = last == even && noun_of(parts[last]).empty();
  std::string_view noun = noun_of(parts[is_verb ? even - 2 : even]);
  if (noun.empty()) return "api.call";
  std::string verb = method == "POST"     ? "create"
                     : method == "DELETE" ? "delete"
                     : method == "PATCH"  ? "update"
                     : last == even       ? "list"
                                          : "read";
  if (is_verb) verb = verb_of(parts[last]);
  return fmt::format("api.{}.{}", noun, verb);
}

bool is_api_change(std::string_view method) {
  return method != "GET" && method != "HEAD" && method != "OPTIONS";
}

bool is_api_secret(std::string_view action) {
  return action.ends_with(".connection_uri") || action.ends_with(".reveal_password");
}

ApiAudit::ApiAudit(AuditWriter& writer, ApiAuditSettings settings, Log& log)
    : writer_(writer),
      settings_(std::move(settings)),
      log_(log),
      worker_([this](std::stop_token stop) { work(std::move(stop)); }) {}

ApiAudit::~ApiAudit() {
  worker_.request_stop();
  worker_.join();
  write_refusals();
}

bool ApiAudit::write(const AuditEvent& event) {
  try {
    writer_.append(event);
    return true;
  } catch (const Error& error) {
    log_.warning(fmt::format("api: {} is not recorded: {}", event.action, error.in_one_line()));
    return false;
  }
}

AuditEvent ApiAudit::event_of(const WebRequest& request) const {
  AuditEvent event;
  event.who = settings_.who;
  event.who.kind = AuditActorKind::api_key;
  event.who.actor = request.actor.empty() ? request.client : request.actor;
  event.who.address = request.address.empty() ? "unknown" : request.address;
  std::string_view path = without_prefix(request.path);
  event.action = api_action(request.method, path);
  event.target = path;
  event.run = request.request_id;
  event.detail = {{"method", request.method}};
  return event;
}

WebResponse ApiAudit::record(const WebRequest& request, const WebHandler& carry_out) {
  AuditEvent event = event_of(request);
  bool change = is_api_change(request.method), secret = is_api_secret(event.action);
  if (!change && !secret && !settings_.reads) return carry_out(request);

  auto refusal = [&] {
    return error_response(503, "", "the call cannot be recorded in the audit trail",
                          request.request_id);
  };
  if (change) {
    event.outcome = AuditOutcome::begun;
    if (!write(event) && settings_.required) return refusal();
  }
  WebResponse response = carry_out(request);
  event.outcome = outcome_of_status(response.status);
  event.detail["status"] = std::to_string(response.status);
  if (!write(event) && secret && settings_.required) return refusal();
  return response;
}

void ApiAudit::refused(const WebRequest& request) {
  std::lock_guard lock(mutex_);
  auto found = refusals_.find(request.address);
  if (found != refusals_.end())
    ++found->second;
  else if (refusals_.size() < kAddressesMax)
    refusals_.emplace(request.address, 1);
  else
    ++other_refusals_;
}

void ApiAudit::write_refusals() {
  std::map<std::string, uint64_t> refusals;
  uint64_t others = 0;
  {
    std::lock_guard lock(mutex_);
    refusals.swap(refusals_);
    std::swap(others, other_refusals_);
  }
  if (others > 0) refusals["several"] += others;
  for (const auto& [address, count] : refusals) {
    AuditEvent event;
    event.who = settings_.who;
    event.who.kind = AuditActorKind::api_key;
    event.who.actor = "unknown key";
    event.who.address = address.empty() ? "unknown" : address;
    event.action = "api.refused";
    event.target = "api";
    event.outcome = AuditOutcome::denied;
    event.detail = {{"calls", std::to_string(count)}, {"status", "401"}};
    write(event);
  }
}

void ApiAudit::work(std::stop_token stop) {
  while (!stop.stop_requested()) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, stop, kRefusalInterval, [] { return false; });
    }
    write_refusals();
  }
}

}  // namespace holdfast
