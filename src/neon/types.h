// The things of the Neon API, as plain data: what a server answers and a client reads. Names and
// meanings are the API's own (OpenAPI file of @neondatabase/api-client; facts in docs/neon-api.md).
// JSON is in json.h. Times are UTC with milliseconds.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"

namespace holdfast::neon {

struct Project {
  std::string id, platform_id, region_id, name, proxy_host, owner_id;
  int pg_version = 0;
  int64_t history_retention_seconds = 0;
  bool store_passwords = true;
  UtcTime created_at, updated_at;
  std::optional<std::string> org_id;
  int64_t synthetic_storage_size = 0;
};

// Whose key it is, and what the plan allows.
struct Account {
  std::string plan;
  int64_t branches_limit = 0;  // of a project; 0: none, or not said
};

struct Branch {
  std::string id, project_id, name;
  std::optional<std::string> parent_id, parent_lsn;
  std::optional<UtcTime> parent_timestamp;
  std::string current_state = "ready";  // init, ready, resetting, …
  std::optional<std::string> pending_state;
  UtcTime state_changed_at, created_at, updated_at;
  std::string creation_source = "console";
  bool is_default = false, is_protected = false;
  std::optional<int64_t> logical_size;
  std::optional<UtcTime> expires_at, last_reset_at;
  std::optional<std::string> init_source, restored_from, restored_as, restore_status;
  int64_t compute_time_seconds = 0, active_time_seconds = 0, written_data_bytes = 0;
  std::map<std::string, std::string> annotation;
};

struct Endpoint {
  std::string id, host, project_id, branch_id, region_id;
  std::string type = "read_write";
  std::string current_state = "idle";  // init, active, idle
  std::optional<std::string> pending_state, name;
  double autoscaling_limit_min_cu = 0.25, autoscaling_limit_max_cu = 0.25;
  bool disabled = false;
  UtcTime created_at, updated_at;
  std::optional<UtcTime> last_active, started_at, suspended_at;
  int64_t suspend_timeout_seconds = 0;  // -1: never; 0: the engine's default
  std::map<std::string, std::string> pg_settings;
};

struct Operation {
  std::string id, project_id, action;  // create_timeline, start_compute, …: an open set
  std::string status =
      "scheduling";  // running, finished, failed, error, cancelling, cancelled, skipped
  std::optional<std::string> branch_id, endpoint_id, error;
  int failures_count = 0;
  UtcTime created_at, updated_at;
  int64_t total_duration_ms = 0;

  bool ended() const { return status == "finished" || status == "skipped" || failed(); }
  bool failed() const { return status == "failed" || status == "error" || status == "cancelled"; }
};

struct Role {
  std::string branch_id, name;
  std::optional<Secret> password;  // only when it was just set
  bool is_protected = false;
  std::string authentication_method = "password";
  UtcTime created_at, updated_at;
};

struct Database {
  int64_t id = 0;
  std::string branch_id, name, owner_name;
  UtcTime created_at, updated_at;
};

struct Snapshot {
  std::string id, name;
  UtcTime created_at;
  std::optional<std::string> lsn, source_branch_id, slug;
  std::optional<UtcTime> timestamp, expires_at;
  bool manual = true;
  int64_t full_size = 0, diff_size = 0;
};

struct ScheduleItem {
  std::string frequency;  // hourly, daily, weekly, monthly, yearly
  std::optional<int> hour, day, month;
  std::optional<int64_t> retention_seconds;
};

struct ConnectionUri {
  Secret uri;
  std::string database, role, host, pooler_host;
  Secret password;
};

struct EndpointRequest {
  std::string branch_id;  // of POST /endpoints only
  std::string type = "read_write";
  std::optional<std::string> name;
  std::optional<double> autoscaling_limit_min_cu, autoscaling_limit_max_cu;
  std::optional<int64_t> suspend_timeout_seconds;
  std::optional<bool> disabled;
  std::map<std::string, std::string> pg_settings;
};

struct BranchCreateRequest {
  std::optional<std::string> parent_id, name, parent_lsn, init_source;
  std::optional<UtcTime> parent_timestamp, expires_at;
  bool is_protected = false, archived = false;
  std::vector<EndpointRequest> endpoints;
  std::map<std::string, std::string> annotation;
};

struct BranchUpdateRequest {
  std::optional<std::string> name;
  std::optional<bool> is_protected;
  bool has_expires_at = false;  // given; without a value it is taken away
  std::optional<UtcTime> expires_at;
};

struct BranchRestoreRequest {
  std::string source_branch_id;
  std::optional<std::string> source_lsn, preserve_under_name;
  std::optional<UtcTime> source_timestamp;
};

// What a mutation answers: those that it does not concern stay empty.
struct Changed {
  std::optional<Branch> branch;
  std::vector<Endpoint> endpoints;
  std::vector<Operation> operations;
  std::vector<Role> roles;
  std::vector<Database> databases;
  std::vector<ConnectionUri> connection_uris;
  std::optional<Snapshot> snapshot;
};

}  // namespace holdfast::neon
