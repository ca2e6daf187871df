// What the actions of `holdfast branch` share.
#include "cli/branch_actions.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "branch/branch_backup.h"

namespace holdfast {
namespace {

using neon::Branch;
using neon::Client;
using neon::Endpoint;

}  // namespace

std::string shown_time(const std::optional<UtcTime>& time) {
  if (!time) return "-";
  std::string text = format_rfc3339(*time);
  return text.ends_with(".000Z") ? text.substr(0, 19) + "Z" : text;
}

std::string computes_state(const std::optional<Endpoint>& endpoint) {
  if (!endpoint) return "none";
  if (endpoint->disabled) return "disabled";
  return endpoint->current_state == "idle" ? "suspended" : printable(endpoint->current_state, 20);
}

BranchView view_of(Client& client, const std::string& id) {
  BranchView view;
  view.branch = client.branch(id);
  view.endpoint = writer_of(id, client.endpoints_of(id));
  if (view.branch.parent_id) {
    try {
      view.parent_name = client.branch(*view.branch.parent_id).name;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::not_found) throw;  // deleted meanwhile: its id is known
    }
  }
  return view;
}

std::string parent_point(const BranchView& view) {
  const Branch& branch = view.branch;
  if (!branch.parent_id && !branch.parent_lsn && !branch.parent_timestamp) return "-";
  std::string text = view.parent_name.empty() ? branch.parent_id.value_or("") : view.parent_name;
  if (branch.parent_timestamp) text += " at " + shown_time(branch.parent_timestamp);
  if (branch.parent_lsn) text += " (" + *branch.parent_lsn + ")";
  return printable(text, 200);
}

void show_branch(Output& output, const BranchView& view) {
  const Branch& branch = view.branch;
  output.line(fmt::format("{}{}{}", printable(branch.name), branch.is_default ? "  (default)" : "",
                          branch.is_protected ? "  (protected)" : ""));
  output.line("  id          " + printable(branch.id, 80));
  output.line("  state       " + printable(branch.current_state, 40));
  output.line("  parent      " + parent_point(view));
  output.line("  created     " + shown_time(branch.created_at));
  if (branch.expires_at) output.line("  expires     " + shown_time(branch.expires_at));
  if (branch.logical_size && *branch.logical_size > 0)
    output.line("  size        " + human_bytes(static_cast<uint64_t>(*branch.logical_size)));
  output.line("  compute     " + computes_state(view.endpoint) +
              (view.endpoint ? ", " + printable(view.endpoint->host, 200) : ""));
}

void show_way_in(Output& output, const BranchView& view) {
  if (view.endpoint) output.line("  look at it  holdfast psql " + printable(view.branch.name));
}

Branch live_branch(BranchContext& context) {
  return live_branch(context.client, context.config.text("neon_branch"));
}

std::string branch_argument(const BranchContext& context, const char* action) {
  if (context.names.empty())
    throw Error(ErrorCode::invalid, fmt::format("branch {}: which branch?", action),
                "name it: holdfast branch list");
  return context.names.front();
}

std::string checked_name(const std::string& name, const std::string& origin) {
  if (name.empty() || name.size() > kBranchNameBytesMax || !is_utf8(name) ||
      printable(name, 1000) != name)
    throw Error(ErrorCode::invalid, fmt::format("{}: this cannot be a branch's name", origin),
                fmt::format("a name is readable text of 1 to {} bytes", kBranchNameBytesMax));
  return name;
}

void refuse_two_points(const Config& config) {
  if (config.given("branch_at") && config.given("branch_lsn"))
    throw Error(ErrorCode::invalid, "both --at and --lsn are given", "keep one of the two");
}

void demand_confirmation(const Config& config, const Branch& branch, const std::string& why,
                         const std::string& command) {
  if (config.text("branch_confirm") == branch.name) return;
  bool other = config.given("branch_confirm");
  throw Error(ErrorCode::invalid,
              other ? fmt::format("--confirm names another branch than {}", printable(branch.name))
                    : fmt::format("{} is {}", printable(branch.name), why),
              fmt::format("if that is meant: {} --confirm {}", command, printable(branch.name)));
}

std::vector<WindowView> windows_of(const neon::Project& project,
                                   const std::optional<neon::History>& history, UtcTime now) {
  std::vector<WindowView> windows;
  if (history) {
    for (const neon::HistoryWindow& window : history->windows)
      windows.push_back({window.from, window.to, window.from_lsn, window.to_lsn});
  } else if (project.history_retention_seconds > 0) {
    UtcTime kept_from = now - std::chrono::seconds(project.history_retention_seconds);
    windows.push_back({std::max(project.created_at, kept_from), now, "", ""});
  }
  return windows;
}

}  // namespace holdfast
