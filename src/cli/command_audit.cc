// holdfast audit: looks into the audit trail, checks it, takes a stretch of it out, and anchors it.
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "audit/log_folder.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/api.h"
#include "cli/audit_trail.h"
#include "cli/command.h"
#include "cli/documents_audit.h"
#include "cli/table.h"

namespace holdfast {
namespace {

constexpr uint64_t kProofBytesMax = 64 << 10;
constexpr size_t kAuditProblemsShown = 20;
constexpr const char* kProofSuffix = ".proof.json";
constexpr size_t kTargetShown = 48;

// "2026-11-01" is the day's beginning, or with `end` its last millisecond.
std::optional<UtcTime> time_or_day(const Config& config, const char* option, bool end) {
  if (!config.given(option)) return std::nullopt;
  std::string text = config.text(option);
  constexpr size_t kDayBytes = 10;
  const std::string& origin = config.setting(option).origin;
  if (text.size() != kDayBytes) return read_time(text, origin);
  return read_time(text + (end ? "T23:59:59.999Z" : "T00:00:00Z"), origin);
}

AuditFilter filter_of(const Config& config) {
  AuditFilter filter;
  filter.from = time_or_day(config, "audit_since", false);
  filter.to = time_or_day(config, "audit_until", true);
  filter.action = config.text("audit_action");
  filter.actor = config.text("audit_actor");
  filter.target = config.text("audit_target");
  if (config.given("audit_outcome"))
    filter.outcome = parse_audit_outcome(config.text("audit_outcome"));
  return filter;
}

std::string second_of(UtcTime time) {
  return format_rfc3339(time).substr(0, 19) + "Z";
}

int show_trail(CommandContext& context) {
  const Config& config = context.config;
  std::string folder = audit_folder(config);
  std::optional<AuditCursor> from;
  if (config.given("audit_before"))
    from =
        with_context("--before", [&] { return parse_audit_cursor(config.text("audit_before")); });
  AuditPage page = read_audit_page(folder, filter_of(config),
                                   static_cast<size_t>(config.number("audit_limit")), from);
  Output& output = context.output;
  output.document(audit_page_document(folder, page));
  std::vector<Row> rows = {{"TIME", "WHO", "ACTION", "OUTCOME", "TARGET"}};
  for (const AuditEntry& entry : page.entries) {
    if (!entry.record) {
      rows.push_back({"DAMAGED", entry.file, "", "", printable(entry.line, kTargetShown)});
      continue;
    }
    const AuditEvent& event = entry.record->event;
    rows.push_back({second_of(entry.record->time),
                    printable(event.who.actor, 40) + "@" + printable(event.who.host, 40),
                    event.action, std::string(audit_outcome_name(event.outcome)),
                    printable(event.target, kTargetShown)});
  }
  if (page.entries.empty())
    output.line("no such event");
  else
    show_table(output, rows);
  if (page.older) output.line("older ones: --before " + format_audit_cursor(*page.older));
  return kExitDone;
}

void show_problems(Output& output, const std::vector<AuditProblem>& problems, uint64_t count) {
  for (size_t i = 0; i < std::min(problems.size(), kAuditProblemsShown); ++i)
    output.line("  " + problems[i].text());
  if (count > kAuditProblemsShown)
    output.line(fmt::format("  and {} more", count - kAuditProblemsShown));
}

// Those that were given by hand: what an alert said, or was written down.
std::vector<AuditAnchor> heads_by_hand(const Config& config) {
  std::vector<AuditAnchor> heads;
  for (const std::string& line : config.list("audit_head")) {
    AuditHead head = with_context("--head", [&] { return parse_audit_head_line(line); });
    heads.push_back({head, head.time, "--head", /*of_this_log=*/true});
  }
  return heads;
}

// An export may be of lines among which a head's is not, and then says nothing of it.
void require_in_export(const std::vector<AuditAnchor>& heads, const AuditProof& proof) {
  for (const AuditAnchor& anchor : heads)
    if (anchor.head.log != proof.log || anchor.head.seq < proof.first_seq ||
        anchor.head.seq > proof.last_seq)
      throw Error(
          ErrorCode::invalid,
          fmt::format("--head: line {} of log {} is not in this export, which is lines {} "
                      "to {} of log {}",
                      anchor.head.seq, anchor.head.log, proof.first_seq, proof.last_seq, proof.log),
          "compare it with the trail itself: holdfast audit verify --head LINE");
}

int verify_exported(CommandContext& context, const std::string& file) {
  std::string proof_file = file + kProofSuffix;
  AuditProof proof = with_context(printable(proof_file), [&] {
    return read_audit_proof(read_file(proof_file, kProofBytesMax));
  });
  std::vector<AuditAnchor> heads = heads_by_hand(context.config);
  require_in_export(heads, proof);
  std::vector<AuditProblem> problems = verify_audit_export(file, proof, heads);
  context.output.document(audit_export_verdict_document(file, proof, problems));
  context.output.verdict(problems.empty(),
                         problems.empty()
                             ? fmt::format("INTACT lines {} to {} of log {} · sha256 {}",
                                           proof.first_seq, proof.last_seq, proof.log, proof.sha256)
                             : fmt::format("DAMAGED {} is not what was exported", printable(file)));
  show_problems(context.output, problems, problems.size());
  return problems.empty() ? kExitDone : kExitDamage;
}

int verify_trail(CommandContext& context) {
  if (context.arguments.size() > 1) return verify_exported(context, context.arguments[1]);
  const Config& config = context.config;
  std::string folder = audit_folder(config);
  std::vector<AuditAnchor> heads = heads_by_hand(config);  // before the stores are waited for
  AuditAnchors anchors = anchors_everywhere(open_stores(config, context.run), context.run);
  anchors.anchors.insert(anchors.anchors.end(), heads.begin(), heads.end());
  AuditVerdict verdict = verify_audit_log(folder, anchors, context.run.stop);
  Output& output = context.output;
  output.document(audit_verdict_document(folder, verdict));
  if (verdict.ok()) {
    output.verdict(true,
                   fmt::format("INTACT {} in {} · {} to {}", plural(verdict.lines, "line"), folder,
                               second_of(verdict.first_time), second_of(verdict.last_time)));
    output.line(fmt::format("  anchors     {} compared; {} since the last one",
                            verdict.anchors_compared,
                            plural(verdict.lines_not_anchored(), "line")));
    for (const std::string& log : verdict.other_logs)
      output.line(
          fmt::format("  note        the stores also know log {}: another machine's, or the "
                      "one that was here before",
                      log));
    if (verdict.anchored_seq == 0)
      output.line(
          "  note        nothing anchors this log: a cut tail would not be noticed "
          "(holdfast audit anchor)");
    return kExitDone;
  }
  output.verdict(false,
                 fmt::format("DAMAGED {} in {}", plural(verdict.problem_count, "problem"), folder));
  show_problems(output, verdict.problems, verdict.problem_count);
  return kExitDamage;
}

// Written whole or not at all.
class ExportFile {
 public:
  explicit ExportFile(std::string path)
      : path_(std::move(path)),
        file_(open_file(path_, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) {}
  ~ExportFile() {
    if (!kept_) ::unlink(path_.c_str());
  }
  void write(std::string_view bytes) { write_all(file_.get(), as_bytes(bytes), path_); }
  void keep() {
    if (::fsync(file_.get()) != 0) throw system_error("sync " + path_, errno);
    fsync_folder(parent_folder(path_));
    kept_ = true;
  }

 private:
  std::string path_;
  Fd file_;
  bool kept_ = false;
};

void refuse_filters_of_lines(const Config& config) {
  for (const char* option : {"audit_action", "audit_actor", "audit_target", "audit_outcome"})
    if (config.given(option))
      throw Error(ErrorCode::invalid,
                  fmt::format("{}: lines are exported without gaps, as a chain cannot be proven "
                              "with any",
                              config.setting(option).origin),
                  "choose a period with --since and --until, or --format csv");
}

int export_trail(CommandContext& context) {
  const Config& config = context.config;
  if (!config.given("audit_out"))
    throw Error(ErrorCode::invalid, "audit export: into which file?", "name it: --out FILE");
  std::string folder = audit_folder(config), path = config.text("audit_out");
  bool csv = config.text("audit_format") == "csv";
  if (!csv) refuse_filters_of_lines(config);
  AuditFilter filter = filter_of(config);
  OperationPart& part = context.operation.begin("audit.export", path, AuditNeed::wanted,
                                                {{"format", config.text("audit_format")},
                                                 {"since", config.text("audit_since")},
                                                 {"until", config.text("audit_until")}});
  ExportFile file(path);
  auto sink = [&](std::string_view bytes) { file.write(bytes); };
  std::optional<AuditProof> proof;
  std::string proof_file;
  if (csv) {
    export_audit_csv(folder, filter, sink);
  } else {
    AuditAnchors anchors = anchors_everywhere(open_stores(config, context.run), context.run);
    proof =
        export_audit_lines(folder, filter.from, filter.to, anchors, context.run.clock.now(), sink);
    proof_file = path + kProofSuffix;
    ExportFile beside(proof_file);
    beside.write(write_audit_proof(*proof));
    file.keep();
    beside.keep();
    part.detail("sha256", proof->sha256);
  }
  if (csv) file.keep();
  context.output.document(
      audit_export_document(path, config.text("audit_format"), proof, proof_file));
  if (proof)
    context.output.line(fmt::format("{}  lines {} to {}  sha256 {}", printable(path),
                                    proof->first_seq, proof->last_seq, proof->sha256));
  context.output.line(csv ? printable(path) : "proof beside it: " + printable(proof_file));
  return kExitDone;
}

// Nothing where there is no trail yet: then there is nothing to anchor. One that a store has an
// anchor of is gone, which is what anchors are for.
std::optional<AuditHead> head_to_anchor(CommandContext& context,
                                        const std::vector<OpenStore>& stores) {
  try {
    return read_audit_head(audit_folder(context.config));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found) throw;
    AuditAnchors known = anchors_everywhere(stores, context.run);
    if (!known.anchors.empty() || !known.damaged.empty()) throw;
    return std::nullopt;
  }
}

int anchor_trail(CommandContext& context) {
  const Config& config = context.config;
  std::vector<OpenStore> stores = open_stores(config, context.run);
  // Before this command's own event, so that what it prints is what the stores have.
  std::optional<AuditHead> anchored = head_to_anchor(context, stores);
  if (!anchored) {
    context.output.document(audit_anchor_document(std::nullopt, {}));
    context.output.line(
        "there is nothing to anchor yet: the audit trail begins with the first command that is "
        "recorded");
    return kExitDone;
  }
  const AuditHead& head = *anchored;
  std::vector<AnchorOutcome> outcomes = anchor_everywhere(stores, config, head, context.run);
  OperationPart& part = context.operation.begin("audit.anchor", fmt::format("line {}", head.seq));
  context.output.document(audit_anchor_document(head, outcomes));
  size_t failed = 0;
  std::string places;
  const Error* damage = nullptr;
  for (const AnchorOutcome& outcome : outcomes) {
    if (!outcome.error) {
      context.output.line(fmt::format(
          "anchored in {}: {}{}", outcome.store, outcome.object,
          outcome.locked_until ? ", locked until " + second_of(*outcome.locked_until) : ""));
      places += (places.empty() ? "" : ", ") + outcome.store;
      continue;
    }
    ++failed;
    if (outcome.error->code() == ErrorCode::corrupt) damage = &*outcome.error;
    context.console.failure(outcome.error->within("store " + outcome.store));
  }
  context.output.line(audit_head_line(head));
  part.detail("stores", places);
  part.detail("failed", failed == 0 ? "" : std::to_string(failed));
  if (damage != nullptr) return kExitDamage;
  if (failed == 0) return kExitDone;
  return failed < outcomes.size() ? kExitPartial : kExitFailed;
}

}  // namespace

int command_audit(CommandContext& context) {
  const std::vector<std::string> names = {"show", "verify", "export", "anchor"};
  std::string action = context.argument_or("");
  if (std::find(names.begin(), names.end(), action) == names.end())
    throw Error(ErrorCode::invalid,
                action.empty() ? "audit: what about it?"
                               : fmt::format("audit: unknown action {}{}", shown(action),
                                             did_you_mean(action, names)),
                fmt::format("actions: {}", fmt::join(names, ", ")));
  if (action != "verify" && context.arguments.size() > 1)
    throw Error(
        ErrorCode::invalid,
        fmt::format("audit {}: unexpected argument {}", action, shown(context.arguments[1])),
        "see: holdfast help audit");
  if (action == "show") return show_trail(context);
  if (action == "verify") return verify_trail(context);
  return action == "export" ? export_trail(context) : anchor_trail(context);
}

}  // namespace holdfast
