// The JSON documents of `branch`, `serve` and `key`: see documents.h. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "branch/compare.h"
#include "branch/find_moment.h"
#include "engine/engine.h"
#include "neon/history.h"
#include "neon/types.h"
#include "serve/api_keys.h"

namespace holdfast {

// A branch with the compute that reads and writes, if it has one, and its parent's name, if known.
struct BranchView {
  neon::Branch branch;
  std::optional<neon::Endpoint> endpoint;
  std::string parent_name;
};

// What can be recovered to.
struct WindowView {
  UtcTime from, to;
  std::string from_lsn, to_lsn;  // empty: the API does not say
};

std::string branch_list_document(const std::string& project_id, const std::string& host,
                                 const std::vector<BranchView>& branches);
// `comparison` is missing where none was asked for.
std::string branch_document(const BranchView& view,
                            const std::optional<BranchComparison>& comparison = std::nullopt);
std::string branch_comparison_document(const BranchComparison& comparison);
std::string branch_found_document(const FindRequest& request, const FoundMoment& found);
// What a restore of `target` would do; nothing was done.
std::string branch_restore_plan_document(const neon::Branch& target, const neon::Branch& source,
                                         const neon::BranchRestoreRequest& request,
                                         const std::optional<BranchComparison>& comparison);
// After a restore to what `source` holds: `kept_as` is the branch that has the old state.
std::string branch_restored_document(const BranchView& view, const neon::Branch& source,
                                     const std::string& kept_as, double seconds,
                                     const std::optional<BranchComparison>& comparison);
std::string branch_deleted_document(const neon::Branch& branch);
std::string branch_url_document(const neon::Branch& branch, const std::string& role,
                                const std::string& database, const Secret& url);
// `history` is missing where the API does not know.
std::string branch_window_document(const std::vector<WindowView>& windows,
                                   int64_t retention_seconds,
                                   const std::optional<neon::History>& history);

std::string key_added_document(const NewApiKey& key);
std::string key_list_document(const std::vector<ApiKey>& keys);
std::string key_revoked_document(const ApiKey& key);

}  // namespace holdfast
