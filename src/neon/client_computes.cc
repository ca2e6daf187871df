// Client: computes, roles, databases, connection strings.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "neon/client.h"

namespace holdfast::neon {
namespace {

std::string named(const std::string& step, const std::string& name) {
  return fmt::format("{} {}", step, printable(name, 80));
}

std::string endpoint_path(const std::string& id, const std::string& action = {}) {
  return "/endpoints/" + url_encoded(id) + action;
}

}  // namespace

std::vector<Endpoint> Client::endpoints() {
  return get(in_project("/endpoints"), "list computes", read_endpoint_list);
}

std::vector<Endpoint> Client::endpoints_of(const std::string& branch_id) {
  return get(in_branch(branch_id, "/endpoints"), named("list computes of branch", branch_id),
             read_endpoint_list);
}

Endpoint Client::endpoint(const std::string& id) {
  return get(in_project(endpoint_path(id)), named("show compute", id), read_endpoint);
}

Changed Client::create_endpoint(const EndpointRequest& request) {
  std::vector<Endpoint> before = endpoints_of(request.branch_id);
  ApiRequest post{"POST", in_project("/endpoints"), write_endpoint_create(request),
                  named("create a compute for branch", request.branch_id)};
  return change_once(post, {[&]() -> std::optional<Changed> {
                       for (const Endpoint& endpoint : endpoints_of(request.branch_id)) {
                         bool known = std::any_of(
                             before.begin(), before.end(),
                             [&](const Endpoint& old) { return old.id == endpoint.id; });
                         if (known || endpoint.type != request.type) continue;
                         Changed changed;
                         changed.endpoints = {endpoint};
                         changed.operations = operations_in_flight(request.branch_id);
                         return changed;
                       }
                       return std::nullopt;
                     }});
}

Changed Client::update_endpoint(const std::string& id, const EndpointRequest& request) {
  return change("PATCH", in_project(endpoint_path(id)), write_endpoint_update(request),
                named("change compute", id));
}

void Client::delete_endpoint(const std::string& id) {
  remove(in_project(endpoint_path(id)), named("delete compute", id));
}

Changed Client::start_endpoint(const std::string& id) {
  return change("POST", in_project(endpoint_path(id, "/start")), {}, named("start compute", id));
}

Changed Client::suspend_endpoint(const std::string& id) {
  return change("POST", in_project(endpoint_path(id, "/suspend")), {},
                named("suspend compute", id));
}

Changed Client::restart_endpoint(const std::string& id) {
  return change("POST", in_project(endpoint_path(id, "/restart")), {},
                named("restart compute", id));
}

std::vector<Role> Client::roles(const std::string& branch_id) {
  return get(in_branch(branch_id, "/roles"), named("list roles of branch", branch_id),
             read_role_list);
}

Role Client::role(const std::string& branch_id, const std::string& name) {
  return get(in_branch(branch_id, "/roles/" + url_encoded(name)), named("show role", name),
             read_role);
}

Changed Client::create_role(const std::string& branch_id, const RoleCreateRequest& request) {
  ApiRequest post{"POST", in_branch(branch_id, "/roles"), write_role_create(request),
                  named("create role", request.name)};
  return change_once(post, {[&]() -> std::optional<Changed> {
                       // Roles have unique names: one that was there before would have been refused
                       // with 409.
                       for (Role& role : roles(branch_id)) {
                         if (role.name != request.name) continue;
                         if (request.login) role.password = reveal_password(branch_id, role.name);
                         Changed changed;
                         changed.roles = {role};
                         changed.operations = operations_in_flight(branch_id);
                         return changed;
                       }
                       return std::nullopt;
                     }});
}

void Client::delete_role(const std::string& branch_id, const std::string& name) {
  remove(in_branch(branch_id, "/roles/" + url_encoded(name)), named("delete role", name));
}

Secret Client::reveal_password(const std::string& branch_id, const std::string& role) {
  return get(in_branch(branch_id, "/roles/" + url_encoded(role) + "/reveal_password"),
             named("password of role", role), read_password);
}

Changed Client::reset_password(const std::string& branch_id, const std::string& role) {
  return change("POST", in_branch(branch_id, "/roles/" + url_encoded(role) + "/reset_password"), {},
                named("reset password of role", role));
}

std::vector<Database> Client::databases(const std::string& branch_id) {
  return get(in_branch(branch_id, "/databases"), named("list databases of branch", branch_id),
             read_database_list);
}

Database Client::database(const std::string& branch_id, const std::string& name) {
  return get(in_branch(branch_id, "/databases/" + url_encoded(name)), named("show database", name),
             read_database);
}

Changed Client::create_database(const std::string& branch_id, const std::string& name,
                                const std::string& owner) {
  ApiRequest post{"POST", in_branch(branch_id, "/databases"), write_database_request({name, owner}),
                  named("create database", name)};
  return change_once(post, {[&]() -> std::optional<Changed> {
                       for (const Database& database : databases(branch_id)) {
                         if (database.name != name) continue;
                         Changed changed;
                         changed.databases = {database};
                         changed.operations = operations_in_flight(branch_id);
                         return changed;
                       }
                       return std::nullopt;
                     }});
}

Changed Client::update_database(const std::string& branch_id, const std::string& name,
                                const DatabaseRequest& request) {
  ApiRequest patch{"PATCH", in_branch(branch_id, "/databases/" + url_encoded(name)),
                   write_database_request(request), named("change database", name)};
  // A renamed database does not answer to its old name: sent twice, the second would find none.
  return change_once(patch, {[&]() -> std::optional<Changed> {
                       for (const Database& database : databases(branch_id)) {
                         bool is = database.name == request.name.value_or(name) &&
                                   database.owner_name ==
                                       request.owner_name.value_or(database.owner_name);
                         if (!is) continue;
                         Changed changed;
                         changed.databases = {database};
                         changed.operations = operations_in_flight(branch_id);
                         return changed;
                       }
                       return std::nullopt;
                     }});
}

void Client::delete_database(const std::string& branch_id, const std::string& name) {
  remove(in_branch(branch_id, "/databases/" + url_encoded(name)), named("delete database", name));
}

Secret Client::connection_uri(const std::string& branch_id, const std::string& database,
                              const std::string& role, bool pooled) {
  std::string path = "/connection_uri?database_name=" + url_encoded(database) +
                     "&role_name=" + url_encoded(role) + "&branch_id=" + url_encoded(branch_id);
  if (pooled) path += "&pooled=true";
  return get(in_project(path), named("connection to branch", branch_id), read_connection_uri);
}

}  // namespace holdfast::neon
