#include "serve/api.h"

#include "base/text.h"
#include "serve/api_errors.h"
#include "serve/api_routes.h"

namespace holdfast {
namespace {

// The word before the key is compared without case, as RFC 9110 says.
std::string bearer_of(const WebRequest& request) {
  std::string header = request.header("authorization");
  constexpr std::string_view kScheme = "bearer ";
  if (lower(header.substr(0, kScheme.size())) != kScheme) return {};
  return header.substr(kScheme.size());
}

}  // namespace

struct Api::Parts {
  ApiContext context;
  Log& log;
  ApiAudit* audit;
  std::string project_id;
  Router router;

  Parts(Engine& engine, ApiKeys& keys, Log& log_of_server, ApiAudit* trail)
      : context{engine, keys},
        log(log_of_server),
        audit(trail),
        project_id(engine.project().id),
        router(kApiPrefix, [this](const RouteCall& call) { check_project(call); }) {}

  void check_project(const RouteCall& call) const {
    for (const auto& [name, value] : call.parameters)
      if (name == "project_id" && value != project_id)
        throw Error(ErrorCode::not_found, "project not found");
  }
};

Api::Api(Engine& engine, ApiKeys& keys, Log& log, ApiAudit* audit)
    : parts_(std::make_unique<Parts>(engine, keys, log, audit)) {
  Router& router = parts_->router;
  ApiContext& context = parts_->context;
  add_account_routes(router, context);
  add_project_routes(router, context);
  add_branch_routes(router, context);
  add_schema_routes(router, context);
  add_endpoint_routes(router, context);
  add_role_routes(router, context);
  add_database_routes(router, context);
  add_snapshot_routes(router, context);
}

Api::~Api() = default;

std::optional<WebResponse> Api::admit(WebRequest& request) {
  std::optional<int64_t> key = parts_->context.keys.verify(Secret(bearer_of(request)));
  if (key) {
    request.client = "key " + std::to_string(*key);
    request.actor = request.client + " (" + parts_->context.keys.name_of(*key) + ")";
    return std::nullopt;
  }
  if (parts_->audit != nullptr) parts_->audit->refused(request);
  WebResponse response = error_response(401, "", "supplied credentials do not pass authentication",
                                        request.request_id);
  response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

WebResponse Api::handle(const WebRequest& request) const {
  try {
    parts_->context.keys.write_uses();
  } catch (const Error& error) {
    // The call itself needs no such note, and the next minute's will be tried again.
    parts_->log.warning(std::string("api: ") + error.what());
  }
  auto carry_out = [this](const WebRequest& call) { return parts_->router.route(call); };
  return parts_->audit != nullptr ? parts_->audit->record(request, carry_out) : carry_out(request);
}

}  // namespace holdfast
