// holdfast branch: branches through the Neon API, at Neon's cloud and at an engine alike.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/text.h"
#include "cli/api.h"
#include "cli/command.h"
#include "cli/documents_branch.h"
#include "cli/table.h"

namespace holdfast {
namespace {

using neon::Branch;
using neon::Changed;
using neon::Client;
using neon::Endpoint;

constexpr size_t kNameBytesMax = 256;  // the API's

struct Context {
  CommandContext& command;
  Client& client;
  const Config& config;
  std::vector<std::string> names;  // what stands behind the action
};

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

std::optional<Endpoint> writer_of(const std::string& branch_id,
                                  const std::vector<Endpoint>& endpoints) {
  for (const Endpoint& endpoint : endpoints)
    if (endpoint.branch_id == branch_id && endpoint.type == "read_write") return endpoint;
  return std::nullopt;
}

// The branch as it is now.
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

// "psql on it: …", if there is something to log in to.
void show_way_in(Output& output, const BranchView& view) {
  if (view.endpoint) output.line("  look at it  holdfast psql " + printable(view.branch.name));
}

std::string branch_argument(const Context& context, const char* action) {
  if (context.names.empty())
    throw Error(ErrorCode::invalid, fmt::format("branch {}: which branch?", action),
                "name it: holdfast branch list");
  return context.names.front();
}

std::string checked_name(const std::string& name, const std::string& origin) {
  if (name.empty() || name.size() > kNameBytesMax || !is_utf8(name) ||
      printable(name, 1000) != name)
    throw Error(ErrorCode::invalid, fmt::format("{}: this cannot be a branch's name", origin),
                fmt::format("a name is readable text of 1 to {} bytes", kNameBytesMax));
  return name;
}

void refuse_two_points(const Config& config) {
  if (config.given("branch_at") && config.given("branch_lsn"))
    throw Error(ErrorCode::invalid, "both --at and --lsn are given", "keep one of the two");
}

int list(Context& context) {
  std::vector<Branch> branches = context.client.branches();
  std::vector<Endpoint> endpoints = context.client.endpoints();
  std::sort(branches.begin(), branches.end(), [](const Branch& a, const Branch& b) {
    if (a.is_default != b.is_default) return a.is_default;
    return a.created_at != b.created_at ? a.created_at > b.created_at : a.id < b.id;
  });
  std::map<std::string, std::string> names;
  for (const Branch& branch : branches) names[branch.id] = branch.name;
  std::map<std::string, Endpoint> writers;
  for (const Endpoint& endpoint : endpoints)
    if (endpoint.type == "read_write") writers.emplace(endpoint.branch_id, endpoint);

  std::vector<BranchView> views;
  std::vector<Row> rows = {{"NAME", "ID", "STATE", "COMPUTE", "PARENT", "CREATED", "EXPIRES"}};
  for (const Branch& branch : branches) {
    BranchView view{branch, std::nullopt, ""};
    if (auto found = writers.find(branch.id); found != writers.end()) view.endpoint = found->second;
    if (auto found = names.find(branch.parent_id.value_or("")); found != names.end())
      view.parent_name = found->second;
    std::string marks = fmt::format("{}{}", branch.is_default ? " (default)" : "",
                                    branch.is_protected ? " (protected)" : "");
    rows.push_back({printable(branch.name, 80) + marks, printable(branch.id, 60),
                    printable(branch.current_state, 20), computes_state(view.endpoint),
                    parent_point(view), shown_time(branch.created_at),
                    shown_time(branch.expires_at)});
    views.push_back(std::move(view));
  }
  Output& output = context.command.output;
  output.document(branch_list_document(context.client.project_id(), context.client.host(), views));
  if (views.empty()) output.line("no branches");
  if (!views.empty()) show_table(output, rows);
  return kExitDone;
}

int create(Context& context) {
  const Config& config = context.config;
  refuse_two_points(config);
  neon::BranchCreateRequest request;
  if (context.names.empty())
    throw Error(ErrorCode::invalid, "branch create: under which name?",
                "holdfast branch create NAME");
  request.name = checked_name(context.names.front(), "branch create");
  if (config.given("branch_at"))
    request.parent_timestamp = read_time(config.text("branch_at"), "--at");
  if (config.given("branch_lsn")) request.parent_lsn = read_lsn(config.text("branch_lsn"), "--lsn");
  if (config.given("branch_expires_at"))
    request.expires_at = read_time(config.text("branch_expires_at"), "--expires-at");
  request.is_protected = config.flag("branch_protected");
  if (!config.flag("branch_no_compute")) request.endpoints.emplace_back();
  if (config.given("branch_parent"))
    request.parent_id = context.client.find_branch(config.text("branch_parent")).id;

  double began = context.command.run.clock.monotonic_seconds();
  Changed made = context.client.create_branch(request);
  context.client.finish(made);
  if (!made.branch)
    throw Error(ErrorCode::internal, fmt::format("{} made no branch", context.client.host()));
  BranchView view = view_of(context.client, made.branch->id);
  Output& output = context.command.output;
  output.document(branch_document(view));
  output.verdict(true,
                 fmt::format("CREATED {} · {}", printable(view.branch.name),
                             human_seconds(context.command.run.clock.monotonic_seconds() - began)));
  show_branch(output, view);
  show_way_in(output, view);
  return kExitDone;
}

int show(Context& context) {
  Branch branch = context.client.find_branch(branch_argument(context, "show"));
  BranchView view = view_of(context.client, branch.id);
  context.command.output.document(branch_document(view));
  show_branch(context.command.output, view);
  return kExitDone;
}

// Over live data only what is named twice.
void demand_confirmation(const Config& config, const Branch& branch, const std::string& why,
                         const std::string& command) {
  if (config.text("branch_confirm") == branch.name) return;
  bool other = config.given("branch_confirm");
  throw Error(ErrorCode::invalid,
              other ? fmt::format("--confirm names another branch than {}", printable(branch.name))
                    : fmt::format("{} is {}", printable(branch.name), why),
              fmt::format("if that is meant: {} --confirm {}", command, printable(branch.name)));
}

int restore(Context& context) {
  const Config& config = context.config;
  refuse_two_points(config);
  Branch target = context.client.find_branch(branch_argument(context, "restore"));
  Branch source =
      config.given("branch_from") ? context.client.find_branch(config.text("branch_from")) : target;
  bool has_point = config.given("branch_at") || config.given("branch_lsn");
  if (source.id == target.id && !has_point)
    throw Error(ErrorCode::invalid, "branch restore: to which point?",
                "say --at TIME or --lsn LSN, or another branch with --from");
  neon::BranchRestoreRequest request;
  request.source_branch_id = source.id;
  if (config.given("branch_at"))
    request.source_timestamp = read_time(config.text("branch_at"), "--at");
  if (config.given("branch_lsn")) request.source_lsn = read_lsn(config.text("branch_lsn"), "--lsn");
  std::string time = shown_time(context.command.run.clock.now());
  std::string suffix = "_old_" + time;
  request.preserve_under_name =
      config.given("branch_preserve")
          ? checked_name(config.text("branch_preserve"), "--preserve-under-name")
          : target.name.substr(0, kNameBytesMax - suffix.size()) + suffix;
  if (target.is_default)
    demand_confirmation(config, target, "the default branch: its live data would be replaced",
                        fmt::format("holdfast branch restore {} …", printable(target.name)));

  context.command.run.log.info(fmt::format("restoring {}; what it is now stays as {}",
                                           printable(target.name),
                                           printable(*request.preserve_under_name)));
  double began = context.command.run.clock.monotonic_seconds();
  context.client.finish(context.client.restore_branch(target.id, request));
  BranchView view = view_of(context.client, target.id);
  Output& output = context.command.output;
  output.document(branch_restored_document(view, *request.preserve_under_name));
  output.verdict(true,
                 fmt::format("RESTORED {} · {}", printable(view.branch.name),
                             human_seconds(context.command.run.clock.monotonic_seconds() - began)));
  show_branch(output, view);
  output.line(fmt::format("  the old state is kept as {}; when it is no longer needed:",
                          printable(*request.preserve_under_name)));
  output.line(fmt::format("              holdfast branch delete {0} --confirm {0}",
                          printable(*request.preserve_under_name)));
  return kExitDone;
}

int rename(Context& context) {
  Branch branch = context.client.find_branch(branch_argument(context, "rename"));
  if (context.names.size() < 2)
    throw Error(ErrorCode::invalid, "branch rename: to which name?",
                "holdfast branch rename BRANCH NAME");
  neon::BranchUpdateRequest request;
  request.name = checked_name(context.names[1], "branch rename");
  context.client.finish(context.client.update_branch(branch.id, request));
  BranchView view = view_of(context.client, branch.id);
  context.command.output.document(branch_document(view));
  context.command.output.line(
      fmt::format("{} is called {} now", printable(branch.name), printable(view.branch.name)));
  return kExitDone;
}

int remove(Context& context) {
  Branch branch = context.client.find_branch(branch_argument(context, "delete"));
  // A branch without a parent holds what is nowhere else: what was before a restore.
  bool kept_state = !branch.parent_id.has_value() || branch.name.find("_old_") != std::string::npos;
  if (kept_state)
    demand_confirmation(context.config, branch,
                        "a kept state, or has no parent: what is in it is nowhere else",
                        fmt::format("holdfast branch delete {}", printable(branch.name)));
  context.client.delete_branch(branch.id);
  context.command.output.document(branch_deleted_document(branch));
  context.command.output.line(
      fmt::format("deleted {} ({})", printable(branch.name), printable(branch.id, 60)));
  return kExitDone;
}

int url(Context& context) {
  Branch branch = context.client.find_branch(branch_argument(context, "url"));
  BranchLogin login = branch_login(context.client, branch, login_choice(context.config));
  context.command.output.document(
      branch_url_document(branch, login.role, login.database, login.url));
  context.command.output.line(login.url.reveal());
  return kExitDone;
}

int start(Context& context) {
  Branch branch = context.client.find_branch(branch_argument(context, "start"));
  ready_endpoint(context.client, branch, /*make_one=*/true);
  BranchView view = view_of(context.client, branch.id);
  context.command.output.document(branch_document(view));
  show_branch(context.command.output, view);
  show_way_in(context.command.output, view);
  return kExitDone;
}

int suspend(Context& context) {
  Branch branch = context.client.find_branch(branch_argument(context, "suspend"));
  std::optional<Endpoint> endpoint = writer_of(branch.id, context.client.endpoints_of(branch.id));
  if (!endpoint)
    throw Error(ErrorCode::not_found,
                fmt::format("branch {} has no compute", printable(branch.name)),
                "there is nothing to suspend");
  if (endpoint->current_state != "idle")
    context.client.finish(context.client.suspend_endpoint(endpoint->id));
  BranchView view = view_of(context.client, branch.id);
  context.command.output.document(branch_document(view));
  show_branch(context.command.output, view);
  return kExitDone;
}

// Neon's cloud says only for how long history is kept.
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

int window(Context& context) {
  neon::Project project = context.client.project();
  std::optional<neon::History> history = context.client.history();
  std::vector<WindowView> windows = windows_of(project, history, context.command.run.clock.now());
  Output& output = context.command.output;
  output.document(branch_window_document(windows, project.history_retention_seconds, history));
  if (windows.empty()) output.line("there is nothing to go back to yet");
  for (const WindowView& view : windows)
    output.line(fmt::format(
        "{}  to  {}{}", shown_time(view.from), shown_time(view.to),
        view.from_lsn.empty() ? "" : fmt::format("   {} to {}", view.from_lsn, view.to_lsn)));
  double kept = static_cast<double>(project.history_retention_seconds);
  output.line(fmt::format("history is kept for {}", human_seconds(kept)));
  if (!history) return kExitDone;
  if (!history->trouble.empty()) output.verdict(false, "trouble: " + printable(history->trouble));
  if (history->lag_bytes > 0)
    output.line(fmt::format("{} of WAL are still to be received",
                            human_bytes(static_cast<uint64_t>(history->lag_bytes))));
  if (history->gaps > 0)
    output.line(fmt::format("{} in history: what lies in it is lost",
                            plural(static_cast<uint64_t>(history->gaps), "gap")));
  return kExitDone;
}

struct Action {
  const char* name;
  int (*run)(Context&);
  size_t names_max;
  std::vector<const char*> options;  // the flags of `branch` that it listens to
};

const std::vector<Action>& actions() {
  static const std::vector<Action> all = {
      {"list", list, 0, {}},
      {"create",
       create,
       1,
       {"branch_parent", "branch_at", "branch_lsn", "branch_no_compute", "branch_expires_at",
        "branch_protected"}},
      {"show", show, 1, {}},
      {"restore",
       restore,
       1,
       {"branch_from", "branch_at", "branch_lsn", "branch_preserve", "branch_confirm"}},
      {"rename", rename, 2, {}},
      {"delete", remove, 1, {"branch_confirm"}},
      {"url", url, 1, {"branch_role", "branch_database", "branch_pooled"}},
      {"start", start, 1, {}},
      {"suspend", suspend, 1, {}},
      {"window", window, 0, {}},
  };
  return all;
}

// The action, once it is known to take what it is given: a flag that does nothing is a mistake.
const Action& chosen_action(const CommandContext& context) {
  std::vector<std::string> names;
  for (const Action& action : actions()) names.push_back(action.name);
  std::string said = context.argument_or("");
  auto found = std::find_if(actions().begin(), actions().end(),
                            [&](const Action& action) { return said == action.name; });
  if (found == actions().end())
    throw Error(ErrorCode::invalid,
                said.empty() ? "branch: what about it?"
                             : fmt::format("branch: unknown action {}{}", shown(said),
                                           did_you_mean(said, names)),
                fmt::format("actions: {}", fmt::join(names, ", ")));
  if (context.arguments.size() > found->names_max + 1)
    throw Error(ErrorCode::invalid,
                fmt::format("branch {}: unexpected argument {}", found->name,
                            shown(context.arguments[found->names_max + 1])),
                "see: holdfast help branch");
  for (const Setting& setting : context.config.settings()) {
    const Option& option = *setting.option;
    bool of_branch = !option.flag.empty() && option.commands != kEveryCommand &&
                     (option.commands & kBranch) != 0;
    bool taken = std::any_of(found->options.begin(), found->options.end(),
                             [&](const char* name) { return option.name == name; });
    if (of_branch && setting.given && !taken)
      throw Error(ErrorCode::invalid,
                  fmt::format("{} is not an option of branch {}", option.flag, found->name),
                  "see: holdfast help branch");
  }
  return *found;
}

}  // namespace

int command_branch(CommandContext& context) {
  const Action& action = chosen_action(context);
  ApiAccess api(context.config, context.run);
  Context all{context,
              api.client(),
              context.config,
              {context.arguments.begin() + 1, context.arguments.end()}};
  return action.run(all);
}

}  // namespace holdfast
