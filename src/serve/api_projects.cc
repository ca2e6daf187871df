// The one project, its operations, connection strings and history.
#include <fmt/format.h>

#include "base/error.h"
#include "neon/json.h"
#include "serve/account_json.h"
#include "serve/api_routes.h"

namespace holdfast {
namespace {

constexpr size_t kProjectsLimitMax = 400, kOperationsLimitMax = 1000;  // the API's

const std::string kProject = kProjectPath;

WebResponse list_projects(Engine& engine, const WebRequest& request) {
  number_parameter(request, "limit", 1, kProjectsLimitMax, 10);
  neon::Project project = engine.project();
  std::string search = text_parameter(request, "search").value_or("");
  bool matches = project.name.find(search) != std::string::npos || project.id == search;
  // Whoever comes back with a cursor has seen it; and it belongs to no organization.
  bool elsewhere = text_parameter(request, "cursor") || id_parameter(request, "org_id") ||
                   flag_parameter(request, "recoverable");
  neon::ProjectList list;
  if (matches && !elsewhere) {
    list.cursor = project.id;
    list.projects.push_back(std::move(project));
  }
  return json_response(200, neon::write_project_list(list));
}

WebResponse list_operations(Engine& engine, const WebRequest& request) {
  size_t limit = number_parameter(request, "limit", 1, kOperationsLimitMax, kOperationsLimitMax);
  neon::OperationList list;
  list.operations = engine.operations(limit, id_parameter(request, "cursor").value_or(""));
  if (list.operations.size() == limit) list.cursor = list.operations.back().id;
  return json_response(200, neon::write_operation_list(list));
}

WebResponse connection_uri(Engine& engine, const WebRequest& request) {
  flag_parameter(request, "pooled");  // there is no pooler: the same either way
  neon::ConnectionUri uri = engine.connection_uri(
      id_parameter(request, "branch_id"), id_parameter(request, "endpoint_id"),
      required_parameter(request, "database_name"), required_parameter(request, "role_name"));
  return json_response(200, neon::write_connection_uri(uri.uri));
}

}  // namespace

void add_project_routes(Router& router, ApiContext& context) {
  Engine& engine = context.engine;
  router.add("GET", "/projects",
             [&engine](const RouteCall& call) { return list_projects(engine, call.request); });
  router.add("GET", "/projects/shared", [](const RouteCall& call) {
    number_parameter(call.request, "limit", 1, kProjectsLimitMax, 10);
    // Nobody to share with. Unlike /projects, the API has no maps beside this list.
    return json_response(200, R"({"projects":[]})");
  });
  router.add("POST", "/projects", [](const RouteCall&) -> WebResponse {
    throw Error(ErrorCode::unsupported,
                "PROJECTS_LIMIT_EXCEEDED: this server has one project, its source, and cannot "
                "create others",
                "run another holdfast serve for another source");
  });
  router.add("GET", kProject, [&engine](const RouteCall&) {
    return json_response(200, neon::write_project(engine.project()));
  });
  router.add("PATCH", kProject, [&engine](const RouteCall& call) {
    neon::ProjectUpdateRequest update = neon::read_project_update(call.request.body);
    neon::Project project = engine.update_project(update.name, update.history_retention_seconds);
    return json_response(200, neon::write_project_changed(project));
  });
  router.add("DELETE", kProject, [](const RouteCall&) -> WebResponse {
    throw Error(ErrorCode::unsupported, "the project is this server's source and cannot be deleted",
                "stop holdfast serve and remove its folders instead");
  });
  router.add("GET", kProject + "/operations",
             [&engine](const RouteCall& call) { return list_operations(engine, call.request); });
  router.add("GET", kProject + "/operations/{operation_id}", [&engine](const RouteCall& call) {
    return json_response(200, neon::write_operation(engine.operation(call.at("operation_id"))));
  });
  router.add("GET", kProject + "/connection_uri",
             [&engine](const RouteCall& call) { return connection_uri(engine, call.request); });
  router.add("GET", kProject + "/history", [&engine](const RouteCall&) {
    return json_response(200, write_history(engine.windows(), engine.health()));
  });
}

}  // namespace holdfast
