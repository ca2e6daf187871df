// holdfast backup: the dump leg, its proof, and the branch leg, each with an outcome of its own, so
// that one that fails neither hides nor harms the other.
#include <fmt/format.h>

#include "base/text.h"
#include "cli/backups.h"
#include "cli/command.h"
#include "cli/documents.h"
#include "cli/stores.h"
#include "dump/preflight.h"
#include "store/mirror_store.h"

namespace holdfast {
namespace {

constexpr size_t kProofProblemsShown = 20;

// What is asked for and cannot be done in this version, before anything is touched.
void refuse_what_is_not_built(const Config& config) {
  if (config.text("type") == "branch")
    throw Error(ErrorCode::unsupported, "branch backups are not in this version yet",
                "use --type dump");
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
      apply_prune(store, plan, machine_name(context.config), context.run);
    } catch (const Error& error) {
      plan.failure = error;
    }
    for (const PruneEntry& entry : plan.entries) {
      if (entry.decision.action != RetentionAction::remove) continue;
      leg.stores[i].removed.push_back(entry.decision.id);
      context.output.line(fmt::format("removed {} from {}: {}", entry.decision.id, stores[i].name,
                                      entry.decision.reason));
    }
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

void make_dump(CommandContext& context, const std::vector<OpenStore>& stores, LegOutcome& leg) {
  const Config& config = context.config;
  DumpOptions options = dump_options(config, config.source_conninfo());
  StoreLock lock(stores, config, context.run);
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

  Manifest manifest = run_dump(options, mirror, context.run);
  context.console.finish_phase();
  leg.id = manifest.id;
  leg.bytes = manifest.stored_bytes();
  if (options.level != 0 && manifest.codec == Codec::gzip)
    context.run.log.info("level was not used: gzip has one level only");

  bool prove_it = config.text("verify") != "none";
  for (size_t i = 0; i < stores.size(); ++i) {
    leg.stores.push_back({stores[i].store->location(), mirror.error_of(i), std::nullopt, {}});
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
  if (proven && !leg.error && !config.flag("no_prune") &&
      clock_is_trusted(context, before.clock_skew_seconds))
    prune_stores(context, stores, manifest.database, leg);
}

LegOutcome dump_leg(CommandContext& context) {
  LegOutcome leg;
  leg.kind = "dump";
  double begin = context.run.clock.monotonic_seconds();
  std::vector<OpenStore> stores = open_stores(context.config, context.run);
  try {
    make_dump(context, stores, leg);
  } catch (const Error& error) {
    leg.error = error;
  }
  leg.seconds = context.run.clock.monotonic_seconds() - begin;
  return leg;
}

// Nothing if no branch leg is configured.
std::optional<LegOutcome> branch_leg(const Config& config) {
  bool key = config.given("neon_api_key"), project = config.given("neon_project_id");
  if (!key && !project) return std::nullopt;
  LegOutcome leg;
  leg.kind = "branch";
  if (key && project)
    leg.error = Error(ErrorCode::partial, "branch backups are not in this version yet",
                      "use --type dump, or unset NEON_API_KEY and NEON_PROJECT_ID");
  else
    leg.error = Error(
        ErrorCode::partial,
        fmt::format("half configured: {} is not set", key ? "NEON_PROJECT_ID" : "NEON_API_KEY"),
        "branch backups are not in this version yet: use --type dump, or unset both");
  return leg;
}

}  // namespace

int command_backup(CommandContext& context) {
  const Config& config = context.config;
  check_configuration(config);
  config.source_conninfo();  // what is wrong with it is a usage error, not a failed leg

  std::vector<LegOutcome> legs = {dump_leg(context)};
  std::vector<std::string> notes;
  if (config.text("type") == "both") {
    if (std::optional<LegOutcome> branch = branch_leg(config))
      legs.push_back(*branch);
    else
      notes.push_back("branch leg: not configured (set NEON_API_KEY and NEON_PROJECT_ID)");
  }
  std::optional<Error>& dump_error = legs.front().error;
  if (context.run.stop.stop_requested() && dump_error && dump_error->code() != ErrorCode::corrupt)
    dump_error = Error(ErrorCode::cancelled, "interrupted");

  if (!legs.front().id.empty())
    for (const std::string& note : notes) context.output.line(note);
  context.output.document(backup_document(legs, notes));
  int exit_code = kExitDone;
  for (const LegOutcome& leg : legs) {
    if (!leg.error) continue;
    context.console.failure(legs.size() > 1 ? leg.error->within(leg.kind + " leg") : *leg.error);
    if (exit_code == kExitDone) exit_code = exit_code_of(leg.error->code());
  }
  return exit_code;
}

}  // namespace holdfast
