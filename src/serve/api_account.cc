// Who one is: the account that stock clients ask for before anything else, and the API keys.
#include <fmt/format.h>

#include <charconv>

#include "base/error.h"
#include "neon/json.h"
#include "serve/account_json.h"
#include "serve/api_routes.h"

namespace holdfast {

void add_account_routes(Router& router, ApiContext& context) {
  Engine& engine = context.engine;
  ApiKeys& keys = context.keys;

  router.add("GET", "/users/me", [](const RouteCall&) { return json_response(200, write_user()); });
  router.add("GET", "/users/me/organizations",
             [](const RouteCall&) { return json_response(200, write_no_organizations()); });
  router.add("GET", "/auth",
             [](const RouteCall&) { return json_response(200, write_auth_details()); });
  router.add("GET", "/regions", [&engine](const RouteCall&) {
    return json_response(200, write_region(engine.project().region_id));
  });

  router.add("GET", "/api_keys",
             [&keys](const RouteCall&) { return json_response(200, write_key_list(keys.list())); });
  router.add("POST", "/api_keys", [&keys](const RouteCall& call) {
    NewApiKey made = keys.add(neon::read_api_key_create(call.request.body));
    return json_response(200, write_new_key(made));
  });
  router.add("DELETE", "/api_keys/{key_id}", [&keys](const RouteCall& call) {
    const std::string& text = call.at("key_id");
    int64_t id = 0;
    auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (failed != std::errc() || end != text.data() + text.size())
      throw Error(ErrorCode::invalid, "key_id is not a number");
    return json_response(200, write_revoked_key(keys.revoke(id)));
  });
}

}  // namespace holdfast
