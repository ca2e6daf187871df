// Roles and databases of a branch.
#include <fmt/format.h>

#include "neon/json.h"
#include "serve/api_errors.h"
#include "serve/api_routes.h"

namespace holdfast {
namespace {

const std::string kRoles = std::string(kBranchPath) + "/roles";
const std::string kRole = kRoles + "/{role_name}";
const std::string kDatabases = std::string(kBranchPath) + "/databases";
const std::string kDatabase = kDatabases + "/{database_name}";

using neon::ChangedShape;

WebResponse reveal_password(Engine& engine, const RouteCall& call) {
  const std::string& name = call.at("role_name");
  std::optional<Secret> password = engine.reveal_password(call.at("branch_id"), name);
  if (password) return json_response(200, neon::write_password(*password));
  return error_response(412, "",
                        fmt::format("the password of role {} is not stored (hint: reset_password "
                                    "sets a new one and shows it)",
                                    name),
                        call.request.request_id);
}

}  // namespace

void add_role_routes(Router& router, ApiContext& context) {
  Engine& engine = context.engine;
  router.add("GET", kRoles, [&engine](const RouteCall& call) {
    return json_response(200, neon::write_role_list(engine.roles(call.at("branch_id"))));
  });
  router.add("POST", kRoles, [&engine](const RouteCall& call) {
    neon::RoleCreateRequest role = neon::read_role_create(call.request.body);
    return changed(201, engine.create_role(call.at("branch_id"), role.name, role.login),
                   ChangedShape::role);
  });
  router.add("GET", kRole, [&engine](const RouteCall& call) {
    return json_response(200,
                         neon::write_role(engine.role(call.at("branch_id"), call.at("role_name"))));
  });
  router.add("DELETE", kRole, [&engine](const RouteCall& call) {
    auto deleted = engine.delete_role(call.at("branch_id"), call.at("role_name"));
    return deleted ? changed(200, *deleted, ChangedShape::role) : gone_response();
  });
  router.add("GET", kRole + "/reveal_password",
             [&engine](const RouteCall& call) { return reveal_password(engine, call); });
  router.add("POST", kRole + "/reset_password", [&engine](const RouteCall& call) {
    return changed(200, engine.reset_password(call.at("branch_id"), call.at("role_name")),
                   ChangedShape::role);
  });
}

void add_database_routes(Router& router, ApiContext& context) {
  Engine& engine = context.engine;
  router.add("GET", kDatabases, [&engine](const RouteCall& call) {
    return json_response(200, neon::write_database_list(engine.databases(call.at("branch_id"))));
  });
  router.add("POST", kDatabases, [&engine](const RouteCall& call) {
    neon::DatabaseRequest made = neon::read_database_create(call.request.body);
    return changed(201, engine.create_database(call.at("branch_id"), *made.name, *made.owner_name),
                   ChangedShape::database);
  });
  router.add("GET", kDatabase, [&engine](const RouteCall& call) {
    return json_response(
        200, neon::write_database(engine.database(call.at("branch_id"), call.at("database_name"))));
  });
  router.add("PATCH", kDatabase, [&engine](const RouteCall& call) {
    neon::DatabaseRequest update = neon::read_database_update(call.request.body);
    return changed(200,
                   engine.update_database(call.at("branch_id"), call.at("database_name"),
                                          update.name, update.owner_name),
                   ChangedShape::database);
  });
  router.add("DELETE", kDatabase, [&engine](const RouteCall& call) {
    auto deleted = engine.delete_database(call.at("branch_id"), call.at("database_name"));
    return deleted ? changed(200, *deleted, ChangedShape::database) : gone_response();
  });
}

}  // namespace holdfast
