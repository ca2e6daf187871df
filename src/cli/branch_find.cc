// holdfast branch find: the last second at which something was still so.
#include <fmt/format.h>

#include "base/text.h"
#include "cli/branch_actions.h"

namespace holdfast {
namespace {

using std::chrono::sys_seconds;

// Neon's cloud says only how long history is kept. Its beginning moves on while we look, and its
// end is a little behind our clock.
constexpr std::chrono::seconds kCloudFromMargin{60}, kCloudToMargin{5};

struct Bounds {
  sys_seconds from{}, to{};
};

// The whole seconds within what can be gone back to now, or within what --from and --to say.
Bounds search_bounds(BranchContext& context) {
  const Config& config = context.config;
  bool from_given = config.given("branch_from"), to_given = config.given("branch_to");
  UtcTime from{}, to{};
  if (from_given) from = read_time(config.text("branch_from"), "--from");
  if (to_given) to = read_time(config.text("branch_to"), "--to");
  if (!from_given || !to_given) {
    std::optional<neon::History> history = context.client.history();
    std::vector<WindowView> windows =
        windows_of(context.client.project(), history, context.command.run.clock.now());
    if (windows.empty())
      throw Error(ErrorCode::unavailable, "there is nothing to go back to yet",
                  "see what there is: holdfast branch window");
    const WindowView& newest = windows.back();
    if (!from_given) from = history ? newest.from : newest.from + kCloudFromMargin;
    if (!to_given) to = history ? newest.to : newest.to - kCloudToMargin;
  }
  Bounds bounds{std::chrono::ceil<std::chrono::seconds>(from),
                std::chrono::floor<std::chrono::seconds>(to)};
  if (bounds.from > bounds.to)
    throw Error(
        ErrorCode::invalid,
        fmt::format("there is no whole second from {} to {}", shown_time(from), shown_time(to)),
        "--from has to be before --to; what can be gone back to: holdfast branch window");
  return bounds;
}

FindRequest find_request(BranchContext& context) {
  const Config& config = context.config;
  FindRequest request;
  const std::vector<std::string>& tables = config.list("branch_table");
  if (tables.size() != 1)
    throw Error(ErrorCode::invalid,
                tables.empty() ? "branch find: in which table?"
                               : "branch find: --table is given several times",
                "say one: --table visits");
  request.table = tables.front();
  request.condition = config.text("branch_where");
  if (trim(request.condition).empty())
    throw Error(ErrorCode::invalid, "branch find: what is to be found?",
                "say what some row satisfied: --where \"status = 'paid'\"");
  for (const char* name : {"branch_from", "branch_to"})  // before the API is asked
    if (config.given(name)) read_time(config.text(name), config.setting(name).origin);
  request.login = login_choice(config);
  request.branch = config.given("branch_parent")
                       ? context.client.find_branch(config.text("branch_parent"))
                       : live_branch(context);
  Bounds bounds = search_bounds(context);
  request.from = bounds.from;
  request.to = bounds.to;
  return request;
}

void show_found(Output& output, const FindRequest& request, const FoundMoment& found,
                const std::string& parent) {
  std::string cost = fmt::format("{} in {}", plural(static_cast<uint64_t>(found.probes), "look"),
                                 human_seconds(found.seconds));
  std::string last = second_text(found.last_held);
  if (found.still_holds) {
    output.verdict(true, fmt::format("STILL HOLDS at {} · {}", last, cost));
    output.line("  nothing to find  some row satisfies it to the end of what was searched");
    return;
  }
  output.verdict(true, fmt::format("FOUND {} · {}", last, cost));
  output.line("  held last        " + last);
  output.line("  no longer        " + second_text(found.last_held + std::chrono::seconds(1)));
  output.line(fmt::format("  searched         {} from {} to {}", printable(request.branch.name, 80),
                          second_text(request.from), second_text(request.to)));
  output.line("  if it changed more than once in that time, this is one of the changes");
  output.line(fmt::format("  look at it       holdfast branch create NAME --at {}{} --compare",
                          last, parent));
}

}  // namespace

int branch_find(BranchContext& context) {
  FindRequest request = find_request(context);
  FoundMoment found = find_moment(context.client, request, context.command.run);
  context.command.console.finish_phase();
  std::string parent =
      request.branch.is_default ? "" : " --parent " + printable(request.branch.name, 80);
  Output& output = context.command.output;
  output.document(branch_found_document(request, found));
  show_found(output, request, found, parent);
  return kExitDone;
}

}  // namespace holdfast
