// Snapshots, and the schedule by which they are taken.
#include "base/error.h"
#include "neon/json.h"
#include "serve/api_routes.h"

namespace holdfast {
namespace {

const std::string kSnapshots = std::string(kProjectPath) + "/snapshots";
const std::string kSnapshot = kSnapshots + "/{snapshot_id}";

using neon::ChangedShape;

// The API takes query parameters, its guide shows a body: both are taken, the query first.
SnapshotRequest snapshot_request(const WebRequest& request) {
  neon::SnapshotCreateRequest body = neon::read_snapshot_create(request.body);
  SnapshotRequest wanted{body.name, body.slug, body.lsn, body.timestamp, body.expires_at};
  if (auto name = text_parameter(request, "name")) wanted.name = name;
  if (auto slug = text_parameter(request, "slug")) wanted.slug = slug;
  if (auto lsn = lsn_parameter(request, "lsn")) wanted.lsn = lsn;
  if (auto time = time_parameter(request, "timestamp")) wanted.timestamp = time;
  if (auto time = time_parameter(request, "expires_at")) wanted.expires_at = time;
  if (wanted.name && wanted.name->size() > 256)
    throw Error(ErrorCode::invalid, "parameter name is longer than 256 bytes");
  if (wanted.lsn && wanted.timestamp)
    throw Error(ErrorCode::invalid, "give lsn or timestamp, not both");
  return wanted;
}

}  // namespace

void add_snapshot_routes(Router& router, ApiContext& context) {
  Engine& engine = context.engine;
  router.add("POST", kBranchPath + std::string("/snapshot"), [&engine](const RouteCall& call) {
    return changed(200,
                   engine.create_snapshot(call.at("branch_id"), snapshot_request(call.request)),
                   ChangedShape::snapshot);
  });
  router.add("GET", kSnapshots, [&engine](const RouteCall&) {
    return json_response(200, neon::write_snapshot_list(engine.snapshots()));
  });
  router.add("PATCH", kSnapshot, [&engine](const RouteCall& call) {
    neon::SnapshotUpdateRequest update = neon::read_snapshot_update(call.request.body);
    return json_response(
        200, neon::write_snapshot(engine.update_snapshot(
                 call.at("snapshot_id"), update.name, update.has_expires_at, update.expires_at)));
  });
  router.add("DELETE", kSnapshot, [&engine](const RouteCall& call) {
    return changed(202, engine.delete_snapshot(call.at("snapshot_id")), ChangedShape::operations);
  });
  router.add("POST", kSnapshot + "/restore", [&engine](const RouteCall& call) {
    neon::SnapshotRestoreRequest restore = neon::read_snapshot_restore(call.request.body);
    if (auto name = text_parameter(call.request, "name")) restore.name = name;
    return changed(200,
                   engine.restore_snapshot(call.at("snapshot_id"), restore.name,
                                           restore.target_branch_id, restore.finalize),
                   ChangedShape::snapshot_restored);
  });
  router.add(
      "GET", kBranchPath + std::string("/backup_schedule"), [&engine](const RouteCall& call) {
        return json_response(200, neon::write_schedule(engine.schedule(call.at("branch_id"))));
      });
  router.add(
      "PUT", kBranchPath + std::string("/backup_schedule"), [&engine](const RouteCall& call) {
        engine.set_schedule(call.at("branch_id"), neon::read_schedule_request(call.request.body));
        return json_response(200, "{}");
      });
}

}  // namespace holdfast
