// holdfast branch: branches through the Neon API, at Neon's cloud and at an engine alike.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/text.h"
#include "cli/branch_actions.h"
#include "cli/table.h"

namespace holdfast {
namespace {

using neon::Branch;
using neon::Changed;
using neon::Client;
using neon::Endpoint;

int list(BranchContext& context) {
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

// The branch that was just made stays, whatever comes of the comparison.
std::optional<BranchComparison> asked_comparison(BranchContext& context, const Branch& branch) {
  if (!context.config.flag("branch_compare")) return std::nullopt;
  try {
    return compare_with_now(context, branch);
  } catch (const Error& error) {
    throw error.within(
        fmt::format("{} is made, but could not be compared", printable(branch.name)));
  }
}

int create(BranchContext& context) {
  const Config& config = context.config;
  refuse_two_points(config);
  if (config.given("branch_table") && !config.flag("branch_compare"))
    throw Error(ErrorCode::invalid, "branch create: --table says what to compare",
                "add --compare, or leave it out");
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
  double seconds = context.command.run.clock.monotonic_seconds() - began;
  std::optional<BranchComparison> comparison = asked_comparison(context, view.branch);
  Output& output = context.command.output;
  output.document(branch_document(view, comparison));
  output.verdict(
      true, fmt::format("CREATED {} · {}", printable(view.branch.name), human_seconds(seconds)));
  show_branch(output, view);
  show_way_in(output, view);
  if (comparison) show_comparison(output, *comparison);
  return kExitDone;
}

int show(BranchContext& context) {
  Branch branch = context.client.find_branch(branch_argument(context, "show"));
  BranchView view = view_of(context.client, branch.id);
  context.command.output.document(branch_document(view));
  show_branch(context.command.output, view);
  return kExitDone;
}

int rename(BranchContext& context) {
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

int remove(BranchContext& context) {
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

int url(BranchContext& context) {
  Branch branch = context.client.find_branch(branch_argument(context, "url"));
  BranchLogin login = branch_login(context.client, branch, login_choice(context.config));
  context.command.output.document(
      branch_url_document(branch, login.role, login.database, login.url));
  context.command.output.line(login.url.reveal());
  return kExitDone;
}

int start(BranchContext& context) {
  Branch branch = context.client.find_branch(branch_argument(context, "start"));
  ready_endpoint(context.client, branch, /*make_one=*/true);
  BranchView view = view_of(context.client, branch.id);
  context.command.output.document(branch_document(view));
  show_branch(context.command.output, view);
  show_way_in(context.command.output, view);
  return kExitDone;
}

int suspend(BranchContext& context) {
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

struct Action {
  const char* name;
  int (*run)(BranchContext&);
  size_t names_max;
  const char* event;  // in the audit trail; empty: it only looks at what branches there are
  std::vector<const char*> options;  // the flags of `branch` that it listens to
};

const std::vector<Action>& actions() {
  static const std::vector<Action> all = {
      {"list", list, 0, "", {}},
      {"create",
       create,
       1,
       "branch.create",
       {"branch_parent", "branch_at", "branch_lsn", "branch_no_compute", "branch_expires_at",
        "branch_protected", "branch_compare", "branch_table", "branch_role", "branch_database"}},
      {"show", show, 1, "", {}},
      {"restore",
       branch_restore,
       1,
       "branch.restore",
       {"branch_from", "branch_at", "branch_lsn", "branch_preserve", "branch_confirm", "dry_run"}},
      {"promote",
       branch_promote,
       1,
       "branch.promote",
       {"branch_preserve", "branch_confirm", "branch_compare", "dry_run", "branch_role",
        "branch_database"}},
      {"rename", rename, 2, "branch.rename", {}},
      {"delete", remove, 1, "branch.delete", {"branch_confirm"}},
      {"url", url, 1, "branch.url", {"branch_role", "branch_database", "branch_pooled"}},
      {"start", start, 1, "branch.start", {}},
      {"suspend", suspend, 1, "branch.suspend", {}},
      {"window", branch_window, 0, "", {}},
      {"compare",
       branch_compare,
       2,
       "branch.compare",
       {"branch_table", "branch_role", "branch_database"}},
      {"find",
       branch_find,
       0,
       "branch.find",
       {"branch_table", "branch_where", "branch_from", "branch_to", "branch_parent", "branch_role",
        "branch_database"}},
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
  BranchContext all{context,
                    api.client(),
                    context.config,
                    {context.arguments.begin() + 1, context.arguments.end()}};
  if (*action.event != '\0') {
    const Config& config = context.config;
    std::string target = config.text("neon_project_id");
    if (!all.names.empty()) target = all.names.front();
    context.operation.begin(
        action.event, target, AuditNeed::required,
        {{"host", api.client().host()},
         {"parent", config.text("branch_parent")},
         {"name", all.names.size() > 1 ? all.names[1] : ""},
         {"from", config.text("branch_from")},
         {"at", config.text("branch_at")},
         {"lsn", config.text("branch_lsn")},
         {"table", fmt::format("{}", fmt::join(config.list("branch_table"), ", "))},
         {"confirmed", config.text("branch_confirm")},
         {"dry_run", config.flag("dry_run") ? "yes" : ""}});
  }
  return action.run(all);
}

}  // namespace holdfast
