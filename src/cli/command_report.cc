// holdfast report: the evidence of a period, to read or as a bundle to hand over.
#include <fcntl.h>
#include <fmt/format.h>

#include <optional>

#include "audit/query.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/audit_trail.h"
#include "cli/command.h"
#include "cli/evidence_facts.h"
#include "dump/names.h"
#include "operate/evidence_bundle.h"

namespace holdfast {
namespace {

constexpr uint64_t kSigningKeyBytesMax = 16 << 10;

std::optional<SigningKey> signing_key(const Config& config) {
  if (!config.given("report_signing_key_file")) return std::nullopt;
  std::string path = config.text("report_signing_key_file");
  return with_context(
      fmt::format("{}: {}", config.setting("report_signing_key_file").origin, printable(path)),
      [&] { return SigningKey(Secret(read_file(path, kSigningKeyBytesMax))); });
}

// The trail's lines of the period, and their proof; nothing if there are none.
void add_trail(EvidenceBundle& bundle, const EvidenceReport& report, const std::string& folder,
               const AuditAnchors& anchors) {
  if (report.facts.events.empty()) return;
  Fd file = open_file(bundle.path_of("audit.jsonl"), O_WRONLY | O_CREAT | O_EXCL);
  AuditProof proof = export_audit_lines(
      folder, report.facts.period.from, report.facts.period.to - std::chrono::milliseconds(1),
      anchors, report.facts.made_at,
      [&](std::string_view bytes) { write_all(file.get(), as_bytes(bytes), "audit.jsonl"); });
  bundle.add("audit.jsonl.proof.json", write_audit_proof(proof));
}

// As they stand in the first store that has them whole.
void add_manifests(EvidenceBundle& bundle, const EvidenceReport& report,
                   const std::vector<OpenStore>& stores, const Run& run) {
  for (const EvidenceBackup& backup : report.facts.backups) {
    run.check_stop();
    std::string name = manifest_name(backup.id);
    for (const OpenStore& store : stores) {
      try {
        bundle.add("manifests/" + name, read_object(*store.store, name, kManifestBytesMax));
        break;
      } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled) throw;
      }
    }
  }
}

std::string write_bundle(CommandContext& context, const EvidenceReport& report,
                         const std::vector<OpenStore>& stores, const AuditAnchors& anchors,
                         const SigningKey* key) {
  EvidenceBundle bundle(context.config.text("report_out"));
  bundle.add("report.html", evidence_html(report));
  bundle.add("report.md", evidence_markdown(report));
  bundle.add("report.json", evidence_json(report) + "\n");
  for (const DrillRecord& drill : report.facts.drills) {
    bundle.add(fmt::format("drills/{}.json", drill.id), write_drill_record(drill));
    bundle.add(fmt::format("drills/{}.md", drill.id), drill_record_markdown(drill));
  }
  add_manifests(bundle, report, stores, context.run);
  try {
    add_trail(bundle, report, audit_folder(context.config), anchors);
  } catch (const Error& error) {
    // A damaged trail is in the report; its lines cannot be vouched for.
    if (error.code() != ErrorCode::corrupt) throw;
    context.run.log.warning(
        error.within("the lines of the audit trail are left out").in_one_line());
  }
  return bundle.finish(key);
}

size_t rows_with(const EvidenceReport& report, EvidenceVerdict verdict) {
  size_t count = 0;
  for (const EvidenceRow& row : report.rows) count += row.verdict == verdict ? 1 : 0;
  return count;
}

}  // namespace

int command_report(CommandContext& context) {
  const Config& config = context.config;
  if (config.flag("report_html") && config.flag("report_md"))
    throw Error(ErrorCode::invalid, "report: both --html and --md are given",
                "leave one of them out; --out FOLDER has all forms");
  UtcTime now = context.run.clock.now();
  EvidencePeriod period =
      config.given("report_period")
          ? with_context("--period",
                         [&] { return parse_period(config.text("report_period"), now); })
          : last_month(now);
  std::optional<SigningKey> key = signing_key(config);
  std::vector<OpenStore> stores = open_stores(config, context.run);
  AuditAnchors anchors = anchors_everywhere(stores, context.run);
  OperationPart& part = context.operation.begin("report", period.name);
  EvidenceReport report = make_evidence(evidence_facts(context, stores, period, anchors));

  Output& output = context.output;
  output.document(evidence_json(report));
  if (config.given("report_out")) {
    std::string sum = write_bundle(context, report, stores, anchors, key ? &*key : nullptr);
    part.detail("sha256", sum);
    part.detail("signed", key ? "yes" : "no");
    output.verdict(report.ok(), fmt::format("EVIDENCE {} · {} pass · {} · {} not measured{}",
                                            period.name, rows_with(report, EvidenceVerdict::pass),
                                            plural(rows_with(report, EvidenceVerdict::gap), "gap"),
                                            rows_with(report, EvidenceVerdict::not_measured),
                                            key ? " · signed" : ""));
    output.line(
        fmt::format("  {}  sha256 of its sums {}", printable(config.text("report_out")), sum));
    for (const EvidenceRow& row : report.rows)
      if (row.verdict == EvidenceVerdict::gap)
        output.line(fmt::format("  GAP {}: {}", row.citation, row.evidence));
  } else {
    output.line(config.flag("report_html") ? evidence_html(report) : evidence_markdown(report));
  }
  part.end(AuditOutcome::ok);
  return report.ok() ? kExitDone : kExitViolation;
}

}  // namespace holdfast
