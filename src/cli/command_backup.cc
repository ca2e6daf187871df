// holdfast backup: the dump leg, its proof, and the branch leg, each with an outcome of its own, so
// that one that fails neither hides nor harms the other.
#include <fmt/format.h>

#include "base/text.h"
#include "cli/backups.h"
#include "cli/command.h"
#include "cli/documents.h"
#include "dump/preflight.h"
#include "dump/sealed_archive.h"

namespace holdfast {
namespace {

constexpr size_t kProblemsShown = 20;

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
  for (size_t i = 0; i < std::min(report.problems.size(), kProblemsShown); ++i)
    output.line(fmt::format("  {}: {}", report.problems[i].where, report.problems[i].what));
  if (report.problems.size() > kProblemsShown)
    output.line(fmt::format("  and {} more", report.problems.size() - kProblemsShown));
  for (const std::string& note : report.notes) output.line("  note: " + note);
}

// No proof: nothing is said of what is inside. But every byte is where it should be.
void check_stored(CommandContext& context, ObjectStore& store, const Manifest& manifest) {
  context.run.progress.phase("reading what was stored");
  for (const StoredPart& part : stored_parts(manifest)) {
    StoredObject found = read_stored(store, part.name, context.run);
    if (found.bytes != part.stored.bytes || found.sha256 != part.stored.sha256)
      throw Error(ErrorCode::corrupt,
                  fmt::format("{} in {} is not what was written", part.name, store.location()),
                  "check the store's disk, and make another backup");
  }
  context.console.finish_phase();
  context.output.line(
      fmt::format("STORED {} · every byte read back is what was written · not opened, not proven",
                  manifest.id));
}

void make_dump(CommandContext& context, ObjectStore& store, LegOutcome& leg) {
  const Config& config = context.config;
  DumpOptions options = dump_options(config, config.source_conninfo());
  StoreLock lock(config, store, context.run);
  context.run.progress.phase("checking");
  std::vector<Finding> findings = preflight(options, &store, context.run);
  require_preflight(findings, context.run);
  context.console.finish_phase();

  Manifest manifest = run_dump(options, store, context.run);
  context.console.finish_phase();
  leg.id = manifest.id;
  leg.bytes = manifest.stored_bytes();
  context.output.line(fmt::format("{}  {}{} in {}", manifest.id, human_bytes(*leg.bytes),
                                  manifest.seal ? " sealed" : "", store.location()));
  if (options.level != 0 && manifest.codec == Codec::gzip)
    context.run.log.info("level was not used: gzip has one level only");

  std::string level = config.text("verify");
  if (level == "none") {
    context.output.line("not proven (--verify none)");
    return;
  }
  if (level == "stored") return check_stored(context, store, manifest);
  Backup backup{manifest.id, manifest, "", std::nullopt};
  VerifyReport report =
      prove(store, backup, verify_options(config, parse_verify_level(level)), context.run);
  context.console.finish_phase();
  show_report(context.output, report);
  leg.proof = proof_of(report, context.run.clock);
  leg.problems = report.problems;
  if (!report.ok()) throw proof_error(report);
}

LegOutcome dump_leg(CommandContext& context) {
  LegOutcome leg;
  leg.kind = "dump";
  double begin = context.run.clock.monotonic_seconds();
  std::unique_ptr<ObjectStore> store = open_store(context.config);
  try {
    make_dump(context, *store, leg);
  } catch (const Error& error) {
    leg.error = error;
  }
  leg.seconds = context.run.clock.monotonic_seconds() - begin;
  if (leg.id.empty()) return leg;
  leg.stores.push_back({store->location(), std::nullopt});
  if (!context.config.given("s3_bucket")) return leg;
  Error no_s3(ErrorCode::partial, "the S3 store is not in this version yet; the local copy is safe",
              "unset S3_BACKUP_BUCKET, or copy the files yourself: aws s3 cp");
  leg.stores.push_back({"s3://" + context.config.text("s3_bucket"), no_s3});
  if (!leg.error) leg.error = no_s3;
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
