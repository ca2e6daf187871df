// holdfast branch compare: what a branch holds against another one, or against the present.
#include <fmt/format.h>

#include "base/text.h"
#include "cli/branch_actions.h"
#include "cli/table.h"

namespace holdfast {
namespace {

bool carries_production(const BranchContext& context, const neon::Branch& branch) {
  const std::string live = context.config.text("neon_branch");
  return branch.is_default || branch.name == live || branch.id == live;
}

// A branch that can be read for as long as this lives. One that carries production is not read
// itself but a scratch branch of its present.
class ReadablePlace {
 public:
  ReadablePlace(BranchContext& context, const neon::Branch& branch) : name_(branch.name) {
    const Run& run = context.command.run;
    LoginChoice choice = login_choice(context.config);
    if (!carries_production(context, branch)) {
      run.progress.phase("open " + printable(branch.name, 80));
      access_.emplace(context.client, branch, choice, run);
      return;
    }
    run.progress.phase(fmt::format("branch off {} as it is now", printable(branch.name, 80)));
    with_context(fmt::format("the present of {} cannot be looked at", printable(branch.name, 80)),
                 [&] {
                   ScratchBranch::Point head{branch.id, std::nullopt, std::nullopt};
                   scratch_.emplace(context.client, "compare", head, run);
                   access_.emplace(context.client, scratch_->branch(), choice, run);
                 });
  }

  ComparedPlace place() const { return {name_, access_->conninfo()}; }
  // Throws Error where what was made for the look cannot be undone.
  void close() {
    access_->close();
    if (scratch_) scratch_->remove();
  }

 private:
  std::string name_;
  std::optional<ScratchBranch> scratch_;
  std::optional<ComputeAccess> access_;
};

BranchComparison compare_two(BranchContext& context, const neon::Branch& branch,
                             const neon::Branch& other) {
  if (branch.id == other.id)
    throw Error(ErrorCode::invalid,
                fmt::format("{} cannot be compared with itself", printable(branch.name, 80)),
                "name two branches: holdfast branch compare BRANCH OTHER");
  ReadablePlace left(context, branch);
  ReadablePlace right(context, other);
  TableSumOptions options;
  options.tables = context.config.list("branch_table");
  options.jobs = static_cast<int>(context.config.number("jobs"));
  BranchComparison comparison =
      compare_branches(left.place(), right.place(), options, context.command.run);
  context.command.run.progress.phase("clear up");
  right.close();
  left.close();
  context.command.console.finish_phase();
  return comparison;
}

std::string rows_of(const std::optional<RowChecksum>& sum) {
  return sum ? human_count(sum->rows) + (sum->rows == 1 ? " row" : " rows") : "-";
}

std::string difference_of(const ComparedTable& table, const BranchComparison& all) {
  if (!table.in_other) return "only in " + printable(all.branch, 40);
  if (!table.in_branch) return "only in " + printable(all.other, 40);
  if (table.equal()) return "equal";
  uint64_t here = table.in_branch->rows, there = table.in_other->rows;
  if (here == there) return "as many rows, but not the same";
  return fmt::format("{} {} in {}", plural(here > there ? here - there : there - here, "row"),
                     here > there ? "more" : "fewer", printable(all.branch, 40));
}

}  // namespace

BranchComparison compare_with_now(BranchContext& context, const neon::Branch& branch) {
  return compare_two(context, branch, live_branch(context));
}

void show_comparison(Output& output, const BranchComparison& comparison) {
  size_t equal = comparison.equal(), all = comparison.tables.size();
  if (all == 0) return output.line("there are no tables in either");
  std::vector<Row> rows = {{"TABLE", "IN " + printable(comparison.branch, 40),
                            "IN " + printable(comparison.other, 40), "DIFFERENCE"}};
  for (const ComparedTable& table : comparison.tables)
    if (!table.equal() || equal == all)
      rows.push_back({printable(table.name, 130), rows_of(table.in_branch), rows_of(table.in_other),
                      difference_of(table, comparison)});
  show_table(output, rows, {1, 2});
  if (equal == all)
    output.line(fmt::format("all equal: {}", plural(all, "table")));
  else
    output.line(fmt::format("{} differ{}, {} equal", plural(all - equal, "table"),
                            all - equal == 1 ? "s" : "", equal));
}

int branch_compare(BranchContext& context) {
  neon::Branch branch = context.client.find_branch(branch_argument(context, "compare"));
  neon::Branch other = context.names.size() > 1 ? context.client.find_branch(context.names[1])
                                                : live_branch(context);
  BranchComparison comparison = compare_two(context, branch, other);
  Output& output = context.command.output;
  output.document(branch_comparison_document(comparison));
  show_comparison(output, comparison);
  return kExitDone;
}

}  // namespace holdfast
