// The handlers' common ground: what they are handed, and reading query parameters. One function per
// group of routes, each in its file api_<group>.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "engine/engine.h"
#include "neon/json.h"
#include "serve/api_keys.h"
#include "serve/router.h"

namespace holdfast {

struct ApiContext {
  Engine& engine;
  ApiKeys& keys;
};

inline constexpr char kProjectPath[] = "/projects/{project_id}";
inline constexpr char kBranchPath[] = "/projects/{project_id}/branches/{branch_id}";

void add_account_routes(Router& router, ApiContext& context);
void add_project_routes(Router& router, ApiContext& context);
void add_branch_routes(Router& router, ApiContext& context);
void add_schema_routes(Router& router, ApiContext& context);
void add_endpoint_routes(Router& router, ApiContext& context);
void add_role_routes(Router& router, ApiContext& context);
void add_database_routes(Router& router, ApiContext& context);
void add_snapshot_routes(Router& router, ApiContext& context);

WebResponse json_response(int status, std::string body);
WebResponse changed(int status, const neon::Changed& what, neon::ChangedShape shape);
WebResponse gone_response();  // 204: it was deleted before

// Of the request's query. Error(invalid) names the parameter; an empty value is none.
std::optional<std::string> text_parameter(const WebRequest& request, const char* name);
std::string required_parameter(const WebRequest& request, const char* name);
std::optional<std::string> id_parameter(const WebRequest& request, const char* name);
std::optional<UtcTime> time_parameter(const WebRequest& request, const char* name);
std::optional<std::string> lsn_parameter(const WebRequest& request, const char* name);
bool flag_parameter(const WebRequest& request, const char* name);
// `otherwise` if it is not given.
size_t number_parameter(const WebRequest& request, const char* name, size_t min, size_t max,
                        size_t otherwise);
std::string word_parameter(const WebRequest& request, const char* name,
                           std::initializer_list<const char*> known, const char* otherwise);

}  // namespace holdfast
