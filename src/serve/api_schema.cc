// The schema of a branch as SQL, and the difference between two.
#include "base/error.h"
#include "base/text.h"
#include "neon/json.h"
#include "serve/api_routes.h"
#include "serve/text_diff.h"

namespace holdfast {
namespace {

struct SchemaPoint {
  std::optional<std::string> lsn;
  std::optional<UtcTime> time;
};

SchemaPoint point_of(const WebRequest& request, const char* lsn, const char* time) {
  SchemaPoint point{lsn_parameter(request, lsn), time_parameter(request, time)};
  if (point.lsn && point.time)
    throw Error(ErrorCode::invalid, std::string("give ") + lsn + " or " + time + ", not both");
  return point;
}

// pg_dump frames its output with `\restrict <random>`, which would differ every time.
std::string without_restrict(const std::string& sql) {
  std::string kept;
  for (const std::string& line : split(sql, '\n'))
    if (!line.starts_with("\\restrict ") && !line.starts_with("\\unrestrict ")) kept += line + "\n";
  if (!kept.empty()) kept.pop_back();  // split makes one line more than there are breaks
  return kept;
}

}  // namespace

void add_schema_routes(Router& router, ApiContext& context) {
  Engine& engine = context.engine;
  std::string branch = kBranchPath;
  router.add("GET", branch + "/schema", [&engine](const RouteCall& call) {
    std::string database = required_parameter(call.request, "db_name");
    if (word_parameter(call.request, "format", {"sql", "json"}, "sql") == "json")
      throw Error(ErrorCode::unsupported, "the schema is not available as JSON",
                  "leave format away, or say format=sql");
    SchemaPoint point = point_of(call.request, "lsn", "timestamp");
    return json_response(200, neon::write_schema(engine.schema(call.at("branch_id"), database,
                                                               point.lsn, point.time)));
  });
  router.add("GET", branch + "/compare_schema", [&engine](const RouteCall& call) {
    std::string database = required_parameter(call.request, "db_name");
    SchemaPoint point = point_of(call.request, "lsn", "timestamp");
    SchemaPoint base_point = point_of(call.request, "base_lsn", "base_timestamp");
    std::optional<std::string> base = id_parameter(call.request, "base_branch_id");
    if (!base) base = engine.branch(call.at("branch_id")).parent_id;
    if (!base)
      throw Error(ErrorCode::invalid, "the branch has no parent to be compared with",
                  "give base_branch_id");
    std::string before = engine.schema(*base, database, base_point.lsn, base_point.time);
    std::string after = engine.schema(call.at("branch_id"), database, point.lsn, point.time);
    return json_response(200, neon::write_schema_diff(unified_diff(
                                  without_restrict(before), without_restrict(after), database)));
  });
}

}  // namespace holdfast
