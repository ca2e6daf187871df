#include "cli/audit_trail.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "alert/outbox.h"
#include "audit/identity.h"
#include "audit/log_folder.h"

namespace holdfast {
namespace {

constexpr const char* kSystemLogFolder = "/var/log/holdfast";

bool is_same_head(const AuditHead& one, const AuditHead& other) {
  return one.log == other.log && one.seq == other.seq && one.hash == other.hash;
}

}  // namespace

bool is_own_folder(const std::string& folder) {
  struct stat info;
  return ::stat(folder.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == ::geteuid();
}

bool audit_is_on(const Config& config) {
  return config.text("audit") == "on";
}

bool audit_is_required(const Config& config) {
  return audit_is_on(config) && config.text("audit_required") == "yes";
}

std::string audit_folder(const Config& config) {
  if (config.given("audit_dir")) return config.text("audit_dir");
  if (is_own_folder(kSystemLogFolder)) return std::string(kSystemLogFolder) + "/audit";
  return state_folder(config) + "/audit";
}

AuditWho audit_who(const Config& config) {
  return local_identity(config.text("audit_organization"), config.environment());
}

AuditRetentionPolicy audit_retention(const Config& config) {
  AuditRetentionPolicy policy;
  policy.years = static_cast<int>(config.number("audit_keep_years"));
  return policy;
}

AuditAnchors anchors_everywhere(const std::vector<OpenStore>& stores, const Run& run) {
  AuditAnchors all;
  for (const OpenStore& store : stores) {
    try {
      AuditAnchors found = read_audit_anchors(*store.store);
      for (AuditAnchor& anchor : found.anchors)
        if (std::none_of(all.anchors.begin(), all.anchors.end(), [&](const AuditAnchor& known) {
              return is_same_head(known.head, anchor.head);
            }))
          all.anchors.push_back(std::move(anchor));
      for (const std::string& damaged : found.damaged)
        all.damaged.push_back(fmt::format("{}: {}", store.name, damaged));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      run.log.warning(
          fmt::format("store {} has its anchors to itself: {}", store.name, error.in_one_line()));
    }
  }
  return all;
}

std::function<std::optional<AuditHead>()> audit_head_teller(const Config& config, const Run& run) {
  return [&config, &run, is_warned = false]() mutable -> std::optional<AuditHead> {
    std::string problem;
    try {
      if (audit_is_on(config)) return read_audit_head(audit_folder(config), kAuditHeadMax);
      return std::nullopt;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::not_found) return std::nullopt;
      problem = error.in_one_line();
    } catch (const std::exception& error) {
      problem = error.what();
    }
    if (!std::exchange(is_warned, true))
      run.log.warning("alerts do not say where the audit trail stands: " + problem);
    return std::nullopt;
  };
}

std::vector<AnchorOutcome> anchor_everywhere(const std::vector<OpenStore>& stores,
                                             const Config& config, const AuditHead& head,
                                             const Run& run) {
  std::vector<AnchorOutcome> outcomes;
  for (const OpenStore& store : stores) {
    AnchorOutcome outcome{store.name, store.store->location(), "", std::nullopt, std::nullopt};
    try {
      if (store.locks_objects)
        outcome.locked_until = audit_kept_until(run.clock.now(), audit_retention(config));
      outcome.object = put_audit_anchor(*store.store, head, run.clock.now(), outcome.locked_until);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      outcome.error = error;
    }
    outcomes.push_back(std::move(outcome));
  }
  return outcomes;
}

}  // namespace holdfast
