// What the actions of `holdfast branch` share, and those that have a file of their own. Part of
// cli.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "branch/compare.h"
#include "cli/api.h"
#include "cli/command.h"
#include "cli/documents_branch.h"

namespace holdfast {

struct BranchContext {
  CommandContext& command;
  neon::Client& client;
  const Config& config;
  std::vector<std::string> names;  // what stands behind the action
};

inline constexpr size_t kBranchNameBytesMax = 256;  // the API's

// "2026-11-10T14:30:00Z", with milliseconds only where there are any; "-" for none.
std::string shown_time(const std::optional<UtcTime>& time);
std::string computes_state(const std::optional<neon::Endpoint>& endpoint);
// "main at 2026-11-10T14:30:00Z (0/16B3748)".
std::string parent_point(const BranchView& view);

// The branch as it is now.
BranchView view_of(neon::Client& client, const std::string& id);
void show_branch(Output& output, const BranchView& view);
// "psql on it: …", if there is something to log in to.
void show_way_in(Output& output, const BranchView& view);

// The branch that carries production: the configured one, else the default one.
neon::Branch live_branch(BranchContext& context);
// The branch that was named behind the action. Throws Error(invalid) without one.
std::string branch_argument(const BranchContext& context, const char* action);
// Throws Error(invalid) for what the API would not take as a name; `origin` is said in it.
std::string checked_name(const std::string& name, const std::string& origin);
void refuse_two_points(const Config& config);
// Over live data only what is named twice: throws Error(invalid) unless --confirm is its name.
void demand_confirmation(const Config& config, const neon::Branch& branch, const std::string& why,
                         const std::string& command);

// What can be recovered to, oldest first. Neon's cloud says only for how long history is kept.
std::vector<WindowView> windows_of(const neon::Project& project,
                                   const std::optional<neon::History>& history, UtcTime now);

// What `branch` holds against the live branch as it is now, which is looked at through a scratch
// branch of its head: production carries no load, and the look is of one moment. Takes --role,
// --database and --table. Throws Error; where the present cannot be looked at, it says so.
BranchComparison compare_with_now(BranchContext& context, const neon::Branch& branch);
void show_comparison(Output& output, const BranchComparison& comparison);

int branch_compare(BranchContext& context);
int branch_find(BranchContext& context);
int branch_restore(BranchContext& context);
int branch_promote(BranchContext& context);
int branch_window(BranchContext& context);

}  // namespace holdfast
