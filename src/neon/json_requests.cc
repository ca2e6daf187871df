// Requests: read as strictly as the API's schemas say, written with just the fields that are set.
#include "neon/json.h"
#include "neon/json_fields.h"

namespace holdfast::neon {
namespace {

constexpr size_t kNameMax = 256;                     // of branches, projects, snapshots
constexpr size_t kEndpointsMax = 20;                 // of one branch; more would not start anyway
constexpr size_t kTextsMax = 200;                    // annotation values, PostgreSQL settings
constexpr size_t kScheduleItemsMax = 100;            // a schedule for people
constexpr int64_t kRetentionSecondsMax = 2'592'000;  // the API's: 30 days
constexpr int64_t kSuspendSecondsMin = 60, kSuspendSecondsMax = 604'800;
constexpr double kComputeUnitsMin = 0.25, kComputeUnitsMax = 56;  // the API's

template <typename Read>
auto read_request(std::string_view body, Read&& read) {
  JsonBounds bounds;
  Json document = body.empty() ? Json::object() : parse_json(body, bounds);
  return read(Fields(document, "", bounds));
}

void check_lsn(const Fields& fields, const char* key) {
  if (fields.find(key) == nullptr) return;
  std::string text = fields.text(key);
  size_t slash = text.find('/');
  auto hex = [](std::string_view half) {
    return !half.empty() && half.size() <= 8 &&
           half.find_first_not_of("0123456789abcdefABCDEF") == half.npos;
  };
  if (slash == text.npos || !hex(std::string_view(text).substr(0, slash)) ||
      !hex(std::string_view(text).substr(slash + 1)))
    throw fields.wrong(key, "is not an LSN like 0/16B3748");
}

void check_one_of(const Fields& fields, const char* key, const std::optional<std::string>& text,
                  std::initializer_list<const char*> known) {
  if (!text) return;
  std::string all;
  for (const char* word : known) {
    if (*text == word) return;
    all += (all.empty() ? "" : ", ") + std::string(word);
  }
  throw fields.wrong(key, "is none of " + all);
}

void check_one_point(const Fields& fields, const char* lsn, const char* time) {
  check_lsn(fields, lsn);
  if (fields.find(lsn) != nullptr && fields.find(time) != nullptr)
    throw fields.wrong(lsn, fmt::format("cannot be combined with {}", time));
}

std::optional<double> compute_units(const Fields& fields, const char* key) {
  if (fields.find(key) == nullptr) return std::nullopt;
  double units = fields.real(key);
  if (units < kComputeUnitsMin || units > kComputeUnitsMax)
    throw fields.wrong(
        key, fmt::format("is {}; it may be {} to {}", units, kComputeUnitsMin, kComputeUnitsMax));
  return units;
}

void read_endpoint_fields(const Fields& fields, EndpointRequest& request) {
  request.autoscaling_limit_min_cu = compute_units(fields, "autoscaling_limit_min_cu");
  request.autoscaling_limit_max_cu = compute_units(fields, "autoscaling_limit_max_cu");
  if (request.autoscaling_limit_min_cu && request.autoscaling_limit_max_cu &&
      *request.autoscaling_limit_min_cu > *request.autoscaling_limit_max_cu)
    throw fields.wrong("autoscaling_limit_min_cu", "is above autoscaling_limit_max_cu");
  if (fields.find("suspend_timeout_seconds") != nullptr) {
    int64_t seconds = fields.integer("suspend_timeout_seconds", -1, kSuspendSecondsMax);
    if (seconds > 0 && seconds < kSuspendSecondsMin)
      throw fields.wrong("suspend_timeout_seconds",
                         fmt::format("is {}; it may be -1 (never), 0 (the default) or {} to {}",
                                     seconds, kSuspendSecondsMin, kSuspendSecondsMax));
    request.suspend_timeout_seconds = seconds;
  }
  if (fields.find("disabled") != nullptr) request.disabled = fields.boolean("disabled");
  request.name = fields.optional_text("name", 1, 64);
  if (auto settings = fields.optional_object("settings"))
    settings->each_text("pg_settings", kTextsMax,
                        [&](const std::string& name, const std::string& value) {
                          request.pg_settings[name] = value;
                        });
}

EndpointRequest endpoint_of(const Fields& fields) {
  EndpointRequest request;
  request.type = fields.text("type");
  check_one_of(fields, "type", request.type, {"read_write", "read_only"});
  read_endpoint_fields(fields, request);
  return request;
}

// Names of roles and databases: PostgreSQL cuts longer ones silently.
void check_postgres_name(const Fields& fields, const char* key) {
  if (fields.find(key) != nullptr && fields.text(key, 1).size() > 63)
    throw fields.wrong(key, "is longer than 63 bytes");
}

ScheduleItem schedule_item_of(const Fields& fields) {
  ScheduleItem item;
  item.frequency = fields.text("frequency");
  check_one_of(fields, "frequency", item.frequency,
               {"hourly", "daily", "weekly", "monthly", "yearly"});
  auto small = [&](const char* key, int min, int max) -> std::optional<int> {
    if (fields.find(key) == nullptr) return std::nullopt;
    return static_cast<int>(fields.integer(key, min, max));
  };
  item.hour = small("hour", 0, 23);
  item.day = small("day", 1, 31);
  item.month = small("month", 1, 12);
  if (fields.find("retention_seconds") != nullptr)
    item.retention_seconds = fields.integer("retention_seconds", 3600);
  return item;
}

void read_snapshot_fields(const Fields& fields, SnapshotCreateRequest& request) {
  check_one_point(fields, "lsn", "timestamp");
  if (auto name = fields.optional_text("name", 1, kNameMax)) request.name = name;
  if (auto slug = fields.optional_text("slug", 1, 63)) request.slug = slug;
  if (auto lsn = fields.optional_text("lsn")) request.lsn = lsn;
  if (auto time = fields.optional_time("timestamp")) request.timestamp = time;
  if (auto time = fields.optional_time("expires_at")) request.expires_at = time;
}

template <typename Value>
void add(Json& object, const char* key, const std::optional<Value>& value) {
  if (value) object[key] = *value;
}

void add(Json& object, const char* key, const std::optional<UtcTime>& time) {
  if (time) object[key] = format_rfc3339(*time);
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json endpoint_json(const EndpointRequest& request) {
  Json json = Json::object();
  add(json, "name", request.name);
  add(json, "autoscaling_limit_min_cu", request.autoscaling_limit_min_cu);
  add(json, "autoscaling_limit_max_cu", request.autoscaling_limit_max_cu);
  add(json, "suspend_timeout_seconds", request.suspend_timeout_seconds);
  add(json, "disabled", request.disabled);
  if (!request.pg_settings.empty()) json["settings"]["pg_settings"] = request.pg_settings;
  return json;
}

}  // namespace

ProjectUpdateRequest read_project_update(std::string_view body) {
  return read_request(body, [](const Fields& whole) {
    Fields fields = whole.object("project");
    ProjectUpdateRequest request;
    request.name = fields.optional_text("name", 1, kNameMax);
    if (fields.find("history_retention_seconds") != nullptr)
      request.history_retention_seconds =
          fields.integer("history_retention_seconds", 0, kRetentionSecondsMax);
    return request;
  });
}

BranchCreateRequest read_branch_create(std::string_view body) {
  return read_request(body, [](const Fields& whole) {
    BranchCreateRequest request;
    if (auto fields = whole.optional_object("branch")) {
      request.parent_id = fields->optional_id("parent_id");
      request.name = fields->optional_text("name", 1, kNameMax);
      check_one_point(*fields, "parent_lsn", "parent_timestamp");
      request.parent_lsn = fields->optional_text("parent_lsn");
      request.parent_timestamp = fields->optional_time("parent_timestamp");
      request.init_source = fields->optional_text("init_source");
      check_one_of(*fields, "init_source", request.init_source,
                   {"parent-data", "schema-only", "parent-schema", "import"});
      request.is_protected = fields->boolean_or("protected", false);
      request.archived = fields->boolean_or("archived", false);
      request.expires_at = fields->optional_time("expires_at");
    }
    whole.each("endpoints", kEndpointsMax,
               [&](const Fields& fields) { request.endpoints.push_back(endpoint_of(fields)); });
    whole.each_text("annotation_value", kTextsMax,
                    [&](const std::string& name, const std::string& value) {
                      request.annotation[name] = value;
                    });
    return request;
  });
}

BranchUpdateRequest read_branch_update(std::string_view body) {
  return read_request(body, [](const Fields& whole) {
    Fields fields = whole.object("branch");
    BranchUpdateRequest request;
    request.name = fields.optional_text("name", 1, kNameMax);
    if (fields.find("protected") != nullptr) request.is_protected = fields.boolean("protected");
    request.has_expires_at = fields.given("expires_at");
    request.expires_at = fields.optional_time("expires_at");
    return request;
  });
}

BranchRestoreRequest read_branch_restore(std::string_view body) {
  return read_request(body, [](const Fields& fields) {
    BranchRestoreRequest request;
    request.source_branch_id = fields.id("source_branch_id");
    check_one_point(fields, "source_lsn", "source_timestamp");
    request.source_lsn = fields.optional_text("source_lsn");
    request.source_timestamp = fields.optional_time("source_timestamp");
    request.preserve_under_name = fields.optional_text("preserve_under_name", 1, kNameMax);
    return request;
  });
}

std::optional<std::string> read_finalize_restore(std::string_view body) {
  return read_request(
      body, [](const Fields& fields) { return fields.optional_text("name", 1, kNameMax); });
}

EndpointRequest read_endpoint_create(std::string_view body) {
  return read_request(body, [](const Fields& whole) {
    Fields fields = whole.object("endpoint");
    EndpointRequest request = endpoint_of(fields);
    request.branch_id = fields.id("branch_id");
    return request;
  });
}

EndpointRequest read_endpoint_update(std::string_view body) {
  return read_request(body, [](const Fields& whole) {
    Fields fields = whole.object("endpoint");
    EndpointRequest request;
    request.branch_id = fields.optional_id("branch_id").value_or("");
    read_endpoint_fields(fields, request);
    return request;
  });
}

RoleCreateRequest read_role_create(std::string_view body) {
  return read_request(body, [](const Fields& whole) {
    Fields fields = whole.object("role");
    check_postgres_name(fields, "name");
    return RoleCreateRequest{fields.text("name"), !fields.boolean_or("no_login", false)};
  });
}

DatabaseRequest read_database_create(std::string_view body) {
  return read_request(body, [](const Fields& whole) {
    Fields fields = whole.object("database");
    check_postgres_name(fields, "name");
    check_postgres_name(fields, "owner_name");
    return DatabaseRequest{fields.text("name"), fields.text("owner_name")};
  });
}

DatabaseRequest read_database_update(std::string_view body) {
  return read_request(body, [](const Fields& whole) {
    Fields fields = whole.object("database");
    check_postgres_name(fields, "name");
    check_postgres_name(fields, "owner_name");
    return DatabaseRequest{fields.optional_text("name"), fields.optional_text("owner_name")};
  });
}

SnapshotCreateRequest read_snapshot_create(std::string_view body) {
  return read_request(body, [](const Fields& whole) {
    SnapshotCreateRequest request;
    read_snapshot_fields(whole, request);
    if (auto fields = whole.optional_object("snapshot")) read_snapshot_fields(*fields, request);
    return request;
  });
}

SnapshotUpdateRequest read_snapshot_update(std::string_view body) {
  return read_request(body, [](const Fields& whole) {
    Fields fields = whole.object("snapshot");
    SnapshotUpdateRequest request;
    request.name = fields.optional_text("name", 1, kNameMax);
    request.has_expires_at = fields.given("expires_at");
    request.expires_at = fields.optional_time("expires_at");
    return request;
  });
}

SnapshotRestoreRequest read_snapshot_restore(std::string_view body) {
  return read_request(body, [](const Fields& fields) {
    SnapshotRestoreRequest request;
    request.name = fields.optional_text("name", 1, kNameMax);
    request.target_branch_id = fields.optional_id("target_branch_id");
    request.finalize = fields.boolean_or("finalize_restore", false);
    return request;
  });
}

std::vector<ScheduleItem> read_schedule_request(std::string_view body) {
  return read_request(body, [](const Fields& fields) {
    fields.at("schedule");
    std::vector<ScheduleItem> items;
    fields.each("schedule", kScheduleItemsMax,
                [&](const Fields& entry) { items.push_back(schedule_item_of(entry)); });
    return items;
  });
}

std::string read_api_key_create(std::string_view body) {
  return read_request(body, [](const Fields& fields) { return fields.text("key_name", 1, 64); });
}

std::string write_project_update(const ProjectUpdateRequest& request) {
  Json fields = Json::object();
  add(fields, "name", request.name);
  add(fields, "history_retention_seconds", request.history_retention_seconds);
  return dump({{"project", fields}});
}

std::string write_branch_create(const BranchCreateRequest& request) {
  Json fields = Json::object(), endpoints = Json::array();
  add(fields, "parent_id", request.parent_id);
  add(fields, "name", request.name);
  add(fields, "parent_lsn", request.parent_lsn);
  add(fields, "parent_timestamp", request.parent_timestamp);
  add(fields, "init_source", request.init_source);
  add(fields, "expires_at", request.expires_at);
  if (request.is_protected) fields["protected"] = true;
  if (request.archived) fields["archived"] = true;
  for (const EndpointRequest& endpoint : request.endpoints) {
    Json json = endpoint_json(endpoint);
    json["type"] = endpoint.type;
    endpoints.push_back(std::move(json));
  }
  return dump({{"branch", fields},
               {"endpoints", endpoints},
               {"annotation_value", Json(request.annotation)}});
}

std::string write_branch_update(const BranchUpdateRequest& request) {
  Json fields = Json::object();
  add(fields, "name", request.name);
  add(fields, "protected", request.is_protected);
  if (request.has_expires_at) fields["expires_at"] = nullptr;
  add(fields, "expires_at", request.expires_at);
  return dump({{"branch", fields}});
}

std::string write_branch_restore(const BranchRestoreRequest& request) {
  Json json = {{"source_branch_id", request.source_branch_id}};
  add(json, "source_lsn", request.source_lsn);
  add(json, "source_timestamp", request.source_timestamp);
  add(json, "preserve_under_name", request.preserve_under_name);
  return dump(json);
}

std::string write_endpoint_create(const EndpointRequest& request) {
  Json fields = endpoint_json(request);
  fields["branch_id"] = request.branch_id;
  fields["type"] = request.type;
  return dump({{"endpoint", fields}});
}

std::string write_endpoint_update(const EndpointRequest& request) {
  return dump({{"endpoint", endpoint_json(request)}});
}

std::string write_role_create(const RoleCreateRequest& request) {
  Json fields = {{"name", request.name}};
  if (!request.login) fields["no_login"] = true;
  return dump({{"role", fields}});
}

std::string write_database_request(const DatabaseRequest& request) {
  Json fields = Json::object();
  add(fields, "name", request.name);
  add(fields, "owner_name", request.owner_name);
  return dump({{"database", fields}});
}

std::string write_snapshot_update(const SnapshotUpdateRequest& request) {
  Json fields = Json::object();
  add(fields, "name", request.name);
  if (request.has_expires_at) fields["expires_at"] = nullptr;
  add(fields, "expires_at", request.expires_at);
  return dump({{"snapshot", fields}});
}

std::string write_snapshot_restore(const SnapshotRestoreRequest& request) {
  Json json = {{"finalize_restore", request.finalize}};
  add(json, "name", request.name);
  add(json, "target_branch_id", request.target_branch_id);
  return dump(json);
}

}  // namespace holdfast::neon
