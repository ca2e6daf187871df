// holdfast branch restore, promote and window: going back, and how far that is possible.
#include <fmt/format.h>

#include "base/text.h"
#include "branch/branch_backup.h"
#include "cli/branch_actions.h"

namespace holdfast {
namespace {

// What is to become of which branch.
struct RestoreOrder {
  neon::Branch target, source;
  neon::BranchRestoreRequest request;
};

// Before anything is touched: no history reaches back to before it was kept. What is younger than
// the last that we know of, the API answers for.
void require_in_window(BranchContext& context, const RestoreOrder& order) {
  if (!order.request.source_timestamp || !order.source.is_default) return;
  UtcTime now = context.command.run.clock.now();
  UtcTime at = *order.request.source_timestamp;
  std::vector<WindowView> windows =
      windows_of(context.client.project(), context.client.history(), now);
  if (!windows.empty() && at >= windows.front().from && at <= now) return;
  std::string there;
  for (const WindowView& window : windows)
    there += fmt::format("{}{} to {}", there.empty() ? "" : "; ", shown_time(window.from),
                         shown_time(window.to));
  throw Error(ErrorCode::invalid,
              fmt::format("{} cannot be gone back to: it {}", shown_time(at),
                          at > now ? "is still to come" : "lies before what is kept"),
              windows.empty() ? "nothing is kept yet: holdfast branch window"
                              : "what can (holdfast branch window): " + there);
}

std::string name_for_old_state(BranchContext& context, const neon::Branch& target) {
  const Config& config = context.config;
  if (config.given("branch_preserve"))
    return checked_name(config.text("branch_preserve"), "--preserve-under-name");
  std::string suffix = "_old_" + shown_time(context.command.run.clock.now());
  return target.name.substr(0, kBranchNameBytesMax - suffix.size()) + suffix;
}

std::string point_of(const RestoreOrder& order) {
  if (order.request.source_timestamp) return " at " + shown_time(order.request.source_timestamp);
  if (order.request.source_lsn) return " at " + *order.request.source_lsn;
  return "";
}

// For people: what would happen, and what of it can be undone how.
void show_plan(Output& output, const RestoreOrder& order) {
  std::string target = printable(order.target.name), source = printable(order.source.name);
  output.line(fmt::format("{} becomes what {} is{}", target, source, point_of(order)));
  output.line(fmt::format("  the state it has now stays as  {}",
                          printable(*order.request.preserve_under_name)));
  output.line("  its connection string stays; sessions are interrupted");
  std::optional<UtcTime> since = order.request.source_timestamp ? order.request.source_timestamp
                                                                : order.source.parent_timestamp;
  if (since)
    output.line(fmt::format("  what was committed to {} after {} is then in {} alone", target,
                            shown_time(since), printable(*order.request.preserve_under_name)));
  output.line(fmt::format("  way back  holdfast branch promote {0} --confirm {1}",
                          printable(*order.request.preserve_under_name), target));
}

// What was done on a branch since it was made, over all its databases: rows and definitions, held
// against a scratch branch of its very point. Nothing: it was only looked at.
std::string changes_since_made(BranchContext& context, const neon::Branch& branch,
                               const std::string& scratch_parent) {
  const Run& run = context.command.run;
  ScratchBranch as_made(context.client, "check", {scratch_parent, std::nullopt, branch.parent_lsn},
                        run);
  std::string changes;
  for (const neon::Database& database : context.client.databases(branch.id)) {
    LoginChoice login = login_choice(context.config);
    login.database = database.name;
    BranchComparison rows = [&] {
      ComputeAccess now(context.client, branch, login, run);
      ComputeAccess then(context.client, as_made.branch(), login, run);
      return compare_branches({branch.name, now.conninfo()}, {"as made", then.conninfo()}, {}, run);
    }();
    size_t different = rows.tables.size() - rows.equal();
    std::string what = different == 0 ? "" : plural(different, "table");
    if (!context.client.compare_schema(branch.id, as_made.branch().id, database.name).empty())
      what += what.empty() ? "definitions" : " and definitions";
    if (!what.empty())
      changes += fmt::format("{}{} of {}", changes.empty() ? "" : ", ", what,
                             printable(database.name, 60));
  }
  as_made.remove();
  return changes;
}

// An engine puts its source to points of the source's own history only. A branch that was made at
// one and only looked at since is that point; one that was written to is not, and must not be
// taken for it.
void go_by_point(BranchContext& context, RestoreOrder& order) {
  const neon::Branch& source = order.source;
  bool by_itself = order.request.source_lsn || order.request.source_timestamp;
  if (by_itself || !source.parent_id || !source.parent_lsn || !context.client.history()) return;
  if (!context.client.endpoints_of(source.id).empty()) {
    context.command.run.log.info(
        fmt::format("looking whether {} was written to", printable(source.name, 80)));
    std::string changes = changes_since_made(context, source, *source.parent_id);
    if (!changes.empty())
      throw Error(
          ErrorCode::unsupported,
          fmt::format("{} was written to after it was made ({}), and an engine can put its "
                      "source to points of the source's own history only",
                      printable(source.name, 80), changes),
          fmt::format("what it was made of: holdfast branch restore {} --from {} --lsn {}; "
                      "what was written to it: by a dump of it (holdfast branch url)",
                      printable(order.target.name, 80), *source.parent_id, *source.parent_lsn));
  }
  order.request.source_branch_id = *source.parent_id;
  order.request.source_lsn = source.parent_lsn;
}

// `command`: for the refusal over the default branch.
int carry_out(BranchContext& context, RestoreOrder order, const std::string& command) {
  Output& output = context.command.output;
  require_in_window(context, order);
  order.request.source_branch_id = order.source.id;
  order.request.preserve_under_name = name_for_old_state(context, order.target);
  const std::string& kept = *order.request.preserve_under_name;
  bool dry_run = context.config.flag("dry_run");
  if (!dry_run && order.target.is_default)
    demand_confirmation(context.config, order.target,
                        "the default branch: its live data would be replaced", command);
  go_by_point(context, order);
  std::optional<BranchComparison> comparison;
  if (context.config.flag("branch_compare")) {
    comparison = compare_with_now(context, order.source);
    show_comparison(output, *comparison);
  }
  if (dry_run) {
    output.document(
        branch_restore_plan_document(order.target, order.source, order.request, comparison));
    show_plan(output, order);
    return kExitDone;
  }
  context.command.run.log.info(fmt::format("restoring {}; what it is now stays as {}",
                                           printable(order.target.name), printable(kept)));
  double began = context.command.run.clock.monotonic_seconds();
  context.client.finish(context.client.restore_branch(order.target.id, order.request));
  double seconds = context.command.run.clock.monotonic_seconds() - began;
  BranchView view = view_of(context.client, order.target.id);
  output.document(branch_restored_document(view, order.source, kept, seconds, comparison));
  output.verdict(
      true, fmt::format("RESTORED {} to {}{} · {}", printable(view.branch.name),
                        printable(order.source.name), point_of(order), human_seconds(seconds)));
  show_branch(output, view);
  output.line(fmt::format("  the old state is kept as {}", printable(kept)));
  output.line(fmt::format("  way back    holdfast branch promote {} --confirm {}", printable(kept),
                          printable(view.branch.name)));
  output.line(fmt::format("  no longer needed?  holdfast branch delete {0} --confirm {0}",
                          printable(kept)));
  return kExitDone;
}

}  // namespace

// BRANCH to a point or to another branch; of a backup, the live branch to what the backup holds.
int branch_restore(BranchContext& context) {
  const Config& config = context.config;
  refuse_two_points(config);
  RestoreOrder order;
  std::string said = branch_argument(context, "restore");
  order.target = context.client.branch(context.client.find_branch(said).id);
  order.source = config.given("branch_from")
                     ? context.client.find_branch(config.text("branch_from"))
                     : order.target;
  bool has_point = config.given("branch_at") || config.given("branch_lsn");
  if (order.source.id == order.target.id && !has_point) {
    if (!is_branch_backup(order.target))
      throw Error(ErrorCode::invalid, "branch restore: to which point?",
                  "say --at TIME or --lsn LSN, or another branch with --from");
    order.target = live_branch(context);
  }
  if (config.given("branch_at"))
    order.request.source_timestamp = read_time(config.text("branch_at"), "--at");
  if (config.given("branch_lsn"))
    order.request.source_lsn = read_lsn(config.text("branch_lsn"), "--lsn");
  return carry_out(context, std::move(order),
                   fmt::format("holdfast branch restore {} …", printable(said)));
}

// BRANCH as it is now becomes the live one; its connection string stays that of the live one.
int branch_promote(BranchContext& context) {
  RestoreOrder order;
  order.source = context.client.find_branch(branch_argument(context, "promote"));
  order.target = live_branch(context);
  if (order.source.id == order.target.id)
    throw Error(ErrorCode::invalid,
                fmt::format("{} is the live branch already", printable(order.source.name)),
                "name the branch that is to take its place: holdfast branch list");
  return carry_out(context, std::move(order),
                   fmt::format("holdfast branch promote {}", printable(order.source.name)));
}

int branch_window(BranchContext& context) {
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

}  // namespace holdfast
