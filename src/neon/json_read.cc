// What a server answered, read. Bounds are wide: a list may hold thousands of branches.
#include "neon/json.h"
#include "neon/json_fields.h"

namespace holdfast::neon {
namespace {

constexpr size_t kListMax = 100'000;  // above every limit of the API

JsonBounds answer_bounds() {
  JsonBounds bounds;
  bounds.values_max = 5'000'000;
  bounds.text_bytes_max = 64 << 20;  // a schema is one field
  bounds.code = ErrorCode::unavailable;
  return bounds;
}

template <typename Read>
auto read_answer(std::string_view body, Read&& read) {
  return with_context("read the API's answer", [&] {
    JsonBounds bounds = answer_bounds();
    Json document = parse_json(body, bounds);
    return read(Fields(document, "", bounds));
  });
}

std::optional<int64_t> optional_integer(const Fields& fields, const char* key) {
  if (fields.find(key) == nullptr) return std::nullopt;
  return fields.integer(key);
}

// Times that a client can do without are the epoch when they are missing.
UtcTime time_or_epoch(const Fields& fields, const char* key) {
  return fields.optional_time(key).value_or(UtcTime{});
}

Project project_of(const Fields& fields) {
  Project project;
  project.id = fields.text("id");
  project.platform_id = fields.text_or("platform_id", "");
  project.region_id = fields.text_or("region_id", "");
  project.name = fields.text("name");
  project.proxy_host = fields.text_or("proxy_host", "");
  project.owner_id = fields.text_or("owner_id", "");
  project.pg_version = static_cast<int>(fields.integer_or("pg_version", 0));
  project.history_retention_seconds = fields.integer_or("history_retention_seconds", 0);
  project.store_passwords = fields.boolean_or("store_passwords", true);
  project.created_at = time_or_epoch(fields, "created_at");
  project.updated_at = time_or_epoch(fields, "updated_at");
  project.org_id = fields.optional_text("org_id");
  project.synthetic_storage_size = fields.integer_or("synthetic_storage_size", 0);
  return project;
}

Branch branch_of(const Fields& fields) {
  Branch branch;
  branch.id = fields.text("id");
  branch.project_id = fields.text_or("project_id", "");
  branch.name = fields.text("name");
  branch.parent_id = fields.optional_text("parent_id");
  branch.parent_lsn = fields.optional_text("parent_lsn");
  branch.parent_timestamp = fields.optional_time("parent_timestamp");
  branch.current_state = fields.text_or("current_state", "ready");
  branch.pending_state = fields.optional_text("pending_state");
  branch.state_changed_at = time_or_epoch(fields, "state_changed_at");
  branch.created_at = time_or_epoch(fields, "created_at");
  branch.updated_at = time_or_epoch(fields, "updated_at");
  branch.creation_source = fields.text_or("creation_source", "");
  branch.is_default = fields.boolean_or("default", fields.boolean_or("primary", false));
  branch.is_protected = fields.boolean_or("protected", false);
  branch.logical_size = optional_integer(fields, "logical_size");
  branch.expires_at = fields.optional_time("expires_at");
  branch.last_reset_at = fields.optional_time("last_reset_at");
  branch.init_source = fields.optional_text("init_source");
  branch.restored_from = fields.optional_text("restored_from");
  branch.restored_as = fields.optional_text("restored_as");
  branch.restore_status = fields.optional_text("restore_status");
  branch.compute_time_seconds = fields.integer_or("compute_time_seconds", 0);
  branch.active_time_seconds = fields.integer_or("active_time_seconds", 0);
  branch.written_data_bytes = fields.integer_or("written_data_bytes", 0);
  return branch;
}

void add_annotation(Branch& branch, const Fields& annotation) {
  annotation.each_text("value", kListMax, [&](const std::string& name, const std::string& value) {
    branch.annotation[name] = value;
  });
}

Endpoint endpoint_of(const Fields& fields) {
  Endpoint endpoint;
  endpoint.id = fields.text("id");
  endpoint.host = fields.text("host");
  endpoint.project_id = fields.text_or("project_id", "");
  endpoint.branch_id = fields.text("branch_id");
  endpoint.region_id = fields.text_or("region_id", "");
  endpoint.type = fields.text_or("type", "read_write");
  endpoint.current_state = fields.text_or("current_state", "idle");
  endpoint.pending_state = fields.optional_text("pending_state");
  endpoint.name = fields.optional_text("name");
  endpoint.autoscaling_limit_min_cu = fields.real_or("autoscaling_limit_min_cu", 0.25);
  endpoint.autoscaling_limit_max_cu = fields.real_or("autoscaling_limit_max_cu", 0.25);
  endpoint.disabled = fields.boolean_or("disabled", false);
  endpoint.created_at = time_or_epoch(fields, "created_at");
  endpoint.updated_at = time_or_epoch(fields, "updated_at");
  endpoint.last_active = fields.optional_time("last_active");
  endpoint.started_at = fields.optional_time("started_at");
  endpoint.suspended_at = fields.optional_time("suspended_at");
  endpoint.suspend_timeout_seconds = fields.integer_or("suspend_timeout_seconds", 0);
  if (auto settings = fields.optional_object("settings"))
    settings->each_text("pg_settings", kListMax,
                        [&](const std::string& name, const std::string& value) {
                          endpoint.pg_settings[name] = value;
                        });
  return endpoint;
}

Operation operation_of(const Fields& fields) {
  Operation operation;
  operation.id = fields.text("id");
  operation.project_id = fields.text_or("project_id", "");
  operation.action = fields.text_or("action", "");
  operation.status = fields.text("status");
  operation.branch_id = fields.optional_text("branch_id");
  operation.endpoint_id = fields.optional_text("endpoint_id");
  operation.error = fields.optional_text("error");
  operation.failures_count = static_cast<int>(fields.integer_or("failures_count", 0));
  operation.created_at = time_or_epoch(fields, "created_at");
  operation.updated_at = time_or_epoch(fields, "updated_at");
  operation.total_duration_ms = fields.integer_or("total_duration_ms", 0);
  return operation;
}

Role role_of(const Fields& fields) {
  Role role;
  role.branch_id = fields.text_or("branch_id", "");
  role.name = fields.text("name");
  if (auto password = fields.optional_text("password")) role.password = Secret(*password);
  role.is_protected = fields.boolean_or("protected", false);
  role.authentication_method = fields.text_or("authentication_method", "password");
  role.created_at = time_or_epoch(fields, "created_at");
  role.updated_at = time_or_epoch(fields, "updated_at");
  return role;
}

Database database_of(const Fields& fields) {
  Database database;
  database.id = fields.integer_or("id", 0);
  database.branch_id = fields.text_or("branch_id", "");
  database.name = fields.text("name");
  database.owner_name = fields.text_or("owner_name", "");
  database.created_at = time_or_epoch(fields, "created_at");
  database.updated_at = time_or_epoch(fields, "updated_at");
  return database;
}

Snapshot snapshot_of(const Fields& fields) {
  Snapshot snapshot;
  snapshot.id = fields.text("id");
  snapshot.name = fields.text("name");
  snapshot.created_at = time_or_epoch(fields, "created_at");
  snapshot.lsn = fields.optional_text("lsn");
  snapshot.source_branch_id = fields.optional_text("source_branch_id");
  snapshot.slug = fields.optional_text("slug");
  snapshot.timestamp = fields.optional_time("timestamp");
  snapshot.expires_at = fields.optional_time("expires_at");
  snapshot.manual = fields.boolean_or("manual", true);
  snapshot.full_size = fields.integer_or("full_size", 0);
  snapshot.diff_size = fields.integer_or("diff_size", 0);
  return snapshot;
}

ConnectionUri connection_of(const Fields& fields) {
  ConnectionUri uri;
  uri.uri = Secret(fields.text("connection_uri"));
  if (auto parameters = fields.optional_object("connection_parameters")) {
    uri.database = parameters->text_or("database", "");
    uri.role = parameters->text_or("role", "");
    uri.host = parameters->text_or("host", "");
    uri.pooler_host = parameters->text_or("pooler_host", "");
    uri.password = Secret(parameters->text_or("password", ""));
  }
  return uri;
}

template <typename Value>
std::vector<Value> list(const Fields& fields, const char* key, Value (*read)(const Fields&)) {
  std::vector<Value> values;
  fields.each(key, kListMax, [&](const Fields& entry) { values.push_back(read(entry)); });
  return values;
}

template <typename Value>
std::vector<Value> whole_list(std::string_view body, const char* key,
                              Value (*read)(const Fields&)) {
  return read_answer(body, [&](const Fields& fields) {
    fields.at(key);
    return list(fields, key, read);
  });
}

std::string cursor_of(const Fields& fields, const char* key) {
  auto pagination = fields.optional_object("pagination");
  return pagination ? pagination->text_or(key, "") : std::string();
}

ScheduleItem schedule_item_of(const Fields& fields) {
  ScheduleItem item;
  item.frequency = fields.text("frequency");
  auto small = [&](const char* key) -> std::optional<int> {
    if (fields.find(key) == nullptr) return std::nullopt;
    return static_cast<int>(fields.integer(key, 0, 366));
  };
  item.hour = small("hour");
  item.day = small("day");
  item.month = small("month");
  item.retention_seconds = optional_integer(fields, "retention_seconds");
  return item;
}

}  // namespace

ErrorAnswer read_error(std::string_view body) {
  try {
    return read_answer(body, [](const Fields& fields) {
      return ErrorAnswer{fields.text_or("request_id", ""), fields.text_or("code", ""),
                         fields.text_or("message", "")};
    });
  } catch (const Error&) {
    return {};  // a proxy's page, or nothing
  }
}

Account read_account(std::string_view body) {
  return read_answer(body, [](const Fields& fields) {
    return Account{fields.text_or("plan", ""), fields.integer_or("branches_limit", 0)};
  });
}

Project read_project(std::string_view body) {
  return read_answer(body,
                     [](const Fields& fields) { return project_of(fields.object("project")); });
}

ProjectList read_project_list(std::string_view body) {
  return read_answer(body, [](const Fields& fields) {
    fields.at("projects");
    return ProjectList{list(fields, "projects", project_of), cursor_of(fields, "cursor")};
  });
}

Branch read_branch(std::string_view body) {
  return read_answer(body, [](const Fields& fields) {
    Branch branch = branch_of(fields.object("branch"));
    if (auto annotation = fields.optional_object("annotation")) add_annotation(branch, *annotation);
    return branch;
  });
}

BranchList read_branch_list(std::string_view body) {
  return read_answer(body, [](const Fields& fields) {
    fields.at("branches");
    BranchList found;
    found.branches = list(fields, "branches", branch_of);
    found.next = cursor_of(fields, "next");
    if (std::string by = cursor_of(fields, "sort_by"); !by.empty()) found.sort_by = by;
    if (std::string order = cursor_of(fields, "sort_order"); !order.empty())
      found.sort_order = order;
    if (auto annotations = fields.optional_object("annotations"))
      for (Branch& branch : found.branches)
        if (auto annotation = annotations->optional_object(branch.id.c_str()))
          add_annotation(branch, *annotation);
    return found;
  });
}

size_t read_branch_count(std::string_view body) {
  return read_answer(
      body, [](const Fields& fields) { return static_cast<size_t>(fields.integer("count", 0)); });
}

Changed read_changed(std::string_view body) {
  return read_answer(body, [](const Fields& fields) {
    Changed changed;
    if (auto branch = fields.optional_object("branch")) changed.branch = branch_of(*branch);
    changed.endpoints = list(fields, "endpoints", endpoint_of);
    if (auto endpoint = fields.optional_object("endpoint"))
      changed.endpoints.push_back(endpoint_of(*endpoint));
    changed.operations = list(fields, "operations", operation_of);
    changed.roles = list(fields, "roles", role_of);
    if (auto role = fields.optional_object("role")) changed.roles.push_back(role_of(*role));
    changed.databases = list(fields, "databases", database_of);
    if (auto database = fields.optional_object("database"))
      changed.databases.push_back(database_of(*database));
    changed.connection_uris = list(fields, "connection_uris", connection_of);
    if (auto snapshot = fields.optional_object("snapshot"))
      changed.snapshot = snapshot_of(*snapshot);
    return changed;
  });
}

Endpoint read_endpoint(std::string_view body) {
  return read_answer(body,
                     [](const Fields& fields) { return endpoint_of(fields.object("endpoint")); });
}

std::vector<Endpoint> read_endpoint_list(std::string_view body) {
  return whole_list(body, "endpoints", endpoint_of);
}

Operation read_operation(std::string_view body) {
  return read_answer(body,
                     [](const Fields& fields) { return operation_of(fields.object("operation")); });
}

OperationList read_operation_list(std::string_view body) {
  return read_answer(body, [](const Fields& fields) {
    fields.at("operations");
    return OperationList{list(fields, "operations", operation_of), cursor_of(fields, "cursor")};
  });
}

Role read_role(std::string_view body) {
  return read_answer(body, [](const Fields& fields) { return role_of(fields.object("role")); });
}

std::vector<Role> read_role_list(std::string_view body) {
  return whole_list(body, "roles", role_of);
}

Secret read_password(std::string_view body) {
  return read_answer(body, [](const Fields& fields) { return Secret(fields.text("password")); });
}

Database read_database(std::string_view body) {
  return read_answer(body,
                     [](const Fields& fields) { return database_of(fields.object("database")); });
}

std::vector<Database> read_database_list(std::string_view body) {
  return whole_list(body, "databases", database_of);
}

Secret read_connection_uri(std::string_view body) {
  return read_answer(body, [](const Fields& fields) { return Secret(fields.text("uri")); });
}

std::string read_schema(std::string_view body) {
  return read_answer(body, [](const Fields& fields) { return fields.text("sql"); });
}

std::string read_schema_diff(std::string_view body) {
  return read_answer(body, [](const Fields& fields) { return fields.text_or("diff", ""); });
}

Snapshot read_snapshot(std::string_view body) {
  return read_answer(body,
                     [](const Fields& fields) { return snapshot_of(fields.object("snapshot")); });
}

std::vector<Snapshot> read_snapshot_list(std::string_view body) {
  return whole_list(body, "snapshots", snapshot_of);
}

std::vector<ScheduleItem> read_schedule(std::string_view body) {
  return whole_list(body, "schedule", schedule_item_of);
}

}  // namespace holdfast::neon
