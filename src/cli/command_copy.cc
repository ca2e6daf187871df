// holdfast copy: one backup from a store that holds it to another, then the copy's own proof.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/text.h"
#include "cli/backup_told.h"
#include "cli/backups.h"
#include "cli/branch_backups.h"
#include "cli/command.h"
#include "cli/documents.h"
#include "cli/stores.h"
#include "dump/copy_backup.h"

namespace holdfast {
namespace {

// --store, if given, says where to copy from; the target may be any configured store.
struct Route {
  std::vector<OpenStore> from;
  OpenStore to;
};

Route choose_route(CommandContext& context) {
  const Config& config = context.config;
  std::string wanted = config.text("copy_to");
  if (wanted.empty())
    throw Error(ErrorCode::invalid, "copy: where to?",
                fmt::format("name a store: --to {}", fmt::join(config.store_names(), "|")));
  Route route;
  route.to = open_store(config, wanted, context.run);
  for (OpenStore& store : open_stores(config, context.run))
    if (store.name != wanted) route.from.push_back(std::move(store));
  if (route.from.empty())
    throw Error(ErrorCode::invalid, fmt::format("copy: there is no store beside {}", wanted),
                "configure another one: S3_BACKUP_BUCKET, or a table [store.NAME]");
  return route;
}

}  // namespace

int command_copy(CommandContext& context) {
  if (context.arguments.empty())
    throw Error(ErrorCode::invalid, "copy: which backup?", "name its id, or: holdfast copy latest");
  double begin = context.run.clock.monotonic_seconds();
  Route route = choose_route(context);
  refuse_branch_backup(route.from, context.arguments.front(), "copy",
                       "its data are not in a store; every store has its record already",
                       context.run);
  Located located =
      find_everywhere(route.from, context.config, context.arguments.front(), context.run);
  const OpenStore& from = route.from[located.best().store];
  OperationPart& part =
      context.operation.begin("copy", located.id, AuditNeed::wanted,
                              {{"from", from.name}, {"to", context.config.text("copy_to")}});
  std::vector<OpenStore> held;
  held.push_back(std::move(route.to));
  StoreLock lock(held, context.config, context.run);
  const OpenStore& to = held.front();

  CopyOptions options;
  options.machine = machine_name(context.config);
  if (const auto& manifest = located.backup().manifest)
    options.keep_until = lock_date(to, context.config, manifest->database, manifest->created_at);
  uint64_t bytes = copy_backup(*from.store, located.backup(), *to.store, options, context.run);
  context.console.finish_phase();
  context.output.line(fmt::format("{}  {} from {} to {}", located.id, human_bytes(bytes),
                                  from.store->location(), to.store->location()));

  std::optional<Proof> proof;
  int exit_code = kExitDone;
  std::string level = context.config.text("verify");
  if (level == "stored") {
    check_stored(context, *to.store, *located.backup().manifest);
  } else if (level != "none") {
    Backup copy{located.id, located.backup().manifest, "", std::nullopt};
    VerifyReport report = prove(
        *to.store, copy, verify_options(context.config, parse_verify_level(level)), context.run);
    context.console.finish_phase();
    context.output.verdict(report.ok(), report.closing_line());
    for (const Problem& problem : report.problems)
      context.output.line(fmt::format("  {}: {}", problem.where, problem.what));
    proof = proof_of(report, context.run.clock);
    exit_code = exit_code_of(report);
  }
  part.detail("bytes", std::to_string(bytes));
  part.detail("proof", told_proof(proof));
  context.output.document(copy_document(located.id, from.store->location(), to.store->location(),
                                        bytes, proof,
                                        context.run.clock.monotonic_seconds() - begin));
  return exit_code;
}

}  // namespace holdfast
