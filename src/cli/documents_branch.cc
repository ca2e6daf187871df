#include "cli/documents_branch.h"

#include "cli/document_json.h"

namespace holdfast {
namespace {

Json endpoint_json(const neon::Endpoint& endpoint) {
  return {{"id", endpoint.id},
          {"host", endpoint.host},
          {"state", endpoint.current_state},
          {"last_active", time_or_null(endpoint.last_active)}};
}

Json branch_json(const BranchView& view) {
  const neon::Branch& branch = view.branch;
  return {{"id", branch.id},
          {"name", branch.name},
          {"default", branch.is_default},
          {"protected", branch.is_protected},
          {"state", branch.current_state},
          {"parent_id", text_or_null(branch.parent_id)},
          {"parent", text_or_null(view.parent_name)},
          {"parent_lsn", text_or_null(branch.parent_lsn)},
          {"parent_timestamp", time_or_null(branch.parent_timestamp)},
          {"created_at", format_rfc3339(branch.created_at)},
          {"expires_at", time_or_null(branch.expires_at)},
          {"logical_bytes", branch.logical_size ? Json(*branch.logical_size) : Json(nullptr)},
          {"endpoint", view.endpoint ? endpoint_json(*view.endpoint) : Json(nullptr)}};
}

const char* state_of(const ComparedTable& table) {
  if (!table.in_other) return "only_in_branch";
  if (!table.in_branch) return "only_in_other";
  return table.equal() ? "equal" : "different";
}

Json sum_json(const std::optional<RowChecksum>& sum) {
  if (!sum) return nullptr;
  return {{"rows", sum->rows}, {"checksum", sum->sum_hex()}};
}

Json comparison_json(const BranchComparison& comparison) {
  Json tables = Json::array();
  for (const ComparedTable& table : comparison.tables) {
    Json delta = nullptr;
    if (table.in_branch && table.in_other)
      delta =
          static_cast<int64_t>(table.in_branch->rows) - static_cast<int64_t>(table.in_other->rows);
    tables.push_back({{"table", table.name},
                      {"state", state_of(table)},
                      {"branch", sum_json(table.in_branch)},
                      {"other", sum_json(table.in_other)},
                      {"rows_more_in_branch", delta}});
  }
  return {{"branch", comparison.branch},
          {"other", comparison.other},
          {"all_equal", comparison.all_equal()},
          {"tables_equal", comparison.equal()},
          {"tables_different", comparison.tables.size() - comparison.equal()},
          {"tables", tables}};
}

Json key_json(const ApiKey& key) {
  return {{"id", key.id},
          {"name", key.name},
          {"created_at", format_rfc3339(key.created_at)},
          {"last_used_at", time_or_null(key.last_used_at)}};
}

}  // namespace

std::string branch_list_document(const std::string& project_id, const std::string& host,
                                 const std::vector<BranchView>& branches) {
  Json list = Json::array();
  for (const BranchView& view : branches) list.push_back(branch_json(view));
  return document_text({{"project", project_id}, {"host", host}, {"branches", list}});
}

std::string branch_document(const BranchView& view,
                            const std::optional<BranchComparison>& comparison) {
  Json document = {{"branch", branch_json(view)}};
  if (comparison) document["comparison"] = comparison_json(*comparison);
  return document_text(document);
}

std::string branch_comparison_document(const BranchComparison& comparison) {
  return document_text({{"comparison", comparison_json(comparison)}});
}

std::string branch_found_document(const FindRequest& request, const FoundMoment& found) {
  Json not_held = nullptr;
  if (!found.still_holds) not_held = second_text(found.last_held + std::chrono::seconds(1));
  return document_text({{"branch", request.branch.name},
                        {"table", request.table},
                        {"where", request.condition},
                        {"from", second_text(request.from)},
                        {"to", second_text(request.to)},
                        {"still_holds", found.still_holds},
                        {"last_held_at", second_text(found.last_held)},
                        {"first_not_held_at", not_held},
                        {"probes", found.probes},
                        {"seconds", found.seconds}});
}

std::string branch_restore_plan_document(const neon::Branch& target, const neon::Branch& source,
                                         const neon::BranchRestoreRequest& request,
                                         const std::optional<BranchComparison>& comparison) {
  Json document = {{"dry_run", true},
                   {"target", {{"id", target.id}, {"name", target.name}}},
                   {"source", {{"id", source.id}, {"name", source.name}}},
                   {"at", time_or_null(request.source_timestamp)},
                   {"lsn", text_or_null(request.source_lsn)},
                   {"kept_as", text_or_null(request.preserve_under_name)}};
  if (comparison) document["comparison"] = comparison_json(*comparison);
  return document_text(document);
}

std::string branch_restored_document(const BranchView& view, const neon::Branch& source,
                                     const std::string& kept_as, double seconds,
                                     const std::optional<BranchComparison>& comparison) {
  Json document = {{"branch", branch_json(view)},
                   {"source", {{"id", source.id}, {"name", source.name}}},
                   {"kept_as", kept_as},
                   {"seconds", rounded(seconds)}};
  if (comparison) document["comparison"] = comparison_json(*comparison);
  return document_text(document);
}

std::string branch_deleted_document(const neon::Branch& branch) {
  return document_text({{"deleted", {{"id", branch.id}, {"name", branch.name}}}});
}

std::string branch_url_document(const neon::Branch& branch, const std::string& role,
                                const std::string& database, const Secret& url) {
  return document_text({{"branch", branch.name},
                        {"id", branch.id},
                        {"role", role},
                        {"database", database},
                        {"url", url.reveal()}});
}

std::string branch_window_document(const std::vector<WindowView>& windows,
                                   int64_t retention_seconds,
                                   const std::optional<neon::History>& history) {
  Json list = Json::array();
  for (const WindowView& window : windows)
    list.push_back({{"from", format_rfc3339(window.from)},
                    {"to", format_rfc3339(window.to)},
                    {"from_lsn", text_or_null(window.from_lsn)},
                    {"to_lsn", text_or_null(window.to_lsn)}});
  Json document = {{"windows", list}, {"retention_seconds", retention_seconds}};
  if (history)
    document["receiving"] = {{"ok", history->receiving},
                             {"trouble", text_or_null(history->trouble)},
                             {"lag_bytes", history->lag_bytes},
                             {"caught_up_at", time_or_null(history->caught_up_at)},
                             {"gaps", history->gaps}};
  return document_text(document);
}

std::string key_added_document(const NewApiKey& key) {
  Json document = key_json(key.key);
  document["key"] = key.clear.reveal();
  return document_text(document);
}

std::string key_list_document(const std::vector<ApiKey>& keys) {
  Json list = Json::array();
  for (const ApiKey& key : keys) list.push_back(key_json(key));
  return document_text({{"keys", list}});
}

std::string key_revoked_document(const ApiKey& key) {
  return document_text({{"revoked", key_json(key)}});
}

}  // namespace holdfast
