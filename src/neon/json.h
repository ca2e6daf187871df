// The Neon API's JSON: the bodies of requests and answers, to and from the types of types.h. Field
// names, which of them are required, and their bounds are those of the OpenAPI file of
// @neondatabase/api-client.
//
// A server reads requests and writes answers; a client writes requests and reads answers. Both live
// here, so that one test can send everything there and back.
//
// Requests are read strictly as to types and bounds, and tolerantly as to fields that are not
// known: Error(invalid) names the field ("field branch.name is not text"). Answers are read the
// other way round: what a client can do without may be missing; Error(unavailable) if it is no
// answer of this API at all. Nothing here recurses, whatever the nesting of a body. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "neon/types.h"

namespace holdfast::neon {

// RFC 3339 with `Z` or an offset and any number of fraction digits, which are cut to milliseconds.
// Throws Error(invalid).
UtcTime parse_time(std::string_view text);

// `^[a-z0-9-]{1,60}$`: what an id in a path or a body may be.
bool is_id(std::string_view text);

// Answers -----------------------------------------------------------------------------------------

struct ErrorAnswer {
  std::string request_id, code, message;
};

struct ProjectList {
  std::vector<Project> projects;
  std::string cursor;  // empty: there is no more
};

struct BranchList {
  std::vector<Branch> branches;
  std::string next;  // cursor; empty on the last page
  std::string sort_by = "updated_at", sort_order = "desc";
};

struct OperationList {
  std::vector<Operation> operations;
  std::string cursor;  // empty: there is no more
};

// Which fields of Changed an answer has: those that the API's schema of that call requires.
enum class ChangedShape {
  branch_created,     // branch, endpoints, operations, roles, databases, connection_uris
  branch,             // branch, operations
  endpoint,           // endpoint (the first), operations
  role,               // role (the first), operations
  database,           // database (the first), operations
  snapshot,           // snapshot, operations
  snapshot_restored,  // branch, endpoints, operations
  operations,         // operations
};

std::string write_error(const ErrorAnswer& error);
std::string write_project(const Project& project);
std::string write_project_changed(const Project& project);
std::string write_project_list(const ProjectList& list);
std::string write_branch(const Branch& branch);  // with its annotation
std::string write_branch_list(const BranchList& list);
std::string write_branch_count(size_t count);
std::string write_changed(const Changed& changed, ChangedShape shape);
std::string write_endpoint(const Endpoint& endpoint);
std::string write_endpoint_list(const std::vector<Endpoint>& endpoints);
std::string write_operation(const Operation& operation);
std::string write_operation_list(const OperationList& list);
std::string write_role(const Role& role);
std::string write_role_list(const std::vector<Role>& roles);
std::string write_password(const Secret& password);
std::string write_database(const Database& database);
std::string write_database_list(const std::vector<Database>& databases);
std::string write_connection_uri(const Secret& uri);
std::string write_schema(const std::string& sql);
std::string write_schema_diff(const std::string& diff);
std::string write_snapshot(const Snapshot& snapshot);
std::string write_snapshot_list(const std::vector<Snapshot>& snapshots);
std::string write_schedule(const std::vector<ScheduleItem>& items);  // an answer and a request

// Never throws: a body that is not JSON has no message.
ErrorAnswer read_error(std::string_view body);
Account read_account(std::string_view body);
Project read_project(std::string_view body);
ProjectList read_project_list(std::string_view body);
Branch read_branch(std::string_view body);
BranchList read_branch_list(std::string_view body);
size_t read_branch_count(std::string_view body);
Changed read_changed(std::string_view body);  // of every shape
Endpoint read_endpoint(std::string_view body);
std::vector<Endpoint> read_endpoint_list(std::string_view body);
Operation read_operation(std::string_view body);
OperationList read_operation_list(std::string_view body);
Role read_role(std::string_view body);
std::vector<Role> read_role_list(std::string_view body);
Secret read_password(std::string_view body);
Database read_database(std::string_view body);
std::vector<Database> read_database_list(std::string_view body);
Secret read_connection_uri(std::string_view body);
std::string read_schema(std::string_view body);
std::string read_schema_diff(std::string_view body);
Snapshot read_snapshot(std::string_view body);
std::vector<Snapshot> read_snapshot_list(std::string_view body);
std::vector<ScheduleItem> read_schedule(std::string_view body);

// Requests ----------------------------------------------------------------------------------------

struct ProjectUpdateRequest {
  std::optional<std::string> name;
  std::optional<int64_t> history_retention_seconds;
};

struct RoleCreateRequest {
  std::string name;
  bool login = true;
};

struct DatabaseRequest {  // both are required to create one
  std::optional<std::string> name, owner_name;
};

// The API takes these as query parameters, its guide as a body.
struct SnapshotCreateRequest {
  std::optional<std::string> name, slug, lsn;
  std::optional<UtcTime> timestamp, expires_at;
};

struct SnapshotUpdateRequest {
  std::optional<std::string> name;
  bool has_expires_at = false;  // given; without a value it is taken away
  std::optional<UtcTime> expires_at;
};

struct SnapshotRestoreRequest {
  std::optional<std::string> name, target_branch_id;
  bool finalize = false;
};

// An empty body is the same as `{}` wherever every field is optional.
ProjectUpdateRequest read_project_update(std::string_view body);
BranchCreateRequest read_branch_create(std::string_view body);
BranchUpdateRequest read_branch_update(std::string_view body);
BranchRestoreRequest read_branch_restore(std::string_view body);
std::optional<std::string> read_finalize_restore(std::string_view body);  // name
EndpointRequest read_endpoint_create(std::string_view body);
EndpointRequest read_endpoint_update(std::string_view body);
RoleCreateRequest read_role_create(std::string_view body);
DatabaseRequest read_database_create(std::string_view body);
DatabaseRequest read_database_update(std::string_view body);
SnapshotCreateRequest read_snapshot_create(std::string_view body);
SnapshotUpdateRequest read_snapshot_update(std::string_view body);
SnapshotRestoreRequest read_snapshot_restore(std::string_view body);
std::vector<ScheduleItem> read_schedule_request(std::string_view body);
std::string read_api_key_create(std::string_view body);  // name

std::string write_project_update(const ProjectUpdateRequest& request);
std::string write_branch_create(const BranchCreateRequest& request);
std::string write_branch_update(const BranchUpdateRequest& request);
std::string write_branch_restore(const BranchRestoreRequest& request);
std::string write_endpoint_create(const EndpointRequest& request);
std::string write_endpoint_update(const EndpointRequest& request);
std::string write_role_create(const RoleCreateRequest& request);
std::string write_database_request(const DatabaseRequest& request);
std::string write_snapshot_update(const SnapshotUpdateRequest& request);
std::string write_snapshot_restore(const SnapshotRestoreRequest& request);

}  // namespace holdfast::neon
