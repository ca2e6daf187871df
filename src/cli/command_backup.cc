// holdfast backup: the dump leg, its proof, and the branch leg, each with an outcome of its own, so
// that one that fails neither hides nor harms the other.
#include <fmt/format.h>

#include <thread>

#include "base/text.h"
#include "cli/backup_told.h"
#include "cli/backups.h"
#include "cli/branch_leg.h"
#include "cli/command.h"
#include "cli/documents.h"
#include "cli/stores.h"
#include "dump/preflight.h"
#include "pg/scratch_server.h"
#include "store/mirror_store.h"

namespace holdfast {
namespace {

constexpr size_t kProofProblemsShown = 20;

// What is asked for and cannot be done in this version, before anything is touched.
void refuse_what_is_not_built(const Config& config) {
  if (config.text("compression") == "gzip" && config.number("level") != 0)
    throw Error(ErrorCode::invalid, "level: gzip has one level only",
                "leave --level out, or use --compression zstd");
}

// With the configuration as it is, a thing that this version refuses is a configuration to correct.
void check_configuration(const Config& config) {
  try {
    refuse_what_is_not_built(config);
  } catch (const Error& error) {
    throw Error(ErrorCode::invalid, error.what(), error.hint());
  }
}

Error proof_error(const VerifyReport& report) {
  if (report.verdict == Verdict::fail)
    return Error(ErrorCode::corrupt,
                 fmt::format("the proof of {} failed: {}", report.id,
                             plural(report.problems.size(), "problem")),
                 "the backup stays listed with its failed proof; check the disk and make another");
  std::string why = report.notes.empty() ? "" : ": " + report.notes.front();
  return Error(
      ErrorCode::unavailable, fmt::format("the proof of {} was inconclusive{}", report.id, why),
      "the backup is stored; choose what can be reached here (--verify deep, or, where the "
      "key that opens it is not, --verify stored)");
}

void show_report(Output& output, const VerifyReport& report) {
  output.verdict(report.ok(), report.closing_line());
  for (size_t i = 0; i < std::min(report.problems.size(), kProofProblemsShown); ++i)
    output.line(fmt::format("  {}: {}", report.problems[i].where, report.problems[i].what));
  if (report.problems.size() > kProofProblemsShown)
    output.line(fmt::format("  and {} more", report.problems.size() - kProofProblemsShown));
  for (const std::string& note : report.notes) output.line("  note: " + note);
}

// What stops a store from getting the backup, found before it is begun.
void drop_unwritable(MirrorStore& mirror, const std::vector<Finding>& findings) {
  for (const Finding& finding : findings)
    if (finding.store && finding.level == FindingLevel::failure)
      mirror.drop(*finding.store, Error(finding.code, finding.message, finding.hint));
}

// What a store that failed half-way holds of this backup goes now if it can, else with its next
// run.
void clear_leftovers(CommandContext& context, const OpenStore& store) {
  try {
    reap_crashed_runs(*store.store,
                      StoreLock::reap_scope(store, context.config, context.run.clock));
  } catch (const Error&) {
  }
}

// Proves the copy in one store.
void prove_copy(CommandContext& context, const OpenStore& store, const Manifest& manifest,
                LegOutcome& leg, StoreOutcome& outcome) {
  std::string asked = context.config.text("verify");
  Backup backup{manifest.id, manifest, "", std::nullopt};
  try {
    if (asked == "stored") return check_stored(context, *store.store, manifest);
    VerifyLevel level = parse_verify_level(asked);
    VerifyReport report =
        prove(*store.store, backup, verify_options(context.config, level), context.run);
    context.console.finish_phase();
    show_report(context.output, report);
    outcome.proof = proof_of(report, context.run.clock);
    leg.problems.insert(leg.problems.end(), report.problems.begin(), report.problems.end());
    if (!report.ok()) outcome.error = proof_error(report);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    outcome.error = error.within("proof");
  }
}

// One outcome of all stores: damage in any of them, else what failed; partial if a copy is safe.
std::optional<Error> error_of(const std::vector<OpenStore>& stores,
                              const std::vector<StoreOutcome>& outcomes) {
  std::optional<Error> first;
  std::string safe;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    const std::optional<Error>& error = outcomes[i].error;
    if (error && error->code() == ErrorCode::corrupt) return error;
    if (error && !first)
      first = stores.size() > 1 ? error->within("store " + stores[i].name) : *error;
    if (!error) safe += (safe.empty() ? "" : ", ") + outcomes[i].location;
  }
  if (!first || safe.empty()) return first;
  return Error(ErrorCode::partial, fmt::format("{}; the backup is safe in {}", first->what(), safe),
               first->hint());
}

// Retention, once everything else went well: the new backup stands proven in every store.
void prune_stores(CommandContext& context, const std::vector<OpenStore>& stores,
                  const std::string& database, LegOutcome& leg) {
  for (size_t i = 0; i < stores.size(); ++i) {
    ObjectStore& store = *stores[i].store;
    PrunePlan plan;
    try {
      plan = plan_prune(store, list_backups(store, database), retention_policy(context.config),
                        context.run.clock.now());
      apply_prune(
          plan, recorded_removal(context.operation, stores[i], machine_name(context.config), plan),
          context.run);
    } catch (const Error& error) {
      plan.failure = error;
    }
    for (const PruneEntry& entry : plan.entries) {
      if (entry.decision.action != RetentionAction::remove) continue;
      leg.stores[i].removed.push_back(entry.decision.id);
      context.output.line(fmt::format("removed {} from {}: {}", entry.decision.id, stores[i].name,
                                      entry.decision.reason));
    }
    tell_retention(context.operation.alerts(), stores[i].name, plan);
    if (!plan.failure) continue;
    if (plan.failure->code() == ErrorCode::cancelled) throw Error(*plan.failure);
    leg.error = Error(ErrorCode::partial,
                      fmt::format("the backup is safe, but retention failed in store {}: {}",
                                  stores[i].name, plan.failure->what()),
                      "holdfast prune takes it up again");
  }
}

// Ages are reckoned by this machine's clock. Where the server's tells another day, nothing is
// removed on its word.
bool clock_is_trusted(CommandContext& context, double skew_seconds) {
  constexpr double kSkewSecondsMax = 24 * 3600;
  if (skew_seconds < kSkewSecondsMax) return true;
  context.run.log.warning(
      fmt::format("nothing is removed by retention: this machine's clock and the server's differ "
                  "by {}",
                  human_seconds(skew_seconds)));
  return false;
}

// `made` is filled as soon as the dump stands.
void make_dump(CommandContext& context, const std::vector<OpenStore>& stores,
               const Conninfo& source, LegOutcome& leg, std::optional<Manifest>& made) {
  const Config& config = context.config;
  DumpOptions options = dump_options(config, source);
  MirrorStore mirror(pointers(stores), [&](size_t store, const Error& error) {
    if (stores.size() > 1)
      context.run.log.warning(fmt::format("store {} failed, going on without it: {}",
                                          stores[store].name, error.what()));
  });
  context.run.progress.phase("checking");
  PreflightReport before = preflight(options, pointers(stores), context.run);
  require_preflight(before.findings, stores.size(), context.run);
  drop_unwritable(mirror, before.findings);
  options.bytes_expected = before.archive_bytes_expected;
  for (const OpenStore& store : stores) {
    std::optional<UtcTime> date =
        lock_date(store, config, options.source.dbname(), context.run.clock.now());
    if (date && (!options.keep_until || *date > *options.keep_until)) options.keep_until = date;
  }
  context.console.finish_phase();

  made = run_dump(options, mirror, context.run);
  const Manifest& manifest = *made;
  context.console.finish_phase();
  leg.id = manifest.id;
  leg.bytes = manifest.stored_bytes();
  if (options.level != 0 && manifest.codec == Codec::gzip)
    context.run.log.info("level was not used: gzip has one level only");

  bool prove_it = config.text("verify") != "none";
  for (size_t i = 0; i < stores.size(); ++i) {
    leg.stores.push_back({stores[i].store->location(), mirror.error_of(i), std::nullopt, {}});
    leg.stores.back().written = !leg.stores.back().error;
    if (leg.stores.back().error) {
      clear_leftovers(context, stores[i]);
      continue;
    }
    context.output.line(fmt::format("{}  {}{} in {}", manifest.id, human_bytes(*leg.bytes),
                                    manifest.seal ? " sealed" : "", stores[i].store->location()));
    if (prove_it) prove_copy(context, stores[i], manifest, leg, leg.stores.back());
    if (!leg.proof || (leg.stores.back().proof && !leg.stores.back().proof->ok))
      leg.proof = leg.stores.back().proof;
  }
  if (!prove_it) context.output.line("not proven (--verify none)");
  leg.error = error_of(stores, leg.stores);
  bool proven = leg.proof && leg.proof->ok;
  if (proven && !leg.error && !config.flag("no_prune") && context.operation.may_remove() &&
      clock_is_trusted(context, before.clock_skew_seconds))
    prune_stores(context, stores, manifest.database, leg);
}

// Nothing is thrown but what no leg can outlive. `made`: the dump's manifest, if it came so far.
LegOutcome dump_leg(CommandContext& context, const std::vector<OpenStore>& stores,
                    const Conninfo& source, std::optional<Manifest>& made) {
  LegOutcome leg;
  leg.kind = "dump";
  double begin = context.run.clock.monotonic_seconds();
  try {
    make_dump(context, stores, source, leg, made);
  } catch (const Error& error) {
    leg.error = error;
  }
  leg.seconds = context.run.clock.monotonic_seconds() - begin;
  return leg;
}

LegOutcome dump_leg(CommandContext& context, const std::vector<OpenStore>& stores,
                    const Conninfo& source) {
  std::optional<Manifest> made;
  return dump_leg(context, stores, source, made);
}

void show_branch_leg(CommandContext& context, const BranchLeg& leg) {
  for (const std::string& line : leg.lines()) context.output.line(line);
  if (leg.report()) show_report(context.output, *leg.report());
}

LegOutcome run_branch_leg(CommandContext& context, const std::vector<OpenStore>& stores) {
  BranchLeg leg(context.config, stores, context.run, context.operation);
  leg.make();
  if (leg.made()) leg.prove_and_prune();
  context.console.finish_phase();
  show_branch_leg(context, leg);
  return leg.outcome();
}

// The two side by side; neither waits for the other.
std::vector<LegOutcome> run_both_legs(CommandContext& context, const std::vector<OpenStore>& stores,
                                      const Conninfo& source) {
  NullProgress unseen;  // the live line is the dump's
  Run beside{context.run.clock, context.run.log, unseen, context.run.stop};
  BranchLeg branch(context.config, stores, beside, context.operation);
  std::jthread thread([&] {
    branch.make();
    if (branch.made()) branch.prove_and_prune();
  });
  LegOutcome dump = dump_leg(context, stores, source);
  thread.join();
  show_branch_leg(context, branch);
  return {dump, branch.outcome()};
}

// The dump from the branch that was just made: one moment in both, and no load on the source. What
// keeps the branch from being dumped does not keep the source from it.
std::vector<LegOutcome> run_dump_from_branch(CommandContext& context,
                                             const std::vector<OpenStore>& stores,
                                             const Conninfo& source) {
  BranchLeg branch(context.config, stores, context.run, context.operation);
  branch.make();
  Conninfo from = source;
  std::string branch_id;
  if (branch.made()) {
    try {
      from = branch.open_for_dump();
      branch_id = branch.outcome().id;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      context.run.log.warning(
          fmt::format("branch {} cannot be dumped: {}", branch.outcome().id, error.what()));
    }
  }
  if (branch_id.empty()) context.run.log.warning("the dump is taken from the source itself");
  std::optional<Manifest> made;
  LegOutcome dump = dump_leg(context, stores, from, made);
  dump.taken_from = branch_id;
  if (branch.made()) {
    if (made && !branch_id.empty()) branch.taken_from_it(*made);
    branch.prove_and_prune();
  }
  context.console.finish_phase();
  show_branch_leg(context, branch);
  return {dump, branch.outcome()};
}

Error half_configured(const std::string& missing) {
  return Error(ErrorCode::partial, fmt::format("half configured: {} is not set", missing),
               "set NEON_API_KEY and NEON_PROJECT_ID (of an engine: NEON_API_HOST and a key), or "
               "use --type dump");
}

// Which legs are to run, and why one is not.
struct Legs {
  bool dump = false, branch = false;
  std::optional<Error> half;  // a branch leg that was begun to be configured
  std::vector<std::string> notes;
};

// A leg that was asked for by name must be there; of both, what is not configured is only said.
Legs choose_legs(const Config& config) {
  Legs legs;
  const std::string type = config.text("type");
  BranchLegConfigured branch = branch_leg_configured(config);
  legs.branch = type != "dump" && branch.state == BranchLegState::configured;
  legs.dump = type == "dump" || (type == "both" && (config.has_database() || !legs.branch));
  if (type == "branch" && !legs.branch)
    throw Error(
        ErrorCode::invalid,
        branch.missing.empty()
            ? "the branch leg is not configured"
            : fmt::format("the branch leg is half configured: {} is not set", branch.missing),
        "set NEON_API_KEY and NEON_PROJECT_ID; of holdfast's own engine NEON_API_HOST and "
        "a key");
  if (config.text("dump_from") == "branch" && type != "both")
    throw Error(ErrorCode::invalid, "--dump-from branch needs both legs", "use --type both");
  if (type != "both") return legs;
  if (branch.state == BranchLegState::half) legs.half = half_configured(branch.missing);
  if (branch.state == BranchLegState::none)
    legs.notes.push_back("branch leg: not configured (set NEON_API_KEY and NEON_PROJECT_ID)");
  if (!legs.dump) legs.notes.push_back("dump leg: not configured (set DATABASE_URL)");
  return legs;
}

// Each leg is an operation of its own to the audit trail; null: not asked for.
struct LegParts {
  OperationPart* dump = nullptr;
  OperationPart* branch = nullptr;
};

LegParts begin_legs(CommandContext& context, const Legs& legs,
                    const std::vector<OpenStore>& stores) {
  const Config& config = context.config;
  std::string names;
  for (const OpenStore& store : stores) names += (names.empty() ? "" : ", ") + store.name;
  AuditDetail detail = {{"stores", names},
                        {"source", config.source_name()},
                        {"verify", config.text("verify")},
                        {"prune", config.flag("no_prune") ? "no" : "yes"}};
  LegParts parts;
  if (legs.dump)
    parts.dump = &context.operation.begin("backup.dump", config.source_conninfo().dbname(),
                                          AuditNeed::wanted, detail);
  if (legs.branch || legs.half)
    parts.branch = &context.operation.begin("backup.branch", config.text("neon_project_id"),
                                            AuditNeed::wanted, detail);
  return parts;
}

std::vector<LegOutcome> run_legs(CommandContext& context, const Legs& legs,
                                 const std::vector<OpenStore>& stores) {
  if (!legs.dump) return {run_branch_leg(context, stores)};
  Conninfo source = context.config.source_conninfo();
  if (!legs.branch) return {dump_leg(context, stores, source)};
  if (context.config.text("dump_from") == "branch")
    return run_dump_from_branch(context, stores, source);
  return run_both_legs(context, stores, source);
}

// What keeps every leg from being begun.
std::vector<LegOutcome> all_failed(const Legs& chosen, const Error& error) {
  std::vector<LegOutcome> legs;
  for (const auto& [kind, wanted] : {std::pair("dump", chosen.dump), {"branch", chosen.branch}}) {
    if (!wanted) continue;
    legs.emplace_back();
    legs.back().kind = kind;
    legs.back().error = error;
  }
  return legs;
}

// The outcome of the run: damage first; else partial if one leg is safe and another failed.
int exit_code_of(const std::vector<LegOutcome>& legs) {
  int first = kExitDone;
  bool any_safe = false;
  for (const LegOutcome& leg : legs) {
    if (leg.error && leg.error->code() == ErrorCode::corrupt)
      return exit_code_of(ErrorCode::corrupt);
    if (leg.error && first == kExitDone) first = exit_code_of(leg.error->code());
    if (!leg.error) any_safe = true;
  }
  return first != kExitDone && any_safe ? exit_code_of(ErrorCode::partial) : first;
}

}  // namespace

int command_backup(CommandContext& context) {
  const Config& config = context.config;
  context.operation.alerts().run_started();
  check_configuration(config);
  Legs chosen = choose_legs(config);
  if (chosen.dump) config.source_conninfo();  // what is wrong with it is a usage error

  std::vector<OpenStore> stores = open_stores(config, context.run);
  remove_stale_scratch_folders(config.text("scratch_dir"), context.run.log);
  LegParts parts = begin_legs(context, chosen, stores);
  std::vector<LegOutcome> legs;
  {
    std::optional<StoreLock> lock;
    try {
      lock.emplace(stores, config, context.run);
    } catch (const Error& error) {
      legs = all_failed(chosen, error);
    }
    if (lock) legs = run_legs(context, chosen, stores);
  }
  if (chosen.half) {
    LegOutcome half;
    half.kind = "branch";
    half.error = chosen.half;
    legs.push_back(std::move(half));
  }
  bool interrupted = context.run.stop.stop_requested();
  for (LegOutcome& leg : legs)
    if (interrupted && leg.error && leg.error->code() != ErrorCode::corrupt)
      leg.error = Error(ErrorCode::cancelled, "interrupted");

  for (const LegOutcome& leg : legs)
    tell_leg(context.operation, leg.kind == "dump" ? *parts.dump : *parts.branch, stores, leg);
  if (!legs.front().id.empty())
    for (const std::string& note : chosen.notes) context.output.line(note);
  context.output.document(backup_document(legs, chosen.notes));
  for (const LegOutcome& leg : legs)
    if (leg.error)
      context.console.failure(legs.size() > 1 ? leg.error->within(leg.kind + " leg") : *leg.error);
  if (interrupted)
    for (const LegOutcome& leg : legs)
      if (leg.error && leg.error->code() == ErrorCode::cancelled)
        return exit_code_of(ErrorCode::cancelled);
  return exit_code_of(legs);
}

}  // namespace holdfast
