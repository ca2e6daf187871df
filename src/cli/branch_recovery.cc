// holdfast branch restore and window: going back, and how far that is possible.
#include <fmt/format.h>

#include "base/text.h"
#include "cli/branch_actions.h"

namespace holdfast {

int branch_restore(BranchContext& context) {
  const Config& config = context.config;
  refuse_two_points(config);
  neon::Branch target = context.client.find_branch(branch_argument(context, "restore"));
  neon::Branch source =
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
          : target.name.substr(0, kBranchNameBytesMax - suffix.size()) + suffix;
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
