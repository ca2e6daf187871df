// What a server answers, written. Field order is that of the API's documentation.
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "neon/json.h"

namespace holdfast::neon {
namespace {

using Json = nlohmann::ordered_json;

// Names come from PostgreSQL and need not be UTF-8; a strict dump would throw.
std::string dump(const Json& document) {
  return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

template <typename Value>
void add(Json& object, const char* key, const std::optional<Value>& value) {
  if (value) object[key] = *value;
}

void add(Json& object, const char* key, const std::optional<UtcTime>& time) {
  if (time) object[key] = format_rfc3339(*time);
}

template <typename Value, typename ToJson>
Json list_of(const std::vector<Value>& values, ToJson&& to_json) {
  Json list = Json::array();
  for (const Value& value : values) list.push_back(to_json(value));
  return list;
}

Json project_json(const Project& project) {
  // What Neon meters and the engine does not is 0; the period is the project's whole life.
  Json json = {{"data_storage_bytes_hour", 0},
               {"data_transfer_bytes", 0},
               {"written_data_bytes", 0},
               {"compute_time_seconds", 0},
               {"active_time_seconds", 0},
               {"cpu_used_sec", 0},
               {"id", project.id},
               {"platform_id", project.platform_id},
               {"region_id", project.region_id},
               {"name", project.name},
               {"provisioner", "holdfast"},
               {"pg_version", project.pg_version},
               {"proxy_host", project.proxy_host},
               {"branch_logical_size_limit", 0},
               {"branch_logical_size_limit_bytes", 0},
               {"store_passwords", project.store_passwords},
               {"creation_source", "holdfast"},
               {"history_retention_seconds", project.history_retention_seconds},
               {"created_at", format_rfc3339(project.created_at)},
               {"updated_at", format_rfc3339(project.updated_at)},
               {"synthetic_storage_size", project.synthetic_storage_size},
               {"consumption_period_start", format_rfc3339(project.created_at)},
               {"consumption_period_end", format_rfc3339(project.updated_at)},
               {"owner_id", project.owner_id}};
  add(json, "org_id", project.org_id);
  return json;
}

// In lists the API leaves out what it meters, but for one number that has another name there.
Json project_item_json(const Project& project) {
  Json json = project_json(project);
  for (const char* metered : {"data_storage_bytes_hour", "data_transfer_bytes",
                              "written_data_bytes", "compute_time_seconds", "active_time_seconds",
                              "consumption_period_start", "consumption_period_end"})
    json.erase(metered);
  json["active_time"] = 0;
  return json;
}

Json branch_json(const Branch& branch) {
  Json json = {{"id", branch.id}, {"project_id", branch.project_id}};
  add(json, "parent_id", branch.parent_id);
  add(json, "parent_lsn", branch.parent_lsn);
  add(json, "parent_timestamp", branch.parent_timestamp);
  json["name"] = branch.name;
  json["current_state"] = branch.current_state;
  add(json, "pending_state", branch.pending_state);
  json["state_changed_at"] = format_rfc3339(branch.state_changed_at);
  add(json, "logical_size", branch.logical_size);
  json["creation_source"] = branch.creation_source;
  json["primary"] = branch.is_default;  // its old name
  json["default"] = branch.is_default;
  json["protected"] = branch.is_protected;
  json["cpu_used_sec"] = branch.compute_time_seconds;
  json["compute_time_seconds"] = branch.compute_time_seconds;
  json["active_time_seconds"] = branch.active_time_seconds;
  json["written_data_bytes"] = branch.written_data_bytes;
  json["data_transfer_bytes"] = 0;
  json["created_at"] = format_rfc3339(branch.created_at);
  json["updated_at"] = format_rfc3339(branch.updated_at);
  add(json, "expires_at", branch.expires_at);
  add(json, "last_reset_at", branch.last_reset_at);
  add(json, "init_source", branch.init_source);
  add(json, "restore_status", branch.restore_status);
  add(json, "restored_from", branch.restored_from);
  add(json, "restored_as", branch.restored_as);
  return json;
}

Json annotation_json(const Branch& branch) {
  Json value = Json::object();
  for (const auto& [name, text] : branch.annotation) value[name] = text;
  return {{"object", {{"type", "console/branch"}, {"id", branch.id}}}, {"value", value}};
}

Json endpoint_json(const Endpoint& endpoint) {
  Json pg_settings = Json::object();
  for (const auto& [name, value] : endpoint.pg_settings) pg_settings[name] = value;
  Json json = {{"host", endpoint.host}, {"id", endpoint.id}};
  add(json, "name", endpoint.name);
  json["project_id"] = endpoint.project_id;
  json["branch_id"] = endpoint.branch_id;
  json["autoscaling_limit_min_cu"] = endpoint.autoscaling_limit_min_cu;
  json["autoscaling_limit_max_cu"] = endpoint.autoscaling_limit_max_cu;
  json["region_id"] = endpoint.region_id;
  json["type"] = endpoint.type;
  json["current_state"] = endpoint.current_state;
  add(json, "pending_state", endpoint.pending_state);
  json["settings"] = {{"pg_settings", pg_settings}};
  json["pooler_enabled"] = false;
  json["pooler_mode"] = "transaction";
  json["disabled"] = endpoint.disabled;
  json["passwordless_access"] = false;
  add(json, "last_active", endpoint.last_active);
  json["creation_source"] = "holdfast";
  json["created_at"] = format_rfc3339(endpoint.created_at);
  json["updated_at"] = format_rfc3339(endpoint.updated_at);
  add(json, "started_at", endpoint.started_at);
  add(json, "suspended_at", endpoint.suspended_at);
  json["proxy_host"] = endpoint.host;
  json["suspend_timeout_seconds"] = endpoint.suspend_timeout_seconds;
  json["provisioner"] = "holdfast";
  return json;
}

Json operation_json(const Operation& operation) {
  Json json = {{"id", operation.id}, {"project_id", operation.project_id}};
  add(json, "branch_id", operation.branch_id);
  add(json, "endpoint_id", operation.endpoint_id);
  json["action"] = operation.action;
  json["status"] = operation.status;
  add(json, "error", operation.error);
  json["failures_count"] = operation.failures_count;
  json["created_at"] = format_rfc3339(operation.created_at);
  json["updated_at"] = format_rfc3339(operation.updated_at);
  json["total_duration_ms"] = operation.total_duration_ms;
  return json;
}

Json role_json(const Role& role) {
  Json json = {{"branch_id", role.branch_id}, {"name", role.name}};
  if (role.password) json["password"] = role.password->reveal();
  json["protected"] = role.is_protected;
  json["authentication_method"] = role.authentication_method;
  json["created_at"] = format_rfc3339(role.created_at);
  json["updated_at"] = format_rfc3339(role.updated_at);
  return json;
}

Json database_json(const Database& database) {
  return {{"id", database.id},
          {"branch_id", database.branch_id},
          {"name", database.name},
          {"owner_name", database.owner_name},
          {"created_at", format_rfc3339(database.created_at)},
          {"updated_at", format_rfc3339(database.updated_at)}};
}

Json snapshot_json(const Snapshot& snapshot) {
  Json json = {{"id", snapshot.id}, {"name", snapshot.name}};
  add(json, "slug", snapshot.slug);
  add(json, "lsn", snapshot.lsn);
  add(json, "timestamp", snapshot.timestamp);
  add(json, "source_branch_id", snapshot.source_branch_id);
  json["created_at"] = format_rfc3339(snapshot.created_at);
  add(json, "expires_at", snapshot.expires_at);
  json["manual"] = snapshot.manual;
  json["full_size"] = snapshot.full_size;
  json["diff_size"] = snapshot.diff_size;
  return json;
}

Json connection_json(const ConnectionUri& uri) {
  return {{"connection_uri", uri.uri.reveal()},
          {"connection_parameters",
           {{"database", uri.database},
            {"password", uri.password.reveal()},
            {"role", uri.role},
            {"host", uri.host},
            {"pooler_host", uri.pooler_host}}}};
}

template <typename Value, typename ToJson>
void add_first(Json& json, const char* key, const std::vector<Value>& values, ToJson&& to_json) {
  if (values.empty())
    throw Error(ErrorCode::internal, std::string("the engine did not say which ") + key);
  json[key] = to_json(values.front());
}

void add_branch(Json& json, const Changed& changed) {
  if (!changed.branch) throw Error(ErrorCode::internal, "the engine did not say which branch");
  json["branch"] = branch_json(*changed.branch);
}

}  // namespace

std::string write_error(const ErrorAnswer& error) {
  return dump({{"request_id", error.request_id}, {"code", error.code}, {"message", error.message}});
}

std::string write_project(const Project& project) {
  return dump({{"project", project_json(project)}});
}

std::string write_project_changed(const Project& project) {
  return dump({{"project", project_json(project)}, {"operations", Json::array()}});
}

std::string write_project_list(const ProjectList& list) {
  Json json = {{"projects", list_of(list.projects, project_item_json)},
               {"applications", Json::object()},
               {"integrations", Json::object()}};
  if (!list.cursor.empty()) json["pagination"] = {{"cursor", list.cursor}};
  return dump(json);
}

std::string write_branch(const Branch& branch) {
  return dump({{"branch", branch_json(branch)}, {"annotation", annotation_json(branch)}});
}

std::string write_branch_list(const BranchList& list) {
  Json annotations = Json::object();  // clients crash without it
  for (const Branch& branch : list.branches)
    if (!branch.annotation.empty()) annotations[branch.id] = annotation_json(branch);
  Json pagination = {{"sort_by", list.sort_by}, {"sort_order", list.sort_order}};
  if (!list.next.empty()) pagination["next"] = list.next;
  return dump({{"branches", list_of(list.branches, branch_json)},
               {"annotations", annotations},
               {"pagination", pagination}});
}

std::string write_branch_count(size_t count) {
  return dump({{"count", count}});
}

std::string write_changed(const Changed& changed, ChangedShape shape) {
  Json json = Json::object();
  switch (shape) {
    case ChangedShape::branch_created:
      add_branch(json, changed);
      json["endpoints"] = list_of(changed.endpoints, endpoint_json);
      json["roles"] = list_of(changed.roles, role_json);
      json["databases"] = list_of(changed.databases, database_json);
      if (!changed.connection_uris.empty())
        json["connection_uris"] = list_of(changed.connection_uris, connection_json);
      break;
    case ChangedShape::branch:
      add_branch(json, changed);
      break;
    case ChangedShape::endpoint:
      add_first(json, "endpoint", changed.endpoints, endpoint_json);
      break;
    case ChangedShape::role:
      add_first(json, "role", changed.roles, role_json);
      break;
    case ChangedShape::database:
      add_first(json, "database", changed.databases, database_json);
      break;
    case ChangedShape::snapshot:
      if (!changed.snapshot)
        throw Error(ErrorCode::internal, "the engine did not say which snapshot");
      json["snapshot"] = snapshot_json(*changed.snapshot);
      break;
    case ChangedShape::snapshot_restored:
      add_branch(json, changed);
      json["endpoints"] = list_of(changed.endpoints, endpoint_json);
      break;
    case ChangedShape::operations:
      break;
  }
  json["operations"] = list_of(changed.operations, operation_json);
  return dump(json);
}

std::string write_endpoint(const Endpoint& endpoint) {
  return dump({{"endpoint", endpoint_json(endpoint)}});
}

std::string write_endpoint_list(const std::vector<Endpoint>& endpoints) {
  return dump({{"endpoints", list_of(endpoints, endpoint_json)}});
}

std::string write_operation(const Operation& operation) {
  return dump({{"operation", operation_json(operation)}});
}

std::string write_operation_list(const OperationList& list) {
  Json json = {{"operations", list_of(list.operations, operation_json)}};
  if (!list.cursor.empty()) json["pagination"] = {{"cursor", list.cursor}};
  return dump(json);
}

std::string write_role(const Role& role) {
  return dump({{"role", role_json(role)}});
}

std::string write_role_list(const std::vector<Role>& roles) {
  return dump({{"roles", list_of(roles, role_json)}});
}

std::string write_password(const Secret& password) {
  return dump({{"password", password.reveal()}});
}

std::string write_database(const Database& database) {
  return dump({{"database", database_json(database)}});
}

std::string write_database_list(const std::vector<Database>& databases) {
  return dump({{"databases", list_of(databases, database_json)}});
}

std::string write_connection_uri(const Secret& uri) {
  return dump({{"uri", uri.reveal()}});
}

std::string write_schema(const std::string& sql) {
  return dump({{"sql", sql}});
}

std::string write_schema_diff(const std::string& diff) {
  return dump({{"diff", diff}});
}

std::string write_snapshot(const Snapshot& snapshot) {
  return dump({{"snapshot", snapshot_json(snapshot)}});
}

std::string write_snapshot_list(const std::vector<Snapshot>& snapshots) {
  return dump({{"snapshots", list_of(snapshots, snapshot_json)}});
}

std::string write_schedule(const std::vector<ScheduleItem>& items) {
  return dump({{"schedule", list_of(items, [](const ScheduleItem& item) {
                  Json json = {{"frequency", item.frequency}};
                  add(json, "hour", item.hour);
                  add(json, "day", item.day);
                  add(json, "month", item.month);
                  add(json, "retention_seconds", item.retention_seconds);
                  return json;
                })}});
}

}  // namespace holdfast::neon
