#include "base/error.h"
#include "neon/json.h"
#include "serve/api_routes.h"

namespace holdfast {
namespace {

constexpr size_t kLimitMax = 10'000;  // the API's

const std::string kBranches = std::string(kProjectPath) + "/branches";
const std::string kBranch = kBranchPath;

using neon::ChangedShape;

WebResponse list_branches(Engine& engine, const WebRequest& request) {
  BranchQuery query;
  query.search = text_parameter(request, "search").value_or("");
  query.sort_by =
      word_parameter(request, "sort_by", {"name", "created_at", "updated_at"}, "updated_at");
  std::string order = word_parameter(request, "sort_order", {"asc", "desc"}, "desc");
  query.ascending = order == "asc";
  // Without a limit all of them: stock clients list without one, and never ask for the next page.
  query.limit = number_parameter(request, "limit", 1, kLimitMax, 0);
  query.cursor = text_parameter(request, "cursor").value_or("");
  flag_parameter(request, "include_deleted");  // none are kept
  BranchPage page = engine.branches(query);
  return json_response(
      200, neon::write_branch_list({std::move(page.branches), page.next, query.sort_by, order}));
}

}  // namespace

void add_branch_routes(Router& router, ApiContext& context) {
  Engine& engine = context.engine;
  router.add("GET", kBranches,
             [&engine](const RouteCall& call) { return list_branches(engine, call.request); });
  router.add("GET", kBranches + "/count", [&engine](const RouteCall& call) {
    std::string search = text_parameter(call.request, "search").value_or("");
    return json_response(200, neon::write_branch_count(engine.branch_count(search)));
  });
  router.add("POST", kBranches, [&engine](const RouteCall& call) {
    return changed(201, engine.create_branch(neon::read_branch_create(call.request.body)),
                   ChangedShape::branch_created);
  });
  router.add("GET", kBranch, [&engine](const RouteCall& call) {
    return json_response(200, neon::write_branch(engine.branch(call.at("branch_id"))));
  });
  router.add("PATCH", kBranch, [&engine](const RouteCall& call) {
    neon::BranchUpdateRequest update = neon::read_branch_update(call.request.body);
    return changed(200, engine.update_branch(call.at("branch_id"), update), ChangedShape::branch);
  });
  router.add("DELETE", kBranch, [&engine](const RouteCall& call) {
    flag_parameter(call.request, "hard_delete");  // what is deleted is never kept
    auto deleted = engine.delete_branch(call.at("branch_id"));
    return deleted ? changed(200, *deleted, ChangedShape::branch) : gone_response();
  });
  router.add("POST", kBranch + "/set_as_default", [&engine](const RouteCall& call) {
    return changed(200, engine.set_default_branch(call.at("branch_id")), ChangedShape::branch);
  });
  router.add("POST", kBranch + "/restore", [&engine](const RouteCall& call) {
    neon::BranchRestoreRequest restore = neon::read_branch_restore(call.request.body);
    return changed(200, engine.restore_branch(call.at("branch_id"), restore), ChangedShape::branch);
  });
  router.add("POST", kBranch + "/finalize_restore", [&engine](const RouteCall& call) {
    std::optional<std::string> name = neon::read_finalize_restore(call.request.body);
    return changed(200, engine.finalize_restore(call.at("branch_id"), name),
                   ChangedShape::operations);
  });
  router.add("POST", kBranch + "/recover", [](const RouteCall&) -> WebResponse {
    throw Error(ErrorCode::unsupported, "deleted branches are not kept: there is none to recover",
                "create a branch at the time that you need");
  });
}

}  // namespace holdfast
