#include "neon/json.h"
#include "serve/api_routes.h"

namespace holdfast {
namespace {

const std::string kEndpoints = std::string(kProjectPath) + "/endpoints";
const std::string kEndpoint = kEndpoints + "/{endpoint_id}";

WebResponse endpoint_changed(int status, const neon::Changed& what) {
  return changed(status, what, neon::ChangedShape::endpoint);
}

}  // namespace

void add_endpoint_routes(Router& router, ApiContext& context) {
  Engine& engine = context.engine;
  router.add("GET", kEndpoints, [&engine](const RouteCall&) {
    return json_response(200, neon::write_endpoint_list(engine.endpoints(std::nullopt)));
  });
  router.add("GET", std::string(kBranchPath) + "/endpoints", [&engine](const RouteCall& call) {
    return json_response(200, neon::write_endpoint_list(engine.endpoints(call.at("branch_id"))));
  });
  router.add("POST", kEndpoints, [&engine](const RouteCall& call) {
    return endpoint_changed(201,
                            engine.create_endpoint(neon::read_endpoint_create(call.request.body)));
  });
  router.add("GET", kEndpoint, [&engine](const RouteCall& call) {
    return json_response(200, neon::write_endpoint(engine.endpoint(call.at("endpoint_id"))));
  });
  router.add("PATCH", kEndpoint, [&engine](const RouteCall& call) {
    neon::EndpointRequest update = neon::read_endpoint_update(call.request.body);
    return endpoint_changed(200, engine.update_endpoint(call.at("endpoint_id"), update));
  });
  router.add("DELETE", kEndpoint, [&engine](const RouteCall& call) {
    auto deleted = engine.delete_endpoint(call.at("endpoint_id"));
    return deleted ? endpoint_changed(200, *deleted) : gone_response();
  });
  router.add("POST", kEndpoint + "/start", [&engine](const RouteCall& call) {
    return endpoint_changed(200, engine.start_endpoint(call.at("endpoint_id")));
  });
  router.add("POST", kEndpoint + "/suspend", [&engine](const RouteCall& call) {
    return endpoint_changed(200, engine.suspend_endpoint(call.at("endpoint_id")));
  });
  router.add("POST", kEndpoint + "/restart", [&engine](const RouteCall& call) {
    return endpoint_changed(200, engine.restart_endpoint(call.at("endpoint_id")));
  });
}

}  // namespace holdfast
